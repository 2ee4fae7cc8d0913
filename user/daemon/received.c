// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/received.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/macro.h"
#include "base/size.h"
#include "daemon/trackers.h"
#include "lib/covered.h"

int received_file(const struct call *call, int *ret_fd, struct failure *f)
{
	uint64_t sizes[CALL_DISKS_MAX];
	int rc;

	for (size_t i = 0; i < call->nr_disks; i++)
		sizes[i] = call->disks[i].size_bytes;
	rc = covered_make(sizes, call->nr_disks, ret_fd);
	if (rc)
		return failure_set(f, CODE_FAILED, rc, "Cannot make a file in memory: %s.",
				   strerror(-rc));
	return 0;
}

bool received_nothing(int covered)
{
	/* ORDER: the worker marks there what it is about to write, before it does. */
	return covered >= 0 && covered_is_empty(covered);
}

/* The order of the disks is the call's in the file, and the relationship's here. */
struct coverage {
	const struct call *call;
	struct covered *covered;
	size_t nr_of_call[CALL_DISKS_MAX]; /* of each disk here */
};

static void coverage_clear(struct coverage *c)
{
	covered_close_at(&c->covered);
}

static uint64_t covered_until(void *context, size_t disk, uint64_t offset, uint64_t end, bool *ret_covered)
{
	const struct coverage *c = context;
	size_t nr = c->nr_of_call[disk];

	/* A disk that was sent whole is covered where nothing had to be written, too. */
	*ret_covered = c->call->full || c->call->disks[nr].all;
	return *ret_covered ? end : covered_run(c->covered, nr, offset, end, ret_covered);
}

static bool find_in_call(const struct call *call, const char *name, size_t *ret)
{
	for (*ret = 0; *ret < call->nr_disks; (*ret)++) {
		if (strcmp(call->disks[*ret].name, name) == 0)
			return true;
	}
	return false;
}

/* False: nobody knows. */
static bool coverage_init(const struct vm *vm, const struct call *call, int fd, struct coverage *c)
{
	uint64_t sizes[CALL_DISKS_MAX];
	int rc;

	if (fd < 0 || vm->r.nr_disks > ARRAY_SIZE(c->nr_of_call))
		return false;
	c->call = call;
	for (size_t i = 0; i < vm->r.nr_disks; i++) {
		if (!find_in_call(call, vm->r.disks[i].name, &c->nr_of_call[i]))
			return false;
	}
	for (size_t i = 0; i < call->nr_disks; i++)
		sizes[i] = call->disks[i].size_bytes;
	rc = covered_open(fd, sizes, call->nr_disks, &c->covered);
	if (rc)
		log_warning("VM %s: what its delta covers cannot be read: %s", vm->r.name,
			    strerror(-rc));
	return !rc;
}

static void tell_strays(const struct vm *vm, const uint64_t *stray, bool is_known,
			char ret[RECEIVED_TEXT_LEN])
{
	static const char known[] =
		"Something but failbackd wrote to the replica: %s that no delta covers, on disk "
		"%s%s; or failbackd was cut off as it recorded its own. It may differ from the "
		"primary there: find out what has it open, then `failback suspend %.64s` and "
		"`failback resync %.64s` on the primary.";
	static const char unknown[] =
		"failbackd was cut off as it recorded a delta: %s, on disk %s%s, are that delta's, or "
		"somebody else's writes, and may differ from the primary: `failback suspend %.64s` and "
		"`failback resync %.64s` on the primary compare them.";
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
	(void)snprintf(ret, RECEIVED_TEXT_LEN, is_known ? known : unknown,
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
	_cleanup_(coverage_clear) struct coverage coverage = { 0 };
	struct failure why;
	bool is_known;

	ret[0] = '\0';
	if (!stray || !have_trackers(vm))
		return;
	is_known = coverage_init(vm, call, covered, &coverage);
	if (trackers_note_received(&vm->r, &call->epoch, is_known ? covered_until : NULL, &coverage,
				   stray, &why))
		log_warning("VM %s: the trackers of the replica keep what was received as dirty: %s",
			    vm->r.name, why.text);
	else
		tell_strays(vm, stray, is_known, ret);
}
