// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/objects.h"
#include "daemon/takeover.h"
#include "daemon/trackers.h"
#include "daemon/vm.h"

#define WATCH_EVERY_S 5

static void set_unrecorded(struct vm *vm, const char *text)
{
	if (strcmp(vm->unrecorded, text) == 0)
		return;
	(void)snprintf(vm->unrecorded, sizeof(vm->unrecorded), "%s", text);
	if (text[0])
		log_error("VM %s: %s", vm->r.name, text);
	else
		log_notice("VM %s: what is written is recorded again", vm->r.name);
	relationship_object_changed(vm);
}

static void look(struct vm *vm)
{
	struct failure why = { .text = "" };
	struct failure text = { .text = "" };

	/* Who asks the peer moves the fence himself, before and after. What others made under the name is theirs. */
	if (!vm->job && !vm->confirming && !trackers_has_strange(&vm->r))
		vm_sync_fence(vm);
	if (vm->not_started[0] && (!vm_swap_host(vm).facing || trackers_check_closed(&vm->r, NULL) == -EBUSY)) {
		vm->not_started[0] = '\0';
		relationship_object_changed(vm);
	}
	if (vm->not_started[0] && vm->start_due_ns && clock_ns() > vm->start_due_ns && !vm->job)
		takeover_autostart(vm);
	if (vm_swap_host(vm).facing && trackers_check_recording(&vm->r, &why))
		(void)failure_set(&text, CODE_NOT_AVAILABLE, 0, "What the VM writes is not recorded. %.450s",
				  why.text);
	/* A disk that has no device yet is received on as it is. */
	else if (vm->r.mode == MODE_REPLICA && !vm_swap_host(vm).facing &&
		 trackers_check_all_own(&vm->r, &why) == -ENODEV)
		(void)failure_set(&text, CODE_NOT_AVAILABLE, 0, "What is received is not recorded. %.450s", why.text);
	set_unrecorded(vm, text.text);
}

void watch_when_due(struct daemon *d)
{
	uint64_t now = clock_ns();

	if (now < d->watch_due_ns)
		return;
	d->watch_due_ns = now + WATCH_EVERY_S * d->config.second_ms * NS_PER_MS;
	for (struct vm *vm = d->vms; vm; vm = vm->next) {
		if (!vm->r.unreadable)
			look(vm);
	}
}
