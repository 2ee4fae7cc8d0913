// SPDX-License-Identifier: GPL-2.0-or-later
#include "xfer/report.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macro.h"

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

static void write_line(const struct report *report, const char *fmt, ...) printf_like(2, 3);

static void write_line(const struct report *report, const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	write_all(report->fd, line, min_of((size_t)len, sizeof(line) - 1));
}

void report_init(struct report *report, int fd)
{
	*report = (struct report){ .fd = fd, .begin_ns = clock_ns() };
}

void report_begin(struct report *report, uint64_t bytes_total)
{
	report->bytes_total = bytes_total;
	report->begin_ns = clock_ns();
	report->next_progress_ns = report->begin_ns + PROGRESS_INTERVAL_NS;
	write_line(report, "{\"event\":\"begin\",\"bytes_total\":%llu}\n",
		   (unsigned long long)bytes_total);
}

void report_progress(struct report *report, uint64_t bytes_done, uint64_t bytes_sent)
{
	uint64_t now = clock_ns();

	if (now < report->next_progress_ns)
		return;
	report->next_progress_ns = now + PROGRESS_INTERVAL_NS;
	write_line(report, "{\"event\":\"progress\",\"bytes_done\":%llu,\"bytes_sent\":%llu}\n",
		   (unsigned long long)bytes_done, (unsigned long long)bytes_sent);
}

void report_done(struct report *report, const struct session_tally *tally, const char *engine,
		 bool direct)
{
	double seconds = (double)(clock_ns() - report->begin_ns) / (double)NS_PER_S;

	write_line(
		report,
		"{\"event\":\"done\",\"bytes_total\":%llu,\"bytes_data\":%llu,\"bytes_zero\":%llu,"
		"\"bytes_sent\":%llu,\"records\":%llu,\"seconds\":%.3f,\"engine\":\"%s\",\"direct\":%s,"
		"\"digest\":\"%016llx\"}\n",
		(unsigned long long)report->bytes_total, (unsigned long long)tally->bytes_data,
		(unsigned long long)(tally->bytes_zero + tally->bytes_discard),
		(unsigned long long)tally->bytes_data, (unsigned long long)tally->nr_records,
		seconds, engine, direct ? "true" : "false",
		(unsigned long long)wire_digest_value(&tally->digest));
}

void report_failed(struct report *report, const struct failure *f)
{
	struct json_object *text = json_object_new_string(f->text);
	const char *quoted =
		text ? json_object_to_json_string_ext(text, JSON_C_TO_STRING_NOSLASHESCAPE) : NULL;
	/* each character may be written as six; a line that is cut would not be JSON */
	char line[6 * sizeof(f->text) + 64];
	int len = snprintf(line, sizeof(line), "{\"event\":\"failed\",\"code\":%u,\"text\":%s}\n",
			   f->code, quoted ? quoted : "\"\"");

	write_all(report->fd, line, (size_t)len);
	(void)json_object_put(text);
}
