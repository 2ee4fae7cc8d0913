// SPDX-License-Identifier: GPL-2.0-or-later
/* wait, watch, log: what happens, for those who wait for it. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/command.h"
#include "cli/print.h"
#include "lib/output.h"

#define POLL_NS	    (NS_PER_S / 5)
#define HISTORY_MAX 1000
#define WAIT_MAX_S  (UINT64_C(365) * 86400)

static const struct timespec pause_time = { .tv_nsec = POLL_NS };

static int parse_number(const char *what, const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (errno || *end || text[0] < '0' || text[0] > '9' || *ret > max)
		return usage_error("%s must be 0 to %llu, not \"%.32s\"", what, (unsigned long long)max, text);
	return 0;
}

int command_wait(struct client *client, const struct options *o, struct failure *f)
{
	uint64_t timeout_s = WAIT_MAX_S;
	char path[BUS_PATH_MAX];
	struct client_vm vm;
	uint64_t deadline;
	uint64_t state;
	int rc;

	if (!o->state)
		return usage_error("`failback wait` needs --state and a number (`failback help states`)");
	rc = parse_number("--state", o->state, 21, &state);
	if (!rc && o->timeout)
		rc = parse_number("--timeout", o->timeout, WAIT_MAX_S, &timeout_s);
	if (!rc)
		rc = client_find_vm(client, o->operand, path, f);
	deadline = deadline_in_ms(timeout_s * 1000);
	while (!rc && !(rc = client_get_vm(client, path, &vm, f)) && vm.state != state) {
		if (!deadline_left_ms(deadline))
			return failure_set(f, CODE_TIMEOUT, -ETIMEDOUT,
					   "VM %.64s is in state %u (%s) after %llu s, not in %llu.",
					   vm.name, vm.state, vm.state_name,
					   (unsigned long long)timeout_s,
					   (unsigned long long)state);
		(void)nanosleep(&pause_time, NULL);
	}
	if (rc)
		return rc;
	return o->json ? print_vm_json(&vm, NULL, f) : print_vms(&vm, 1, f);
}

/* --- watch --- */

#define KEY_MAX (BUS_PATH_MAX + 600) /* an error is what takes most of it */

struct seen {
	char (*keys)[KEY_MAX];
	size_t nr;
};

/* Has this object been shown as it is now? Notes it. */
static bool is_news(struct seen *seen, const char *path, const char *state)
{
	char key[KEY_MAX];
	char (*grown)[KEY_MAX];
	size_t len = strlen(path);

	(void)snprintf(key, sizeof(key), "%s %s", path, state);
	for (size_t i = 0; i < seen->nr; i++) {
		if (strncmp(seen->keys[i], path, len) != 0 || seen->keys[i][len] != ' ')
			continue;
		if (strcmp(seen->keys[i], key) == 0)
			return false;
		memcpy(seen->keys[i], key, sizeof(key));
		return true;
	}
	grown = reallocarray(seen->keys, seen->nr + 1, sizeof(*grown));
	if (!grown)
		return true;
	seen->keys = grown;
	memcpy(seen->keys[seen->nr++], key, sizeof(key));
	return true;
}

static int show_vm(const struct client_vm *vm, bool json, struct failure *f)
{
	char name[NAME_TEXT_MAX];

	if (json)
		return print_vm_json(vm, NULL, f);
	(void)printf("%s: %s, state %u %s, health %s%s%s\n", name_text(vm->name, name), vm->mode_name,
		     vm->state, vm->state_name, vm->health_name, vm->last_error[0] ? ": " : "",
		     vm->last_error);
	return 0;
}

static int show_job(const struct client_job *job, bool json, struct failure *f)
{
	if (json)
		return print_job_json(job, f);
	(void)printf("%s: %s, %u %%%s%s\n", job->name, job_state_text(job), job->percent,
		     job->text[0] ? ": " : "", job->text);
	return 0;
}

static int watch_once(struct client *client, struct seen *seen, bool json, struct failure *f)
{
	cleanup_free struct client_vm *vms = NULL;
	cleanup_free struct client_job *jobs = NULL;
	size_t nr_vms = 0;
	size_t nr_jobs = 0;
	char state[KEY_MAX];
	int rc = client_list_vms(client, &vms, &nr_vms, f);

	for (size_t i = 0; !rc && i < nr_vms; i++) {
		(void)snprintf(state, sizeof(state), "%u %u %u %llu %s", vms[i].mode,
			       vms[i].state, vms[i].health, (unsigned long long)vms[i].term,
			       vms[i].last_error);
		if (is_news(seen, vms[i].path, state))
			rc = show_vm(&vms[i], json, f);
	}
	if (!rc)
		rc = client_list_jobs(client, &jobs, &nr_jobs, f);
	for (size_t i = 0; !rc && i < nr_jobs; i++) {
		(void)snprintf(state, sizeof(state), "%u %u", jobs[i].state, jobs[i].percent);
		if (is_news(seen, jobs[i].path, state))
			rc = show_job(&jobs[i], json, f);
	}
	return rc ? rc : output_flush(f);
}

int command_watch(struct client *client, const struct options *o, struct failure *f)
{
	struct seen seen = { 0 };
	int rc;

	while (!(rc = watch_once(client, &seen, o->json, f)))
		(void)nanosleep(&pause_time, NULL);
	free(seen.keys);
	return rc;
}

/* --- log --- */

static const char *member_text(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	(void)json_object_object_get_ex(object, name, &value);
	return value ? json_object_get_string(value) : "";
}

int command_log(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_json struct json_object *array = NULL;
	cleanup_free char *text = NULL;
	char at[32];
	int rc = client_history(client, HISTORY_MAX, &text, f);

	if (rc)
		return rc;
	array = json_tokener_parse(text);
	for (size_t i = array ? json_object_array_length(array) : 0; i--;) {
		struct json_object *job = json_object_array_get_idx(array, i);

		if (o->json) {
			(void)json_object_object_add(job, "schema", json_object_new_int(1));
			rc = output_print(job, f);
			if (rc)
				return rc;
			continue;
		}
		(void)printf("%s  %s  %s: %s%s%s\n",
			     time_text(strtoull(member_text(job, "StartTime"), NULL, 10), at,
				       sizeof(at)),
			     member_text(job, "vm"), member_text(job, "Name"),
			     member_text(job, "JobStateName"),
			     member_text(job, "ErrorDescription")[0] ? ": " : "",
			     member_text(job, "ErrorDescription"));
	}
	return 0;
}
