// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ORDER: the devices are out of the VM's sight before the record is there; a VM that runs on one of them
 * keeps it from being adopted. What was frozen is merged back, since nobody knows how far it came.
 */
#include "daemon/adopt.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/macro.h"
#include "daemon/admission.h"
#include "daemon/adoption.h"
#include "daemon/claims.h"
#include "daemon/fence.h"
#include "daemon/journals.h"
#include "daemon/peer.h"
#include "daemon/trackers.h"
#include "daemon/vm.h"
#include "lib/devid.h"
#include "lib/json.h"
#include "lib/nl_control.h"

#define STEP_MAX 512

struct adopt {
	struct daemon *daemon;
	struct json_object *report;
	struct labelled_tracker *list; /* those of one VM stand together */
	size_t nr;
	size_t nr_adopted;
	size_t nr_known;
	size_t nr_refused;
	struct failure *first; /* of those that were refused */
};

static void adopt_clear(struct adopt *a)
{
	(void)json_object_put(a->report);
	free(a->list);
}

/* --- the report --- */

static struct json_object *report_add(struct adopt *a, const char *outcome, const char *text)
{
	struct json_object *object = json_object_new_object();

	json_add_text(object, "outcome", outcome);
	json_add_text(object, "text", text);
	(void)json_object_object_add(object, "steps", json_object_new_array());
	(void)json_object_array_add(a->report, object);
	return object;
}

static struct json_object *report_add_vm(struct adopt *a, const struct store_label *label,
					 const char *outcome, const char *text)
{
	struct json_object *object = report_add(a, outcome, text);

	json_add_uuid(object, "vm", &label->vm);
	json_add_text(object, "name", label->vm_name);
	return object;
}

static void count_refused(struct adopt *a, const struct failure *why)
{
	if (!a->nr_refused++)
		*a->first = *why;
}

static void add_step(struct json_object *object, const char *fmt, ...) printf_like(2, 3);
static void add_step(struct json_object *object, const char *fmt, ...)
{
	struct json_object *steps = json_object_object_get(object, "steps");
	char text[STEP_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)json_object_array_add(steps, json_object_new_string(text));
}

/* --- what is left to do --- */

/* The host's identity was lost with its database; the peer knows the one before. */
static void add_identity_steps(const struct vm *vm, const uint8_t peer_key[FINGERPRINT_BYTES],
			       struct json_object *object)
{
	static const uint8_t none[FINGERPRINT_BYTES];
	const struct host_config *config = &vm->daemon->config;
	const struct tls_files files = host_config_tls_files(config);
	char key[FINGERPRINT_TEXT_MAX];
	char host[ADDRESS_TEXT_MAX];
	struct known_peer known = { 0 };
	struct address peer;

	if (address_parse(vm->r.peer, PEER_PORT, &peer, NULL) ||
	    address_is_in_list(&peer, config->plain))
		return;
	(void)address_format_host(&peer, host);
	if (tls_identity_show(&files, key, NULL))
		add_step(object, "This host has no certificate: `failback host init`.");
	else
		add_step(object, "If the key of this host, %s, is a new one, %s has to learn it.", key, host);
	add_step(object, "On %s: `failback host pair --replace` with the address of this host.", host);
	if (known_peers_find(files.peers, &peer, &known, NULL) == 0 && known.nr)
		return;
	if (memcmp(peer_key, none, sizeof(none)) == 0)
		add_step(object, "%s is not known here: `failback host pair %s`.", host, host);
	else
		/* Whoever can write the store can write that. */
		add_step(object,
			 "%s is not known here: `failback host pair %s`. By the store, its key was %s: "
			 "compare it with `failback host show` there.",
			 host, host, fingerprint_format(peer_key, key));
}

static void add_steps(const struct vm *vm, const struct adoption *adoption,
		      struct json_object *object)
{
	const struct relationship_record *r = &vm->r;

	add_identity_steps(vm, adoption->peer_key, object);
	if (vm_is_held(vm))
		add_step(object,
			 "The VM may not run here until %s confirms that it did not take over, which it "
			 "is asked every few seconds; `failback test-connection %.64s` shows whether it "
			 "answers.",
			 r->peer, r->name);
	if (!adoption->base_known)
		add_step(object,
			 "The stores do not prove what the disks hold: they have to be compared. While the "
			 "VM is failed over, `failback reverse %.64s` does that; else `failback suspend "
			 "%.64s` and `failback resync %.64s` on the primary.",
			 r->name, r->name, r->name);
	if (adoption->settings_lost)
		add_step(object,
			 "Its settings found no room in the labels: `failback settings %.64s` changes "
			 "the defaults.",
			 r->name);
}

/* --- one relationship --- */

static int check_unknown(struct daemon *d, const struct relationship_record *r, struct failure *f)
{
	_cleanup_(claims_clear) struct claims claims = { 0 };
	struct vm *other;
	int rc = 0;

	if (vm_find_by_name(d, r->name, &other, NULL) != -ENOENT)
		return failure_set(f, CODE_INVALID_PARAMETER, -EEXIST,
				   "There is another VM named %.64s: `failback apply` can give it another "
				   "name, or `failback remove` it, if it is not wanted any more.",
				   r->name);
	for (const struct vm *vm = d->vms; !rc && vm; vm = vm->next)
		rc = claims_add(&claims, &vm->r, f);
	return rc ? rc : claims_take(&claims, r, f);
}

/* The path of before, if that is still the disk, else one that opens it. */
static int find_paths(const struct labelled_tracker *list, struct relationship_record *r,
		      struct failure *f)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < r->nr_disks; i++) {
		struct disk_record *disk = &r->disks[i];

		if (!disk->path[0] || !trackers_is_over(disk, &list[i].info))
			rc = devid_path(list[i].info.origin_dev, disk->path, f);
	}
	return rc;
}

static int end_frozen(const struct labelled_tracker *list, const struct relationship_record *r,
		      struct failure *f)
{
	cleanup_free struct tracker_info *infos = calloc(r->nr_disks, sizeof(*infos));
	static const struct uuid none;

	if (!infos)
		return failure_no_memory(f);
	for (size_t i = 0; i < r->nr_disks; i++)
		infos[i] = list[i].info;
	return trackers_end_others(r, infos, &none, f);
}

/*
 * CODE_IN_USE: the VM runs here, whatever the peer would say. What fails later leaves the fence up. Takes
 * over what the record owns.
 */
static int add(struct daemon *d, const struct labelled_tracker *list, struct adoption *adoption,
	       struct failure *f)
{
	struct relationship_record *r = &adoption->r;
	int rc = find_paths(list, r, f);

	if (!rc)
		rc = check_unknown(d, r, f);
	if (!rc)
		rc = admission_check_table(d->config.tracker_table, r, f);
	if (!rc)
		rc = journal_check_none(d, &r->vm, f);
	/* A base that nobody else names: a nil one would cover a nil one. */
	if (!rc && !adoption->base_known && uuid_new(&r->base))
		rc = failure_set(f, CODE_FAILED, -EIO, "Cannot make a UUID.");
	if (!rc)
		rc = fence_raise(r, f);
	if (!rc)
		rc = end_frozen(list, r, f);
	if (rc)
		return rc;
	r->health = HEALTH_WARNING;
	(void)snprintf(r->boot, sizeof(r->boot), "%s", BOOT_ADOPTED);
	return vm_add(d, r, f);
}

static int adopt_vm(struct adopt *a, struct labelled_tracker *list, size_t nr, struct failure *f)
{
	struct adoption adoption = { 0 };
	struct uuid uuid = list[0].label.vm;
	char text[STEP_MAX];
	char role[96];
	struct vm *vm;
	int rc = adoption_make(list, nr, &adoption, f);

	if (rc)
		return rc;
	rc = add(a->daemon, list, &adoption, f);
	vm = rc ? NULL : vm_find(a->daemon, &uuid);
	if (vm) {
		relationship_role_text(vm_role(vm), role, sizeof(role));
		(void)snprintf(text, sizeof(text), "adopted as %s, with peer %s; disks: %zu", role,
			       vm->r.peer, vm->r.nr_disks);
		log_notice("VM %s: %s", vm->r.name, text);
		add_steps(vm, &adoption, report_add_vm(a, &list[0].label, "adopted", text));
	} else {
		relationship_record_clear(&adoption.r);
	}
	return rc;
}

static void look_at_vm(struct adopt *a, struct labelled_tracker *list, size_t nr)
{
	const struct store_label label = *adoption_newest(list, nr);
	struct failure why;

	if (vm_find(a->daemon, &label.vm)) {
		a->nr_known++;
		(void)report_add_vm(a, &label, "known",
				    "has a relationship here already, which is left as it is");
		return;
	}
	if (adopt_vm(a, list, nr, &why) == 0) {
		a->nr_adopted++;
		return;
	}
	(void)report_add_vm(a, &label, "refused", why.text);
	count_refused(a, &why);
}

/* --- all of them --- */

static void refuse_label(struct adopt *a, const char *tracker, enum store_label_kind kind, bool counts)
{
	struct failure why;
	struct json_object *object;

	if (kind == STORE_LABEL_NEWER)
		(void)failure_set(&why, CODE_NOT_SUPPORTED, -EPROTONOSUPPORT,
				  "The label on the store of tracker %s is of a newer failbackd than this "
				  "one.",
				  tracker);
	else
		(void)failure_set(&why, CODE_STATUS_UNKNOWN, -EBADMSG,
				  "The label on the store of tracker %s is damaged: nobody knows whose "
				  "disk it is.",
				  tracker);
	object = report_add(a, "refused", why.text);
	json_add_text(object, "tracker", tracker);
	if (counts)
		count_refused(a, &why);
}

static void read_labels(struct adopt *a, struct nl *nl, const struct tracker_info *infos, size_t nr,
			bool counts)
{
	for (size_t i = 0; i < nr; i++) {
		struct labelled_tracker *at = &a->list[a->nr];
		uint8_t bytes[CBT_LABEL_LEN];
		enum store_label_kind kind;
		char text[UUID_TEXT_LEN + 1];
		const char *tracker = infos[i].name[0] ? infos[i].name
						       : uuid_format(&infos[i].uuid, text);

		if (!infos[i].has_store || nl_label_get(nl, tracker, bytes, NULL))
			continue;
		kind = store_label_decode(bytes, &at->label);
		at->info = infos[i];
		if (kind == STORE_LABEL_SOUND)
			a->nr++;
		else if (kind != STORE_LABEL_FOREIGN)
			refuse_label(a, tracker, kind, counts);
	}
}

static int by_vm(const void *a, const void *b)
{
	const struct labelled_tracker *left = a;
	const struct labelled_tracker *right = b;

	return memcmp(&left->label.vm, &right->label.vm, sizeof(left->label.vm));
}

static int read_all(struct adopt *a, bool counts, struct failure *f)
{
	cleanup_free struct tracker_info *infos = NULL;
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	size_t nr = 0;
	int rc = nl_open(&nl, f);

	if (!rc)
		rc = nl_tracker_list(nl, &infos, &nr, f);
	if (rc)
		return rc;
	a->list = calloc(nr + 1, sizeof(*a->list));
	if (!a->list)
		return failure_no_memory(f);
	read_labels(a, nl, infos, nr, counts);
	qsort(a->list, a->nr, sizeof(*a->list), by_vm);
	return 0;
}

static bool is_named(const struct labelled_tracker *list, size_t nr, const char *name)
{
	struct uuid uuid;

	if (!name[0])
		return true;
	if (uuid_parse(name, &uuid) == 0)
		return uuid_equal(&uuid, &list[0].label.vm);
	return strcmp(adoption_newest(list, nr)->vm_name, name) == 0;
}

static void look_at_all(struct adopt *a, const char *name)
{
	size_t end;

	for (size_t i = 0; i < a->nr; i = end) {
		end = i + 1;
		while (end < a->nr && by_vm(&a->list[i], &a->list[end]) == 0)
			end++;
		if (is_named(&a->list[i], end - i, name))
			look_at_vm(a, &a->list[i], end - i);
	}
}

int adopt_relationships(struct daemon *d, const char *name, bool *ret_changed, char **ret_report,
			char *text, size_t size, struct failure *f)
{
	struct failure first;
	_cleanup_(adopt_clear) struct adopt a = { .daemon = d,
						  .report = json_object_new_array(),
						  .first = &first };
	int rc = read_all(&a, !name[0], f);

	if (rc)
		return rc;
	look_at_all(&a, name);
	if (name[0] && !(a.nr_adopted + a.nr_known + a.nr_refused))
		return failure_set(f, CODE_INVALID_PARAMETER, -ENOENT,
				   "No store here says that it is VM \"%.128s\"'s: are its trackers there "
				   "(`cbtctl list`)?",
				   name);
	*ret_report = json_text(a.report);
	*ret_changed = a.nr_adopted;
	(void)snprintf(text, size, "%zu adopted, %zu known already, %zu refused.", a.nr_adopted,
		       a.nr_known, a.nr_refused);
	if (a.nr_refused)
		return failure_set(f, (enum code)first.code, -EBADE, "%s", first.text);
	return 0;
}
