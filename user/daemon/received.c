// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/received.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/macro.h"
#include "base/size.h"
#include "daemon/trackers.h"
#include "lib/covered.h"

int received_file(int *ret_fd, struct failure *f)
{
	*ret_fd = memfd_create("covered", MFD_CLOEXEC);
	if (*ret_fd < 0)
		return failure_set(f, CODE_FAILED, -errno, "Cannot make a file in memory: %s.",
				   strerror(errno));
	return 0;
}

/* Lists that are freed together. */
struct lists {
	struct extent_list *of_disk;
	size_t nr;
};

static void lists_clear(struct lists *lists)
{
	for (size_t i = 0; lists->of_disk && i < lists->nr; i++)
		extent_list_free(&lists->of_disk[i]);
	free(lists->of_disk);
}

static bool lists_init(struct lists *lists, size_t nr)
{
	lists->of_disk = calloc(max_of(nr, (size_t)1), sizeof(*lists->of_disk));
	lists->nr = nr;
	return lists->of_disk;
}

/* The order of the disks is the call's there, and the relationship's here. */
static bool sort_by_disk(const struct vm *vm, const struct call *call, struct lists *from,
			 struct lists *to)
{
	for (size_t i = 0; i < call->nr_disks; i++) {
		size_t j = 0;

		while (j < to->nr && strcmp(vm->r.disks[j].name, call->disks[i].name) != 0)
			j++;
		if (j == to->nr)
			return false;
		/* A disk that was sent whole is covered where nothing had to be written, too. */
		if (call->disks[i].all || call->full) {
			if (extent_push(&to->of_disk[j], 0, call->disks[i].size_bytes))
				return false;
			continue;
		}
		to->of_disk[j] = from->of_disk[i];
		from->of_disk[i] = (struct extent_list){ 0 };
	}
	return true;
}

/* False: nobody knows. */
static bool read_covered(const struct vm *vm, const struct call *call, int covered,
			 struct lists *ret)
{
	_cleanup_(lists_clear) struct lists lists = { 0 };
	int rc;

	if (covered < 0 || !lists_init(&lists, call->nr_disks) || !lists_init(ret, vm->r.nr_disks))
		return false;
	rc = covered_read(covered, lists.nr, lists.of_disk);
	if (rc)
		log_warning("VM %s: what its delta covers cannot be read: %s", vm->r.name,
			    strerror(-rc));
	return !rc && sort_by_disk(vm, call, &lists, ret);
}

static void tell_strays(const struct vm *vm, const uint64_t *stray, char ret[RECEIVED_TEXT_LEN])
{
	uint64_t bytes = 0;
	size_t first = 0;
	char text[SIZE_TEXT_LEN];

	for (size_t i = 0; i < vm->r.nr_disks; i++) {
		if (stray[i] && !bytes)
			first = i;
		bytes += stray[i];
	}
	if (!bytes)
		return;
	(void)snprintf(ret, RECEIVED_TEXT_LEN,
		       "Something but failbackd wrote to the replica: %s that no delta covers, on disk "
		       "%s%s. There it is not what the primary holds: find out what has it open, then "
		       "`failback suspend %.64s` and `failback resync %.64s` on the primary.",
		       size_format(bytes, text), vm->r.disks[first].name,
		       bytes > stray[first] ? " and others" : "", vm->r.name, vm->r.name);
	log_warning("VM %s: %s", vm->r.name, ret);
}

/* Only where all disks were written through trackers. */
static bool have_trackers(const struct vm *vm)
{
	for (size_t i = 0; i < vm->r.nr_disks; i++) {
		char device[PATH_MAX];

		trackers_device(&vm->r.disks[i], device);
		if (!device[0])
			return false;
	}
	return true;
}

void received_note(const struct vm *vm, const struct call *call, int covered,
		   char ret[RECEIVED_TEXT_LEN])
{
	cleanup_free uint64_t *stray = calloc(max_of(vm->r.nr_disks, (size_t)1), sizeof(*stray));
	_cleanup_(lists_clear) struct lists lists = { 0 };
	struct failure why;
	bool is_known;

	ret[0] = '\0';
	if (!stray || !have_trackers(vm))
		return;
	is_known = read_covered(vm, call, covered, &lists);
	if (trackers_note_received(&vm->r, &call->epoch, is_known ? lists.of_disk : NULL, stray, &why))
		log_warning("VM %s: the trackers of the replica keep what was received as dirty: %s",
			    vm->r.name, why.text);
	else
		tell_strays(vm, stray, ret);
}
