// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "cli/follow.h"
#include "cli/print.h"
#include "lib/settings.h"

#define JOB_STATE_TERMINATED 8

/* RequestReplicationStateChange */
enum {
	STATE_REPLICATE = 3,
	STATE_PREPARED = 4,
};

static int run_reverse(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_free char *settings = NULL;
	char path[BUS_PATH_MAX];
	char job[BUS_PATH_MAX];
	struct client_vm vm;
	int rc = 0;

	if (o->settings_file)
		rc = read_text_file(o->settings_file, SETTINGS_TEXT_MAX, &settings, f);
	if (!rc)
		rc = client_find_vm(client, o->operand, path, f);
	if (!rc)
		rc = client_reverse(client, path, settings ? settings : "", job, f);
	if (!rc)
		rc = follow_jobs(client, job, o->json, !o->no_wait, f);
	/* Reversed, but no delta was started: the job is fine, the relationship is not. */
	if (!rc && !o->no_wait)
		rc = client_get_vm(client, path, &vm, f);
	if (!rc && !o->no_wait && vm.last_error[0])
		rc = failure_set(f, CODE_FAILED, -EIO, "The roles are swapped, but: %s",
				 vm.last_error);
	return rc;
}

static int run_change(struct client *client, const struct options *o, uint16_t state,
		      struct failure *f)
{
	char path[BUS_PATH_MAX];
	char job[BUS_PATH_MAX];
	int rc = client_find_vm(client, o->operand, path, f);

	if (!rc)
		rc = client_change_state(client, path, state, job, f);
	return rc ? rc : follow_jobs(client, job, o->json, !o->no_wait, f);
}

static int run_prepare(struct client *client, const struct options *o, struct failure *f)
{
	return run_change(client, o, STATE_PREPARED, f);
}

static int run_resume(struct client *client, const struct options *o, struct failure *f)
{
	return run_change(client, o, STATE_REPLICATE, f);
}

static int run_status(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_free struct client_vm *vms = NULL;
	char path[BUS_PATH_MAX];
	struct client_vm vm;
	size_t nr = 0;
	int rc;

	if (!o->operand) {
		rc = client_list_vms(client, &vms, &nr, f);
		return rc ? rc : print_vms(vms, nr, o->json, f);
	}
	rc = client_find_vm(client, o->operand, path, f);
	if (!rc)
		rc = client_get_vm(client, path, &vm, f);
	return rc ? rc : print_vms(&vm, 1, o->json, f);
}

static int run_jobs(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_free struct client_job *jobs = NULL;
	size_t nr = 0;
	int rc = client_list_jobs(client, &jobs, &nr, f);

	return rc ? rc : print_jobs(jobs, nr, o->json, f);
}

/* The path of the job that runs on a VM. */
static int find_running_job(struct client *client, const char *vm_path, const char *vm_name,
			    char ret[BUS_PATH_MAX], struct failure *f)
{
	cleanup_free struct client_job *jobs = NULL;
	size_t nr = 0;
	int rc = client_list_jobs(client, &jobs, &nr, f);

	for (size_t i = 0; !rc && i < nr; i++) {
		if (client_job_has_ended(&jobs[i]) || strcmp(jobs[i].vm_path, vm_path) != 0)
			continue;
		(void)snprintf(ret, BUS_PATH_MAX, "%s", jobs[i].path);
		return 0;
	}
	return rc ? rc
		  : failure_set(f, CODE_INVALID_STATE, -ESRCH, "No job runs on VM %.64s.", vm_name);
}

/* Until it has ended: terminated is what was asked for, completed is too late. */
static int run_terminate(struct client *client, const struct options *o, struct failure *f)
{
	char vm_path[BUS_PATH_MAX];
	char path[BUS_PATH_MAX];
	struct client_job job = { 0 };
	int rc;

	rc = client_find_vm(client, o->operand, vm_path, f);
	if (!rc)
		rc = find_running_job(client, vm_path, o->operand, path, f);
	if (!rc)
		rc = client_terminate_job(client, path, f);
	if (rc || o->no_wait)
		return rc;
	rc = follow_job(client, path, o->json, &job, f);
	return job.state == JOB_STATE_TERMINATED ? 0 : rc;
}

static const struct command table[] = {
	{ "reverse", "VM", OPTION_NO_WAIT | OPTION_SETTINGS, false, run_reverse,
	  "after a failover, on the host where the VM runs now: replicate the other way" },
	{ "status", "[VM]", 0, false, run_status, "how the replication of VMs stands" },
	{ "jobs", NULL, 0, false, run_jobs, "what runs, and what ran in the last five minutes" },
	{ "prepare", "VM", OPTION_NO_WAIT, false, run_prepare,
	  "with the VM off: send the last delta before a planned failover" },
	{ "resume", "VM", OPTION_NO_WAIT, false, run_resume,
	  "send a delta now; cancel a prepared failover" },
	{ "terminate", "VM", OPTION_NO_WAIT, false, run_terminate,
	  "end the job that runs on a VM; nothing is lost" },
	{ "apply", "FILE", 0, false, command_apply,
	  "make relationships as FILE says (- for standard input)" },
	{ "export", NULL, 0, false, command_export,
	  "print the relationships in the form that apply takes" },
	{ "help", "TOPIC", 0, true, command_help, "states: what may follow in which state" },
};

const struct command *commands(size_t *ret_nr)
{
	*ret_nr = ARRAY_SIZE(table);
	return table;
}

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	}
	return NULL;
}
