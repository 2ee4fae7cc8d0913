// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/vm_settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "daemon/host_config.h"
#include "lib/address.h"

#define CONSENT	    "consent="
#define INTERVAL_S 300

static int out_of_memory(struct failure *f)
{
	return failure_no_memory(f);
}

static bool is_last_part(const char *text, const char *name)
{
	size_t len = strlen(text);
	size_t name_len = strlen(name);

	return len > name_len && strcmp(text + len - name_len, name) == 0 &&
	       strchr("\\/", text[len - name_len - 1]);
}

static const struct disk_record *find_disk(const struct relationship_record *r, const char *text)
{
	for (size_t i = 0; i < r->nr_disks; i++) {
		const struct disk_record *disk = &r->disks[i];

		if (strcmp(text, disk->name) == 0 || strcmp(text, disk->path) == 0 ||
		    is_last_part(text, disk->name))
			return disk;
	}
	return NULL;
}

static int check_disks(const struct relationship_record *r, const struct settings *s,
		       struct failure *f)
{
	const struct setting_value *disks = &s->values[SETTING_INCLUDED_DISKS];

	if (!disks->set)
		return 0;
	for (size_t i = 0; i < disks->nr_texts; i++) {
		if (!find_disk(r, disks->texts[i]))
			return failure_set(
				f, CODE_INVALID_PARAMETER, -ENOENT,
				"IncludedDisks is not valid: VM %.64s has no disk \"%.128s\".",
				r->name, disks->texts[i]);
	}
	for (size_t i = 0; i < r->nr_disks; i++) {
		size_t j = 0;

		while (j < disks->nr_texts && find_disk(r, disks->texts[j]) != &r->disks[i])
			j++;
		if (j == disks->nr_texts)
			return failure_set(
				f, CODE_NOT_SUPPORTED, -EOPNOTSUPP,
				"IncludedDisks leaves out disk %s: this version replicates all "
				"disks of a VM "
				"or none.",
				r->disks[i].name);
	}
	return 0;
}

static int check_vm(const struct relationship_record *r, const struct settings *s,
		    struct failure *f)
{
	const char *id = settings_text(s, SETTING_VIRTUAL_SYSTEM_IDENTIFIER);
	struct uuid uuid;

	if (id[0] && (uuid_parse(id, &uuid) || !uuid_equal(&uuid, &r->vm)))
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "The setting data belongs to VM %.64s, not to VM %.64s.", id,
				   r->name);
	return 0;
}

/* Where to send: what the settings say, else the peer of the relationship. */
static int choose_peer(const struct relationship_record *r, const struct settings *s,
		       char ret[PEER_TEXT_MAX], struct failure *f)
{
	const char *host = settings_text(s, SETTING_RECOVERY_CONNECTION_POINT);
	uint16_t port = settings_number(s, SETTING_RECOVERY_SERVER_PORT_NUMBER);
	struct address current;
	struct address address;
	int rc;

	rc = address_parse(r->peer, PEER_PORT, &current, f);
	if (rc)
		return rc;
	address = current;
	if (host[0])
		rc = address_parse(host, port ? port : address_port(&current), &address, f);
	if (rc)
		return rc;
	if (port)
		address_set_port(&address, port);
	(void)address_format(&address, ret);
	return 0;
}

/* What is kept for the next time: not where to send, which is the peer's address from now on. */
static int merge_settings(const struct relationship_record *r, const struct settings *given,
			  char **ret, struct failure *f)
{
	static const enum setting passing[] = {
		SETTING_RECOVERY_CONNECTION_POINT,
		SETTING_RECOVERY_SERVER_PORT_NUMBER,
		SETTING_VIRTUAL_SYSTEM_IDENTIFIER,
		SETTING_INCLUDED_DISKS,
		SETTING_ADDITIONAL_SETTINGS,
	};
	_cleanup_(settings_clear) struct settings merged = { 0 };
	int rc;

	rc = settings_parse(r->settings ? r->settings : "", &merged, f);
	if (rc)
		return rc;
	if (settings_merge(&merged, given))
		return out_of_memory(f);
	for (size_t i = 0; i < ARRAY_SIZE(passing); i++)
		settings_unset(&merged, passing[i]);
	*ret = settings_to_json(&merged);
	return *ret ? 0 : out_of_memory(f);
}

/* AdditionalSettings: "consent=DIGEST". */
static int take_consent(const struct settings *s, char ret[17], struct failure *f)
{
	const char *text = settings_text(s, SETTING_ADDITIONAL_SETTINGS);
	size_t len = strlen(CONSENT);

	ret[0] = '\0';
	if (!text[0])
		return 0;
	if (strncmp(text, CONSENT, len) != 0 || strlen(text) != len + 16)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "AdditionalSettings may be \"" CONSENT "\" with the 16 digits of "
				   "a plan's digest, not \"%.64s\".",
				   text);
	(void)snprintf(ret, 17, "%s", text + len);
	return 0;
}

int vm_settings_take(const struct relationship_record *r, const char *setting_data,
		     struct vm_settings *ret, struct failure *f)
{
	_cleanup_(settings_clear) struct settings given = { 0 };
	struct vm_settings taken = { 0 };
	int rc;

	rc = settings_parse(setting_data, &given, f);
	if (!rc)
		rc = check_vm(r, &given, f);
	if (!rc)
		rc = check_disks(r, &given, f);
	if (!rc)
		rc = choose_peer(r, &given, taken.peer, f);
	if (!rc)
		rc = take_consent(&given, taken.consent, f);
	if (!rc)
		rc = merge_settings(r, &given, &taken.kept, f);
	if (!rc)
		*ret = taken;
	return rc;
}

void vm_settings_clear(struct vm_settings *s)
{
	free(s->kept);
	s->kept = NULL;
}

/* What @r's settings, or their defaults, say; @none when @r has no settings. */
static uint16_t number_of(const struct relationship_record *r, enum setting setting, uint16_t none)
{
	_cleanup_(settings_clear) struct settings settings = { 0 };

	if (r->settings && settings_parse(r->settings, &settings, NULL) == 0)
		return settings_number(&settings, setting);
	return none;
}

uint64_t vm_interval_s(const struct relationship_record *r)
{
	return number_of(r, SETTING_REPLICATION_INTERVAL, INTERVAL_S);
}

bool vm_compresses(const struct relationship_record *r)
{
	return number_of(r, SETTING_COMPRESSION_ENABLED, 0);
}
