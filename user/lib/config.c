// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "base/cleanup.h"

static const struct config_setting *find(const struct config_table *table, const char *name)
{
	for (size_t i = 0; i < table->nr; i++) {
		if (strcmp(table->settings[i].name, name) == 0)
			return &table->settings[i];
	}
	return NULL;
}

static int parse_uint(const struct config_setting *s, const char *value, uint64_t *ret,
		      struct failure *f)
{
	uint64_t number;
	char *end;

	errno = 0;
	number = strtoull(value, &end, 10);
	if (!isdigit((unsigned char)value[0]) || *end)
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL,
				   "Setting %s must be a whole number, not \"%.64s\".", s->name,
				   value);
	if (errno || number < s->min || number > s->max)
		return failure_set(f, CODE_INVALID_PARAMETER, -ERANGE,
				   "Setting %s must be %" PRIu64 " to %" PRIu64 ", not %.32s.",
				   s->name, s->min, s->max, value);
	*ret = number;
	return 0;
}

static int set(const struct config_setting *s, void *settings, const char *value, struct failure *f)
{
	void *member = (char *)settings + s->offset;
	size_t len = strlen(value);

	if (s->type == CONFIG_UINT)
		return parse_uint(s, value, member, f);
	if (len >= s->max)
		return failure_set(f, CODE_INVALID_PARAMETER, -ERANGE,
				   "Setting %s may have at most %" PRIu64 " characters, not %zu.",
				   s->name, s->max - 1, len);
	memcpy(member, value, len + 1);
	return 0;
}

void config_init(const struct config_table *table, void *ret)
{
	for (size_t i = 0; i < table->nr; i++)
		(void)set(&table->settings[i], ret, table->settings[i].default_value, NULL);
}

int config_set(const struct config_table *table, void *settings, const char *name,
	       const char *value, struct failure *f)
{
	const struct config_setting *s = find(table, name);

	if (!s)
		return failure_set(f, CODE_INVALID_PARAMETER, -ENOENT,
				   "There is no setting \"%.64s\".", name);
	return set(s, settings, value, f);
}

struct load {
	const struct config_table *table;
	void *settings;
	int error; /* of the first bad line */
	struct failure first;
};

static int handle(void *context, const char *section, const char *name, const char *value)
{
	struct load *load = context;

	if (load->error)
		return 0;
	if (strcmp(section, load->table->section) != 0)
		load->error =
			failure_set(&load->first, CODE_INVALID_PARAMETER, -ENOENT,
				    "Section [%.64s] is not known; settings stand under [%s].",
				    section, load->table->section);
	else
		load->error = config_set(load->table, load->settings, name, value, &load->first);
	return load->error == 0;
}

static void close_file_at(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

int config_load(const struct config_table *table, void *settings, const char *path,
		struct failure *f)
{
	struct load load = { .table = table, .settings = settings };
	_cleanup_(close_file_at) FILE *file = fopen(path, "re");
	int line;

	if (!file)
		return failure_set(f, code_of_errno(errno), -errno, "Cannot read %s: %s.", path,
				   strerror(errno));
	line = ini_parse_file(file, handle, &load);
	if (line < 0)
		return failure_set(f, CODE_OUT_OF_MEMORY, -ENOMEM,
				   "Out of memory while reading %s.", path);
	if (load.error)
		return failure_set(f, (enum code)load.first.code, load.error, "%s, line %d: %s",
				   path, line, load.first.text);
	if (line)
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL,
				   "%s, line %d: expected [section] or name = value.", path, line);
	return 0;
}

void config_print(const struct config_table *table, FILE *out)
{
	for (size_t i = 0; i < table->nr; i++) {
		const struct config_setting *s = &table->settings[i];

		(void)fprintf(out, "  --%-16s %s (", s->name, s->doc);
		if (s->type == CONFIG_UINT)
			(void)fprintf(out, "%" PRIu64 " to %" PRIu64 ", ", s->min, s->max);
		if (s->default_value[0])
			(void)fprintf(out, "default %s)\n", s->default_value);
		else
			(void)fprintf(out, "default: none)\n");
	}
}
