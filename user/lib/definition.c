// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/definition.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "lib/base64.h"
#include "lib/json.h"

#define VERSION 1

static const char what[] = "The definition of the VM";

void definition_clear(struct definition *d)
{
	free(d->xml);
	free(d->nvram.data);
	for (size_t i = 0; i < d->nr_tpm; i++)
		free(d->tpm[i].bytes.data);
	*d = (struct definition){ 0 };
}

bool definition_is_directory(const char *name)
{
	return strcmp(name, "tpm1.2") == 0 || strcmp(name, "tpm2") == 0;
}

bool definition_is_file(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t len = strlen(name);

	return len && len < sizeof(((struct definition_file *)0)->name) && name[0] != '.' &&
	       strspn(name, letters) == len;
}

/* --- writing --- */

static bool add_bytes(struct json_object *object, const char *name, const struct definition_bytes *bytes)
{
	cleanup_free char *text = base64_encode(bytes->data, bytes->len);

	if (text)
		json_add_text(object, name, text);
	return text;
}

static bool add_tpm(struct json_object *object, const struct definition *d)
{
	struct json_object *array = json_object_new_array();
	bool fits = true;

	for (size_t i = 0; i < d->nr_tpm; i++) {
		struct json_object *item = json_object_new_object();

		json_add_text(item, "directory", d->tpm[i].directory);
		json_add_text(item, "name", d->tpm[i].name);
		json_add_uint(item, "mode", d->tpm[i].mode);
		fits &= add_bytes(item, "data", &d->tpm[i].bytes);
		(void)json_object_array_add(array, item);
	}
	(void)json_object_object_add(object, "tpm", array);
	return fits;
}

int definition_encode(const struct definition *d, char **ret, struct failure *f)
{
	cleanup_json struct json_object *object = json_object_new_object();
	cleanup_free char *text = NULL;

	json_add_uint(object, "version", VERSION);
	json_add_uuid(object, "uuid", &d->uuid);
	json_add_text(object, "xml", d->xml);
	if ((!d->nvram.data || add_bytes(object, "nvram", &d->nvram)) && add_tpm(object, d))
		text = json_text(object);
	if (!text)
		return failure_no_memory(f);
	if (strlen(text) > DEFINITION_TEXT_MAX)
		return failure_set(f, CODE_NOT_SUPPORTED, -EFBIG,
				   "%s has %zu bytes, and at most %zu are taken to another host.", what,
				   strlen(text), DEFINITION_TEXT_MAX);
	*ret = steal_ptr(text);
	return 0;
}

/* --- reading --- */

static int get_bytes(struct json_object *object, const char *name, size_t max,
		     struct definition_bytes *ret, struct failure *f)
{
	struct json_object *value = NULL;
	struct definition_bytes bytes;
	int rc = -EBADMSG;

	if (json_object_object_get_ex(object, name, &value) && json_object_is_type(value, json_type_string))
		rc = base64_decode(json_object_get_string(value),
				   (size_t)json_object_get_string_len(value), &bytes.data, &bytes.len);
	if (rc == -ENOMEM)
		return failure_no_memory(f);
	if (rc)
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, rc, "%s: \"%s\" must be base64.", what, name);
	if (bytes.len > max) {
		free(bytes.data);
		return failure_set(f, CODE_INVALID_PARAMETER, -EFBIG,
				   "%s: \"%s\" has %zu bytes, and may have %zu.", what, name, bytes.len, max);
	}
	*ret = bytes;
	return 0;
}

static int get_xml(struct json_object *object, char **ret, struct failure *f)
{
	struct json_object *value = NULL;
	size_t len;

	if (!json_object_object_get_ex(object, "xml", &value) || !json_object_is_type(value, json_type_string))
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL, "%s: \"xml\" must be a string.", what);
	len = (size_t)json_object_get_string_len(value);
	if (len > DEFINITION_XML_MAX || strlen(json_object_get_string(value)) != len)
		return failure_set(f, CODE_INVALID_PARAMETER, -ERANGE,
				   "%s: \"xml\" may have at most %zu characters and no NUL.", what,
				   DEFINITION_XML_MAX);
	*ret = strdup(json_object_get_string(value));
	return *ret ? 0 : failure_no_memory(f);
}

static int get_file(struct json_object *item, struct definition_file *ret, struct failure *f)
{
	static const char *const members[] = { "directory", "name", "mode", "data" };
	uint64_t mode = 0;
	int rc = json_check_members(what, item, members, ARRAY_SIZE(members), f);

	if (!rc)
		rc = json_get_text(what, item, "directory", true, ret->directory, sizeof(ret->directory), f);
	if (!rc)
		rc = json_get_text(what, item, "name", true, ret->name, sizeof(ret->name), f);
	if (!rc)
		rc = json_get_uint(what, item, "mode", true, 0777, &mode, f);
	if (rc)
		return rc;
	ret->mode = (mode_t)mode;
	if (!definition_is_directory(ret->directory) || !definition_is_file(ret->name))
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "%s: \"%s/%s\" is no file that a TPM's state is kept in.", what,
				   ret->directory, ret->name);
	return get_bytes(item, "data", DEFINITION_TPM_BYTES, &ret->bytes, f);
}

static int get_tpm(struct json_object *object, struct definition *d, struct failure *f)
{
	struct json_object *array = NULL;
	int rc = json_get_array(what, object, "tpm", false, DEFINITION_TPM_MAX, &array, f);

	for (size_t i = 0; !rc && array && i < json_object_array_length(array); i++) {
		d->nr_tpm = i + 1;
		rc = get_file(json_object_array_get_idx(array, i), &d->tpm[i], f);
	}
	return rc;
}

static int check_version(struct json_object *object, struct failure *f)
{
	uint64_t version = 0;
	int rc = json_get_uint(what, object, "version", true, INT32_MAX, &version, f);

	if (rc || version == VERSION)
		return rc;
	return failure_set(f, CODE_NOT_SUPPORTED, -EPROTONOSUPPORT,
			   "%s is of version %llu, and this host knows version %d: bring both hosts to the "
			   "same version of Failback.",
			   what, (unsigned long long)version, VERSION);
}

static int decode(struct json_object *object, struct definition *d, struct failure *f)
{
	static const char *const members[] = { "version", "uuid", "xml", "nvram", "tpm" };
	int rc = check_version(object, f);

	if (!rc)
		rc = json_check_members(what, object, members, ARRAY_SIZE(members), f);
	if (!rc)
		rc = json_get_uuid(what, object, "uuid", true, &d->uuid, f);
	if (!rc)
		rc = get_xml(object, &d->xml, f);
	if (!rc && json_object_object_get_ex(object, "nvram", NULL))
		rc = get_bytes(object, "nvram", DEFINITION_NVRAM_MAX, &d->nvram, f);
	return rc ? rc : get_tpm(object, d, f);
}

int definition_decode(const char *text, struct definition *ret, struct failure *f)
{
	_cleanup_(definition_clear) struct definition d = { 0 };
	cleanup_json struct json_object *object = NULL;
	int rc = json_parse_object(what, text, &object, f);

	if (!rc)
		rc = decode(object, &d, f);
	if (rc)
		return rc;
	*ret = d;
	d = (struct definition){ 0 };
	return 0;
}
