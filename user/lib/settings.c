// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table is the class: names, types, limits and defaults as documented for
 * Msvm_ReplicationSettingData. Values go through one function whatever they were written in: it
 * looks up the property, checks the type, then the value.
 *
 * What this version cannot honour is refused rather than ignored, so that nobody believes in
 * recovery points or encryption that are not there. What is ignored has nothing to change here:
 * BypassProxyServer, since no proxy is ever used, and what configures a Hyper-V VM.
 */
#include "lib/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "lib/cimxml.h"
#include "lib/json.h"

#define CLASS_NAME	  "Msvm_ReplicationSettingData"
#define DATETIME_LEN	  25U
/* Msvm_ReplicationProvider.Name of the provider that replicates from host to host. */
#define BUILT_IN_PROVIDER "22391CDC-272C-4DDF-BA88-9BEFB1A0975C"

static const uint16_t intervals[] = { 30, 300, 900, 0 };

#define KEPT(prop_name, prop_setting, prop_type, ...)                                      \
	{                                                                                  \
		.name = prop_name, .use = SETTING_KEPT, .setting = SETTING_##prop_setting, \
		.type = SETTING_##prop_type, __VA_ARGS__                                   \
	}
#define DERIVED(prop_name, prop_type)                                                   \
	{                                                                               \
		.name = prop_name, .use = SETTING_DERIVED, .type = SETTING_##prop_type, \
		.max = SETTINGS_VALUE_MAX                                               \
	}
#define UNUSED(prop_name, prop_type, ...)                                                          \
	{                                                                                          \
		.name = prop_name, .use = SETTING_UNUSED, .type = SETTING_##prop_type, __VA_ARGS__ \
	}

static const struct setting_def table[] = {
	KEPT("VirtualSystemIdentifier", VIRTUAL_SYSTEM_IDENTIFIER, STRING, .max = 256,
	     .doc = "the VM; must be the one that the method is called for"),
	KEPT("AuthenticationType", AUTHENTICATION_TYPE, UINT16, .max = 2, .default_value = "0",
	     .doc = "0 as failbackd is set (certificates, or plain), 1 Kerberos, 2 certificate"),
	KEPT("CertificateThumbPrint", CERTIFICATE_THUMB_PRINT, STRING, .max = 128,
	     .doc = "certificate of this host when AuthenticationType is 2"),
	KEPT("CompressionEnabled", COMPRESSION_ENABLED, BOOLEAN, .default_value = "FALSE",
	     .doc = "data is compressed where that makes it arrive sooner"),
	KEPT("RecoveryConnectionPoint", RECOVERY_CONNECTION_POINT, STRING, .max = 256,
	     .doc = "address of the host to send to"),
	KEPT("RecoveryServerPortNumber", RECOVERY_SERVER_PORT_NUMBER, UINT16, .max = 65535,
	     .default_value = "0", .doc = "port of the host to send to; 0: the one in use"),
	KEPT("ApplicationConsistentSnapshotInterval", APPLICATION_CONSISTENT_SNAPSHOT_INTERVAL,
	     UINT16, .max = 12, .default_value = "0",
	     .doc = "hours between application-consistent points; 0: none"),
	KEPT("RecoveryHistory", RECOVERY_HISTORY, UINT16, .max = 24, .default_value = "0",
	     .doc = "extra recovery points at the replica"),
	KEPT("IncludedDisks", INCLUDED_DISKS, STRING, .array = true, .max = SETTINGS_VALUE_MAX,
	     .doc = "disks to replicate, by name, path or InstanceID"),
	KEPT("AutoResynchronizeEnabled", AUTO_RESYNCHRONIZE_ENABLED, BOOLEAN,
	     .default_value = "FALSE", .doc = "resynchronise without an operator"),
	KEPT("AutoResynchronizeIntervalStart", AUTO_RESYNCHRONIZE_INTERVAL_START, DATETIME,
	     .default_value = "00000000183000.000000:000", .doc = "start of the daily window"),
	KEPT("AutoResynchronizeIntervalEnd", AUTO_RESYNCHRONIZE_INTERVAL_END, DATETIME,
	     .default_value = "00000000060000.000000:000", .doc = "end of the daily window"),
	KEPT("ReplicationProvider", REPLICATION_PROVIDER, STRING, .max = SETTINGS_VALUE_MAX,
	     .doc = "only the built-in provider"),
	KEPT("AdditionalSettings", ADDITIONAL_SETTINGS, STRING, .max = SETTINGS_VALUE_MAX,
	     .doc = "for external providers"),
	KEPT("ReplicationInterval", REPLICATION_INTERVAL, UINT16, .max = 900, .allowed = intervals,
	     .default_value = "300", .doc = "seconds from one delta to the next"),

	DERIVED("InstanceID", STRING),
	DERIVED("Caption", STRING),
	DERIVED("Description", STRING),
	DERIVED("ElementName", STRING),
	DERIVED("VirtualSystemType", STRING),
	DERIVED("CreationTime", DATETIME),
	DERIVED("RootCertificateThumbPrint", STRING),
	DERIVED("RecoveryHostSystem", STRING),
	DERIVED("PrimaryConnectionPoint", STRING),
	DERIVED("PrimaryHostSystem", STRING),
	DERIVED("EnableWriteOrderPreservationAcrossDisks", BOOLEAN),

	UNUSED("BypassProxyServer", BOOLEAN),
	UNUSED("ReplicateHostKvpItems", BOOLEAN),
	UNUSED("Notes", STRING, .array = true),
	UNUSED("ConfigurationID", STRING),
	UNUSED("ConfigurationDataRoot", STRING),
	UNUSED("ConfigurationFile", STRING),
	UNUSED("SnapshotDataRoot", STRING),
	UNUSED("SuspendDataRoot", STRING),
	UNUSED("SwapFileDataRoot", STRING),
	UNUSED("LogDataRoot", STRING),
	UNUSED("RecoveryFile", STRING),
	UNUSED("AutomaticStartupAction", UINT16),
	UNUSED("AutomaticStartupActionDelay", DATETIME),
	UNUSED("AutomaticStartupActionSequenceNumber", UINT16),
	UNUSED("AutomaticShutdownAction", UINT16),
	UNUSED("AutomaticRecoveryAction", UINT16),
};

static const char *const cim_types[] = {
	[SETTING_STRING] = "string",
	[SETTING_UINT16] = "uint16",
	[SETTING_BOOLEAN] = "boolean",
	[SETTING_DATETIME] = "datetime",
};

const struct setting_def *settings_table(size_t *ret_nr)
{
	*ret_nr = ARRAY_SIZE(table);
	return table;
}

static const struct setting_def *find(const char *name)
{
	/* CIM property names are not case-sensitive. */
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (strcasecmp(table[i].name, name) == 0)
			return &table[i];
	}
	return NULL;
}

static const struct setting_def *def_of(enum setting setting)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (table[i].use == SETTING_KEPT && table[i].setting == setting)
			return &table[i];
	}
	return NULL;
}

/* --- values --- */

static void value_clear(struct setting_value *v)
{
	for (size_t i = 0; i < v->nr_texts; i++)
		free(v->texts[i]);
	free(v->texts);
	memset(v, 0, sizeof(*v));
}

void settings_clear(struct settings *s)
{
	for (size_t i = 0; i < NR_SETTINGS; i++)
		value_clear(&s->values[i]);
}

void settings_unset(struct settings *s, enum setting setting)
{
	value_clear(&s->values[setting]);
}

static int out_of_memory(struct failure *f)
{
	return failure_no_memory(f);
}

static int wrong_type(const struct setting_def *def, const char *value, struct failure *f)
{
	return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL,
			   "Setting %s must be a %s, not \"%.64s\".", def->name,
			   cim_types[def->type], value);
}

static int check_allowed(const struct setting_def *def, uint64_t number, struct failure *f)
{
	char list[64] = "";

	if (!def->allowed)
		return 0;
	for (const uint16_t *allowed = def->allowed; *allowed; allowed++) {
		size_t len = strlen(list);

		if (*allowed == number)
			return 0;
		(void)snprintf(list + len, sizeof(list) - len, "%s%u", len ? ", " : "", *allowed);
	}
	return failure_set(f, CODE_INVALID_PARAMETER, -ERANGE,
			   "Setting %s must be one of %s, not %llu.", def->name, list,
			   (unsigned long long)number);
}

static int parse_number(const struct setting_def *def, const char *text, uint16_t *ret,
			struct failure *f)
{
	uint64_t number;
	char *end;
	int rc;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end)
		return wrong_type(def, text, f);
	if (errno || number < def->min || number > def->max)
		return failure_set(f, CODE_INVALID_PARAMETER, -ERANGE,
				   "Setting %s must be %u to %u, not %.32s.", def->name, def->min,
				   def->max, text);
	rc = check_allowed(def, number, f);
	if (rc)
		return rc;
	*ret = (uint16_t)number;
	return 0;
}

static int parse_boolean(const struct setting_def *def, const char *text, uint16_t *ret,
			 struct failure *f)
{
	if (strcasecmp(text, "TRUE") == 0)
		*ret = 1;
	else if (strcasecmp(text, "FALSE") == 0)
		*ret = 0;
	else
		return wrong_type(def, text, f);
	return 0;
}

static bool is_interval(const char *text)
{
	static const char shape[] = "dddddddddddddd.dddddd:000";

	if (strlen(text) != DATETIME_LEN)
		return false;
	for (size_t i = 0; i < DATETIME_LEN; i++) {
		if (shape[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != shape[i])
			return false;
	}
	return true;
}

static int check_text(const struct setting_def *def, const char *text, struct failure *f)
{
	if (def->type == SETTING_DATETIME && !is_interval(text))
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL,
				   "Setting %s must be an interval such as %s, not \"%.64s\".",
				   def->name, def->default_value, text);
	if (def->type == SETTING_STRING && strlen(text) > def->max)
		return failure_set(f, CODE_INVALID_PARAMETER, -ERANGE,
				   "Setting %s may have at most %u characters, not %zu.", def->name,
				   def->max, strlen(text));
	return 0;
}

static int parse_texts(const struct setting_def *def, const char *const *values, size_t nr,
		       struct setting_value *v, struct failure *f)
{
	v->texts = calloc(max_of(nr, (size_t)1), sizeof(*v->texts));
	if (!v->texts)
		return out_of_memory(f);
	for (; v->nr_texts < nr; v->nr_texts++) {
		int rc = check_text(def, values[v->nr_texts], f);

		if (rc)
			return rc;
		v->texts[v->nr_texts] = strdup(values[v->nr_texts]);
		if (!v->texts[v->nr_texts])
			return out_of_memory(f);
	}
	return 0;
}

static int parse_value(const struct setting_def *def, const char *const *values, size_t nr,
		       struct setting_value *v, struct failure *f)
{
	v->set = true;
	if (def->type == SETTING_UINT16)
		return parse_number(def, values[0], &v->number, f);
	if (def->type == SETTING_BOOLEAN)
		return parse_boolean(def, values[0], &v->number, f);
	return parse_texts(def, values, nr, v, f);
}

int settings_put(struct settings *s, const char *name, const char *cim_type, bool array,
		 const char *const *values, size_t nr, struct failure *f)
{
	_cleanup_(value_clear) struct setting_value v = { 0 };
	const struct setting_def *def = find(name);
	int rc;

	if (!def)
		return failure_set(f, CODE_INVALID_PARAMETER, -ENOENT,
				   CLASS_NAME " has no property \"%.64s\": leave it out, or correct its name; "
				   "`failback settings VM` shows those of a VM.", name);
	if (cim_type && strcasecmp(cim_type, cim_types[def->type]) != 0)
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL,
				   "Setting %s is of type %s, not %.32s.", def->name,
				   cim_types[def->type], cim_type);
	if (array != def->array)
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL, "Setting %s is %s array.",
				   def->name, def->array ? "an" : "not an");
	if (def->use != SETTING_KEPT)
		return 0;
	if (nr) {
		rc = parse_value(def, values, nr, &v, f);
		if (rc)
			return rc;
	}
	value_clear(&s->values[def->setting]);
	s->values[def->setting] = v;
	memset(&v, 0, sizeof(v));
	return 0;
}

uint16_t settings_number(const struct settings *s, enum setting setting)
{
	const struct setting_def *def = def_of(setting);
	uint16_t number = 0;

	if (s->values[setting].set)
		return s->values[setting].number;
	if (def->default_value && def->type == SETTING_UINT16)
		(void)parse_number(def, def->default_value, &number, NULL);
	return number;
}

const char *settings_text(const struct settings *s, enum setting setting)
{
	const struct setting_value *v = &s->values[setting];
	const struct setting_def *def = def_of(setting);

	if (v->set && v->nr_texts)
		return v->texts[0];
	return def->default_value ? def->default_value : "";
}

/* --- as a whole --- */

static int check_supported(const struct settings *s, struct failure *f)
{
	const char *provider = settings_text(s, SETTING_REPLICATION_PROVIDER);

	if (settings_number(s, SETTING_AUTHENTICATION_TYPE) != 0)
		return failure_set(
			f, CODE_NOT_SUPPORTED, -EOPNOTSUPP,
			"AuthenticationType %u is not supported by this version: how hosts know each "
			"other is a setting of failbackd (tls-peers, plain); leave it out or set it to "
			"0.",
			settings_number(s, SETTING_AUTHENTICATION_TYPE));
	if (settings_number(s, SETTING_RECOVERY_HISTORY) != 0)
		return failure_set(
			f, CODE_NOT_SUPPORTED, -EOPNOTSUPP,
			"RecoveryHistory is not supported by this version: only the latest state "
			"is kept; "
			"set it to 0.");
	if (settings_number(s, SETTING_AUTO_RESYNCHRONIZE_ENABLED))
		return failure_set(
			f, CODE_NOT_SUPPORTED, -EOPNOTSUPP,
			"AutoResynchronizeEnabled is not supported by this version; set it to "
			"FALSE.");
	if (provider[0] && !strcasestr(provider, BUILT_IN_PROVIDER))
		return failure_set(
			f, CODE_NOT_SUPPORTED, -EOPNOTSUPP,
			"ReplicationProvider \"%.64s\" is not known; only the built-in one is.",
			provider);
	return 0;
}

/* Rules between properties. What is illegal is said before what is merely not supported. */
static int check(const struct settings *s, struct failure *f)
{
	if (settings_number(s, SETTING_APPLICATION_CONSISTENT_SNAPSHOT_INTERVAL) &&
	    !settings_number(s, SETTING_RECOVERY_HISTORY))
		return failure_set(
			f, CODE_INVALID_PARAMETER, -EINVAL,
			"ApplicationConsistentSnapshotInterval needs a RecoveryHistory of at least "
			"1.");
	return check_supported(s, f);
}

static int put_from_cimxml(void *context, const char *name, const char *type, bool array,
			   const char *const *values, size_t nr, struct failure *f)
{
	return settings_put(context, name, type, array, values, nr, f);
}

/* As far as C sees it, a text ends at its first NUL: what stands behind would be dropped unseen. */
static bool holds_nul(struct json_object *value)
{
	return json_object_is_type(value, json_type_string) &&
	       strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value);
}

static int refuse_nul(const char *name, struct failure *f)
{
	return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL, "Setting %.64s must hold no NUL.",
			   name);
}

static int scalar_from_json(struct settings *s, const char *name, struct json_object *value,
			    struct failure *f)
{
	const struct setting_def *def = find(name);
	const char *text = json_object_get_string(value);
	enum json_type type = json_object_get_type(value);

	/* The text of a value does not show its type: 1 and "1" are the same, and must not be. */
	if (def && ((def->type == SETTING_UINT16) != (type == json_type_int) ||
		    (def->type == SETTING_BOOLEAN) != (type == json_type_boolean)))
		return wrong_type(def, text, f);
	if (holds_nul(value))
		return refuse_nul(name, f);
	return settings_put(s, name, NULL, false, &text, 1, f);
}

static int array_from_json(struct settings *s, const char *name, struct json_object *value,
			   struct failure *f)
{
	const char *texts[SETTINGS_ARRAY_MAX];
	size_t nr = json_object_array_length(value);

	if (nr > SETTINGS_ARRAY_MAX)
		return failure_set(f, CODE_INVALID_PARAMETER, -E2BIG,
				   "Setting %.64s has more than %u values.", name,
				   SETTINGS_ARRAY_MAX);
	for (size_t i = 0; i < nr; i++) {
		struct json_object *item = json_object_array_get_idx(value, i);

		if (!json_object_is_type(item, json_type_string))
			return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL,
					   "Setting %.64s must be an array of strings.", name);
		if (holds_nul(item))
			return refuse_nul(name, f);
		texts[i] = json_object_get_string(item);
	}
	return settings_put(s, name, NULL, true, texts, nr, f);
}

static int put_from_json(struct settings *s, const char *name, struct json_object *value,
			 struct failure *f)
{
	const struct setting_def *def = find(name);

	switch (json_object_get_type(value)) {
	case json_type_null:
		return settings_put(s, name, NULL, def && def->array, NULL, 0, f);
	case json_type_array:
		return array_from_json(s, name, value, f);
	case json_type_object:
	case json_type_double:
		return failure_set(
			f, CODE_INCORRECT_DATA_TYPE, -EINVAL,
			"Setting %.64s must be a string, a whole number, a boolean or an array.",
			name);
	default:
		return scalar_from_json(s, name, value, f);
	}
}

static int parse_json(const char *text, struct settings *s, struct failure *f)
{
	cleanup_json struct json_object *object = NULL;
	int rc = json_parse_object("The setting data", text, &object, f);

	if (rc)
		return rc;
	json_object_object_foreach(object, name, value)
	{
		rc = put_from_json(s, name, value, f);
		if (rc)
			return rc;
	}
	return 0;
}

int settings_parse(const char *text, struct settings *ret, struct failure *f)
{
	_cleanup_(settings_clear) struct settings s = { 0 };
	size_t len = strlen(text);
	int rc = 0;

	if (len > SETTINGS_TEXT_MAX)
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EMSGSIZE,
				   "The setting data has %zu bytes; at most %u are accepted.", len,
				   SETTINGS_TEXT_MAX);
	text += strspn(text, " \t\r\n");
	if (*text == '{')
		rc = parse_json(text, &s, f);
	else if (*text == '<')
		rc = cimxml_parse(text, CLASS_NAME, put_from_cimxml, &s, f);
	else if (*text)
		rc = failure_set(f, CODE_INCORRECT_DATA_TYPE, -EBADMSG,
				 "The setting data is neither CIM-XML nor a JSON object.");
	if (!rc)
		rc = check(&s, f);
	if (rc)
		return rc;
	*ret = s;
	memset(&s, 0, sizeof(s));
	return 0;
}

static int value_copy(const struct setting_value *from, struct setting_value *ret)
{
	_cleanup_(value_clear) struct setting_value v = { .set = from->set,
							  .number = from->number };

	if (from->texts) {
		v.texts = calloc(max_of(from->nr_texts, (size_t)1), sizeof(*v.texts));
		if (!v.texts)
			return -ENOMEM;
		for (; v.nr_texts < from->nr_texts; v.nr_texts++) {
			v.texts[v.nr_texts] = strdup(from->texts[v.nr_texts]);
			if (!v.texts[v.nr_texts])
				return -ENOMEM;
		}
	}
	*ret = v;
	memset(&v, 0, sizeof(v));
	return 0;
}

int settings_merge(struct settings *s, const struct settings *over)
{
	_cleanup_(settings_clear) struct settings copies = { 0 };

	for (size_t i = 0; i < NR_SETTINGS; i++) {
		int rc = over->values[i].set ? value_copy(&over->values[i], &copies.values[i]) : 0;

		if (rc)
			return rc;
	}
	for (size_t i = 0; i < NR_SETTINGS; i++) {
		if (!copies.values[i].set)
			continue;
		value_clear(&s->values[i]);
		s->values[i] = copies.values[i];
		memset(&copies.values[i], 0, sizeof(copies.values[i]));
	}
	return 0;
}

static struct json_object *value_to_json(const struct setting_def *def,
					 const struct setting_value *v)
{
	struct json_object *array;

	if (def->type == SETTING_UINT16)
		return json_object_new_int(v->number);
	if (def->type == SETTING_BOOLEAN)
		return json_object_new_boolean(v->number);
	if (!def->array)
		return json_object_new_string(v->nr_texts ? v->texts[0] : "");
	array = json_object_new_array();
	for (size_t i = 0; array && i < v->nr_texts; i++)
		(void)json_object_array_add(array, json_object_new_string(v->texts[i]));
	return array;
}

char *settings_to_json(const struct settings *s)
{
	cleanup_json struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	for (size_t i = 0; i < NR_SETTINGS; i++) {
		const struct setting_def *def = def_of(i);

		if (s->values[i].set &&
		    json_object_object_add(object, def->name, value_to_json(def, &s->values[i])) <
			    0)
			return NULL;
	}
	return json_text(object);
}
