// SPDX-License-Identifier: GPL-2.0-or-later
/* org.failback1.ConcreteJob: properties as those of Msvm_ConcreteJob, times in microseconds. */
#include "daemon/objects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/job.h"
#include "daemon/vm.h"
#include "lib/bus.h"
#include "lib/cimxml.h"

/* What RequestStateChange() is asked for, and what it answers. */
enum {
	REQUEST_TERMINATE = 4,
	ANSWER_COMPLETED = 0,
	ANSWER_NOT_SUPPORTED = 1,
	ANSWER_INVALID_TRANSITION = 4097,
	ANSWER_TIMEOUT_NOT_SUPPORTED = 4098,
};

static int find(sd_bus *bus, const char *path, const char *interface, void *context, void **ret,
		sd_bus_error *error)
{
	struct uuid id;
	struct job *job;

	(void)bus;
	(void)interface;
	(void)error;
	if (bus_path_uuid(BUS_JOB_PREFIX, path, &id))
		return 0;
	job = job_find(context, &id);
	if (!job)
		return 0;
	*ret = job;
	return 1;
}

static int enumerate(sd_bus *bus, const char *prefix, void *context, char ***ret,
		     sd_bus_error *error)
{
	struct daemon *d = context;
	char path[BUS_PATH_MAX];
	char **paths = NULL;
	size_t nr = 0;

	(void)bus;
	(void)prefix;
	(void)error;
	for (struct job *job = d->jobs; job; job = job->next) {
		int rc = bus_paths_add(&paths, &nr, bus_path(BUS_JOB_PREFIX, &job->r.id, path));

		if (rc)
			return rc;
	}
	*ret = paths;
	return 0;
}

/* --- properties --- */

BUS_GETTER(get_id)
{
	const struct job *job = context;
	char text[UUID_TEXT_LEN + 1];

	return sd_bus_message_append(reply, "s", uuid_format(&job->r.id, text));
}

BUS_GETTER(get_name)
{
	const struct job *job = context;

	return sd_bus_message_append(reply, "s", job_type_name(job->r.type));
}

/* All that is a uint16 in the class. */
BUS_GETTER(get_u16)
{
	const struct job *job = context;
	unsigned int number = job->r.state;

	if (strcmp(property, "JobType") == 0)
		number = job->r.type;
	else if (strcmp(property, "PercentComplete") == 0)
		number = job->r.state == JOB_COMPLETED ? 100 : progress_percent(&job->progress);
	else if (strcmp(property, "ErrorCode") == 0)
		number = job->r.code;
	return sd_bus_message_append(reply, "q", (uint16_t)number);
}

BUS_GETTER(get_text)
{
	const struct job *job = context;
	const char *text = job->r.text;

	if (strcmp(property, "JobStatus") == 0)
		text = job->status;
	else if (strcmp(property, "Result") == 0)
		text = job->result ? job->result : "";
	return sd_bus_message_append(reply, "s", text);
}

BUS_GETTER(get_u64)
{
	const struct job *job = context;
	const struct progress *p = &job->progress;
	uint64_t number = 0;

	if (strcmp(property, "BytesTotal") == 0)
		number = p->bytes_total;
	else if (strcmp(property, "BytesDone") == 0)
		number = p->bytes_done;
	else if (strcmp(property, "BytesSent") == 0)
		number = p->bytes_sent;
	else if (strcmp(property, "BytesPerSecond") == 0)
		number = job_has_ended(job) ? 0 : progress_rate(p, clock_ns());
	else if (strcmp(property, "SecondsLeft") == 0)
		number = job_has_ended(job) ? 0 : progress_seconds_left(p, clock_ns());
	else if (strcmp(property, "ElapsedTime") == 0)
		number = job_elapsed_us(job);
	else if (strcmp(property, "StartTime") == 0)
		number = job->r.started_us;
	else if (strcmp(property, "TimeBeforeRemoval") == 0)
		number = job->daemon->config.job_retention * 1000000;
	return sd_bus_message_append(reply, "t", number);
}

BUS_GETTER(get_cancellable)
{
	const struct job *job = context;

	return sd_bus_message_append(reply, "b", job->cancel != NULL);
}

BUS_GETTER(get_vm)
{
	const struct job *job = context;
	char buf[BUS_PATH_MAX];

	return sd_bus_message_append(reply, "o", job->vm ? vm_path(job->vm, buf) : "/");
}

BUS_GETTER(get_follow_up)
{
	const struct job *job = context;
	char buf[BUS_PATH_MAX];

	return sd_bus_message_append(reply, "o",
				     uuid_is_nil(&job->follow_up)
					     ? "/"
					     : bus_path(BUS_JOB_PREFIX, &job->follow_up, buf));
}

/* --- methods --- */

static int request_state_change(sd_bus_message *message, void *context, sd_bus_error *error)
{
	struct job *job = context;
	uint32_t answer = ANSWER_COMPLETED;
	uint64_t timeout_ms;
	uint16_t state;
	int rc;

	(void)error;
	rc = sd_bus_message_read(message, "qt", &state, &timeout_ms);
	if (rc < 0)
		return rc;
	rc = bus_sender_is_allowed(message, job->daemon->config.group);
	if (rc < 0)
		return rc;
	if (!rc)
		answer = CODE_ACCESS_DENIED;
	else if (timeout_ms)
		answer = ANSWER_TIMEOUT_NOT_SUPPORTED;
	else if (state != REQUEST_TERMINATE)
		answer = ANSWER_NOT_SUPPORTED;
	else if (!job->cancel)
		answer = ANSWER_INVALID_TRANSITION;
	if (answer == ANSWER_COMPLETED) {
		job->terminating = true;
		job->cancel(job->operation);
	}
	return sd_bus_reply_method_return(message, "u", answer);
}

static int get_error(sd_bus_message *message, void *context, sd_bus_error *error)
{
	const struct job *job = context;
	struct failure why = { .code = job->r.code };
	cleanup_free char *text = NULL;

	(void)error;
	if (!job->r.code)
		return sd_bus_reply_method_return(message, "s", "");
	memcpy(why.text, job->r.text, sizeof(why.text));
	text = cimxml_error(&why);
	return text ? sd_bus_reply_method_return(message, "s", text) : -ENOMEM;
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	BUS_PROPERTY_CONST("InstanceID", "s", get_id),
	BUS_PROPERTY_CONST("Name", "s", get_name),
	BUS_PROPERTY_CONST("JobType", "q", get_u16),
	BUS_PROPERTY_CHANGING("JobState", "q", get_u16),
	BUS_PROPERTY_CHANGING("JobStatus", "s", get_text),
	BUS_PROPERTY_CHANGING("PercentComplete", "q", get_u16),
	BUS_PROPERTY_CHANGING("ErrorCode", "q", get_u16),
	BUS_PROPERTY_CHANGING("ErrorDescription", "s", get_text),
	BUS_PROPERTY_CHANGING("Result", "s", get_text),
	BUS_PROPERTY_CHANGING("ElapsedTime", "t", get_u64),
	BUS_PROPERTY_CONST("StartTime", "t", get_u64),
	BUS_PROPERTY_CONST("TimeBeforeRemoval", "t", get_u64),
	BUS_PROPERTY_CHANGING("BytesTotal", "t", get_u64),
	BUS_PROPERTY_CHANGING("BytesDone", "t", get_u64),
	BUS_PROPERTY_CHANGING("BytesSent", "t", get_u64),
	BUS_PROPERTY_CHANGING("BytesPerSecond", "t", get_u64),
	BUS_PROPERTY_CHANGING("SecondsLeft", "t", get_u64),
	BUS_PROPERTY_CHANGING("Cancellable", "b", get_cancellable),
	BUS_PROPERTY_CONST("ComputerSystem", "o", get_vm),
	BUS_PROPERTY_CHANGING("FollowUpJob", "o", get_follow_up),
	SD_BUS_METHOD_WITH_ARGS(
		"RequestStateChange", SD_BUS_ARGS("q", RequestedState, "t", TimeoutMs),
		SD_BUS_RESULT("u", ReturnValue), request_state_change, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("GetError", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", Error), get_error,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

int job_object_export(struct daemon *d)
{
	int rc = sd_bus_add_fallback_vtable(d->bus, NULL, BUS_JOB_PREFIX, BUS_JOB_INTERFACE, vtable,
					    find, d);

	return rc < 0 ? rc : sd_bus_add_node_enumerator(d->bus, NULL, BUS_JOB_PREFIX, enumerate, d);
}

/* --- announcements --- */

void job_object_added(struct job *job)
{
	char path[BUS_PATH_MAX];

	if (job->daemon->bus)
		(void)sd_bus_emit_object_added(job->daemon->bus,
					       bus_path(BUS_JOB_PREFIX, &job->r.id, path));
}

void job_object_changed(struct job *job)
{
	char path[BUS_PATH_MAX];

	if (!job->daemon->bus)
		return;
	(void)sd_bus_emit_properties_changed(
		job->daemon->bus, bus_path(BUS_JOB_PREFIX, &job->r.id, path), BUS_JOB_INTERFACE,
		"JobState", "JobStatus", "PercentComplete", "ErrorCode", "ErrorDescription", "Result",
		"ElapsedTime", "BytesTotal", "BytesDone", "BytesSent", "BytesPerSecond",
		"SecondsLeft", "Cancellable", "FollowUpJob", NULL);
}

void job_object_removed(struct job *job)
{
	char path[BUS_PATH_MAX];

	if (job->daemon->bus)
		(void)sd_bus_emit_object_removed(job->daemon->bus,
						 bus_path(BUS_JOB_PREFIX, &job->r.id, path));
}
