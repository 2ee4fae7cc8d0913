// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Start: what is remembered first, then what a crash left behind, then the bus and the listener,
 * and only then is the daemon ready. Stop: jobs are asked to end, so that no epoch stays frozen;
 * then the loop ends.
 */
#include "daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/realtime.h"
#include "daemon/delta_end.h"
#include "daemon/delta_receive.h"
#include "daemon/job.h"
#include "daemon/journals.h"
#include "daemon/labels.h"
#include "daemon/listener.h"
#include "daemon/losses.h"
#include "daemon/objects.h"
#include "daemon/peer.h"
#include "daemon/ready.h"
#include "daemon/schedule.h"
#include "daemon/takeover.h"
#include "daemon/talk.h"
#include "daemon/vm.h"
#include "lib/bus.h"
#include "lib/dm_request.h"

#define STOP_POLL_US UINT64_C(50000)
#define STOP_POLLS   160

static void daemon_clear(struct daemon *d)
{
	listener_stop(d);
	schedule_stop(d);
	losses_stop(d);
	for (struct vm *vm = d->vms; vm; vm = vm->next) {
		takeover_forget(vm);
		ready_forget(vm);
	}
	job_free_all(d);
	vm_free_all(d);
	store_close(d->store);
	if (d->bus)
		(void)sd_bus_flush_close_unref(d->bus);
	(void)sd_event_unref(d->event);
}

/* --- what is remembered --- */

/*
 * The workers: where the settings say, else beside this program (a build tree), else where they
 * are installed.
 */
static void find_libexec(struct daemon *d)
{
	char path[PATH_MAX];
	ssize_t len;
	char *slash;

	(void)snprintf(d->libexec, sizeof(d->libexec), "%s",
		       d->config.libexec_dir[0] ? d->config.libexec_dir : FAILBACK_LIBEXECDIR);
	if (d->config.libexec_dir[0])
		return;
	len = readlink("/proc/self/exe", path, sizeof(d->libexec) - 1);
	if (len < 0)
		return;
	path[len] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return;
	(void)strcpy(slash, "/failback-send");
	if (access(path, X_OK) != 0)
		return;
	*slash = '\0';
	(void)memcpy(d->libexec, path, strlen(path) + 1);
}

/* Whoever can write there could put a link in the place of the database, or another database. */
static int check_state_dir(const char *path, struct failure *f)
{
	struct stat dir;

	if (lstat(path, &dir) < 0)
		return failure_set(f, code_of_errno(errno), -errno,
				   "Cannot use %s: %s; see the setting state-dir.", path,
				   strerror(errno));
	if (!S_ISDIR(dir.st_mode) || dir.st_uid != geteuid() || dir.st_mode & (S_IWGRP | S_IWOTH))
		return failure_set(
			f, CODE_ACCESS_DENIED, -EACCES,
			"%s must be a directory of root that nobody else may write to; see the "
			"setting state-dir.",
			path);
	return 0;
}

static int open_store(struct daemon *d, struct failure *f)
{
	char path[PATH_MAX];
	int rc;

	if (mkdir(d->config.state_dir, 0700) < 0 && errno != EEXIST)
		return failure_set(f, code_of_errno(errno), -errno,
				   "Cannot make %s: %s; see the setting state-dir.",
				   d->config.state_dir, strerror(errno));
	rc = check_state_dir(d->config.state_dir, f);
	if (rc)
		return rc;
	(void)snprintf(path, sizeof(path), "%s/failback.db", d->config.state_dir);
	return store_open(path, &d->store, f);
}

/* A full file system must not keep the VMs' devices from being guarded: the next start settles them, too. */
static void settle_jobs(struct daemon *d)
{
	struct job_record outcome = {
		.state = JOB_EXCEPTION,
		.code = CODE_FAILED,
		.text = "failbackd ended before the job did; call the method again.",
		.ended_us = realtime_us(),
	};
	struct failure why;
	size_t nr = 0;

	if (store_settle_jobs(d->store, &outcome, &nr, &why))
		log_error("That jobs did not end before failbackd did cannot be recorded: %s", why.text);
	else if (nr)
		log_warning("%zu jobs did not end before failbackd did", nr);
}

/* A delta that did not arrive because failbackd ended: nobody else tells the operator. */
static void note_interruption(struct vm *vm)
{
	struct relationship_record next = vm->r;

	next.health = HEALTH_WARNING;
	(void)snprintf(next.last_error, sizeof(next.last_error),
		       "failbackd ended while a delta was sent. Nothing is lost: the next delta "
		       "covers it; `failback resume %.64s` sends it.",
		       vm->r.name);
	(void)vm_change(vm, &next, NULL);
}

/* An epoch that cannot be ended now, because the kernel refuses, is ended by the next delta. */
static void settle_epochs(struct daemon *d)
{
	struct failure why;

	for (struct vm *vm = d->vms; vm; vm = vm->next) {
		bool interrupted = vm->r.mode == MODE_PRIMARY && !uuid_is_nil(&vm->r.epoch) &&
				   !vm->r.epoch_durable;

		if (delta_settle(vm, &why))
			log_error("VM %s: the epoch that was being sent stays frozen for now: %s",
				  vm->r.name, why.text);
		if (interrupted && !delta_is_missed(vm))
			note_interruption(vm);
	}
}

/* Which boot of the host is this, and which start of the daemon? */
static int read_boot(struct daemon *d, struct failure *f)
{
	const char *path = d->config.boot_id_file;
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, d->boot, sizeof(d->boot) - 1);

	if (len <= 0)
		return failure_set(f, CODE_FAILED, -EIO,
				   "Cannot read %s, which tells one boot from another; see the setting "
				   "boot-id-file.",
				   path);
	d->boot[strcspn(d->boot, "\n")] = '\0';
	return talk_nonce(&d->session, f);
}

static int remember(struct daemon *d, struct failure *f)
{
	int rc = read_boot(d, f);

	if (!rc)
		rc = open_store(d, f);
	if (!rc)
		rc = vm_load_all(d, f);
	if (rc)
		return rc;
	settle_jobs(d);
	for (struct vm *vm = d->vms; vm; vm = vm->next)
		vm_sync_fence(vm);
	settle_epochs(d);
	for (struct vm *vm = d->vms; vm; vm = vm->next)
		labels_write(vm);
	return 0;
}

/* --- stopping --- */

static bool jobs_run(const struct daemon *d)
{
	for (const struct vm *vm = d->vms; vm; vm = vm->next) {
		if (vm->job)
			return true;
	}
	return false;
}

static int on_stop_poll(sd_event_source *source, uint64_t usec, void *context)
{
	static unsigned int polls;
	struct daemon *d = context;

	(void)usec;
	if (!jobs_run(d) || ++polls == STOP_POLLS)
		return sd_event_exit(d->event, 0);
	(void)sd_event_source_set_time_relative(source, STOP_POLL_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
	struct daemon *d = context;
	struct vm *next;

	(void)source;
	(void)info;
	(void)sd_notify(0, "STOPPING=1");
	d->stopping = true;
	listener_stop(d);
	for (struct vm *vm = d->vms; vm; vm = next) {
		/* One that was only being created goes with its job. */
		next = vm->next;
		if (!vm->job)
			continue;
		vm->job->terminating = true;
		if (vm->job->cancel)
			vm->job->cancel(vm->job->operation);
	}
	if (!jobs_run(d))
		return sd_event_exit(d->event, 0);
	return sd_event_add_time_relative(d->event, NULL, CLOCK_MONOTONIC, STOP_POLL_US, 0,
					  on_stop_poll, d);
}

static int watch_signals(struct daemon *d, struct failure *f)
{
	sigset_t mask;
	int rc;

	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGTERM);
	(void)sigaddset(&mask, SIGINT);
	(void)sigaddset(&mask, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &mask, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	rc = sd_event_add_signal(d->event, NULL, SIGTERM, on_signal, d);
	if (rc >= 0)
		rc = sd_event_add_signal(d->event, NULL, SIGINT, on_signal, d);
	if (rc < 0)
		return failure_set(f, CODE_FAILED, rc, "Cannot watch signals: %s.", strerror(-rc));
	return 0;
}

/* --- starting --- */

static int on_bus_lost(sd_bus_message *message, void *context, sd_bus_error *error)
{
	struct daemon *d = context;

	(void)message;
	(void)error;
	log_error("The connection to the bus was lost; failbackd ends, to be started anew");
	return sd_event_exit(d->event, -ECONNRESET);
}

static int join_bus(struct daemon *d, struct failure *f)
{
	int rc = bus_open(d->config.bus_address, &d->bus, f);

	if (!rc)
		rc = objects_export(d, f);
	if (rc)
		return rc;
	rc = sd_bus_attach_event(d->bus, d->event, SD_EVENT_PRIORITY_NORMAL);
	if (rc >= 0)
		rc = sd_bus_match_signal(d->bus, NULL, "org.freedesktop.DBus.Local",
					 "/org/freedesktop/DBus/Local",
					 "org.freedesktop.DBus.Local", "Disconnected", on_bus_lost,
					 d);
	if (rc >= 0)
		rc = sd_bus_request_name(d->bus, BUS_NAME, 0);
	if (rc < 0)
		return failure_set(
			f, rc == -EEXIST ? CODE_IN_USE : CODE_NOT_AVAILABLE, rc,
			"Cannot take the name %s on the bus: %s; is another failbackd running, or "
			"the bus policy "
			"not installed?",
			BUS_NAME, strerror(-rc));
	return 0;
}

/* Each request waits that long: once is enough to say so. */
static void on_late_udev(void)
{
	static bool told;

	if (!told)
		log_warning("udev did not answer for %u s after a change of device-mapper, and is not waited for any "
			    "longer: look for hung workers of systemd-udevd and for storage that does not answer.",
			    DM_UDEV_WAIT_MS / 1000U);
	told = true;
}

static int start(struct daemon *d, struct failure *f)
{
	int rc = address_parse(d->config.listen, PEER_PORT, &d->listen, f);

	if (rc)
		return rc;
	find_libexec(d);
	dm_request_tell_late(on_late_udev);
	rc = sd_event_new(&d->event);
	if (rc < 0)
		return failure_set(f, CODE_FAILED, rc, "Cannot make an event loop: %s.",
				   strerror(-rc));
	rc = watch_signals(d, f);
	if (!rc)
		rc = remember(d, f);
	if (!rc)
		rc = listener_start(d, f);
	if (!rc)
		rc = join_bus(d, f);
	if (rc)
		return rc;
	for (struct vm *vm = d->vms; vm; vm = vm->next) {
		journal_sweep(vm);
		receive_settle(vm);
	}
	rc = losses_start(d, f);
	return rc ? rc : schedule_start(d, f);
}

int daemon_run(const struct host_config *config, struct failure *f)
{
	_cleanup_(daemon_clear) struct daemon d = { .config = *config };
	char text[ADDRESS_TEXT_MAX];
	int rc;

	/* The directory of the database may be readable: what is in it is not. */
	(void)umask(S_IRWXG | S_IRWXO);
	rc = start(&d, f);
	if (rc)
		return rc;
	peer_log_identity(&d);
	log_info("ready, peers connect to %s", address_format(&d.listen, text));
	(void)sd_notify(0, "READY=1");
	rc = sd_event_loop(d.event);
	if (rc < 0)
		return failure_set(f, CODE_FAILED, rc, "failbackd ends: %s.", strerror(-rc));
	return 0;
}
