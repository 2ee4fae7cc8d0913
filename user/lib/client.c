// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Objects are read whole, with GetAll or GetManagedObjects, and a table puts each property where
 * it belongs.
 */
#include "lib/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macro.h"

#define CALL_TIMEOUT_US	  UINT64_C(25000000)
#define REQUEST_TERMINATE 4 /* CIM_ConcreteJob.RequestStateChange */

struct client {
	char *bus_address;
	sd_bus *bus; /* NULL: nothing was asked yet */
	uint64_t deadline_ns; /* 0: none */
};

struct property {
	const char *name;
	char type; /* of D-Bus */
	size_t offset;
	size_t size;
};

#define PROPERTY(kind, member, property_name, property_type)  \
	{                                                     \
		.name = property_name, .type = property_type, \
		.offset = offsetof(struct kind, member),      \
		.size = sizeof(((struct kind *)0)->member)    \
	}

static const struct property vm_properties[] = {
	PROPERTY(client_vm, id, "Name", 's'),
	PROPERTY(client_vm, name, "ElementName", 's'),
	PROPERTY(client_vm, mode, "ReplicationMode", 'q'),
	PROPERTY(client_vm, mode_name, "ReplicationModeName", 's'),
	PROPERTY(client_vm, state, "ReplicationState", 'q'),
	PROPERTY(client_vm, state_name, "ReplicationStateName", 's'),
	PROPERTY(client_vm, health, "ReplicationHealth", 'q'),
	PROPERTY(client_vm, health_name, "ReplicationHealthName", 's'),
	PROPERTY(client_vm, peer, "Peer", 's'),
	PROPERTY(client_vm, consistent, "Consistent", 'b'),
	PROPERTY(client_vm, may_run, "MayRun", 'b'),
	PROPERTY(client_vm, term, "Term", 't'),
	PROPERTY(client_vm, settings, "ReplicationSettingData", 's'),
	PROPERTY(client_vm, peer_mode, "PeerMode", 'q'),
	PROPERTY(client_vm, peer_state, "PeerState", 'q'),
	PROPERTY(client_vm, peer_state_name, "PeerStateName", 's'),
	PROPERTY(client_vm, peer_seen_us, "PeerSeen", 't'),
	PROPERTY(client_vm, lag_us, "Lag", 't'),
	PROPERTY(client_vm, seconds_to_catch_up, "SecondsToCatchUp", 't'),
	PROPERTY(client_vm, dirty_bytes, "DirtyBytes", 't'),
	PROPERTY(client_vm, last_replication_us, "LastReplicationTime", 't'),
	PROPERTY(client_vm, last_error, "LastError", 's'),
	PROPERTY(client_vm, split_brain, "SplitBrain", 's'),
};

static const struct property job_properties[] = {
	PROPERTY(client_job, id, "InstanceID", 's'),
	PROPERTY(client_job, name, "Name", 's'),
	PROPERTY(client_job, type, "JobType", 'q'),
	PROPERTY(client_job, state, "JobState", 'q'),
	PROPERTY(client_job, status, "JobStatus", 's'),
	PROPERTY(client_job, percent, "PercentComplete", 'q'),
	PROPERTY(client_job, code, "ErrorCode", 'q'),
	PROPERTY(client_job, text, "ErrorDescription", 's'),
	PROPERTY(client_job, elapsed_us, "ElapsedTime", 't'),
	PROPERTY(client_job, start_us, "StartTime", 't'),
	PROPERTY(client_job, bytes_total, "BytesTotal", 't'),
	PROPERTY(client_job, bytes_done, "BytesDone", 't'),
	PROPERTY(client_job, bytes_sent, "BytesSent", 't'),
	PROPERTY(client_job, bytes_per_second, "BytesPerSecond", 't'),
	PROPERTY(client_job, seconds_left, "SecondsLeft", 't'),
	PROPERTY(client_job, result, "Result", 's'),
	PROPERTY(client_job, vm_path, "ComputerSystem", 'o'),
	PROPERTY(client_job, follow_up, "FollowUpJob", 'o'),
};

static const struct kind {
	const char *interface;
	const struct property *properties;
	size_t nr_properties;
	size_t size; /* of the structure, which begins with the path */
} vm_kind = { BUS_RELATIONSHIP_INTERFACE, vm_properties, ARRAY_SIZE(vm_properties),
	      sizeof(struct client_vm) },
  job_kind = { BUS_JOB_INTERFACE, job_properties, ARRAY_SIZE(job_properties),
	       sizeof(struct client_job) };

static void unref_message_at(sd_bus_message **message)
{
	(void)sd_bus_message_unref(*message);
}

static void free_error_at(sd_bus_error *error)
{
	sd_bus_error_free(error);
}

/* --- calling --- */

static int explain(int rc, const sd_bus_error *error, struct failure *f)
{
	static const struct {
		const char *name;
		enum code code;
		const char *text;
	} known[] = {
		{ SD_BUS_ERROR_SERVICE_UNKNOWN, CODE_NOT_AVAILABLE,
		  "failbackd does not run on this host (nobody has the name " BUS_NAME
		  " on the bus); start it with "
		  "`systemctl start failbackd`." },
		{ SD_BUS_ERROR_NAME_HAS_NO_OWNER, CODE_NOT_AVAILABLE,
		  "failbackd does not run on this host." },
		{ SD_BUS_ERROR_NO_REPLY, CODE_TIMEOUT,
		  "failbackd does not answer, or ended meanwhile; see its log." },
		{ SD_BUS_ERROR_UNKNOWN_OBJECT, CODE_FAILED,
		  "failbackd no longer knows this object; was it restarted?" },
		{ BUS_NAME ".InvalidParameter", CODE_INVALID_PARAMETER, NULL },
	};

	for (size_t i = 0; error->name && i < ARRAY_SIZE(known); i++) {
		if (strcmp(error->name, known[i].name) == 0)
			return failure_set(f, known[i].code, rc, "%s",
					   known[i].text ? known[i].text : error->message);
	}
	return failure_set(f, code_of_errno(rc), rc, "failbackd cannot be asked: %s.",
			   error->message ? error->message : strerror(-rc));
}

static int explain_reply(int rc, struct failure *f)
{
	return failure_set(f, CODE_FAILED, rc,
			   "failbackd answered what this version does not understand: %s.",
			   strerror(-rc));
}

static uint64_t timeout_us(const struct client *client)
{
	uint64_t left_us;

	if (!client->deadline_ns)
		return CALL_TIMEOUT_US;
	/* Not 0, which is a default. */
	left_us = (uint64_t)deadline_left_ms(client->deadline_ns) * 1000 + 1;
	return min_of(left_us, CALL_TIMEOUT_US);
}

static int call(struct client *client, sd_bus_message *message, sd_bus_message **ret,
		struct failure *f)
{
	_cleanup_(free_error_at) sd_bus_error error = SD_BUS_ERROR_NULL;
	int rc = sd_bus_call(client->bus, message, timeout_us(client), &error, ret);

	return rc < 0 ? explain(rc, &error, f) : 0;
}

static int new_call(struct client *client, const char *path, const char *interface,
		    const char *method, sd_bus_message **ret, struct failure *f)
{
	int rc = client->bus ? 0 : bus_open(client->bus_address, &client->bus, f);

	if (rc < 0)
		return rc;
	rc = sd_bus_message_new_method_call(client->bus, ret, BUS_NAME, path, interface, method);
	return rc < 0 ? explain_reply(rc, f) : 0;
}

static int new_service_call(struct client *client, const char *method, sd_bus_message **ret,
			    struct failure *f)
{
	return new_call(client, BUS_SERVICE_PATH, BUS_SERVICE_INTERFACE, method, ret, f);
}

int client_open(const char *bus_address, struct client **ret, struct failure *f)
{
	_cleanup_(client_close_at) struct client *client = calloc(1, sizeof(*client));

	if (client)
		client->bus_address = strdup(bus_address);
	if (!client || !client->bus_address)
		return failure_no_memory(f);
	*ret = steal_ptr(client);
	return 0;
}

void client_set_deadline(struct client *client, uint64_t deadline_ns)
{
	client->deadline_ns = deadline_ns;
}

void client_close_at(struct client **at)
{
	struct client *client = steal_ptr(*at);

	if (!client)
		return;
	(void)sd_bus_flush_close_unref(client->bus);
	free(client->bus_address);
	free(client);
}

/* --- objects --- */

static int take_value(sd_bus_message *m, const struct property *p, void *object)
{
	char *member = (char *)object + p->offset;
	const char *text;
	int flag;
	int rc;

	if (p->type == 'q' || p->type == 't')
		return sd_bus_message_read_basic(m, p->type, member);
	if (p->type == 'b') {
		rc = sd_bus_message_read_basic(m, 'b', &flag);
		if (rc > 0)
			*(bool *)member = flag != 0;
		return rc;
	}
	rc = sd_bus_message_read_basic(m, p->type, &text);
	if (rc > 0)
		(void)snprintf(member, p->size, "%s", text);
	return rc;
}

static int take_property(sd_bus_message *m, const struct kind *kind, const char *name, void *object)
{
	for (size_t i = 0; i < kind->nr_properties; i++) {
		const struct property *p = &kind->properties[i];
		const char type[] = { p->type, '\0' };
		int rc;

		if (strcmp(p->name, name) != 0)
			continue;
		rc = sd_bus_message_enter_container(m, 'v', type);
		if (rc >= 0)
			rc = take_value(m, p, object);
		return rc < 0 ? rc : sd_bus_message_exit_container(m);
	}
	return sd_bus_message_skip(m, "v");
}

/* a{sv} */
static int take_properties(sd_bus_message *m, const struct kind *kind, void *object)
{
	int rc = sd_bus_message_enter_container(m, 'a', "{sv}");

	while (rc >= 0 && (rc = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		const char *name;

		rc = sd_bus_message_read(m, "s", &name);
		if (rc >= 0)
			rc = take_property(m, kind, name, object);
		if (rc >= 0)
			rc = sd_bus_message_exit_container(m);
	}
	return rc < 0 ? rc : sd_bus_message_exit_container(m);
}

static int get_object(struct client *client, const struct kind *kind, const char *path, void *ret,
		      struct failure *f)
{
	_cleanup_(unref_message_at) sd_bus_message *message = NULL;
	_cleanup_(unref_message_at) sd_bus_message *reply = NULL;
	int rc;

	rc = new_call(client, path, "org.freedesktop.DBus.Properties", "GetAll", &message, f);
	if (rc)
		return rc;
	rc = sd_bus_message_append(message, "s", kind->interface);
	if (rc < 0)
		return explain_reply(rc, f);
	rc = call(client, message, &reply, f);
	if (rc)
		return rc;
	memset(ret, 0, kind->size);
	(void)snprintf(ret, BUS_PATH_MAX, "%s", path);
	rc = take_properties(reply, kind, ret);
	return rc < 0 ? explain_reply(rc, f) : 0;
}

int client_get_vm(struct client *client, const char *path, struct client_vm *ret, struct failure *f)
{
	return get_object(client, &vm_kind, path, ret, f);
}

int client_get_job(struct client *client, const char *path, struct client_job *ret,
		   struct failure *f)
{
	return get_object(client, &job_kind, path, ret, f);
}

struct list {
	const struct kind *kind;
	char *objects;
	size_t nr;
};

/* One interface of the object at @path: s a{sv}. */
static int take_interface(sd_bus_message *m, const char *path, struct list *list)
{
	const char *interface;
	char *grown;
	int rc;

	rc = sd_bus_message_read(m, "s", &interface);
	if (rc < 0)
		return rc;
	if (strcmp(interface, list->kind->interface) != 0)
		return sd_bus_message_skip(m, "a{sv}");
	grown = reallocarray(list->objects, list->nr + 1, list->kind->size);
	if (!grown)
		return -ENOMEM;
	list->objects = grown;
	grown += list->nr++ * list->kind->size;
	memset(grown, 0, list->kind->size);
	(void)snprintf(grown, BUS_PATH_MAX, "%s", path);
	return take_properties(m, list->kind, grown);
}

/* One object: o a{sa{sv}}. */
static int take_object(sd_bus_message *m, struct list *list)
{
	const char *path;
	int rc;

	rc = sd_bus_message_read(m, "o", &path);
	if (rc >= 0)
		rc = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
	while (rc >= 0 && (rc = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
		rc = take_interface(m, path, list);
		if (rc >= 0)
			rc = sd_bus_message_exit_container(m);
	}
	return rc < 0 ? rc : sd_bus_message_exit_container(m);
}

static int list_objects(struct client *client, struct list *list, struct failure *f)
{
	_cleanup_(unref_message_at) sd_bus_message *message = NULL;
	_cleanup_(unref_message_at) sd_bus_message *reply = NULL;
	int rc;

	rc = new_call(client, BUS_ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects",
		      &message, f);
	if (!rc)
		rc = call(client, message, &reply, f);
	if (rc)
		return rc;
	rc = sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}");
	while (rc >= 0 && (rc = sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}")) > 0) {
		rc = take_object(reply, list);
		if (rc >= 0)
			rc = sd_bus_message_exit_container(reply);
	}
	if (rc >= 0)
		return 0;
	free(list->objects);
	return explain_reply(rc, f);
}

int client_list_vms(struct client *client, struct client_vm **ret, size_t *ret_nr,
		    struct failure *f)
{
	struct list list = { .kind = &vm_kind };
	int rc = list_objects(client, &list, f);

	if (rc)
		return rc;
	*ret = (struct client_vm *)(void *)list.objects;
	*ret_nr = list.nr;
	return 0;
}

int client_list_jobs(struct client *client, struct client_job **ret, size_t *ret_nr,
		     struct failure *f)
{
	struct list list = { .kind = &job_kind };
	int rc = list_objects(client, &list, f);

	if (rc)
		return rc;
	*ret = (struct client_job *)(void *)list.objects;
	*ret_nr = list.nr;
	return 0;
}

bool client_job_has_ended(const struct client_job *job)
{
	return (job->state >= 7 && job->state <= 10) || job->state == 32768;
}

/* --- methods --- */

int client_find_vm(struct client *client, const char *name, char ret[BUS_PATH_MAX],
		   struct failure *f)
{
	_cleanup_(unref_message_at) sd_bus_message *message = NULL;
	_cleanup_(unref_message_at) sd_bus_message *reply = NULL;
	const char *path;
	int rc;

	rc = new_service_call(client, "GetComputerSystem", &message, f);
	if (rc)
		return rc;
	rc = sd_bus_message_append(message, "s", name);
	if (rc < 0)
		return failure_set(f, CODE_INVALID_PARAMETER, rc,
				   "\"%.64s\" cannot be the name of a VM.", name);
	rc = call(client, message, &reply, f);
	if (rc)
		return rc;
	rc = sd_bus_message_read(reply, "o", &path);
	if (rc < 0)
		return explain_reply(rc, f);
	(void)snprintf(ret, BUS_PATH_MAX, "%s", path);
	return 0;
}

/* (u ReturnValue, o Job) */
static int call_for_job(struct client *client, sd_bus_message *message, char ret[BUS_PATH_MAX],
			struct failure *f)
{
	_cleanup_(unref_message_at) sd_bus_message *reply = NULL;
	struct client_job job;
	const char *path;
	uint32_t code;
	int rc;

	rc = call(client, message, &reply, f);
	if (rc)
		return rc;
	rc = sd_bus_message_read(reply, "uo", &code, &path);
	if (rc < 0)
		return explain_reply(rc, f);
	if (code == CODE_COMPLETED || code == CODE_JOB_STARTED) {
		(void)snprintf(ret, BUS_PATH_MAX, "%s", path);
		return 0;
	}
	if (client_get_job(client, path, &job, NULL))
		return failure_set(f, (enum code)code, -EREMOTEIO, "failbackd refused: %s.",
				   code_name(code));
	return failure_set(f, (enum code)code, -EREMOTEIO, "%s", job.text);
}

int client_act(struct client *client, const char *method, const char *vm_path,
	       char ret[BUS_PATH_MAX], struct failure *f)
{
	_cleanup_(unref_message_at) sd_bus_message *message = NULL;
	int rc;

	rc = new_service_call(client, method, &message, f);
	if (rc)
		return rc;
	rc = sd_bus_message_append(message, "o", vm_path);
	return rc < 0 ? explain_reply(rc, f) : call_for_job(client, message, ret, f);
}

static int act_with_text(struct client *client, const char *method, const char *signature,
			 const char *first, const char *text, char ret[BUS_PATH_MAX],
			 struct failure *f)
{
	_cleanup_(unref_message_at) sd_bus_message *message = NULL;
	int rc;

	rc = new_service_call(client, method, &message, f);
	if (rc)
		return rc;
	rc = sd_bus_message_append(message, signature, first, text);
	if (rc < 0)
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, rc,
				   "The data is not valid UTF-8 text.");
	return call_for_job(client, message, ret, f);
}

int client_act_with(struct client *client, const char *method, const char *vm_path,
		    const char *setting_data, char ret[BUS_PATH_MAX], struct failure *f)
{
	return act_with_text(client, method, "os", vm_path, setting_data, ret, f);
}

int client_create(struct client *client, const char *json, const char *setting_data,
		  char ret[BUS_PATH_MAX], struct failure *f)
{
	return act_with_text(client, "CreateReplicationRelationship", "ss", json, setting_data,
			     ret, f);
}

int client_test_connection(struct client *client, const char *vm_path, const char *host,
			   char ret[BUS_PATH_MAX], struct failure *f)
{
	_cleanup_(unref_message_at) sd_bus_message *message = NULL;
	int rc;

	rc = new_service_call(client, "TestReplicationConnection", &message, f);
	if (rc)
		return rc;
	rc = sd_bus_message_append(message, "osq", vm_path, host, (uint16_t)0);
	return rc < 0 ? explain_reply(rc, f) : call_for_job(client, message, ret, f);
}

int client_failover(struct client *client, const char *vm_path, bool force,
		    char ret[BUS_PATH_MAX], struct failure *f)
{
	_cleanup_(unref_message_at) sd_bus_message *message = NULL;
	int rc;

	rc = new_service_call(client, "InitiateFailover", &message, f);
	if (rc)
		return rc;
	rc = sd_bus_message_append(message, "osb", vm_path, "", (int)force);
	return rc < 0 ? explain_reply(rc, f) : call_for_job(client, message, ret, f);
}

int client_change_state(struct client *client, const char *vm_path, uint16_t state,
			char ret[BUS_PATH_MAX], struct failure *f)
{
	_cleanup_(unref_message_at) sd_bus_message *message = NULL;
	int rc;

	rc = new_service_call(client, "RequestReplicationStateChange", &message, f);
	if (rc)
		return rc;
	rc = sd_bus_message_append(message, "oq", vm_path, state);
	return rc < 0 ? explain_reply(rc, f) : call_for_job(client, message, ret, f);
}

int client_terminate_job(struct client *client, const char *path, struct failure *f)
{
	_cleanup_(unref_message_at) sd_bus_message *message = NULL;
	_cleanup_(unref_message_at) sd_bus_message *reply = NULL;
	uint32_t answer;
	int rc;

	rc = new_call(client, path, BUS_JOB_INTERFACE, "RequestStateChange", &message, f);
	if (rc)
		return rc;
	rc = sd_bus_message_append(message, "qt", (uint16_t)REQUEST_TERMINATE, UINT64_C(0));
	if (rc < 0)
		return explain_reply(rc, f);
	rc = call(client, message, &reply, f);
	if (rc)
		return rc;
	rc = sd_bus_message_read(reply, "u", &answer);
	if (rc < 0)
		return explain_reply(rc, f);
	if (answer == CODE_ACCESS_DENIED)
		return failure_set(f, CODE_ACCESS_DENIED, -EACCES,
				   "To terminate a job is for root; see `group` in "
				   "failbackd.conf.");
	if (answer != CODE_COMPLETED)
		return failure_set(f, CODE_INVALID_STATE, -EBUSY,
				   "The job has ended, or cannot be terminated at this step; "
				   "see `failback jobs`.");
	return 0;
}

/* Answered with a code and more, which the caller reads. @wrong: what a text that is none is told. */
static int call_with_text(struct client *client, const char *method, const char *text, const char *wrong,
			  sd_bus_message **ret, struct failure *f)
{
	_cleanup_(unref_message_at) sd_bus_message *message = NULL;
	int rc = new_service_call(client, method, &message, f);

	if (rc)
		return rc;
	rc = sd_bus_message_append(message, "s", text);
	if (rc < 0)
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, rc, "%s", wrong);
	return call(client, message, ret, f);
}

int client_apply(struct client *client, const char *json, bool *ret_changed, char *text,
		 size_t size, struct failure *f)
{
	_cleanup_(unref_message_at) sd_bus_message *reply = NULL;
	const char *sentence;
	uint32_t code;
	int changed;
	int rc;

	rc = call_with_text(client, "ApplyRelationships", json, "The file is not valid UTF-8 text.", &reply, f);
	if (rc)
		return rc;
	rc = sd_bus_message_read(reply, "ubs", &code, &changed, &sentence);
	if (rc < 0)
		return explain_reply(rc, f);
	if (code != CODE_COMPLETED)
		return failure_set(f, (enum code)code, -EREMOTEIO, "%s", sentence);
	*ret_changed = changed != 0;
	(void)snprintf(text, size, "%s", sentence);
	return 0;
}

int client_adopt(struct client *client, const char *name, char *text, size_t size,
		 char **ret_report, struct failure *f)
{
	_cleanup_(unref_message_at) sd_bus_message *reply = NULL;
	const char *sentence;
	const char *report;
	uint32_t code;
	int changed;
	int rc;

	rc = call_with_text(client, "AdoptRelationships", name, "The name is not valid UTF-8 text.", &reply, f);
	if (rc)
		return rc;
	rc = sd_bus_message_read(reply, "ubss", &code, &changed, &sentence, &report);
	if (rc < 0)
		return explain_reply(rc, f);
	*ret_report = strdup(report);
	if (code != CODE_COMPLETED)
		return failure_set(f, (enum code)code, -EREMOTEIO, "%s", sentence);
	(void)snprintf(text, size, "%s", sentence);
	return 0;
}

int client_export(struct client *client, char **ret, struct failure *f)
{
	_cleanup_(unref_message_at) sd_bus_message *message = NULL;
	_cleanup_(unref_message_at) sd_bus_message *reply = NULL;
	const char *text;
	int rc;

	rc = new_service_call(client, "ExportRelationships", &message, f);
	if (!rc)
		rc = call(client, message, &reply, f);
	if (rc)
		return rc;
	rc = sd_bus_message_read(reply, "s", &text);
	if (rc < 0)
		return explain_reply(rc, f);
	*ret = strdup(text);
	return *ret ? 0 : failure_no_memory(f);
}

int client_statistics(struct client *client, const char *vm_path, char **ret, struct failure *f)
{
	_cleanup_(unref_message_at) sd_bus_message *message = NULL;
	_cleanup_(unref_message_at) sd_bus_message *reply = NULL;
	struct client_job refused;
	uint32_t code = 0;
	const char *text;
	const char *job;
	int rc;

	rc = new_service_call(client, "GetReplicationStatistics", &message, f);
	if (rc)
		return rc;
	rc = sd_bus_message_append(message, "o", vm_path);
	if (rc < 0)
		return explain_reply(rc, f);
	rc = call(client, message, &reply, f);
	if (rc)
		return rc;
	rc = sd_bus_message_read(reply, "uso", &code, &text, &job);
	if (rc < 0)
		return explain_reply(rc, f);
	if (code) {
		rc = client_get_job(client, job, &refused, f);
		return rc ? rc : failure_set(f, (enum code)code, -EREMOTEIO, "%s", refused.text);
	}
	*ret = strdup(text);
	return *ret ? 0 : failure_no_memory(f);
}

int client_history(struct client *client, uint32_t max, char **ret, struct failure *f)
{
	_cleanup_(unref_message_at) sd_bus_message *message = NULL;
	_cleanup_(unref_message_at) sd_bus_message *reply = NULL;
	const char *text;
	int rc;

	rc = new_service_call(client, "GetJobHistory", &message, f);
	if (rc)
		return rc;
	rc = sd_bus_message_append(message, "u", max);
	if (rc < 0)
		return explain_reply(rc, f);
	rc = call(client, message, &reply, f);
	if (rc)
		return rc;
	rc = sd_bus_message_read(reply, "s", &text);
	if (rc < 0)
		return explain_reply(rc, f);
	*ret = strdup(text);
	return *ret ? 0 : failure_no_memory(f);
}
