/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What reached the disks of one run, in one order: a file of records, a struct log_record each,
 * followed by @length bytes where it carries data. A request has a record when it arrived, and a
 * LOG_END when it was about to be answered; between them it was in flight. The order of arrival is
 * the order in which requests to one sector took effect.
 *
 * A file whose writer was killed ends at its last whole record.
 */
#ifndef FAILBACK_TESTS_POWERCUT_LOG_H
#define FAILBACK_TESTS_POWERCUT_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define LOG_MAGIC "failback-cuts-1\n" /* 16 bytes, then the records */
#define LOG_DEVICES_MAX 16

enum log_kind {
	LOG_DEVICE = 1, /* offset: size of the disk; data: its name, or name NUL file with its contents */
	LOG_WRITE,	/* data: what was written */
	LOG_ZERO,	/* span: number of bytes */
	LOG_TRIM,	/* span: number of bytes; they read as zeroes */
	LOG_FLUSH,
	LOG_END,	/* offset: number of the record that was answered */
	LOG_MARK,	/* data: text of the test's */
	LOG_CUT,	/* service ended here; what follows never happened */
};

#define LOG_FUA 1 /* flag: answered only when it is durable itself */

struct log_record {
	uint16_t kind;
	uint16_t device;
	uint32_t flags;
	uint64_t offset;
	uint64_t span;
	uint64_t length; /* of the data that follow */
};

/** log_create() - a new file with the magic number. Return: descriptor or -errno. */
int log_create(const char *path);

/**
 * log_append() - writes a record and its data. Callers take turns; the number of a record is the
 * number of those before it. Return: 0 or -errno.
 */
int log_append(int fd, const struct log_record *record, const void *data);

/* A log as it is read: records are numbered from 0. */
struct log {
	uint64_t nr;
	const struct log_record **records;
	void *map;
	uint64_t map_size;
};

/** log_open() - Return: 0, -errno, or -EBADMSG when it is no log. Ends in log_close(). */
int log_open(struct log *log, const char *path);
void log_close(struct log *log);

static inline const void *log_data(const struct log_record *record)
{
	return record + 1;
}

static inline bool log_is_change(const struct log_record *record)
{
	return record->kind == LOG_WRITE || record->kind == LOG_ZERO || record->kind == LOG_TRIM;
}

/** log_print() - one line about a record. */
void log_print(FILE *out, uint64_t number, const struct log_record *record);

#endif
