// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * failback: what an operator, or a script, asks failbackd for.
 *
 * People get tables, sentences and a progress bar; --json gets one object a line with "schema":
 * 1. A job that is followed is asked for a few times a second, which goes on working when signals
 * are lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macro.h"
#include "base/size.h"
#include "lib/client.h"
#include "lib/output.h"
#include "lib/progress_bar.h"
#include "lib/settings.h"
#include "lib/table.h"

#define EXIT_USAGE     2
#define POLL_NS	       (NS_PER_S / 5)
#define LINE_EVERY_NS  (5 * NS_PER_S) /* of progress, when nobody watches it move */
#define FILE_MAX_BYTES ((size_t)4 << 20)

#define JOB_STATE_TERMINATED 8

/* RequestReplicationStateChange */
enum {
	STATE_REPLICATE = 3,
	STATE_PREPARED = 4,
};

struct options {
	const char *bus_address;
	const char *settings_file;
	const char *operand;
	bool json;
	bool no_wait;
};

/* --- files --- */

/* The whole of a file, "-" for standard input, as a string. */
static int read_file(const char *path, size_t max, char **ret, struct failure *f)
{
	cleanup_free char *text = malloc(max + 1);
	cleanup_fd int opened = -1;
	int fd = STDIN_FILENO;
	size_t len = 0;
	ssize_t got;

	if (!text)
		return failure_set(f, CODE_OUT_OF_MEMORY, -ENOMEM, "Out of memory.");
	if (strcmp(path, "-") != 0)
		fd = opened = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return failure_set(f, code_of_errno(errno), -errno, "Cannot read %s: %s.", path,
				   strerror(errno));
	while ((got = read(fd, text + len, max + 1 - len)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return failure_set(f, code_of_errno(errno), -errno, "Cannot read %s: %s.",
					   path, strerror(errno));
		len += (size_t)got;
		if (len > max)
			return failure_set(f, CODE_INVALID_PARAMETER, -EFBIG,
					   "%s is larger than %zu bytes.", path, max);
	}
	if (memchr(text, '\0', len))
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL,
				   "%s is not text: it contains NUL.", path);
	text[len] = '\0';
	*ret = steal_ptr(text);
	return 0;
}

/* --- objects as text --- */

static const char *time_text(uint64_t us, char *buf, size_t size)
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

static const char *job_state_text(const struct client_job *job)
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

static void add_known(struct json_object *object, const char *name, uint64_t number)
{
	if (number == CLIENT_UNKNOWN)
		(void)json_object_object_add(object, name, NULL);
	else
		json_add_uint(object, name, number);
}

static int print_vm_json(const struct client_vm *vm, struct failure *f)
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
	add_known(object, "dirty_bytes", vm->dirty_bytes);
	json_add_uint(object, "last_replication_us", vm->last_replication_us);
	json_add_text(object, "last_error", vm->last_error);
	return output_print(object, f);
}

static int print_job_json(const struct client_job *job, struct failure *f)
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
	json_add_uint(object, "elapsed_us", job->elapsed_us);
	json_add_uint(object, "bytes_total", job->bytes_total);
	json_add_uint(object, "bytes_done", job->bytes_done);
	json_add_uint(object, "bytes_sent", job->bytes_sent);
	json_add_uint(object, "bytes_per_second", job->bytes_per_second);
	add_known(object, "seconds_left", job->seconds_left);
	return output_print(object, f);
}

/* --- following a job --- */

struct follower {
	struct client *client;
	bool json;
	bool terminal; /* a line may be written over */
	unsigned int width;
	bool line_open; /* of the bar */
	char shown[640]; /* what was printed last */
	uint64_t shown_ns;
};

static void follower_init(struct follower *w, struct client *client, bool json)
{
	struct winsize size;

	memset(w, 0, sizeof(*w));
	w->client = client;
	w->json = json;
	w->terminal = !json && isatty(STDOUT_FILENO);
	if (w->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		w->width = size.ws_col;
}

static void format_job(const struct follower *w, const struct client_job *job, char *buf,
		       size_t size)
{
	bool ended = client_job_has_ended(job);
	struct progress_bar bar = {
		.bytes_total = job->bytes_total,
		.bytes_done = job->bytes_done,
		.bytes_per_second = job->bytes_per_second,
		.seconds_left = ended ? CLIENT_UNKNOWN : job->seconds_left,
	};
	char label[256];

	(void)snprintf(label, sizeof(label), "%s: %s", job->name, job_state_text(job));
	bar.label = label;
	/* the last column stays free: there the cursor would wrap */
	progress_bar_format(&bar, w->terminal && w->width ? w->width - 1 : 0, buf, size);
}

/*
 * A terminal shows each change in place; elsewhere a new line comes when the step changes, and
 * now and then.
 */
static void show_line(struct follower *w, const struct client_job *job)
{
	char line[sizeof(w->shown)];
	uint64_t now = clock_ns();

	format_job(w, job, line, sizeof(line));
	if (w->terminal) {
		(void)printf("\r\033[K%.*s", w->width ? (int)w->width - 1 : (int)strlen(line),
			     line);
		w->line_open = true;
	} else if (client_job_has_ended(job) || now - w->shown_ns >= LINE_EVERY_NS ||
		   strcmp(w->shown, job->status) != 0) {
		(void)printf("%s\n", line);
		(void)snprintf(w->shown, sizeof(w->shown), "%s", job->status);
		w->shown_ns = now;
	}
	(void)fflush(stdout);
}

static int show_json(struct follower *w, const struct client_job *job, struct failure *f)
{
	char key[sizeof(w->shown)];
	int rc;

	(void)snprintf(key, sizeof(key), "%s %u %llu %s", job->id, job->state,
		       (unsigned long long)job->bytes_done, job->status);
	if (strcmp(key, w->shown) == 0)
		return 0;
	memcpy(w->shown, key, sizeof(key));
	rc = print_job_json(job, f);
	return rc ? rc : output_flush(f);
}

static int show_job(struct follower *w, const struct client_job *job, struct failure *f)
{
	if (w->json)
		return show_json(w, job, f);
	show_line(w, job);
	return 0;
}

static void end_line(struct follower *w)
{
	if (w->line_open)
		(void)printf("\n");
	w->line_open = false;
}

/* Until the job has ended; the job's failure is this function's. */
static int follow_one(struct follower *w, const char *path, struct client_job *ret,
		      struct failure *f)
{
	static const struct timespec pause = { .tv_nsec = POLL_NS };
	int rc;

	w->shown[0] = '\0';
	for (;;) {
		rc = client_get_job(w->client, path, ret, f);
		if (!rc)
			rc = show_job(w, ret, f);
		if (rc || client_job_has_ended(ret))
			break;
		(void)nanosleep(&pause, NULL);
	}
	end_line(w);
	if (!rc && ret->code)
		rc = failure_set(f, (enum code)ret->code, -EREMOTEIO, "%s", ret->text);
	return rc;
}

/* The job, then the one that it led to. */
static int follow(struct client *client, const struct options *o, const char *path,
		  struct failure *f)
{
	char next[BUS_PATH_MAX];
	struct client_job job;
	struct follower w;
	int rc = 0;

	follower_init(&w, client, o->json);
	(void)snprintf(next, sizeof(next), "%s", path);
	if (o->no_wait) {
		rc = client_get_job(client, path, &job, f);
		return rc ? rc : show_job(&w, &job, f);
	}
	while (!rc && strcmp(next, "/") != 0) {
		rc = follow_one(&w, next, &job, f);
		memcpy(next, job.follow_up, sizeof(next));
	}
	return rc;
}

/* --- commands --- */

static int run_reverse(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_free char *settings = NULL;
	char path[BUS_PATH_MAX];
	char job[BUS_PATH_MAX];
	struct client_vm vm;
	int rc = 0;

	if (o->settings_file)
		rc = read_file(o->settings_file, SETTINGS_TEXT_MAX, &settings, f);
	if (!rc)
		rc = client_find_vm(client, o->operand, path, f);
	if (!rc)
		rc = client_reverse(client, path, settings ? settings : "", job, f);
	if (!rc)
		rc = follow(client, o, job, f);
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
	return rc ? rc : follow(client, o, job, f);
}

static int run_prepare(struct client *client, const struct options *o, struct failure *f)
{
	return run_change(client, o, STATE_PREPARED, f);
}

static int run_resume(struct client *client, const struct options *o, struct failure *f)
{
	return run_change(client, o, STATE_REPLICATE, f);
}

static int add_vm_row(struct table *table, const struct client_vm *vm)
{
	char state[96];
	char dirty[SIZE_TEXT_LEN];
	char last[32];
	const char *cells[] = {
		vm->name,
		vm->mode_name,
		state,
		vm->consistent ? vm->health_name : "Inconsistent",
		vm->peer,
		dirty_text(vm->dirty_bytes, dirty),
		time_text(vm->last_replication_us, last, sizeof(last)),
	};

	(void)snprintf(state, sizeof(state), "%u %s", vm->state, vm->state_name);
	return table_add(table, cells);
}

static int print_vm_table(const struct client_vm *vms, size_t nr, struct failure *f)
{
	static const struct table_column columns[] = {
		{ "VM", false },
		{ "MODE", false },
		{ "STATE", false },
		{ "HEALTH", false },
		{ "PEER", false },
		{ "DIRTY", true },
		{ "LAST REPLICATION", false },
	};
	_cleanup_(table_free_at) struct table *table = NULL;
	int rc = table_new(columns, ARRAY_SIZE(columns), &table);

	for (size_t i = 0; !rc && i < nr; i++)
		rc = add_vm_row(table, &vms[i]);
	if (rc)
		return failure_set(f, CODE_OUT_OF_MEMORY, rc, "Out of memory.");
	table_print(table, stdout);
	for (size_t i = 0; i < nr; i++) {
		if (vms[i].last_error[0])
			(void)printf("\n%s: %s\n", vms[i].name, vms[i].last_error);
	}
	return 0;
}

static int print_vms(const struct client_vm *vms, size_t nr, const struct options *o,
		     struct failure *f)
{
	int rc = 0;

	if (!o->json && !nr) {
		(void)printf("This host has no relationships; `failback apply FILE` makes them.\n");
		return 0;
	}
	if (!o->json)
		return print_vm_table(vms, nr, f);
	for (size_t i = 0; !rc && i < nr; i++)
		rc = print_vm_json(&vms[i], f);
	return rc;
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
		return rc ? rc : print_vms(vms, nr, o, f);
	}
	rc = client_find_vm(client, o->operand, path, f);
	if (!rc)
		rc = client_get_vm(client, path, &vm, f);
	return rc ? rc : print_vms(&vm, 1, o, f);
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
		return failure_set(f, CODE_OUT_OF_MEMORY, rc, "Out of memory.");
	table_print(table, stdout);
	return 0;
}

static int run_jobs(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_free struct client_job *jobs = NULL;
	size_t nr = 0;
	int rc = client_list_jobs(client, &jobs, &nr, f);

	if (rc)
		return rc;
	if (nr)
		qsort(jobs, nr, sizeof(*jobs), compare_jobs);
	if (!o->json && !nr)
		(void)printf("No job ran in the last five minutes, or since failbackd was started.\n");
	else if (!o->json)
		return print_job_table(jobs, nr, f);
	for (size_t i = 0; !rc && i < nr; i++)
		rc = print_job_json(&jobs[i], f);
	return rc;
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
	struct client_job job;
	struct follower w;
	int rc;

	rc = client_find_vm(client, o->operand, vm_path, f);
	if (!rc)
		rc = find_running_job(client, vm_path, o->operand, path, f);
	if (!rc)
		rc = client_terminate_job(client, path, f);
	if (rc || o->no_wait)
		return rc;
	memset(&job, 0, sizeof(job));
	follower_init(&w, client, o->json);
	rc = follow_one(&w, path, &job, f);
	return job.state == JOB_STATE_TERMINATED ? 0 : rc;
}

static int run_apply(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_json struct json_object *object = NULL;
	cleanup_free char *json = NULL;
	bool changed;
	char text[512];
	int rc;

	rc = read_file(o->operand, FILE_MAX_BYTES, &json, f);
	if (!rc)
		rc = client_apply(client, json, &changed, text, sizeof(text), f);
	if (rc)
		return rc;
	if (!o->json) {
		(void)printf("changed: %s\n%s\n", changed ? "yes" : "no", text);
		return 0;
	}
	object = output_document();
	(void)json_object_object_add(object, "changed", json_object_new_boolean(changed));
	json_add_text(object, "text", text);
	return output_print(object, f);
}

static int run_export(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_free char *text = NULL;
	int rc = client_export(client, &text, f);

	(void)o;
	if (!rc)
		(void)printf("%s\n", text);
	return rc;
}

static const struct command {
	const char *name;
	const char *operand; /* NULL: none; in brackets: may be left out */
	bool follows; /* takes --no-wait */
	int (*run)(struct client *client, const struct options *o, struct failure *f);
	const char *doc;
} commands[] = {
	{ "reverse", "VM", true, run_reverse,
	  "after a failover, on the host where the VM runs now: replicate the other way" },
	{ "status", "[VM]", false, run_status, "how the replication of VMs stands" },
	{ "jobs", NULL, false, run_jobs, "what runs, and what ran in the last five minutes" },
	{ "prepare", "VM", true, run_prepare,
	  "with the VM off: send the last delta before a planned failover" },
	{ "resume", "VM", true, run_resume, "send a delta now; cancel a prepared failover" },
	{ "terminate", "VM", true, run_terminate,
	  "end the job that runs on a VM; nothing is lost" },
	{ "apply", "FILE", false, run_apply,
	  "make relationships as FILE says (- for standard input)" },
	{ "export", NULL, false, run_export,
	  "print the relationships in the form that apply takes" },
};

/* --- command line --- */

static void print_help(void)
{
	(void)printf("usage: failback COMMAND [OPTION]...\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		(void)printf("  %-9s %-5s  %s\n", commands[i].name,
			     commands[i].operand ? commands[i].operand : "", commands[i].doc);
	(void)printf(
		"\n"
		"  --json             one JSON object a line, for programs\n"
		"  --no-wait          reverse, prepare, resume, terminate: do not follow the job\n"
		"  --settings FILE    reverse: ReplicationSettingData as CIM-XML or JSON (- for "
		"standard input)\n"
		"  --bus-address A    of the bus where failbackd is; else the system bus\n"
		"  --help, --version\n\n"
		"VM is a name or a UUID. Exit status: 0 done, 2 wrong usage, 10 failed, 11 access "
		"denied,\n"
		"12 not supported, 13 status unknown, 14 time-out, 15 invalid parameter, 16 in "
		"use, 17 invalid\n"
		"state, 18 incorrect data type, 19 not available, 20 out of memory, 21 file not "
		"found.\n");
}

static int usage_error(const char *fmt, ...) printf_like(1, 2);

static int usage_error(const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "failback: ");
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "; see `failback --help`\n");
	return EXIT_USAGE;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static int parse_option(const struct command *command, int argc, char **argv, int *i,
			struct options *o)
{
	const char *arg = argv[*i];
	const char **value = NULL;

	if (strcmp(arg, "--json") == 0) {
		o->json = true;
		return 0;
	}
	if (strcmp(arg, "--no-wait") == 0 && command->follows) {
		o->no_wait = true;
		return 0;
	}
	if (strcmp(arg, "--settings") == 0 && command->run == run_reverse)
		value = &o->settings_file;
	else if (strcmp(arg, "--bus-address") == 0)
		value = &o->bus_address;
	else
		return usage_error("`failback %s` has no option '%s'", command->name, arg);
	if (++*i == argc)
		return usage_error("%s needs a value", arg);
	*value = argv[*i];
	return 0;
}

static int parse_options(const struct command *command, int argc, char **argv, struct options *o)
{
	for (int i = 2; i < argc; i++) {
		int rc = 0;

		if (argv[i][0] == '-' && argv[i][1])
			rc = parse_option(command, argc, argv, &i, o);
		else if (!command->operand || o->operand)
			rc = usage_error("'%s' is too much for `failback %s`", argv[i],
					 command->name);
		else
			o->operand = argv[i];
		if (rc)
			return rc;
	}
	if (command->operand && command->operand[0] != '[' && !o->operand)
		return usage_error("`failback %s` needs %s", command->name, command->operand);
	return 0;
}

static int print_failure(const struct options *o, const struct failure *f)
{
	cleanup_json struct json_object *object = NULL;

	if (o->json) {
		object = output_document();
		json_add_uint(object, "code", f->code);
		json_add_text(object, "code_name", code_name(f->code));
		json_add_text(object, "error", f->text);
		(void)output_print(object, NULL);
		(void)output_flush(NULL);
	}
	(void)fprintf(stderr, "failback: %s\n", f->text);
	return code_exit_status(f->code);
}

static int run(const struct command *command, const struct options *o)
{
	_cleanup_(client_close_at) struct client *client = NULL;
	struct failure f = { 0 };
	int rc = client_open(o->bus_address, &client, &f);

	if (!rc)
		rc = command->run(client, o, &f);
	if (!rc)
		rc = output_end(&f);
	return rc ? print_failure(o, &f) : 0;
}

static bool has_flag(int argc, char **argv, const char *flag)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], flag) == 0)
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	struct options options = { .bus_address = "" };
	const struct command *command;
	int rc;

	output_begin();
	if (argc < 2)
		return usage_error("no command is given");
	if (has_flag(argc, argv, "--help")) {
		print_help();
		return output_end(NULL) ? code_exit_status(CODE_FAILED) : 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)printf("failback %s\n", FAILBACK_VERSION);
		return output_end(NULL) ? code_exit_status(CODE_FAILED) : 0;
	}
	command = find_command(argv[1]);
	if (!command)
		return usage_error("there is no command '%s'", argv[1]);
	rc = parse_options(command, argc, argv, &options);
	return rc ? rc : run(command, &options);
}
