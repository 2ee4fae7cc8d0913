// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The worker's last line is its verdict, and only together with exit status 0 is it a good one.
 * The end is noticed through the process, not through the report pipe: what is left in the pipe
 * is read then.
 */
#include "daemon/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cbt-wire.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/macro.h"
#include "base/text.h"
#include "lib/child.h"
#include "lib/json.h"

#define LINE_MAX_BYTES 4096
#define KILL_AFTER_US  UINT64_C(5000000)
#define CONNECTION_FD  3
#define REPORT_FD      "4"

struct worker {
	struct daemon *daemon;
	const struct worker_events *events;
	void *context;
	char program[32];
	pid_t pid; /* 0: gone */
	int report;
	sd_event_source *report_source;
	sd_event_source *child_source;
	sd_event_source *kill_source;
	char line[LINE_MAX_BYTES];
	size_t len;
	bool done; /* its last line said so */
	bool failed; /* it said so, and how */
	struct failure failure;
};

/* --- reports --- */

/* The first reason is the one that counts. */
static void fail(struct worker *w, const char *what, const char *detail)
{
	if (w->failed)
		return;
	w->failed = true;
	(void)failure_set(&w->failure, CODE_FAILED, -EIO, "%s %s%s.", w->program, what, detail);
}

static void take_failure(struct worker *w, struct json_object *object)
{
	char text[sizeof(w->failure.text)] = "it did not say why";
	uint64_t code = CODE_FAILED;

	(void)json_get_text("", object, "text", true, text, sizeof(text), NULL);
	(void)json_get_uint("", object, "code", true, CODE_FILE_NOT_FOUND, &code, NULL);
	if (code < CODE_FAILED)
		code = CODE_FAILED;
	w->failed = true;
	w->failure.code = (uint32_t)code;
	text_make_printable(text, strlen(text), w->failure.text, sizeof(w->failure.text));
}

static void take_applied(struct worker *w, struct json_object *object, struct failure *f)
{
	struct uuid epoch = { 0 };

	if (json_get_uuid("report", object, "epoch", false, &epoch, f))
		return;
	w->events->applied(w->context, &epoch);
	w->done = true;
}

static void take_done(struct worker *w, struct json_object *object, struct failure *f)
{
	uint64_t total = 0;
	uint64_t sent = 0;
	uint64_t compared = 0;
	uint64_t hashes = 0;

	if (json_get_uint("report", object, "bytes_total", true, INT64_MAX, &total, f) ||
	    json_get_uint("report", object, "bytes_sent", true, INT64_MAX, &sent, f) ||
	    json_get_uint("report", object, "bytes_compared", false, INT64_MAX, &compared, f) ||
	    json_get_uint("report", object, "bytes_hashes", false, INT64_MAX, &hashes, f))
		return;
	w->events->progress(w->context, total, sent);
	if (compared && w->events->compared)
		w->events->compared(w->context, compared, hashes, sent);
	w->done = true;
}

static void take_report(struct worker *w, struct json_object *object, struct failure *f)
{
	uint64_t first = 0;
	uint64_t second = 0;
	char event[16] = "";

	if (json_get_text("report", object, "event", true, event, sizeof(event), f))
		return;
	if (strcmp(event, "begin") == 0 &&
	    !json_get_uint("report", object, "bytes_total", true, INT64_MAX, &first, f)) {
		w->events->begin(w->context, first);
	} else if (strcmp(event, "compare") == 0 && w->events->compare &&
		   !json_get_uint("report", object, "bytes_total", true, INT64_MAX, &first, f)) {
		w->events->compare(w->context, first);
	} else if ((strcmp(event, "progress") == 0 || strcmp(event, "comparing") == 0) &&
		   !json_get_uint("report", object, "bytes_done", true, INT64_MAX, &first, f) &&
		   !json_get_uint("report", object, "bytes_sent", true, INT64_MAX, &second, f)) {
		w->events->progress(w->context, first, second);
	} else if (strcmp(event, "durable") == 0 && w->events->durable) {
		w->events->durable(w->context);
	} else if (strcmp(event, "done") == 0 && w->events->applied) {
		take_applied(w, object, f);
	} else if (strcmp(event, "done") == 0) {
		take_done(w, object, f);
	} else if (strcmp(event, "failed") == 0) {
		take_failure(w, object);
	}
}

static void take_line(struct worker *w, const char *line)
{
	cleanup_json struct json_object *object = NULL;
	struct failure why = { 0 };

	if (json_parse_object("report", line, &object, &why) == 0)
		take_report(w, object, &why);
	if (why.code)
		fail(w, "reported what cannot be understood: ", why.text);
}

static void take_lines(struct worker *w)
{
	char *start = w->line;
	char *newline;

	while ((newline = memchr(start, '\n', w->len - (size_t)(start - w->line))) != NULL) {
		*newline = '\0';
		take_line(w, start);
		start = newline + 1;
	}
	w->len -= (size_t)(start - w->line);
	memmove(w->line, start, w->len);
	if (w->len < sizeof(w->line))
		return;
	fail(w, "reported a line that is too long", "");
	w->len = 0;
}

/* Until there is nothing more for now. */
static void read_reports(struct worker *w)
{
	for (;;) {
		ssize_t got = read(w->report, w->line + w->len, sizeof(w->line) - w->len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0) {
			(void)sd_event_source_set_enabled(w->report_source, SD_EVENT_OFF);
			return;
		}
		w->len += (size_t)got;
		take_lines(w);
	}
}

static int on_report(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct worker *w = context;

	(void)source;
	(void)fd;
	(void)revents;
	read_reports(w);
	return 0;
}

/* --- the end --- */

/* Who was killed said nothing wrong: the transfer is as broken as when its connection breaks. */
static void judge(struct worker *w, const siginfo_t *status)
{
	bool exited = status->si_code == CLD_EXITED;
	char number[32];

	if (w->failed)
		return;
	if (exited && status->si_status == 0 && w->done)
		return;
	(void)snprintf(number, sizeof(number), "%s %d",
		       exited ? "status" : "signal", status->si_status);
	fail(w, "ended without a verdict, with ", number);
	if (!exited)
		w->failure.code = CODE_NOT_AVAILABLE;
}

static int on_exit_of_child(sd_event_source *source, const siginfo_t *status, void *context)
{
	struct worker *w = context;

	(void)source;
	w->pid = 0;
	read_reports(w);
	judge(w, status);
	w->events->end(w->context, w->failed ? &w->failure : NULL);
	return 0;
}

/* It may have another user by now, which takes a capability to signal. */
static bool send_signal(const struct worker *w, int nr)
{
	if (kill(w->pid, nr) == 0)
		return true;
	log_error("worker %ld cannot be sent signal %d: %s", (long)w->pid, nr, strerror(errno));
	return false;
}

static int on_kill(sd_event_source *source, uint64_t usec, void *context)
{
	struct worker *w = context;

	(void)source;
	(void)usec;
	if (w->pid)
		(void)send_signal(w, SIGKILL);
	return 0;
}

void worker_terminate(struct worker *w)
{
	if (!w->pid || w->kill_source)
		return;
	fail(w, "was terminated on request", "");
	(void)send_signal(w, w->daemon->stopping ? SIGTERM : SIGINT);
	if (sd_event_add_time_relative(w->daemon->event, &w->kill_source, CLOCK_MONOTONIC,
				       KILL_AFTER_US, 0, on_kill, w) < 0)
		(void)send_signal(w, SIGKILL);
}

void worker_free_at(struct worker **at)
{
	struct worker *w = steal_ptr(*at);

	if (!w)
		return;
	(void)sd_event_source_disable_unref(w->child_source);
	(void)sd_event_source_disable_unref(w->report_source);
	(void)sd_event_source_disable_unref(w->kill_source);
	if (w->pid && send_signal(w, SIGKILL))
		(void)waitpid(w->pid, NULL, 0);
	(void)close_fd(w->report);
	free(w);
}

/* --- starting --- */

/* The plan as a file to be read from its start. */
static int plan_file(const char *plan, int *ret_fd, struct failure *f)
{
	cleanup_fd int fd = memfd_create("plan", MFD_CLOEXEC);
	size_t len = strlen(plan);

	if (fd < 0 || write(fd, plan, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0)
		return failure_set(f, CODE_FAILED, -EIO, "Cannot write the plan of a worker: %s.",
				   strerror(errno));
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* The first of several connections has its own number, the others come behind the disks. */
static int spawn(struct worker *w, const char *plan, const int *connections, size_t nr_connections,
		 int report, const int *disks, size_t nr_disks, struct failure *f)
{
	cleanup_free int *fds = calloc(WORKER_DISK_FD + nr_disks + nr_connections, sizeof(*fds));
	char path[PATH_MAX];
	char numbers[CBT_WIRE_CONNECTIONS_MAX][16];
	const char *argv[4 + 2 * CBT_WIRE_CONNECTIONS_MAX + 1] = { path, "--report", REPORT_FD };
	size_t nr_args = 3;
	size_t nr_fds = WORKER_DISK_FD + nr_disks;
	cleanup_fd int input = -1;
	int rc;

	if (!fds)
		return failure_no_memory(f);
	rc = plan_file(plan, &input, f);
	if (rc)
		return rc;
	(void)snprintf(path, sizeof(path), "%s/%s", w->daemon->libexec, w->program);
	fds[0] = input;
	fds[1] = STDERR_FILENO;
	fds[2] = STDERR_FILENO;
	fds[CONNECTION_FD] = nr_connections ? connections[0] : STDERR_FILENO;
	fds[4] = report;
	if (nr_disks)
		memcpy(&fds[WORKER_DISK_FD], disks, nr_disks * sizeof(*disks));
	if (!nr_connections)
		argv[nr_args++] = "--apply";
	for (size_t i = 0; i < nr_connections; i++) {
		size_t number = i ? nr_fds : CONNECTION_FD;

		(void)snprintf(numbers[i], sizeof(numbers[i]), "%zu", number);
		argv[nr_args++] = "--connection";
		argv[nr_args++] = numbers[i];
		if (i)
			fds[nr_fds++] = connections[i];
	}
	return child_start(argv, fds, nr_fds, &w->pid, f);
}

static int watch(struct worker *w, struct failure *f)
{
	int rc = sd_event_add_io(w->daemon->event, &w->report_source, w->report, EPOLLIN, on_report,
				 w);

	if (rc >= 0)
		rc = sd_event_add_child(w->daemon->event, &w->child_source, w->pid, WEXITED,
					on_exit_of_child, w);
	if (rc < 0)
		return failure_set(f, CODE_FAILED, rc, "The event loop failed: %s.", strerror(-rc));
	return 0;
}

int worker_start(struct daemon *d, const char *program, const char *plan, const int *connections,
		 size_t nr_connections, const int *disks, size_t nr_disks,
		 const struct worker_events *events, void *context, struct worker **ret,
		 struct failure *f)
{
	_cleanup_(worker_free_at) struct worker *w = calloc(1, sizeof(*w));
	cleanup_fd int report = -1;
	int fds[2];
	int rc;

	if (!w)
		return failure_no_memory(f);
	w->daemon = d;
	w->events = events;
	w->context = context;
	w->report = -1;
	(void)snprintf(w->program, sizeof(w->program), "%s", program);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return failure_set(f, CODE_FAILED, -errno, "Cannot make a pipe: %s.",
				   strerror(errno));
	w->report = fds[0];
	report = fds[1];
	(void)fcntl(w->report, F_SETFL, O_NONBLOCK);
	rc = spawn(w, plan, connections, nr_connections, report, disks, nr_disks, f);
	if (!rc)
		rc = watch(w, f);
	if (rc)
		return rc;
	*ret = steal_ptr(w);
	return 0;
}
