// SPDX-License-Identifier: GPL-2.0-or-later
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Data are filled up to this, so that records in the file are aligned. */
#define ALIGN 8

static uint64_t padded(uint64_t length)
{
	return (length + ALIGN - 1) / ALIGN * ALIGN;
}

int log_create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (write(fd, LOG_MAGIC, 16) != 16) {
		close(fd);
		return -EIO;
	}
	return fd;
}

int log_append(int fd, const struct log_record *record, const void *data)
{
	static const char fill[ALIGN];
	struct iovec parts[] = {
		{ (void *)record, sizeof(*record) },
		{ (void *)data, record->length },
		{ (void *)fill, padded(record->length) - record->length },
	};
	ssize_t size = sizeof(*record) + padded(record->length);
	ssize_t n = writev(fd, parts, 3);

	if (n == size)
		return 0;
	return n < 0 ? -errno : -ENOSPC;
}

static bool log_index(struct log *log, uint64_t at)
{
	uint64_t capacity = 0;
	void *grown;

	for (; log->map_size - at >= sizeof(struct log_record); log->nr++) {
		const struct log_record *record = (void *)((char *)log->map + at);
		uint64_t rest = log->map_size - at - sizeof(*record);

		if (record->length > rest || padded(record->length) > rest ||
		    record->kind == LOG_CUT)
			break;
		if (log->nr == capacity) {
			capacity = capacity ? 2 * capacity : 4096;
			grown = realloc(log->records, capacity * sizeof(*log->records));
			if (!grown)
				return false;
			log->records = grown;
		}
		log->records[log->nr] = record;
		at += sizeof(*record) + padded(record->length);
	}
	return true;
}

int log_open(struct log *log, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int rc = 0;

	*log = (struct log){ 0 };
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		rc = -errno;
	else if (st.st_size < 16)
		rc = -EBADMSG;
	if (!rc) {
		log->map_size = st.st_size;
		log->map = mmap(NULL, log->map_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (log->map == MAP_FAILED) {
			log->map = NULL;
			rc = -errno;
		}
	}
	close(fd);
	if (!rc && memcmp(log->map, LOG_MAGIC, 16))
		rc = -EBADMSG;
	if (!rc && !log_index(log, 16))
		rc = -ENOMEM;
	if (rc)
		log_close(log);
	return rc;
}

void log_close(struct log *log)
{
	free(log->records);
	if (log->map)
		munmap(log->map, log->map_size);
	*log = (struct log){ 0 };
}

void log_print(FILE *out, uint64_t number, const struct log_record *record)
{
	static const char *const names[] = { "?", "device", "write", "zero", "trim",
					     "flush", "end", "mark", "cut" };
	const char *name = names[record->kind <= LOG_CUT ? record->kind : 0];
	unsigned long long offset = record->offset;

	fprintf(out, "%llu %s", (unsigned long long)number, name);
	if (log_is_change(record))
		fprintf(out, " disk=%u %llu+%llu%s", record->device, offset,
			(unsigned long long)record->span, record->flags & LOG_FUA ? " fua" : "");
	else if (record->kind == LOG_FLUSH)
		fprintf(out, " disk=%u", record->device);
	else if (record->kind == LOG_END)
		fprintf(out, " of %llu", offset);
	else if (record->kind == LOG_DEVICE)
		fprintf(out, " disk=%u size=%llu", record->device, offset);
	if (record->kind == LOG_DEVICE || record->kind == LOG_MARK)
		fprintf(out, " %.*s", (int)strnlen(log_data(record), record->length),
			(const char *)log_data(record));
	fputc('\n', out);
}
