// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An event is only the word to look: what counts is the state in which the trackers are found. So
 * nothing is missed when events are, or when a tracker was lost before anybody listened.
 */
#include "daemon/losses.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/fence.h"
#include "daemon/labels.h"
#include "daemon/trackers.h"
#include "daemon/vm.h"
#include "lib/nl_control.h"

#define LISTEN_AGAIN_US UINT64_C(1000000)

struct losses {
	struct nl_listener *listener; /* NULL: the module is not loaded */
	sd_event_source *events;
	sd_event_source *timer; /* looks whether it is */
	bool unsettled; /* a loss could not be recorded, or not asked about */
	bool told; /* that it could not be recorded */
};

static int note(struct vm *vm, size_t i, const struct tracker_info *info, struct failure *f)
{
	struct relationship_record next = vm->r;
	int rc = vm_copy_disks(vm, &next.disks, f);

	if (rc)
		return rc;
	trackers_note_lost(&next.disks[i], info);
	next.health = HEALTH_CRITICAL;
	(void)snprintf(next.last_error, sizeof(next.last_error),
		       "The store of tracker %.127s failed: what is written to disk %s is not "
		       "recorded. Give the tracker a sound store, then `failback resync %.64s`.",
		       info->name, next.disks[i].name, vm->r.name);
	rc = vm_change(vm, &next, f);
	if (rc)
		free(next.disks);
	return rc;
}

/* CRASH: the record first, then the word to the module, which lets writes go by it. */
static int settle(struct vm *vm, size_t i, struct nl *nl, struct failure *f)
{
	const struct disk_record *disk = &vm->r.disks[i];
	char name[FENCE_NAME_MAX];
	struct tracker_info info;
	int rc;

	if (!disk->tracker[0])
		return 0;
	rc = nl_tracker_get(nl, fence_name(disk, name), &info, f);
	/* Without a tracker there is nothing that could be lost. */
	if (rc)
		return rc == -ENODEV ? 0 : rc;
	if (info.state != CBT_STATE_LOST || trackers_is_noted_lost(disk, &info))
		return 0;
	rc = note(vm, i, &info, f);
	if (rc)
		return rc;
	log_error("VM %s: %s", vm->r.name, vm->r.last_error);
	return nl_lost_ack(nl, name, f);
}

static void look(struct daemon *d)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	struct losses *l = d->losses;
	struct failure why;

	l->unsettled = nl_open(&nl, NULL) != 0;
	if (l->unsettled)
		return;
	for (struct vm *vm = d->vms; vm; vm = vm->next) {
		for (size_t i = 0; i < vm->r.nr_disks; i++) {
			if (!settle(vm, i, nl, &why))
				continue;
			l->unsettled = true;
			if (!l->told)
				log_error("VM %s: whether the tracker of disk %s lost anything cannot be "
					  "recorded yet: %s",
					  vm->r.name, vm->r.disks[i].name, why.text);
		}
	}
	l->told = l->unsettled;
}

/* --- listening --- */

static int on_event(void *context, const struct tracker_event *event)
{
	bool *is_lost = context;

	*is_lost |= event->kind == CBT_EVENT_LOST;
	return 0;
}

static void stop_listening(struct losses *l)
{
	(void)sd_event_source_disable_unref(l->events);
	l->events = NULL;
	nl_listener_free_at(&l->listener);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct daemon *d = context;
	bool is_lost = false;
	int rc;

	(void)source;
	(void)fd;
	(void)revents;
	rc = nl_listener_take(d->losses->listener, on_event, &is_lost, NULL);
	/* The module was unloaded, or the socket is of no use: the timer makes another. */
	if (rc && rc != -ENOBUFS)
		stop_listening(d->losses);
	if (rc || is_lost)
		look(d);
	return 0;
}

static void listen_again(struct daemon *d)
{
	struct losses *l = d->losses;

	/* A loss that is not recorded would be forgotten with the tracker. */
	if (l->listener && l->unsettled)
		look(d);
	if (l->listener || nl_listen(&l->listener, NULL))
		return;
	if (sd_event_add_io(d->event, &l->events, nl_listener_fd(l->listener), EPOLLIN, on_readable,
			    d) < 0) {
		stop_listening(l);
		return;
	}
	/* What was lost before, and what has come with the module. */
	look(d);
	for (struct vm *vm = d->vms; vm; vm = vm->next)
		labels_write(vm);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *context)
{
	(void)usec;
	listen_again(context);
	(void)sd_event_source_set_time_relative(source, LISTEN_AGAIN_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int losses_start(struct daemon *d, struct failure *f)
{
	int rc;

	d->losses = calloc(1, sizeof(*d->losses));
	if (!d->losses)
		return failure_no_memory(f);
	rc = sd_event_add_time_relative(d->event, &d->losses->timer, CLOCK_MONOTONIC, 0, 0, on_timer,
					d);
	if (rc < 0)
		return failure_set(f, CODE_FAILED, rc, "The event loop failed: %s.", strerror(-rc));
	return 0;
}

void losses_stop(struct daemon *d)
{
	if (!d->losses)
		return;
	stop_listening(d->losses);
	(void)sd_event_source_disable_unref(d->losses->timer);
	free(d->losses);
	d->losses = NULL;
}
