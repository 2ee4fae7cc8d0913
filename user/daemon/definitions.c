// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two files of a VM, UUID.definition and UUID.definition.pending; the first line of each is the epoch that it
 * came with. CRASH: which of them goes with the disks is not written down anywhere, but follows from the record,
 * whenever it is asked: the pending one if its epoch is the base, else the other. So it changes in the very moment
 * in which the base does, and in no other:
 *
 * - a pending one is there, whole and durable, before the primary offers the delta of its epoch;
 * - until that delta is the base, and when it never comes to be, the other one is what goes with the disks;
 * - from then on the pending one is. That it takes the other's name is for tidiness, and only so that the next
 *   one does not take its place: that is done, and durable, before the next one is put there.
 *
 * Once the hypervisor has it, it is removed, so that one that is there was never used: also where the VM was failed
 * over, and is the primary by now.
 *
 * Each is replaced as a whole. An epoch that the primary names as its base was acknowledged, though the record
 * here may not say so yet: a pending one of it is kept as well.
 */
#include "daemon/definitions.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/macro.h"
#include "lib/base64.h"
#include "lib/put_file.h"

#define PENDING	   ".pending"
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

int definition_open(const struct vm *vm)
{
	struct uuid epoch;
	int fd;

	fd = open_slot(vm, PENDING, &epoch);
	if (fd >= 0 && uuid_equal(&epoch, &vm->r.base))
		return fd;
	(void)close_fd(fd);
	return open_slot(vm, "", &epoch);
}

bool definition_is_there(const struct vm *vm)
{
	cleanup_fd int fd = definition_open(vm);

	return fd >= 0;
}

void definition_remove(struct vm *vm)
{
	static const char *const slots[] = { "", PENDING, PENDING ".new" };
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

	if (vm_swap_host(vm).role != SWAP_REPLICA)
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
