// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macro.h"
#include "base/size.h"
#include "base/text.h"
#include "lib/output.h"
#include "lib/table.h"

const char *name_text(const char *name, char buf[NAME_TEXT_MAX])
{
	text_make_printable(name, strlen(name), buf, NAME_TEXT_MAX);
	return buf;
}

const char *time_text(uint64_t us, char *buf, size_t size)
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm local;

	if (!us || !localtime_r(&seconds, &local) ||
	    !strftime(buf, size, "%Y-%m-%d %H:%M:%S", &local))
		(void)snprintf(buf, size, "-");
	return buf;
}

static const char *dirty_text(uint64_t bytes, char buf[SIZE_TEXT_LEN])
{
	if (bytes == CLIENT_UNKNOWN) {
		(void)snprintf(buf, SIZE_TEXT_LEN, "-");
		return buf;
	}
	return size_format(bytes, buf);
}

const char *job_state_text(const struct client_job *job)
{
	switch (job->state) {
	case 7:
		return "completed";
	case 8:
		return "terminated";
	case 10:
		return "failed";
	default:
		return job->status;
	}
}

void json_add_known(struct json_object *object, const char *name, uint64_t number)
{
	if (number == CLIENT_UNKNOWN)
		(void)json_object_object_add(object, name, NULL);
	else
		json_add_uint(object, name, number);
}

int print_vm_json(const struct client_vm *vm, const char *statistics, struct failure *f)
{
	cleanup_json struct json_object *object = output_document();

	json_add_text(object, "vm", vm->id);
	json_add_text(object, "name", vm->name);
	json_add_uint(object, "mode", vm->mode);
	json_add_text(object, "mode_name", vm->mode_name);
	json_add_uint(object, "state", vm->state);
	json_add_text(object, "state_name", vm->state_name);
	json_add_uint(object, "health", vm->health);
	json_add_text(object, "health_name", vm->health_name);
	json_add_text(object, "peer", vm->peer);
	(void)json_object_object_add(object, "consistent", json_object_new_boolean(vm->consistent));
	(void)json_object_object_add(object, "may_run", json_object_new_boolean(vm->may_run));
	json_add_uint(object, "term", vm->term);
	json_add_uint(object, "peer_mode", vm->peer_mode);
	json_add_uint(object, "peer_state", vm->peer_state);
	json_add_text(object, "peer_state_name", vm->peer_state_name);
	json_add_uint(object, "peer_seen_us", vm->peer_seen_us);
	json_add_known(object, "lag_us", vm->lag_us);
	json_add_known(object, "seconds_to_catch_up", vm->seconds_to_catch_up);
	json_add_known(object, "dirty_bytes", vm->dirty_bytes);
	json_add_uint(object, "last_replication_us", vm->last_replication_us);
	json_add_text(object, "last_error", vm->last_error);
	if (vm->split_brain[0])
		(void)json_object_object_add(object, "split_brain",
					     json_tokener_parse(vm->split_brain));
	if (statistics)
		(void)json_object_object_add(object, "statistics", json_tokener_parse(statistics));
	return output_print(object, f);
}

int print_job_json(const struct client_job *job, struct failure *f)
{
	cleanup_json struct json_object *object = output_document();

	json_add_text(object, "job", job->id);
	json_add_uint(object, "type", job->type);
	json_add_text(object, "name", job->name);
	json_add_uint(object, "state", job->state);
	json_add_text(object, "status", job->status);
	json_add_uint(object, "percent", job->percent);
	json_add_uint(object, "code", job->code);
	json_add_text(object, "text", job->text);
	json_add_uint(object, "start_us", job->start_us);
	json_add_uint(object, "elapsed_us", job->elapsed_us);
	json_add_uint(object, "bytes_total", job->bytes_total);
	json_add_uint(object, "bytes_done", job->bytes_done);
	json_add_uint(object, "bytes_sent", job->bytes_sent);
	json_add_uint(object, "bytes_per_second", job->bytes_per_second);
	json_add_known(object, "seconds_left", job->seconds_left);
	if (job->result[0])
		json_add_text(object, "result", job->result);
	return output_print(object, f);
}

static const char *span_text(uint64_t number, uint64_t ns_each, char buf[SIZE_TEXT_LEN])
{
	if (number == CLIENT_UNKNOWN)
		(void)snprintf(buf, SIZE_TEXT_LEN, "-");
	else
		(void)duration_format(number * ns_each, buf);
	return buf;
}

/* "192.0.2.2:7407 (Replica 3)": how the other side stood when it was heard of last. */
static const char *peer_text(const struct client_vm *vm, char *buf, size_t size)
{
	static const char *const modes[] = { "?", "Primary", "Replica" };

	if (vm->peer_mode && vm->peer_mode < ARRAY_SIZE(modes))
		(void)snprintf(buf, size, "%s (%s %u)", vm->peer, modes[vm->peer_mode],
			       vm->peer_state);
	else
		(void)snprintf(buf, size, "%s", vm->peer);
	return buf;
}

static int add_vm_row(struct table *table, const struct client_vm *vm)
{
	char state[96];
	char peer[96];
	char dirty[SIZE_TEXT_LEN];
	char lag[SIZE_TEXT_LEN];
	char catch_up[SIZE_TEXT_LEN];
	char last[32];
	const char *cells[] = {
		vm->name,
		vm->mode_name,
		vm->may_run ? "yes" : "no",
		state,
		vm->consistent ? vm->health_name : "Inconsistent",
		peer_text(vm, peer, sizeof(peer)),
		dirty_text(vm->dirty_bytes, dirty),
		span_text(vm->lag_us, 1000, lag),
		span_text(vm->seconds_to_catch_up, NS_PER_S, catch_up),
		time_text(vm->last_replication_us, last, sizeof(last)),
	};

	(void)snprintf(state, sizeof(state), "%u %s", vm->state, vm->state_name);
	return table_add(table, cells);
}

static int add_split_row(struct table *table, struct json_object *host)
{
	uint64_t bytes = CLIENT_UNKNOWN;
	uint64_t since = 0;
	uint64_t term = 0;
	char since_text[32];
	char bytes_text[SIZE_TEXT_LEN];
	char term_text[24];
	char name[64] = "";
	char mode[32] = "";
	char state[64] = "";
	char base[64] = "";
	const char *cells[] = { name, mode, state, since_text, term_text, base, bytes_text };

	(void)json_get_text("", host, "host", false, name, sizeof(name), NULL);
	(void)json_get_text("", host, "mode_name", false, mode, sizeof(mode), NULL);
	(void)json_get_text("", host, "state_name", false, state, sizeof(state), NULL);
	(void)json_get_text("", host, "base", false, base, sizeof(base), NULL);
	(void)json_get_uint("", host, "since_us", false, INT64_MAX, &since, NULL);
	(void)json_get_uint("", host, "term", false, INT64_MAX, &term, NULL);
	(void)json_get_uint("", host, "written_bytes", false, INT64_MAX, &bytes, NULL);
	(void)time_text(since, since_text, sizeof(since_text));
	(void)snprintf(term_text, sizeof(term_text), "%llu", (unsigned long long)term);
	(void)dirty_text(bytes, bytes_text);
	return table_add(table, cells);
}

/* Whose writes are to be given up? Both histories, for who has to say it. */
static int print_split_brain(const struct client_vm *vm)
{
	static const struct table_column columns[] = {
		{ "HOST", false },  { "MODE", false }, { "STATE", false }, { "SINCE", false },
		{ "TERM", true },   { "BASE", false }, { "WRITTEN SINCE", true },
	};
	cleanup_json struct json_object *hosts = json_tokener_parse(vm->split_brain);
	_cleanup_(table_free_at) struct table *table = NULL;
	int rc = table_new(columns, ARRAY_SIZE(columns), &table);

	for (size_t i = 0; !rc && hosts && i < json_object_array_length(hosts); i++)
		rc = add_split_row(table, json_object_array_get_idx(hosts, i));
	if (rc)
		return rc;
	(void)printf("\n");
	table_print(table, stdout);
	return 0;
}

static int print_vm_table(const struct client_vm *vms, size_t nr, struct failure *f)
{
	static const struct table_column columns[] = {
		{ "VM", false },     { "MODE", false },	     { "RUNS", false },
		{ "STATE", false },  { "HEALTH", false },    { "PEER", false },
		{ "DIRTY", true },   { "LAG", true },	     { "CATCH UP", true },
		{ "LAST REPLICATION", false },
	};
	_cleanup_(table_free_at) struct table *table = NULL;
	int rc = table_new(columns, ARRAY_SIZE(columns), &table);
	char name[NAME_TEXT_MAX];

	for (size_t i = 0; !rc && i < nr; i++)
		rc = add_vm_row(table, &vms[i]);
	if (rc)
		return failure_no_memory(f);
	table_print(table, stdout);
	for (size_t i = 0; !rc && i < nr; i++) {
		if (vms[i].last_error[0])
			(void)printf("\n%s: %s\n", name_text(vms[i].name, name), vms[i].last_error);
		if (vms[i].split_brain[0])
			rc = print_split_brain(&vms[i]);
	}
	return rc ? failure_no_memory(f) : 0;
}

int print_vms(const struct client_vm *vms, size_t nr, struct failure *f)
{
	if (nr)
		return print_vm_table(vms, nr, f);
	(void)printf("This host has no relationships; `failback apply FILE` makes them.\n");
	return 0;
}

static int compare_jobs(const void *a, const void *b)
{
	const struct client_job *first = a;
	const struct client_job *second = b;

	return (first->start_us > second->start_us) - (first->start_us < second->start_us);
}

static int add_job_row(struct table *table, const struct client_job *job)
{
	char started[32];
	char percent[16];
	char elapsed[SIZE_TEXT_LEN];
	char done[SIZE_TEXT_LEN];
	char code[16];
	const char *cells[] = {
		time_text(job->start_us, started, sizeof(started)),
		job->name,
		job_state_text(job),
		percent,
		size_format(job->bytes_done, done),
		duration_format(job->elapsed_us * 1000, elapsed),
		code,
	};

	(void)snprintf(percent, sizeof(percent), "%u %%", job->percent);
	(void)snprintf(code, sizeof(code), "%u", job->code);
	return table_add(table, cells);
}

static int print_job_table(const struct client_job *jobs, size_t nr, struct failure *f)
{
	static const struct table_column columns[] = {
		{ "STARTED", false }, { "JOB", false }, { "STATE", false }, { "DONE", true },
		{ "BYTES", true },    { "TIME", true }, { "CODE", true },
	};
	_cleanup_(table_free_at) struct table *table = NULL;
	int rc = table_new(columns, ARRAY_SIZE(columns), &table);

	for (size_t i = 0; !rc && i < nr; i++)
		rc = add_job_row(table, &jobs[i]);
	if (rc)
		return failure_no_memory(f);
	table_print(table, stdout);
	return 0;
}

int print_jobs(struct client_job *jobs, size_t nr, bool json, struct failure *f)
{
	int rc = 0;

	if (nr)
		qsort(jobs, nr, sizeof(*jobs), compare_jobs);
	if (!json && !nr)
		(void)printf("No job ran in the last five minutes, or since failbackd was started.\n");
	else if (!json)
		return print_job_table(jobs, nr, f);
	for (size_t i = 0; !rc && i < nr; i++)
		rc = print_job_json(&jobs[i], f);
	return rc;
}
