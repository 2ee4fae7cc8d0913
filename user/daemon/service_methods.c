// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The methods of org.failback1.ReplicationService that change something. One that works on a VM
 * answers (u ReturnValue, o Job) in every case: 4096 with the job that runs, 0 with one that was done
 * at once, or the code of a refusal with a job that carries its sentence.
 */
#include "daemon/service_methods.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/adopt.h"
#include "daemon/apply.h"
#include "daemon/create.h"
#include "daemon/delta.h"
#include "daemon/job.h"
#include "daemon/ready.h"
#include "daemon/reverse.h"
#include "daemon/schedule.h"
#include "daemon/takeover.h"
#include "daemon/test_connection.h"
#include "daemon/vm.h"
#include "daemon/vm_settings.h"
#include "lib/bus.h"

#define REMOVE_METHOD "RemoveReplicationRelationship"

/* Msvm_ComputerSystem.RequestReplicationStateChange: RequestedState. */
enum {
	REQUEST_REPLICATE = 3,
	REQUEST_PREPARE = 4,
	REQUEST_SUSPEND = 7,
};

static int reply_job(sd_bus_message *message, uint32_t code, const struct job *job)
{
	char path[BUS_PATH_MAX];

	if (!job)
		return -ENOMEM;
	return sd_bus_reply_method_return(message, "uo", code,
					  bus_path(BUS_JOB_PREFIX, &job->r.id, path));
}

static int reply_refusal(sd_bus_message *message, struct daemon *d, struct vm *vm,
			 enum job_type type, const struct failure *why)
{
	log_warning("%s refused (%u, %s): %s", sd_bus_message_get_member(message), why->code,
		    code_name(why->code), why->text);
	return reply_job(message, why->code, job_refuse(d, vm, type, why));
}

static int check_sender(sd_bus_message *message, struct daemon *d, struct failure *f)
{
	int rc = bus_sender_is_allowed(message, d->config.group);

	if (rc > 0)
		return 0;
	return failure_set(f, CODE_ACCESS_DENIED, rc ? rc : -EACCES, "%s is for root%s%s.",
			   sd_bus_message_get_member(message),
			   d->config.group[0] ? " and members of group "
					      : "; see `group` in failbackd.conf",
			   d->config.group);
}

/*
 * Who is calling, and for which VM: what every such method checks first. *@ret_vm is NULL when it
 * is unknown.
 */
static int check_call(sd_bus_message *message, struct daemon *d, const char *path,
		      struct vm **ret_vm, struct failure *f)
{
	struct failure access;
	int rc;

	*ret_vm = NULL;
	if (check_sender(message, d, &access)) {
		(void)vm_find_by_path(d, path, ret_vm, NULL);
		*f = access;
		return -EACCES;
	}
	rc = vm_find_by_path(d, path, ret_vm, f);
	if (!rc && strcmp(sd_bus_message_get_member(message), REMOVE_METHOD) != 0)
		rc = vm_check_readable(*ret_vm, f);
	return rc;
}

static int reply_outcome(sd_bus_message *message, struct daemon *d, struct vm *vm,
			 enum job_type type, const struct job *job, const struct failure *why)
{
	if (!job)
		return reply_refusal(message, d, vm, type, why);
	return reply_job(message, job->r.state == JOB_COMPLETED ? CODE_COMPLETED : CODE_JOB_STARTED,
			 job);
}

/* ReverseReplicationRelationship and PlanReverse: (os). */
int method_reverse_relationship(sd_bus_message *message, void *context, sd_bus_error *error)
{
	bool plan_only = strcmp(sd_bus_message_get_member(message), "PlanReverse") == 0;
	struct daemon *d = context;
	const char *setting_data;
	struct failure why;
	struct job *job = NULL;
	const char *path;
	struct vm *vm;
	int rc;

	(void)error;
	rc = sd_bus_message_read(message, "os", &path, &setting_data);
	if (rc < 0)
		return rc;
	if (check_call(message, d, path, &vm, &why) == 0)
		job = reverse_start(vm, setting_data, plan_only, &why);
	return reply_outcome(message, d, vm, plan_only ? JOB_PLAN_REVERSE : JOB_REVERSE, job, &why);
}

static struct job *start_initial(struct vm *vm, struct failure *f)
{
	return delta_start(vm, JOB_SEND_INITIAL, f);
}

static struct job *resynchronize(struct vm *vm, struct failure *f)
{
	return delta_start(vm, JOB_RESYNCHRONIZE, f);
}

/* What takes nothing but a VM: (o). */
int method_simple(sd_bus_message *message, void *context, sd_bus_error *error)
{
	static const struct {
		const char *member;
		enum job_type type;
		struct job *(*start)(struct vm *vm, struct failure *f);
	} methods[] = {
		{ "StartReplication", JOB_SEND_INITIAL, start_initial },
		{ "Resynchronize", JOB_RESYNCHRONIZE, resynchronize },
		{ "RevertFailover", JOB_REVERT, takeover_revert },
		{ "CommitFailover", JOB_COMMIT, takeover_commit },
		{ "YieldToPeer", JOB_STATE_CHANGE, takeover_yield },
		{ "ForceStart", JOB_STATE_CHANGE, takeover_start },
		{ "TestReadiness", JOB_TEST_READINESS, ready_start },
		{ REMOVE_METHOD, JOB_REMOVE, remove_start },
	};
	const char *member = sd_bus_message_get_member(message);
	struct daemon *d = context;
	struct failure why;
	struct job *job = NULL;
	const char *path;
	struct vm *vm;
	size_t i = 0;
	int rc;

	(void)error;
	rc = sd_bus_message_read(message, "o", &path);
	if (rc < 0)
		return rc;
	while (strcmp(methods[i].member, member) != 0)
		i++;
	if (check_call(message, d, path, &vm, &why) == 0)
		job = methods[i].start(vm, &why);
	/* what was removed is not there to be named */
	return reply_outcome(message, d, job ? NULL : vm, methods[i].type, job, &why);
}

int method_initiate_failover(sd_bus_message *message, void *context, sd_bus_error *error)
{
	struct daemon *d = context;
	struct failure why;
	struct job *job = NULL;
	const char *snapshot;
	const char *path;
	struct vm *vm;
	int force;
	int rc;

	(void)error;
	rc = sd_bus_message_read(message, "osb", &path, &snapshot, &force);
	if (rc < 0)
		return rc;
	rc = check_call(message, d, path, &vm, &why);
	if (!rc && snapshot[0])
		rc = failure_set(&why, CODE_NOT_SUPPORTED, -EOPNOTSUPP,
				 "There are no recovery points to choose from: leave "
				 "SnapshotSettingData empty for the latest state.");
	if (!rc)
		job = takeover_failover(vm, force, &why);
	return reply_outcome(message, d, vm, JOB_FAILOVER, job, &why);
}

int method_create_relationship(sd_bus_message *message, void *context, sd_bus_error *error)
{
	struct daemon *d = context;
	const char *setting_data;
	struct failure why;
	struct job *job = NULL;
	const char *json;
	int rc;

	(void)error;
	rc = sd_bus_message_read(message, "ss", &json, &setting_data);
	if (rc < 0)
		return rc;
	if (check_sender(message, d, &why) == 0)
		job = create_start(d, json, setting_data, &why);
	return reply_outcome(message, d, NULL, JOB_CREATE, job, &why);
}

static struct job *modify(struct vm *vm, const char *setting_data, struct failure *f)
{
	struct vm_settings settings = { 0 };
	struct relationship_record next = vm->r;

	if (vm_check_idle(vm, f) || vm_settings_take(&vm->r, setting_data, &settings, f))
		return NULL;
	memcpy(next.peer, settings.peer, sizeof(next.peer));
	next.settings = settings.kept;
	if (vm_change(vm, &next, f)) {
		vm_settings_clear(&settings);
		return NULL;
	}
	schedule_later(vm);
	return job_succeed(vm, JOB_MODIFY, f);
}

int method_modify_settings(sd_bus_message *message, void *context, sd_bus_error *error)
{
	struct daemon *d = context;
	const char *setting_data;
	struct failure why;
	struct job *job = NULL;
	const char *path;
	struct vm *vm;
	int rc;

	(void)error;
	rc = sd_bus_message_read(message, "os", &path, &setting_data);
	if (rc < 0)
		return rc;
	if (check_call(message, d, path, &vm, &why) == 0)
		job = modify(vm, setting_data, &why);
	return reply_outcome(message, d, vm, JOB_MODIFY, job, &why);
}


static struct job *change_at_once(struct vm *vm, enum relationship_event event, struct failure *f)
{
	struct relationship_record next = vm->r;

	if (vm_apply_event(vm, event, &next, f) || vm_check_idle(vm, f))
		return NULL;
	if (event == EVENT_RESUME)
		next.health = HEALTH_OK;
	else if (event == EVENT_SUSPEND)
		next.health = vm->r.mode == MODE_PRIMARY ? HEALTH_WARNING : HEALTH_CRITICAL;
	if (vm_change(vm, &next, f))
		return NULL;
	return job_succeed(vm, JOB_STATE_CHANGE, f);
}

static struct job *replicate(struct vm *vm, enum job_type *ret_type, struct failure *f)
{
	bool suspended = vm->r.state == STATE_SUSPENDED ||
			 vm->r.state == STATE_RESYNCHRONIZE_SUSPENDED;
	struct relationship_record next = vm->r;

	if (vm->r.state == STATE_PREPARED || vm->r.ceded) {
		*ret_type = JOB_CANCEL_PREPARED;
		return takeover_cancel(vm, f);
	}
	*ret_type = JOB_STATE_CHANGE;
	if (vm->r.mode == MODE_REPLICA)
		return change_at_once(vm, EVENT_RESUME, f);
	*ret_type = JOB_SEND;
	if (suspended && (vm_apply_event(vm, EVENT_RESUME, &next, f) || vm_check_idle(vm, f) ||
			  vm_change(vm, &next, f)))
		return NULL;
	schedule_later(vm);
	return delta_start(vm, JOB_SEND, f);
}

static struct job *change_state(struct vm *vm, uint16_t requested, enum job_type *ret_type,
				struct failure *f)
{
	*ret_type = JOB_STATE_CHANGE;
	switch (requested) {
	case REQUEST_REPLICATE:
		return replicate(vm, ret_type, f);
	case REQUEST_PREPARE:
		*ret_type = JOB_PREPARE;
		return delta_start(vm, JOB_PREPARE, f);
	case REQUEST_SUSPEND:
		return change_at_once(vm, EVENT_SUSPEND, f);
	default:
		(void)failure_set(f, CODE_NOT_SUPPORTED, -EOPNOTSUPP,
				  "RequestedState %u is not supported by this version; 3 "
				  "(replicate), 4 (prepare a planned failover) and 7 (suspend) are.",
				  requested);
		return NULL;
	}
}

int method_request_state_change(sd_bus_message *message, void *context, sd_bus_error *error)
{
	enum job_type type = JOB_STATE_CHANGE;
	struct daemon *d = context;
	struct failure why;
	struct job *job = NULL;
	uint16_t requested;
	const char *path;
	struct vm *vm;
	int rc;

	(void)error;
	rc = sd_bus_message_read(message, "oq", &path, &requested);
	if (rc < 0)
		return rc;
	if (check_call(message, d, path, &vm, &why) == 0)
		job = change_state(vm, requested, &type, &why);
	return reply_outcome(message, d, vm, type, job, &why);
}

int method_test_connection(sd_bus_message *message, void *context, sd_bus_error *error)
{
	struct daemon *d = context;
	struct failure why;
	struct job *job = NULL;
	const char *path;
	const char *host;
	uint16_t port;
	struct vm *vm;
	int rc;

	(void)error;
	rc = sd_bus_message_read(message, "osq", &path, &host, &port);
	if (rc < 0)
		return rc;
	if (check_call(message, d, path, &vm, &why) == 0)
		job = test_connection_start(vm, host, port, &why);
	return reply_outcome(message, d, vm, JOB_TEST_CONNECTION, job, &why);
}

int method_apply(sd_bus_message *message, void *context, sd_bus_error *error)
{
	struct daemon *d = context;
	struct failure why = { .code = CODE_COMPLETED };
	bool changed = false;
	const char *json;
	int rc;

	(void)error;
	rc = sd_bus_message_read(message, "s", &json);
	if (rc < 0)
		return rc;
	rc = check_sender(message, d, &why);
	if (!rc)
		rc = apply_relationships(d, json, &changed, why.text, sizeof(why.text), &why);
	if (rc)
		log_warning("%s refused (%u, %s): %s", sd_bus_message_get_member(message), why.code,
			    code_name(why.code), why.text);
	return sd_bus_reply_method_return(message, "ubs", why.code, changed, why.text);
}

int method_adopt(sd_bus_message *message, void *context, sd_bus_error *error)
{
	struct failure why = { .code = CODE_COMPLETED };
	cleanup_free char *report = NULL;
	struct daemon *d = context;
	bool changed = false;
	const char *name;
	int rc;

	(void)error;
	rc = sd_bus_message_read(message, "s", &name);
	if (rc < 0)
		return rc;
	rc = check_sender(message, d, &why);
	if (!rc)
		rc = adopt_relationships(d, name, &changed, &report, why.text, sizeof(why.text), &why);
	if (rc)
		log_warning("%s refused (%u, %s): %s", sd_bus_message_get_member(message), why.code,
			    code_name(why.code), why.text);
	return sd_bus_reply_method_return(message, "ubss", why.code, changed, why.text,
					  report ? report : "[]");
}
