// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two files of a replica, UUID.definition and UUID.definition.pending; the first line of each is the epoch that it
 * came with. CRASH: which of them goes with the disks is not written down anywhere, but follows from the record,
 * whenever it is asked: the pending one if its epoch is the base, else the other. So it changes in the very moment
 * in which the base does, and in no other:
 *
 * - a pending one is there, whole and durable, before the primary offers the delta of its epoch;
 * - until that delta is the base, and when it never comes to be, the other one is what goes with the disks;
 * - from then on the pending one is. That it takes the other's name is for tidiness, and only so that the next
 *   one does not take its place: that is done, and durable, before the next one is put there.
 *
 * Each is replaced as a whole. An epoch that the primary names as its base was acknowledged, though the record
 * here may not say so yet: a pending one of it is kept as well.
 *
 * With the failover, from when on the VM's own are newer, the one that goes with the disks becomes .owed: it is still
 * to be used; and .used, when it was. CRASH: owed before the record says that the VM is failed over; what a replica
 * has by these names, because that came to nothing or was reverted, goes with its disks as before.
 */
#include "daemon/definitions.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/macro.h"
#include "lib/base64.h"
#include "lib/put_file.h"

#define PENDING	   ".pending"
#define OWED	   ".owed"
#define USED	   ".used"
#define LINE_BYTES (UUID_TEXT_LEN + 1)

struct definition_arriving {
	struct uuid epoch;
	size_t size;
	size_t done;
	char data[]; /* the line, and then @size bytes */
};

/* --- files --- */

static void path_of(const struct vm *vm, const char *slot, char ret[PATH_MAX])
{
	char text[UUID_TEXT_LEN + 1];

	(void)snprintf(ret, PATH_MAX, "%s/%s.definition%s", vm->daemon->config.state_dir,
		       uuid_format(&vm->r.vm, text), slot);
}

/* What follows the line is read next. -1: there is none. */
static int open_slot(const struct vm *vm, const char *slot, struct uuid *ret_epoch)
{
	cleanup_fd int fd = -1;
	char line[LINE_BYTES];
	char path[PATH_MAX];

	path_of(vm, slot, path);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (read(fd, line, sizeof(line)) != (ssize_t)sizeof(line))
		return -1;
	line[UUID_TEXT_LEN] = '\0';
	return uuid_parse(line, ret_epoch) ? -1 : steal_fd(&fd);
}

static int sync_directory(const struct vm *vm)
{
	cleanup_fd int fd = open(vm->daemon->config.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* The pending one, if it is of @base, becomes the other. */
static int settle(const struct vm *vm, const struct uuid *base, struct failure *f)
{
	char from[PATH_MAX];
	char to[PATH_MAX];
	struct uuid epoch;
	cleanup_fd int fd = open_slot(vm, PENDING, &epoch);

	if (fd < 0 || !uuid_equal(&epoch, base))
		return 0;
	path_of(vm, PENDING, from);
	path_of(vm, "", to);
	if (rename(from, to) == 0 && sync_directory(vm) == 0)
		return 0;
	return failure_set(f, code_of_errno(errno), -errno, "Cannot write %.300s: %s.", to, strerror(errno));
}

void definition_settle(const struct vm *vm)
{
	struct failure why;

	if (settle(vm, &vm->r.base, &why))
		log_warning("VM %s: %s", vm->r.name, why.text);
}

static bool is_replica(const struct vm *vm)
{
	return vm_swap_host(vm).role == SWAP_REPLICA;
}

int definition_open(const struct vm *vm)
{
	static const char *const slots[] = { "", OWED, USED };
	struct uuid epoch;
	int fd;

	if (!is_replica(vm))
		return open_slot(vm, OWED, &epoch);
	fd = open_slot(vm, PENDING, &epoch);
	if (fd >= 0 && uuid_equal(&epoch, &vm->r.base))
		return fd;
	fd = close_fd(fd);
	for (size_t i = 0; fd < 0 && i < ARRAY_SIZE(slots); i++)
		fd = open_slot(vm, slots[i], &epoch);
	return fd;
}

bool definition_is_owed(const struct vm *vm)
{
	cleanup_fd int fd = is_replica(vm) ? -1 : definition_open(vm);

	return fd >= 0;
}

/* True also when there is none of the name @from. */
static bool rename_slot(const struct vm *vm, const char *from, const char *to)
{
	char old[PATH_MAX];
	char new[PATH_MAX];

	path_of(vm, from, old);
	path_of(vm, to, new);
	if ((rename(old, new) < 0 && errno != ENOENT) || sync_directory(vm) < 0) {
		log_warning("VM %s: %s cannot be renamed: %s", vm->r.name, old, strerror(errno));
		return false;
	}
	return true;
}

/* What is written later is newer. */
static void touch(const char *path)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || futimens(fd, NULL) < 0 || fsync(fd) < 0)
		log_warning("The time of %s cannot be set: %s", path, strerror(errno));
}

/* ORDER: what was used in an earlier failover takes no place from what came since. */
void definition_owe(const struct vm *vm, const struct uuid *base)
{
	struct failure why;
	char path[PATH_MAX];

	if (settle(vm, &vm->r.base, &why) || settle(vm, base, &why)) {
		log_warning("VM %s: %s", vm->r.name, why.text);
		return;
	}
	path_of(vm, OWED, path);
	if (access(path, F_OK) < 0 && !rename_slot(vm, USED, OWED))
		return;
	if (rename_slot(vm, "", OWED) && access(path, F_OK) == 0)
		touch(path);
}

void definition_used(const struct vm *vm)
{
	(void)rename_slot(vm, OWED, USED);
}

void definition_remove(struct vm *vm)
{
	static const char *const slots[] = { "", OWED, USED, PENDING, PENDING ".new" };
	char path[PATH_MAX];

	definition_drop(vm);
	for (size_t i = 0; i < ARRAY_SIZE(slots); i++) {
		path_of(vm, slots[i], path);
		if (unlink(path) < 0 && errno != ENOENT)
			log_warning("%s cannot be removed: %s", path, strerror(errno));
	}
	(void)sync_directory(vm);
}

/* --- arriving --- */

void definition_drop(struct vm *vm)
{
	free(steal_ptr(vm->arriving));
}

static int begin(struct vm *vm, const struct call *call, struct failure *f)
{
	char epoch[UUID_TEXT_LEN + 1];
	struct definition_arriving *a;

	definition_drop(vm);
	if (!call->size || call->size > DEFINITION_PACKED_MAX)
		return failure_set(f, CODE_INVALID_PARAMETER, -EFBIG,
				   "A definition of %llu bytes is not taken: it may have 1 to %zu.",
				   (unsigned long long)call->size, DEFINITION_PACKED_MAX);
	a = calloc(1, sizeof(*a) + LINE_BYTES + call->size);
	if (!a)
		return failure_no_memory(f);
	a->epoch = call->epoch;
	a->size = call->size;
	(void)memcpy(a->data, uuid_format(&call->epoch, epoch), UUID_TEXT_LEN);
	a->data[UUID_TEXT_LEN] = '\n';
	vm->arriving = a;
	return 0;
}

static int add(struct definition_arriving *a, const struct call *call, struct failure *f)
{
	cleanup_free void *piece = NULL;
	size_t len = 0;
	int rc = base64_decode(call->data, strlen(call->data), &piece, &len);

	if (rc == -ENOMEM)
		return failure_no_memory(f);
	if (rc || !len || !a || !uuid_equal(&a->epoch, &call->epoch) || a->size != call->size ||
	    a->done != call->offset || len > a->size - a->done)
		return failure_set(f, CODE_INVALID_PARAMETER, -EPROTO,
				   "A piece of a definition does not follow what came before it.");
	memcpy(a->data + LINE_BYTES + a->done, piece, len);
	a->done += len;
	return 0;
}

/* ORDER: what goes with the disks is in its place before anything takes the pending one's. */
static int store(struct vm *vm, const struct call *call, struct failure *f)
{
	const struct definition_arriving *a = vm->arriving;
	char path[PATH_MAX];
	int rc = settle(vm, &vm->r.base, f);

	if (!rc)
		rc = settle(vm, &call->base, f);
	path_of(vm, PENDING, path);
	return rc ? rc : put_file(path, 0600, a->data, LINE_BYTES + a->size, f);
}

int definition_take(struct vm *vm, const struct call *call, struct failure *f)
{
	int rc = 0;

	if (!is_replica(vm))
		return failure_set(f, CODE_INVALID_STATE, -EBADE,
				   "VM %.64s is no replica here: its definition is this host's.", vm->r.name);
	if (!call->offset)
		rc = begin(vm, call, f);
	if (!rc)
		rc = add(vm->arriving, call, f);
	if (!rc && vm->arriving->done < vm->arriving->size)
		return 0;
	if (!rc)
		rc = store(vm, call, f);
	definition_drop(vm);
	return rc;
}
