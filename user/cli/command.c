// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "base/size.h"
#include "cli/follow.h"
#include "cli/print.h"
#include "lib/output.h"
#include "lib/tracker_table.h"

#define EXIT_USAGE 2

#define JOB_STATE_TERMINATED 8

#define MODE_PRIMARY 1

/* RequestReplicationStateChange, the first of them */
enum {
	STATE_REPLICATE = 3,
	STATE_PREPARED = 4,
	STATE_RECOVERED = 5,
	STATE_COMMITTED = 6,
	STATE_SUSPENDED = 7,
};

#define JOB_TYPE_SEND	      105
#define JOB_TYPE_SEND_INITIAL 116

/* The path of the job that runs on a VM, "" for none. @type: of such a job only; 0: of any. */
static int find_running_job(struct client *client, const char *vm_path, uint16_t type,
			    char ret[BUS_PATH_MAX], struct failure *f)
{
	cleanup_free struct client_job *jobs = NULL;
	size_t nr = 0;
	int rc = client_list_jobs(client, &jobs, &nr, f);

	ret[0] = '\0';
	for (size_t i = 0; !rc && i < nr; i++) {
		if (client_job_has_ended(&jobs[i]) || strcmp(jobs[i].vm_path, vm_path) != 0 ||
		    (type && jobs[i].type != type))
			continue;
		(void)snprintf(ret, BUS_PATH_MAX, "%s", jobs[i].path);
	}
	return rc;
}

/* One that runs, whatever becomes of it. */
static void await_delta(struct client *client, const char *vm_path, const char *vm_name)
{
	char path[BUS_PATH_MAX];
	struct client_job job;

	if (find_running_job(client, vm_path, JOB_TYPE_SEND, path, NULL) || !path[0])
		return;
	(void)fprintf(stderr, "VM %s sends a delta, which is waited for (`failback terminate %s` ends it).\n",
		      vm_name, vm_name);
	(void)await_job(client, path, &job, NULL);
}

/* A method that takes nothing but the VM, or, when that is NULL, a change of its state. */
static int ask(struct client *client, const char *vm_path, const char *method, uint16_t state,
	       char ret_job[BUS_PATH_MAX], struct failure *f)
{
	return method ? client_act(client, method, vm_path, ret_job, f)
		      : client_change_state(client, vm_path, state, ret_job, f);
}

/*
 * A delta of the schedule runs whenever it likes: who asks for something else should not have to
 * know. Another one may begin between the look for it and the request: once, not every time.
 */
static int start_behind_delta(struct client *client, const struct options *o, const char *method,
			      uint16_t state, char ret_job[BUS_PATH_MAX], struct failure *f)
{
	char path[BUS_PATH_MAX];
	int rc = client_find_vm(client, o->operand, path, f);

	if (rc)
		return rc;
	for (int tries = 0; tries < 2; tries++) {
		if (!o->no_wait)
			await_delta(client, path, o->operand);
		rc = ask(client, path, method, state, ret_job, f);
		if (!rc || f->code != CODE_IN_USE || o->no_wait)
			break;
	}
	return rc;
}

int command_start(struct client *client, const struct options *o, const char *method,
		  char ret_job[BUS_PATH_MAX], struct failure *f)
{
	return start_behind_delta(client, o, method, 0, ret_job, f);
}

static int ask_behind_delta(struct client *client, const struct options *o, const char *method,
			    uint16_t state, struct failure *f)
{
	char job[BUS_PATH_MAX];
	int rc = start_behind_delta(client, o, method, state, job, f);

	return rc ? rc : follow_jobs(client, job, o->json, !o->no_wait, f);
}

static int run_change(struct client *client, const struct options *o, uint16_t state,
		      struct failure *f)
{
	return ask_behind_delta(client, o, NULL, state, f);
}

static int run_prepare(struct client *client, const struct options *o, struct failure *f)
{
	return run_change(client, o, STATE_PREPARED, f);
}

static int run_resume(struct client *client, const struct options *o, struct failure *f)
{
	return run_change(client, o, STATE_REPLICATE, f);
}

static int run_suspend(struct client *client, const struct options *o, struct failure *f)
{
	return run_change(client, o, STATE_SUSPENDED, f);
}

static int run_failover(struct client *client, const struct options *o, struct failure *f)
{
	char path[BUS_PATH_MAX];
	char job[BUS_PATH_MAX];
	int rc = client_find_vm(client, o->operand, path, f);

	if (!rc)
		rc = client_failover(client, path, o->force, job, f);
	return rc ? rc : follow_jobs(client, job, o->json, !o->no_wait, f);
}

static int act(struct client *client, const struct options *o, const char *method,
	       struct failure *f)
{
	return ask_behind_delta(client, o, method, 0, f);
}

/* Repeated, for example after its caller was cut off: the one that is under way. */
int command_initial(struct client *client, const struct options *o, struct failure *f)
{
	char path[BUS_PATH_MAX];
	char job[BUS_PATH_MAX];
	int rc = client_find_vm(client, o->operand, path, f);

	if (!rc)
		rc = find_running_job(client, path, JOB_TYPE_SEND_INITIAL, job, f);
	if (rc)
		return rc;
	return job[0] ? follow_jobs(client, job, o->json, !o->no_wait, f) :
			act(client, o, "StartReplication", f);
}

static int run_resync(struct client *client, const struct options *o, struct failure *f)
{
	return act(client, o, "Resynchronize", f);
}

/* What was written here since both hosts held the same: it would be given up, or was. */
static int tell_loss(const struct options *o, const struct client_vm *vm, bool done, struct failure *f)
{
	cleanup_json struct json_object *object = NULL;
	char name[NAME_TEXT_MAX];
	char bytes[SIZE_TEXT_LEN];

	if (o->json) {
		object = output_document();
		json_add_text(object, "name", vm->name);
		json_add_known(object, done ? "given_up_bytes" : "would_give_up_bytes", vm->dirty_bytes);
		return output_print(object, f);
	}
	if (vm->dirty_bytes)
		(void)printf("%s: %s written on this host since both hosts held the same %s given up.\n",
			     name_text(vm->name, name),
			     vm->dirty_bytes == CLIENT_UNKNOWN ? "an unknown number of bytes" :
								 size_format(vm->dirty_bytes, bytes),
			     done ? "are" : "would be");
	return output_flush(f);
}

static int get_named(struct client *client, const struct options *o, struct client_vm *ret, struct failure *f)
{
	char path[BUS_PATH_MAX];
	int rc = client_find_vm(client, o->operand, path, f);

	return rc ? rc : client_get_vm(client, path, ret, f);
}

static int give_up(struct client *client, const struct options *o, const char *method,
		   struct failure *f)
{
	struct client_vm vm;
	int rc = get_named(client, o, &vm, f);

	if (!rc)
		rc = tell_loss(o, &vm, false, f);
	if (!rc)
		rc = act(client, o, method, f);
	return rc ? rc : tell_loss(o, &vm, true, f);
}

static int run_revert(struct client *client, const struct options *o, struct failure *f)
{
	return give_up(client, o, "RevertFailover", f);
}

static int run_commit(struct client *client, const struct options *o, struct failure *f)
{
	return act(client, o, "CommitFailover", f);
}

static int run_yield(struct client *client, const struct options *o, struct failure *f)
{
	return give_up(client, o, "YieldToPeer", f);
}

static int run_remove(struct client *client, const struct options *o, struct failure *f)
{
	char name[NAME_TEXT_MAX];
	struct client_vm vm;
	int rc = get_named(client, o, &vm, f);

	if (!rc)
		rc = act(client, o, "RemoveReplicationRelationship", f);
	/* Where it runs, or was held. */
	if (!rc && (vm.mode == MODE_PRIMARY || vm.state == STATE_RECOVERED || vm.state == STATE_COMMITTED))
		(void)fprintf(stderr, "Where VM %s runs on, no failbackd gives its devices their names any more: write `start` "
				      "behind the lines of its disks in " TRACKER_TABLE_FILE " (failback-trackers(5)), then `cbtctl "
				      "activate`; or, with the VM off, `cbtctl deactivate NAME` for each, before its line is taken out, and "
				      "give the VM its disks themselves.\n",
			      name_text(vm.name, name));
	return rc;
}

static int run_start(struct client *client, const struct options *o, struct failure *f)
{
	if (!o->force)
		return usage_error("`failback start` is for a VM that its peer cannot release: be sure that it "
				   "does not run there, and give --force");
	return act(client, o, "ForceStart", f);
}

static int print_status(struct client *client, const struct client_vm *vms, size_t nr, bool json,
			struct failure *f)
{
	int rc = json ? 0 : print_vms(vms, nr, f);

	for (size_t i = 0; json && !rc && i < nr; i++) {
		cleanup_free char *statistics = NULL;

		/* A VM whose record cannot be read has none, and is shown all the same. */
		(void)client_statistics(client, vms[i].path, &statistics, NULL);
		rc = print_vm_json(&vms[i], statistics, f);
	}
	return rc;
}

static int run_status(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_free struct client_vm *vms = NULL;
	struct client_vm vm;
	size_t nr = 0;
	int rc;

	if (!o->operand) {
		rc = client_list_vms(client, &vms, &nr, f);
		return rc ? rc : print_status(client, vms, nr, o->json, f);
	}
	rc = get_named(client, o, &vm, f);
	return rc ? rc : print_status(client, &vm, 1, o->json, f);
}

static int run_jobs(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_free struct client_job *jobs = NULL;
	size_t nr = 0;
	int rc = client_list_jobs(client, &jobs, &nr, f);

	return rc ? rc : print_jobs(jobs, nr, o->json, f);
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
		rc = find_running_job(client, vm_path, 0, path, f);
	if (!rc && !path[0])
		rc = failure_set(f, CODE_INVALID_STATE, -ESRCH, "No job runs on VM %.64s.", o->operand);
	if (!rc)
		rc = client_terminate_job(client, path, f);
	if (rc || o->no_wait)
		return rc;
	rc = follow_job(client, path, o->json, &job, f);
	return job.state == JOB_STATE_TERMINATED ? 0 : rc;
}

static const struct command table[] = {
	{ "status", "[VM]", 0, false, run_status, "how the replication of VMs stands" },
	{ "jobs", NULL, 0, false, run_jobs, "what runs, and what ran in the last five minutes" },
	{ "log", NULL, 0, false, command_log, "what ran and has ended: the newest 1000 jobs, the oldest of them first" },
	{ "watch", NULL, 0, false, command_watch, "print every change as it happens" },
	{ "wait", "VM", OPTION_WAIT_FOR, false, command_wait, "until a VM is in --state" },
	{ "metrics", NULL, OPTION_HTTP, true, command_metrics,
	  "print all of it as OpenMetrics text, for monitoring" },

	{ "protect", "VM", OPTION_PROTECT | OPTION_NO_WAIT | OPTION_SETTINGS | OPTION_CONFIG, true, command_protect,
	  "make all that a VM on logical volumes needs to be replicated: stores, trackers, relationship; and begin" },
	{ "create", "FILE", OPTION_NO_WAIT | OPTION_SETTINGS, false, command_create,
	  "on the primary: make a relationship, and the peer's half of it" },
	{ "initial", "VM", OPTION_NO_WAIT, false, command_initial,
	  "begin the initial replication: send what the peer's disks do not hold" },
	{ "suspend", "VM", OPTION_NO_WAIT, false, run_suspend,
	  "send, or receive, nothing until it is resumed" },
	{ "resume", "VM", OPTION_NO_WAIT, false, run_resume,
	  "send a delta now; go on after suspend; cancel a prepared failover" },
	{ "resync", "VM", OPTION_NO_WAIT, false, run_resync,
	  "compare the disks, and send what differs, where no map tells that" },
	{ "terminate", "VM", OPTION_NO_WAIT, false, run_terminate,
	  "end the job that runs on a VM; nothing is lost" },
	{ "remove", "VM", OPTION_NO_WAIT, false, run_remove,
	  "forget the relationship on this host" },

	{ "prepare", "VM", OPTION_NO_WAIT, false, run_prepare,
	  "with the VM off, on the primary: send the last delta before a planned failover" },
	{ "failover", "VM", OPTION_NO_WAIT | OPTION_FORCE, false, run_failover,
	  "on the replica: let the VM run here; --force when the primary is dead" },
	{ "revert", "VM", OPTION_NO_WAIT, false, run_revert,
	  "with the VM off: give the failover up" },
	{ "commit", "VM", OPTION_NO_WAIT, false, run_commit, "make the failover final" },
	{ "plan", "VM", OPTION_SETTINGS, false, command_plan,
	  "what a reverse would send of each disk, why, and what would be lost" },
	{ "reverse", "VM", OPTION_NO_WAIT | OPTION_SETTINGS | OPTION_CONSENT, false,
	  command_reverse,
	  "after a failover, on the host where the VM runs now: replicate the other way" },
	{ "yield", "VM", OPTION_NO_WAIT, false, run_yield,
	  "with the VM off: this primary gives it up to the host that failed over" },
	{ "start", "VM", OPTION_NO_WAIT | OPTION_FORCE, false, run_start,
	  "--force: let the VM run here, whatever the peer says; and start it, if a failover here did not" },

	{ "send", "SOURCE", OPTION_TO | OPTION_SOURCE | OPTION_PLAIN | OPTION_CONFIG, true, command_send,
	  "by hand: a disk, or what differs of it, --to where `failback receive` listens" },
	{ "receive", "TARGET", OPTION_LISTEN | OPTION_JOURNAL | OPTION_PLAIN | OPTION_CONFIG, true, command_receive,
	  "by hand: overwrite a disk with what `failback send` sends" },
	{ "verify", "DISK", OPTION_TO | OPTION_LISTEN | OPTION_PLAIN | OPTION_CONFIG, true, command_verify,
	  "by hand, on both hosts: print where two disks differ; exit status 1 if they do" },

	{ "host init", NULL, OPTION_FORCE | OPTION_CONFIG, true, command_host_init,
	  "make this host's certificate and show its key; --force: renew it, the key stays" },
	{ "host show", NULL, OPTION_CONFIG, true, command_host_show,
	  "show this host's key, and until when its certificate is valid" },
	{ "host pair", "PEER", OPTION_PAIR | OPTION_CONFIG, true, command_host_pair,
	  "let the host at that address in, once you have compared the key that it shows" },
	{ "test-connection", "VM", 0, false, command_test,
	  "does the peer answer, how does it stand, and what protects the connection?" },
	{ "ready", "VM", 0, false, command_ready,
	  "could the VM fail over now, and come home? What is wrong, on both hosts; exit status 1 if not" },
	{ "settings", "VM", OPTION_SETTINGS, false, command_settings,
	  "print the replication settings; with --settings, change them first" },
	{ "apply", "FILE", 0, false, command_apply,
	  "make relationships as FILE says (- for standard input)" },
	{ "adopt", "[VM]", 0, false, command_adopt,
	  "make relationships again from what the stores tell, when the database is lost" },
	{ "export", NULL, 0, false, command_export,
	  "print the relationships in the form that apply takes" },
	{ "help", "TOPIC", 0, true, command_help, "states: what may follow in which state" },
};

#define MEMBER(name) offsetof(struct options, name)

static const struct option_doc options[] = {
	{ "--json", NULL, 0, MEMBER(json), "one JSON object a line, for programs" },
	{ "--no-wait", NULL, OPTION_NO_WAIT, MEMBER(no_wait), "follow no job, and wait for no delta that runs" },
	{ "--settings", "FILE", OPTION_SETTINGS, MEMBER(settings_file),
	  "ReplicationSettingData as CIM-XML or JSON (- for standard input)" },
	{ "--consent", "DIGEST", OPTION_CONSENT, MEMBER(consent),
	  "reverse: the plan with that digest may overwrite what it says" },
	{ "--state", "N", OPTION_WAIT_FOR, MEMBER(state), "wait: for that state" },
	{ "--timeout", "SECONDS", OPTION_WAIT_FOR, MEMBER(timeout), "wait: at most so long" },
	{ "--force", NULL, OPTION_FORCE, MEMBER(force), "failover, start, host init: see there" },
	{ "--fingerprint", "KEY", OPTION_PAIR, MEMBER(fingerprint),
	  "host pair: do not ask; the peer has to show that key, sha256:..." },
	{ "--replace", NULL, OPTION_PAIR, MEMBER(replace),
	  "host pair: in the place of the keys that the peer is known by" },
	{ "--config", "FILE", OPTION_CONFIG, MEMBER(config),
	  "host, send, receive, verify, protect: the settings of failbackd, else those of this host" },
	{ "--to", "ADDRESS", OPTION_TO | OPTION_PROTECT, MEMBER(to),
	  "send, verify: where the receiver listens; protect: the host that becomes the replica" },
	{ "--disk", "DISK", OPTION_PROTECT, MEMBER(disks),
	  "protect: NAME=/dev/VG/LV, on the replica NAME=/dev/VG/LV:SIZE; once for each disk of the VM" },
	{ "--vg", "VG", OPTION_PROTECT, MEMBER(vg), "protect: where stores are made; else beside their disks" },
	{ "--peer-vg", "VG", OPTION_PROTECT, MEMBER(peer_vg),
	  "protect: where the disks are on the other host; else in one of the same name" },
	{ "--uuid", "UUID", OPTION_PROTECT, MEMBER(uuid), "protect: of the VM, as libvirt knows it; else a new one" },
	{ "--replica", NULL, OPTION_PROTECT, MEMBER(replica),
	  "protect: on the other host, make what the replica needs" },
	{ "--dry-run", NULL, OPTION_PROTECT, MEMBER(dry_run), "protect: only say what would be done" },
	{ "--table", "FILE", OPTION_PROTECT, MEMBER(table), "protect: of trackers, else /etc/failback/trackers" },
	{ "--all", NULL, OPTION_SOURCE, MEMBER(all), "send: the whole disk" },
	{ "--extents", "FILE", OPTION_TO, MEMBER(extents),
	  "send, verify: lines \"OFFSET LENGTH\" in bytes, as of `cbtctl map --bytes` (- for standard input)" },
	{ "--tracker", NULL, OPTION_SOURCE, MEMBER(tracker),
	  "send: SOURCE is a tracker; what its frozen epoch changed" },
	{ "--compare", NULL, OPTION_SOURCE, MEMBER(compare),
	  "send: of that, only what the target does not hold: hashes are compared first" },
	{ "--epoch", "UUID", OPTION_SOURCE, MEMBER(epoch),
	  "send: go on with the transfer that had this one, into the same --journal" },
	{ "--compress", "HOW", OPTION_SOURCE, MEMBER(compress),
	  "send: auto (the default), where that is faster; off" },
	{ "--connections", "N", OPTION_SOURCE, MEMBER(connections),
	  "send: over so many, 1 to 8, where one does not fill the link" },
	{ "--rate", "SIZE", OPTION_TO, MEMBER(rate),
	  "send, verify: at most so much a second, as 500K or 20M" },
	{ "--listen", "ADDRESS", OPTION_LISTEN, MEMBER(listen),
	  "receive, verify: where to wait for the other side" },
	{ "--journal", "FILE", OPTION_JOURNAL, MEMBER(journal),
	  "receive: all of it first goes there; the disk is untouched until it is whole" },
	{ "--plain", NULL, OPTION_PLAIN, MEMBER(plain),
	  "send, receive, verify: over a network, unencrypted and unauthenticated" },
	{ "--tls", NULL, OPTION_PLAIN, MEMBER(tls),
	  "send, receive, verify: on loopback too, with certificate and peers as of failbackd" },
	{ "--http", NULL, OPTION_HTTP, MEMBER(http),
	  "metrics: as the answer to the HTTP request on standard input" },
	{ "--bus-address", "A", 0, MEMBER(bus_address),
	  "of the bus where failbackd is; else the system bus" },
};

const struct option_doc *option_docs(size_t *ret_nr)
{
	*ret_nr = ARRAY_SIZE(options);
	return options;
}

const struct command *commands(size_t *ret_nr)
{
	*ret_nr = ARRAY_SIZE(table);
	return table;
}

int usage_error(const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "failback: ");
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "; see `failback --help`\n");
	return EXIT_USAGE;
}

/* How many of @words are @name; 0: they are not. */
static int count_name(const char *name, char *const *words)
{
	size_t len = strcspn(name, " ");
	int nr = 1;

	if (strncmp(name, words[0], len) != 0 || words[0][len])
		return 0;
	if (name[len])
		nr = words[1] && strcmp(name + len + 1, words[1]) == 0 ? 2 : 0;
	return nr;
}

const struct command *command_find(char *const *words, int *ret_nr)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		*ret_nr = count_name(table[i].name, words);
		if (*ret_nr)
			return &table[i];
	}
	return NULL;
}
