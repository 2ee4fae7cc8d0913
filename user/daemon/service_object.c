// SPDX-License-Identifier: GPL-2.0-or-later
/* org.failback1.ReplicationService: its vtable, its signals, and the methods that only read. */
#include "daemon/objects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/apply.h"
#include "daemon/job.h"
#include "daemon/service_methods.h"
#include "daemon/statistics.h"
#include "daemon/vm.h"
#include "lib/bus.h"
#include "lib/json.h"

#define HISTORY_MAX 1000

static int get_computer_system(sd_bus_message *message, void *context, sd_bus_error *error)
{
	struct daemon *d = context;
	char path[BUS_PATH_MAX];
	struct failure why;
	const char *name;
	struct vm *vm;
	int rc;

	rc = sd_bus_message_read(message, "s", &name);
	if (rc < 0)
		return rc;
	if (vm_find_by_name(d, name, &vm, &why))
		return sd_bus_error_set(error, BUS_NAME ".InvalidParameter", why.text);
	return sd_bus_reply_method_return(message, "o", vm_path(vm, path));
}

static int get_export(sd_bus_message *message, void *context, sd_bus_error *error)
{
	cleanup_free char *text = export_relationships(context);

	(void)error;
	return text ? sd_bus_reply_method_return(message, "s", text) : -ENOMEM;
}

static struct json_object *job_to_json(const struct job_record *job)
{
	struct json_object *object = json_object_new_object();

	json_add_uuid(object, "InstanceID", &job->id);
	json_add_uuid(object, "vm", &job->vm);
	json_add_uint(object, "JobType", job->type);
	json_add_text(object, "Name", job_type_name(job->type));
	json_add_uint(object, "JobState", job->state);
	json_add_text(object, "JobStateName", job_state_name(job->state));
	json_add_uint(object, "ErrorCode", job->code);
	json_add_text(object, "ErrorDescription", job->text);
	json_add_uint(object, "StartTime", job->started_us);
	json_add_uint(object, "EndTime", job->ended_us);
	json_add_uint(object, "BytesTotal", job->bytes_total);
	json_add_uint(object, "BytesDone", job->bytes_done);
	json_add_uint(object, "BytesSent", job->bytes_sent);
	return object;
}

static int get_job_history(sd_bus_message *message, void *context, sd_bus_error *error)
{
	cleanup_json struct json_object *array = json_object_new_array();
	cleanup_free struct job_record *jobs = NULL;
	cleanup_free char *text = NULL;
	struct daemon *d = context;
	struct failure why;
	uint32_t max;
	size_t nr;
	int rc;

	rc = sd_bus_message_read(message, "u", &max);
	if (rc < 0)
		return rc;
	if (max == 0 || max > HISTORY_MAX)
		max = HISTORY_MAX;
	if (store_load_jobs(d->store, max, &jobs, &nr, &why))
		return sd_bus_error_set(error, BUS_NAME ".Failed", why.text);
	for (size_t i = 0; i < nr; i++)
		(void)json_object_array_add(array, job_to_json(&jobs[i]));
	text = json_text(array);
	return text ? sd_bus_reply_method_return(message, "s", text) : -ENOMEM;
}

/* Who may read needs no privilege; a success has no job. */
static int get_statistics(sd_bus_message *message, void *context, sd_bus_error *error)
{
	cleanup_free char *text = NULL;
	struct daemon *d = context;
	char path[BUS_PATH_MAX];
	const struct job *job;
	struct failure why;
	struct vm *vm = NULL;
	const char *name;
	int rc;

	(void)error;
	rc = sd_bus_message_read(message, "o", &name);
	if (rc < 0)
		return rc;
	rc = vm_find_by_path(d, name, &vm, &why);
	if (!rc)
		rc = vm_check_readable(vm, &why);
	if (!rc)
		rc = statistics_to_json(vm, &text, &why);
	if (!rc)
		return sd_bus_reply_method_return(message, "uso", CODE_COMPLETED, text, "/");
	job = job_refuse(d, vm, JOB_STATISTICS, &why);
	if (!job)
		return -ENOMEM;
	return sd_bus_reply_method_return(message, "uso", why.code, "",
					  bus_path(BUS_JOB_PREFIX, &job->r.id, path));
}

#define SIMPLE_METHOD(name)                                                       \
	SD_BUS_METHOD_WITH_ARGS(name, SD_BUS_ARGS("o", ComputerSystem),           \
				SD_BUS_RESULT("u", ReturnValue, "o", Job),        \
				method_simple, SD_BUS_VTABLE_UNPRIVILEGED)

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("GetComputerSystem", SD_BUS_ARGS("s", NameOrUuid),
				SD_BUS_RESULT("o", ComputerSystem), get_computer_system,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ReverseReplicationRelationship",
				SD_BUS_ARGS("o", ComputerSystem, "s", ReplicationSettingData),
				SD_BUS_RESULT("u", ReturnValue, "o", Job),
				method_reverse_relationship,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("PlanReverse",
				SD_BUS_ARGS("o", ComputerSystem, "s", ReplicationSettingData),
				SD_BUS_RESULT("u", ReturnValue, "o", Job),
				method_reverse_relationship,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("CreateReplicationRelationship",
				SD_BUS_ARGS("s", Relationship, "s", ReplicationSettingData),
				SD_BUS_RESULT("u", ReturnValue, "o", Job),
				method_create_relationship,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ModifyReplicationSettings",
				SD_BUS_ARGS("o", ComputerSystem, "s", ReplicationSettingData),
				SD_BUS_RESULT("u", ReturnValue, "o", Job),
				method_modify_settings,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("InitiateFailover",
				SD_BUS_ARGS("o", ComputerSystem, "s", SnapshotSettingData, "b",
					    Force),
				SD_BUS_RESULT("u", ReturnValue, "o", Job),
				method_initiate_failover,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("TestReplicationConnection",
				SD_BUS_ARGS("o", ComputerSystem, "s", RecoveryConnectionPoint, "q",
					    RecoveryServerPortNumber),
				SD_BUS_RESULT("u", ReturnValue, "o", Job),
				method_test_connection,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("GetReplicationStatistics", SD_BUS_ARGS("o", ComputerSystem),
				SD_BUS_RESULT("u", ReturnValue, "s", Statistics, "o", Job),
				get_statistics, SD_BUS_VTABLE_UNPRIVILEGED),
	SIMPLE_METHOD("StartReplication"),
	SIMPLE_METHOD("Resynchronize"),
	SIMPLE_METHOD("RevertFailover"),
	SIMPLE_METHOD("CommitFailover"),
	SIMPLE_METHOD("YieldToPeer"),
	SIMPLE_METHOD("ForceStart"),
	SIMPLE_METHOD("TestReadiness"),
	SIMPLE_METHOD("RemoveReplicationRelationship"),
	SD_BUS_METHOD_WITH_ARGS("RequestReplicationStateChange",
				SD_BUS_ARGS("o", ComputerSystem, "q", RequestedState),
				SD_BUS_RESULT("u", ReturnValue, "o", Job),
				method_request_state_change,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ApplyRelationships", SD_BUS_ARGS("s", Json),
				SD_BUS_RESULT("u", ReturnValue, "b", Changed, "s", Text),
				method_apply,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("AdoptRelationships", SD_BUS_ARGS("s", NameOrUuid),
				SD_BUS_RESULT("u", ReturnValue, "b", Changed, "s", Text, "s", Report),
				method_adopt, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ExportRelationships", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", Json),
				get_export, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("GetJobHistory", SD_BUS_ARGS("u", Max), SD_BUS_RESULT("s", Json),
				get_job_history, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_SIGNAL_WITH_ARGS("JobRemoved", SD_BUS_ARGS("o", Job, "u", Code, "s", Text), 0),
	SD_BUS_VTABLE_END,
};

int service_object_export(struct daemon *d)
{
	return sd_bus_add_object_vtable(d->bus, NULL, BUS_SERVICE_PATH, BUS_SERVICE_INTERFACE,
					vtable, d);
}

void service_object_job_removed(struct job *job)
{
	char path[BUS_PATH_MAX];

	if (job->daemon->bus)
		(void)sd_bus_emit_signal(job->daemon->bus, BUS_SERVICE_PATH, BUS_SERVICE_INTERFACE,
					 "JobRemoved", "ous",
					 bus_path(BUS_JOB_PREFIX, &job->r.id, path), job->r.code,
					 job->r.text);
}

int objects_export(struct daemon *d, struct failure *f)
{
	int rc = sd_bus_add_object_manager(d->bus, NULL, BUS_ROOT);

	if (rc >= 0)
		rc = service_object_export(d);
	if (rc >= 0)
		rc = relationship_object_export(d);
	if (rc >= 0)
		rc = job_object_export(d);
	if (rc < 0)
		return failure_set(f, CODE_FAILED, rc, "Cannot export objects on D-Bus: %s.",
				   strerror(-rc));
	return 0;
}
