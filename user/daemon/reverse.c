// SPDX-License-Identifier: GPL-2.0-or-later
/*
 *	caller (replica, 5 or 6)             peer (primary, 4)
 *	  | reverse-check  ----------------->  |  role, disks, base: nothing changes
 *	  | reverse  ----------------------->  |  the same checks, then (replica, 3), durable
 *	  |  <-------------------------- code 0 |
 *	(primary, 3), durable                  |
 *	  | a delta                             |
 *
 * CRASH: the peer's step comes first, so that no crash and no lost message leaves two primaries.
 * After it and before the caller's, the caller is still in state 5 or 6: repeating the method
 * finds the peer in (replica, 3), where the same call is legal and changes nothing.
 *
 * That both hosts' disks were equal when the VM was failed over is not proved here but asserted
 * by the peer's state 4: it only gets there when a last delta was acknowledged with the VM off,
 * and refuses when its trackers saw a write since.
 */
#include "daemon/reverse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/macro.h"
#include "daemon/calls.h"
#include "daemon/delta.h"
#include "daemon/peer.h"
#include "daemon/trackers.h"
#include "lib/settings.h"

struct reverse {
	struct daemon *daemon;
	struct vm *vm;
	struct job *job;
	struct conn *conn;
	char peer[PEER_TEXT_MAX];
	char *settings; /* as they will be */
	struct tracker_info *infos;
	enum call_kind calling;
};

static void reverse_free_at(struct reverse **at)
{
	struct reverse *rev = steal_ptr(*at);

	if (!rev)
		return;
	conn_free_at(&rev->conn);
	free(rev->settings);
	free(rev->infos);
	free(rev);
}

static int out_of_memory(struct failure *f)
{
	return failure_set(f, CODE_OUT_OF_MEMORY, -ENOMEM, "Out of memory.");
}

/* --- settings --- */

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
static int choose_peer(const struct relationship_record *r, const struct settings *s, char *ret,
		       struct failure *f)
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

static int take_settings(struct reverse *rev, const char *setting_data, struct failure *f)
{
	const struct relationship_record *r = &rev->vm->r;
	_cleanup_(settings_clear) struct settings given = { 0 };
	int rc;

	rc = settings_parse(setting_data, &given, f);
	if (!rc)
		rc = check_vm(r, &given, f);
	if (!rc)
		rc = check_disks(r, &given, f);
	if (!rc)
		rc = choose_peer(r, &given, rev->peer, f);
	if (!rc)
		rc = merge_settings(r, &given, &rev->settings, f);
	return rc;
}

/* --- the end --- */

static void fail(struct reverse *rev, const struct failure *why)
{
	_cleanup_(reverse_free_at) struct reverse *owned = rev;

	job_end(owned->job, why);
}

static int become_primary(struct reverse *rev, const struct uuid *peer_base, struct failure *f)
{
	struct vm *vm = rev->vm;
	struct relationship_record next = vm->r;
	int rc = vm_apply_event(vm, EVENT_REVERSE, &next, f);

	if (!rc)
		rc = vm_copy_disks(vm, &next.disks, f);
	if (rc)
		return rc;
	trackers_note(next.disks, next.nr_disks, rev->infos);
	(void)strcpy(next.peer, rev->peer);
	next.settings = rev->settings;
	next.base = *peer_base;
	memset(&next.epoch, 0, sizeof(next.epoch));
	next.epoch_durable = false;
	next.nr_aborted = 0;
	next.health = HEALTH_OK;
	next.last_error[0] = '\0';
	rc = vm_change(vm, &next, f);
	if (rc)
		free(next.disks);
	else
		rev->settings = NULL; /* the record owns them now */
	return rc;
}

/* Reversed, but nothing flows: say so where the operator looks. */
static void record_idle(struct vm *vm, const struct failure *why)
{
	struct relationship_record next = vm->r;

	log_error("VM %s: no delta was started after the reverse: %s", vm->r.name, why->text);
	next.health = HEALTH_WARNING;
	memcpy(next.last_error, why->text, sizeof(next.last_error));
	(void)vm_change(vm, &next, NULL);
}

static void succeed(struct reverse *rev)
{
	_cleanup_(reverse_free_at) struct reverse *owned = rev;
	struct vm *vm = rev->vm;
	struct job *job = rev->job;
	struct failure why;
	struct job *delta;

	job_end(owned->job, NULL);
	delta = delta_start(vm, JOB_SEND, &why);
	if (delta)
		job_set_follow_up(job, delta);
	else
		record_idle(vm, &why);
}

/* --- the conversation --- */

static int call_next(struct reverse *rev, enum call_kind kind, struct failure *f);

static int take_reply(struct reverse *rev, const char *text, struct failure *f)
{
	struct reply reply;
	int rc = reply_decode(text, &reply, f);

	if (rc)
		return rc;
	if (reply.code != CODE_COMPLETED)
		return failure_set(f, (enum code)reply.code, -EREMOTEIO, "Peer %s refuses: %.440s",
				   rev->peer, reply.text);
	if (rev->calling == CALL_REVERSE_CHECK)
		return call_next(rev, CALL_REVERSE, f);
	rc = become_primary(rev, &reply.base, f);
	if (!rc)
		succeed(rev);
	return rc;
}

static void on_reply(void *context, int error, const struct failure *why, const char *text)
{
	struct reverse *rev = context;
	struct failure failure;
	int rc = error;

	if (error && rev->calling == CALL_REVERSE)
		(void)failure_set(
			&failure, (enum code)why->code, error,
			"%.380s The peer may have become the replica already: repeat the reverse "
			"to complete it.",
			why->text);
	else if (error)
		failure = *why;
	else
		rc = take_reply(rev, text, &failure);
	if (rc)
		fail(rev, &failure);
}

static int call_next(struct reverse *rev, enum call_kind kind, struct failure *f)
{
	cleanup_free char *text = NULL;
	struct call call;

	rev->calling = kind;
	if (kind == CALL_REVERSE)
		rev->job->cancel = NULL;
	job_set_status(rev->job, kind == CALL_REVERSE ? "swapping the roles" : "checking the peer");
	call_of_relationship(kind, &rev->vm->r, &call);
	text = call_encode(&call);
	if (!text)
		return out_of_memory(f);
	return conn_call(rev->conn, text, peer_timeout_us(rev->daemon), on_reply, rev, f);
}

static void on_connected(void *context, int error, const struct failure *why, const char *text)
{
	struct reverse *rev = context;
	struct failure failure;
	int rc = error;

	(void)text;
	if (error)
		failure = *why;
	else
		rc = call_next(rev, CALL_REVERSE_CHECK, &failure);
	if (rc)
		fail(rev, &failure);
}

static void on_cancel(void *context)
{
	struct failure why;

	(void)failure_set(&why, CODE_FAILED, -ECANCELED,
			  "Terminated on request, before anything was changed.");
	fail(context, &why);
}

/* --- the beginning --- */

static int check(struct reverse *rev, const char *setting_data, struct failure *f)
{
	struct vm *vm = rev->vm;
	struct relationship_record ignored = vm->r;
	int rc;

	rc = take_settings(rev, setting_data, f);
	if (!rc)
		rc = vm_apply_event(vm, EVENT_REVERSE, &ignored, f);
	if (!rc)
		rc = vm_check_idle(vm, f);
	if (!rc)
		rc = vm_check_disks(vm, f);
	if (!rc)
		rc = trackers_get(&vm->r, rev->infos, f);
	if (!rc)
		rc = trackers_check(&vm->r, rev->infos, f);
	return rc;
}

struct job *reverse_start(struct vm *vm, const char *setting_data, struct failure *f)
{
	_cleanup_(reverse_free_at) struct reverse *rev = calloc(1, sizeof(*rev));
	struct failure why;
	struct job *job;

	if (rev)
		rev->infos = calloc(vm->r.nr_disks, sizeof(*rev->infos));
	if (!rev || !rev->infos) {
		(void)out_of_memory(f);
		return NULL;
	}
	rev->daemon = vm->daemon;
	rev->vm = vm;
	if (check(rev, setting_data, f))
		return NULL;
	job = job_start(vm, JOB_REVERSE, f);
	if (!job)
		return NULL;
	job->operation = rev;
	job->cancel = on_cancel;
	rev->job = job;
	job_set_status(job, "connecting to %s", rev->peer);
	if (peer_connect(rev->daemon, rev->peer, on_connected, rev, &rev->conn, &why))
		fail(steal_ptr(rev), &why);
	else
		(void)steal_ptr(rev);
	return job;
}
