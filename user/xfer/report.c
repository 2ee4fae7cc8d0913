// SPDX-License-Identifier: GPL-2.0-or-later
#include "xfer/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "lib/json.h"

#define PROGRESS_INTERVAL_NS (NS_PER_S / 10)

static void write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t written = write(fd, text, len);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return;
		text += written;
		len -= (size_t)written;
	}
}

static struct json_object *event_new(const char *name)
{
	struct json_object *event = json_object_new_object();

	json_add_text(event, "event", name);
	return event;
}

/* In one write, so that a parent that looks at the pipe finds whole lines. */
static void write_event(const struct report *report, struct json_object *event)
{
	cleanup_free char *text = json_text(event);
	cleanup_free char *line = NULL;
	int len = text ? asprintf(&line, "%s\n", text) : -1;

	if (len < 0) {
		line = NULL;
		return;
	}
	write_all(report->fd, line, (size_t)len);
}

void report_init(struct report *report, int fd)
{
	*report = (struct report){ .fd = fd, .begin_ns = clock_ns() };
}

void report_compare(struct report *report, uint64_t bytes_total)
{
	cleanup_json struct json_object *event = event_new("compare");

	report->begin_ns = clock_ns();
	report->next_progress_ns = report->begin_ns + PROGRESS_INTERVAL_NS;
	json_add_uint(event, "bytes_total", bytes_total);
	write_event(report, event);
}

void report_compared(struct report *report, uint64_t bytes_compared, uint64_t bytes_hashes)
{
	report->bytes_compared = bytes_compared;
	report->bytes_hashes = bytes_hashes;
}

void report_differ(struct report *report, const char *disk, const struct extent *extent)
{
	cleanup_json struct json_object *event = event_new("differ");

	report->bytes_total += extent->length;
	json_add_text(event, "disk", disk);
	json_add_uint(event, "offset", extent->offset);
	json_add_uint(event, "length", extent->length);
	write_event(report, event);
}

void report_begin(struct report *report, uint64_t bytes_total)
{
	cleanup_json struct json_object *event = event_new("begin");

	report->bytes_total = bytes_total;
	if (!report->bytes_compared)
		report->begin_ns = clock_ns();
	report->next_progress_ns = report->begin_ns + PROGRESS_INTERVAL_NS;
	json_add_uint(event, "bytes_total", bytes_total);
	write_event(report, event);
}

void report_progress(struct report *report, const char *name, uint64_t bytes_done,
		     uint64_t bytes_sent)
{
	cleanup_json struct json_object *event = NULL;
	uint64_t now = clock_ns();

	if (now < report->next_progress_ns)
		return;
	report->next_progress_ns = now + PROGRESS_INTERVAL_NS;
	event = event_new(name);
	json_add_uint(event, "bytes_done", bytes_done);
	json_add_uint(event, "bytes_sent", bytes_sent);
	write_event(report, event);
}

void report_durable(struct report *report)
{
	cleanup_json struct json_object *event = event_new("durable");

	write_event(report, event);
}

void report_applied(struct report *report, const struct uuid *epoch)
{
	cleanup_json struct json_object *event = event_new("done");

	json_add_uuid(event, "epoch", epoch);
	write_event(report, event);
}

void report_done(struct report *report, const struct session_tally *tally, const char *engine,
		 bool direct)
{
	double seconds = (double)(clock_ns() - report->begin_ns) / (double)NS_PER_S;
	cleanup_json struct json_object *event = event_new("done");
	char digest[17];
	char rounded[32];

	(void)snprintf(digest, sizeof(digest), "%016" PRIx64, wire_digest_value(&tally->digest));
	(void)snprintf(rounded, sizeof(rounded), "%.3f", seconds);
	json_add_uint(event, "bytes_total", report->bytes_total);
	json_add_uint(event, "bytes_data", tally->bytes_data);
	json_add_uint(event, "bytes_zero", tally->bytes_zero + tally->bytes_discard);
	json_add_uint(event, "bytes_sent", tally->bytes_sent);
	json_add_uint(event, "bytes_compared", report->bytes_compared);
	json_add_uint(event, "bytes_hashes", report->bytes_hashes);
	json_add_uint(event, "records", tally->nr_records);
	(void)json_object_object_add(event, "seconds", json_object_new_double_s(seconds, rounded));
	json_add_text(event, "engine", engine);
	(void)json_object_object_add(event, "direct", json_object_new_boolean(direct));
	json_add_text(event, "digest", digest);
	write_event(report, event);
}

void report_failed(struct report *report, const struct failure *f)
{
	cleanup_json struct json_object *event = event_new("failed");

	json_add_uint(event, "code", f->code);
	json_add_text(event, "text", f->text);
	write_event(report, event);
}
