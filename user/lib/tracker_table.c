// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/tracker_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "lib/put_file.h"

#define LINE_BYTES 1024
#define SPACE	   " \t\r\n"
#define MAX_BLOCK_SECTORS 2048

/* What device-mapper shows as it is; anything else it would mangle. */
#define NAME_CHARACTERS \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789#+-.:=@_"

bool tracker_table_is_name(const char *name)
{
	return *name && !name[strspn(name, NAME_CHARACTERS)] && strlen(name) < TRACKER_ENTRY_NAME;
}

/* A copy with NUL into @ret of @size bytes; false: it does not fit. */
static bool take(const char *text, char *ret, size_t size)
{
	size_t len = strlen(text);

	if (len >= size)
		return false;
	memcpy(ret, text, len + 1);
	return true;
}

static bool take_block_size(const char *text, uint32_t *ret)
{
	unsigned long sectors;
	char *end;

	if (*text < '1' || *text > '9')
		return false;
	sectors = strtoul(text, &end, 10);
	if (*end || sectors < 8 || sectors > MAX_BLOCK_SECTORS || sectors & (sectors - 1))
		return false;
	*ret = (uint32_t)sectors;
	return true;
}

static bool take_options(char *text, struct tracker_entry *ret)
{
	char *rest = NULL;

	for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		if (strcmp(word, "start") == 0)
			ret->start = true;
		else if (strncmp(word, "block_size=", 11) != 0 ||
			 !take_block_size(word + 11, &ret->block_sectors))
			return false;
	}
	return true;
}

/* NULL, or what is wrong with the line. *@ret_name stays empty where it has no tracker. */
static const char *take_line(char *line, struct tracker_entry *ret)
{
	char *rest = NULL;
	char *name = strtok_r(line, SPACE, &rest);
	char *origin = strtok_r(NULL, SPACE, &rest);
	char *store = strtok_r(NULL, SPACE, &rest);
	char *options = strtok_r(NULL, SPACE, &rest);

	if (!name || *name == '#')
		return NULL;
	if (!store || strtok_r(NULL, SPACE, &rest))
		return "expected NAME ORIGIN STORE [OPTION,...]";
	if (!tracker_table_is_name(name) || !take(name, ret->name, sizeof(ret->name)))
		return "the name may have 99 letters, digits and characters of #+-.:=@_";
	if (*origin != '/' || !take(origin, ret->origin, sizeof(ret->origin)))
		return "the origin has to be the path of a disk, of at most 255 characters";
	if ((*store != '/' && strcmp(store, "-") != 0) || !take(store, ret->store, sizeof(ret->store)))
		return "the store has to be the path of a disk, of at most 255 characters, or -";
	if (options && !take_options(options, ret))
		return "options are start and block_size=SECTORS, a power of two from 8 to 2048";
	return NULL;
}

static const char *check_apart(const struct tracker_entry *e, const struct tracker_entry *others, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		const struct tracker_entry *other = &others[i];

		if (strcmp(e->name, other->name) == 0)
			return "the name stands on a line above, too";
		if (strcmp(e->origin, other->origin) == 0 || strcmp(e->origin, other->store) == 0 ||
		    strcmp(e->store, other->origin) == 0)
			return "a disk stands on a line above, too";
		if (e->store[0] == '/' && strcmp(e->store, other->store) == 0)
			return "the store stands on a line above, too";
	}
	return NULL;
}

static const char *add_line(char *line, struct tracker_entry *entries, size_t *nr)
{
	struct tracker_entry entry = { .name = "" };
	const char *wrong = strlen(line) == LINE_BYTES - 1 ? "the line is too long"
							    : take_line(line, &entry);

	if (wrong || !entry.name[0])
		return wrong;
	if (*nr == TRACKER_TABLE_MAX)
		return "there are more than 1024 trackers";
	wrong = check_apart(&entry, entries, *nr);
	if (!wrong)
		entries[(*nr)++] = entry;
	return wrong;
}

static void close_file_at(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

int tracker_table_read(const char *path, struct tracker_entry **ret, size_t *ret_nr, struct failure *f)
{
	_cleanup_(close_file_at) FILE *file = fopen(path, "re");
	cleanup_free struct tracker_entry *entries = NULL;
	char line[LINE_BYTES];
	size_t nr = 0;

	if (!file && errno != ENOENT)
		return failure_set(f, code_of_errno(errno), -errno, "Cannot read %s: %s.", path,
				   strerror(errno));
	entries = calloc(TRACKER_TABLE_MAX, sizeof(*entries));
	if (!entries)
		return failure_no_memory(f);
	for (unsigned int number = 1; file && fgets(line, sizeof(line), file); number++) {
		const char *wrong = add_line(line, entries, &nr);

		if (wrong)
			return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL, "%s, line %u: %s.",
					   path, number, wrong);
	}
	if (file && ferror(file))
		return failure_set(f, CODE_FAILED, -EIO, "Cannot read %s.", path);
	*ret = steal_ptr(entries);
	*ret_nr = nr;
	return 0;
}

int tracker_table_check_fenced(const char *path, const struct tracker_entry *entry, const char *vm,
			       struct failure *f)
{
	if (!entry->start)
		return 0;
	return failure_set(f, CODE_INVALID_STATE, -EINVAL,
			   "The line of tracker %s in %s says `start`, by which VM %.64s would see its disk on both "
			   "hosts: take that word out.",
			   entry->name, path, vm);
}

/* --- adding a line --- */

static bool is_there(const struct tracker_entry *e, const struct tracker_entry *others, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (strcmp(e->name, others[i].name) == 0 && strcmp(e->origin, others[i].origin) == 0 &&
		    strcmp(e->store, others[i].store) == 0)
			return true;
	}
	return false;
}

static int put_line(const char *path, const struct tracker_entry *entry, struct failure *f)
{
	cleanup_free char *text = NULL;
	cleanup_free char *edited = NULL;
	mode_t mode = 0;
	size_t len;
	int rc = put_file_read(path, &text, &mode, f);

	if (rc)
		return rc;
	len = strlen(text);
	if (asprintf(&edited, "%s%s%s %s %s\n", text, len && text[len - 1] != '\n' ? "\n" : "",
		     entry->name, entry->origin, entry->store) < 0) {
		edited = NULL;
		return failure_no_memory(f);
	}
	return put_file(path, mode, edited, strlen(edited), f);
}

int tracker_table_add(const char *path, const struct tracker_entry *entry, struct failure *f)
{
	cleanup_free struct tracker_entry *entries = NULL;
	cleanup_fd int lock = -1;
	const char *wrong;
	size_t nr = 0;
	int rc = put_file_lock(path, &lock, f);

	if (!rc)
		rc = tracker_table_read(path, &entries, &nr, f);
	if (rc || is_there(entry, entries, nr))
		return rc;
	wrong = nr == TRACKER_TABLE_MAX ? "there are 1024 trackers already" : check_apart(entry, entries, nr);
	if (wrong)
		return failure_set(f, CODE_IN_USE, -EEXIST, "Tracker %s cannot be added to %s: %s.", entry->name,
				   path, wrong);
	return put_line(path, entry, f);
}
