// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The worker's reports come through a pipe. For programs they are printed as they are, with
 * "schema"; only its failure is not, which becomes the command's. A signal that ends the command is
 * given to the worker, which tells the peer and ends as failed.
 */
#include "cli/by_hand.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macro.h"
#include "base/size.h"
#include "base/text.h"
#include "cli/progress_line.h"
#include "lib/output.h"

int by_hand_address(const char *text, const char *option, struct address *ret, struct failure *f)
{
	if (!text)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL, "Give %s ADDRESS.", option);
	return address_parse(text, BY_HAND_PORT, ret, f);
}

struct json_object *by_hand_plan(const struct uuid *epoch, uint64_t size_bytes,
				 struct json_object **ret_disk)
{
	static const struct uuid none;
	struct json_object *plan = json_object_new_object();
	struct json_object *disks = json_object_new_array();
	struct json_object *disk = json_object_new_object();

	json_add_uint(plan, "version", 1);
	json_add_uuid(plan, "vm", epoch);
	json_add_uuid(plan, "epoch", epoch);
	json_add_uuid(plan, "base", &none);
	json_add_text(disk, "name", BY_HAND_DISK);
	json_add_uint(disk, "size", size_bytes);
	(void)json_object_array_add(disks, disk);
	(void)json_object_object_add(plan, "disks", disks);
	*ret_disk = disk;
	return plan;
}

/* --- the worker's process --- */

static volatile sig_atomic_t worker_pid;

static void on_signal(int signo)
{
	(void)signo;
	if (worker_pid > 0)
		(void)kill(worker_pid, SIGINT);
}

static int plan_file(struct json_object *plan, int *ret_fd, struct failure *f)
{
	cleanup_fd int fd = memfd_create("plan", MFD_CLOEXEC);
	cleanup_free char *text = json_text(plan);
	size_t len = text ? strlen(text) : 0;

	if (!text || fd < 0 || write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0)
		return failure_set(f, CODE_FAILED, -EIO, "Cannot write the worker's plan: %s.",
				   strerror(errno));
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* In the child. */
static int worker_run(const struct by_hand *transfer, int plan, int report)
{
	char numbers[CBT_WIRE_CONNECTIONS_MAX][16];
	char report_text[16];
	char *argv[3 + 2 * CBT_WIRE_CONNECTIONS_MAX + 1] = { (char *)"failback", (char *)"--report",
							     report_text };
	int argc = 3;

	(void)snprintf(report_text, sizeof(report_text), "%d", report);
	for (unsigned int i = 0; i < transfer->nr_connections; i++) {
		(void)snprintf(numbers[i], sizeof(numbers[i]), "%d", transfer->connections[i]);
		argv[argc++] = (char *)"--connection";
		argv[argc++] = numbers[i];
	}
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || dup2(plan, STDIN_FILENO) < 0)
		return EXIT_FAILURE;
	return transfer->worker(argc, argv);
}

static int worker_start(const struct by_hand *transfer, FILE **ret_reports, struct failure *f)
{
	struct sigaction forward = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	cleanup_fd int plan = -1;
	int fds[2];
	pid_t pid;
	int rc;

	rc = plan_file(transfer->plan, &plan, f);
	if (rc)
		return rc;
	(void)fflush(stdout);
	if (pipe(fds) < 0 || (pid = fork()) < 0)
		return failure_set(f, CODE_FAILED, -errno, "Cannot start the worker: %s.",
				   strerror(errno));
	if (!pid) {
		(void)close(fds[0]);
		_exit(worker_run(transfer, plan, fds[1]));
	}
	worker_pid = pid;
	(void)sigaction(SIGINT, &forward, NULL);
	(void)sigaction(SIGTERM, &forward, NULL);
	(void)close(fds[1]);
	*ret_reports = fdopen(fds[0], "r");
	return *ret_reports ? 0 : failure_no_memory(f);
}

/* --- reports --- */

struct watcher {
	struct by_hand *transfer;
	struct progress_line line;
	uint64_t begin_ns;
	uint64_t bytes_total;
	bool done;
	bool failed;
};

static int take_failure(struct watcher *w, struct json_object *report, struct failure *f)
{
	char text[sizeof(f->text)] = "the worker did not say why";
	uint64_t code = CODE_FAILED;

	(void)json_get_text("report", report, "text", true, text, sizeof(text), NULL);
	(void)json_get_uint("report", report, "code", true, CODE_FILE_NOT_FOUND, &code, NULL);
	w->failed = true;
	text[0] -= text[0] >= 'a' && text[0] <= 'z' ? 'a' - 'A' : 0;
	return failure_set(f, code < CODE_FAILED ? CODE_FAILED : (enum code)code, -EIO, "%s.",
			   text);
}

static void show_bytes(struct watcher *w, uint64_t bytes_done)
{
	uint64_t ns = clock_ns() - w->begin_ns;
	double rate = (double)bytes_done * (double)NS_PER_S / (double)max_of(ns, UINT64_C(1));
	struct progress_bar bar = {
		.label = w->transfer->label,
		.bytes_total = w->bytes_total,
		.bytes_done = bytes_done,
		.bytes_per_second = (uint64_t)rate,
		.seconds_left = UINT64_MAX,
	};

	if (w->transfer->verify && !w->line.terminal)
		return;
	if (rate >= 1 && bytes_done <= w->bytes_total)
		bar.seconds_left = (uint64_t)((double)(w->bytes_total - bytes_done) / rate);
	progress_line_show(&w->line, &bar, "", false);
}

static void show_end(const struct watcher *w, struct json_object *report)
{
	char covered[SIZE_TEXT_LEN];
	char sent[SIZE_TEXT_LEN];
	char took[SIZE_TEXT_LEN];
	char engine[16] = "";
	char several[32] = "";
	uint64_t bytes_sent = 0;
	uint64_t compared = 0;

	(void)json_get_uint("", report, "bytes_compared", false, INT64_MAX, &compared, NULL);
	if (w->transfer->verify) {
		(void)fprintf(stderr, "%s: done. %s compared, in %s.\n", w->transfer->label,
			      size_format(compared, covered),
			      duration_format(clock_ns() - w->begin_ns, took));
		return;
	}
	(void)json_get_uint("report", report, "bytes_sent", true, INT64_MAX, &bytes_sent, NULL);
	(void)json_get_text("report", report, "engine", true, engine, sizeof(engine), NULL);
	if (w->transfer->nr_connections > 1)
		(void)snprintf(several, sizeof(several), ", %u connections", w->transfer->nr_connections);
	(void)printf("%s: done. %s covered, %s of it crossed the wire, in %s (%s, %s%s).\n",
		     w->transfer->label, size_format(w->bytes_total, covered),
		     size_format(bytes_sent, sent), duration_format(clock_ns() - w->begin_ns, took),
		     engine, protection_name(w->transfer->protection), several);
}

static int print_report(const struct watcher *w, struct json_object *report, struct failure *f)
{
	cleanup_json struct json_object *document = output_document();
	int rc;

	json_object_object_foreach(report, name, value)(void)
		json_object_object_add(document, name, json_object_get(value));
	json_add_text(document, "protection", protection_name(w->transfer->protection));
	json_add_uint(document, "connections", w->transfer->nr_connections);
	rc = output_print(document, f);
	return rc ? rc : output_flush(f);
}

static int take_difference(struct watcher *w, struct json_object *report, struct failure *f)
{
	uint64_t offset;
	uint64_t length;
	int rc = json_get_uint("the worker's report", report, "offset", true, INT64_MAX, &offset, f);

	if (!rc)
		rc = json_get_uint("the worker's report", report, "length", true, INT64_MAX, &length,
				   f);
	if (rc)
		return rc;
	w->transfer->bytes_differ += length;
	if (w->transfer->json)
		return print_report(w, report, f);
	progress_line_end(&w->line);
	(void)printf("%llu %llu\n", (unsigned long long)offset, (unsigned long long)length);
	return 0;
}

static int take_report(struct watcher *w, struct json_object *report, struct failure *f)
{
	char event[16] = "";
	uint64_t bytes = 0;
	int rc;

	rc = json_get_text("the worker's report", report, "event", true, event, sizeof(event), f);
	if (rc)
		return rc;
	if (strcmp(event, "failed") == 0)
		return take_failure(w, report, f);
	if (strcmp(event, "begin") == 0) {
		w->transfer->began = true;
	}
	if (strcmp(event, "begin") == 0 || strcmp(event, "compare") == 0) {
		w->begin_ns = clock_ns();
		(void)json_get_uint("", report, "bytes_total", true, INT64_MAX, &w->bytes_total,
				    NULL);
	}
	if (strcmp(event, "differ") == 0)
		return take_difference(w, report, f);
	w->done = strcmp(event, "done") == 0;
	w->transfer->durable |= w->done || strcmp(event, "durable") == 0;
	if (w->transfer->json)
		return print_report(w, report, f);
	(void)json_get_uint("", report, "bytes_done", false, INT64_MAX, &bytes, NULL);
	if (!w->done) {
		show_bytes(w, w->transfer->durable ? w->bytes_total : bytes);
		return 0;
	}
	progress_line_end(&w->line);
	show_end(w, report);
	return 0;
}

static int watch(struct watcher *w, FILE *reports, struct failure *f)
{
	cleanup_free char *text = NULL;
	size_t room = 0;
	int rc = 0;

	while (!rc && getline(&text, &room, reports) > 0) {
		cleanup_json struct json_object *report = NULL;

		rc = json_parse_object("the worker's report", text, &report, f);
		if (!rc)
			rc = take_report(w, report, f);
	}
	progress_line_end(&w->line);
	return rc;
}

int by_hand_run(struct by_hand *transfer, struct failure *f)
{
	struct watcher w = { .transfer = transfer, .begin_ns = clock_ns() };
	FILE *reports = NULL;
	int status = 0;
	int rc;

	rc = worker_start(transfer, &reports, f);
	for (unsigned int i = 0; i < transfer->nr_connections; i++) /* the peer waits for their end */
		transfer->connections[i] = close_fd(transfer->connections[i]);
	if (rc)
		return rc;
	progress_line_init(&w.line);
	rc = watch(&w, reports, f);
	(void)fclose(reports);
	/* whatever was not understood: it must not go on unwatched */
	if (rc && !w.failed)
		(void)kill(worker_pid, SIGTERM);
	while (waitpid(worker_pid, &status, 0) < 0 && errno == EINTR)
		;
	worker_pid = 0;
	if (!rc && (status || !w.done))
		rc = failure_set(f, CODE_FAILED, -EIO, "The worker ended without a verdict.");
	return rc;
}
