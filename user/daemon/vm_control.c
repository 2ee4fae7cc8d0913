// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/vm_control.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "daemon/definitions.h"
#include "daemon/vm_driver.h"

#define EXIT_RUNS     0
#define EXIT_RUNS_NOT 1
#define ASK_AGAIN_US  UINT64_C(500000)
#define DUMP_MAX_S    5 /* the peer may wait for less long than this host */

/* --- one command --- */

enum step {
	STEP_READY,
	STEP_ASK,
	STEP_STOP,
	STEP_AWAIT,
	STEP_LOOK, /* before it is started */
	STEP_DEFINE,
	STEP_REDEFINE,
	STEP_START,
	STEP_AUTOSTART,
	STEP_DUMP,
};

struct vm_control {
	struct vm *vm;
	sd_event *event; /* outlives the VM's record */
	vm_control_done done;
	void *context;
	enum step step;
	pid_t pid; /* 0: none runs */
	int errors; /* the file with its standard error; -1: that is the log */
	int output; /* the same */
	sd_event_source *child_source;
	sd_event_source *timer; /* until it is asked again */
	sd_event_source *deadline; /* of all that is done */
};

static int on_exit_of_killed(sd_event_source *source, const siginfo_t *status, void *context)
{
	(void)status;
	(void)context;
	(void)sd_event_source_set_floating(source, false); /* nobody else holds it */
	return 0;
}

/* Nobody waits until it is gone: what hangs in the kernel, on a disk that does not answer, may stay. */
static void kill_command(struct vm_control *c)
{
	c->child_source = sd_event_source_disable_unref(c->child_source);
	if (!c->pid)
		return;
	(void)kill(-c->pid, SIGKILL);
	(void)kill(c->pid, SIGKILL); /* before it had its own group */
	(void)sd_event_add_child(c->event, NULL, c->pid, WEXITED, on_exit_of_killed, NULL);
	c->pid = 0;
}

void vm_control_free_at(struct vm_control **at)
{
	struct vm_control *c = *at;

	*at = NULL;
	if (!c)
		return;
	kill_command(c);
	(void)sd_event_source_disable_unref(c->timer);
	(void)sd_event_source_disable_unref(c->deadline);
	(void)close_fd(c->errors);
	(void)close_fd(c->output);
	free(c);
}

static bool can(const struct vm *vm, enum vm_question question)
{
	const struct host_config *config = &vm->daemon->config;

	return vm_driver_of(config)->command(config, question);
}

bool vm_control_can_tell(const struct vm *vm)
{
	return can(vm, VM_RUNNING);
}

static const struct vm_driver *driver_of(const struct vm_control *c)
{
	return vm_driver_of(&c->vm->daemon->config);
}

static enum vm_question question_of(enum step step)
{
	static const enum vm_question questions[] = {
		[STEP_READY] = VM_READY,   [STEP_ASK] = VM_RUNNING, [STEP_STOP] = VM_STOP,
		[STEP_AWAIT] = VM_RUNNING, [STEP_LOOK] = VM_RUNNING, [STEP_DEFINE] = VM_DEFINE,
		[STEP_REDEFINE] = VM_REDEFINE,
		[STEP_START] = VM_START, [STEP_AUTOSTART] = VM_AUTOSTART, [STEP_DUMP] = VM_DUMP,
	};

	return questions[step];
}

static const char *command_of(const struct vm_control *c)
{
	return driver_of(c)->command(&c->vm->daemon->config, question_of(c->step));
}

static int on_exit_of_command(sd_event_source *source, const siginfo_t *status, void *context);

/* A file, so that nothing has to be read before the command ends. */
static int open_file(bool wanted, int *fd, struct failure *f)
{
	*fd = close_fd(*fd);
	if (!wanted)
		return 0;
	*fd = memfd_create("output", MFD_CLOEXEC);
	return *fd < 0 ? failure_set(f, CODE_FAILED, -errno, "Cannot make a file: %s.", strerror(errno)) : 0;
}

static int open_input(const struct vm *vm, enum step step)
{
	bool wanted = can(vm, VM_DEFINE) && (step == STEP_READY || step == STEP_DEFINE || step == STEP_REDEFINE);
	int fd = wanted ? definition_open(vm) : -1;

	return fd < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : fd;
}

static int run(struct vm_control *c, enum step step, struct failure *f)
{
	cleanup_fd int input = open_input(c->vm, step);
	int rc = open_file(driver_of(c)->explains, &c->errors, f);
	int fds[3];

	if (!rc)
		rc = open_file(step == STEP_DUMP, &c->output, f);
	fds[0] = input;
	fds[1] = c->output < 0 ? STDERR_FILENO : c->output;
	fds[2] = c->errors < 0 ? STDERR_FILENO : c->errors;
	c->step = step;
	if (!rc)
		rc = driver_of(c)->start(c->vm, question_of(step), fds, &c->pid, f);
	if (rc)
		return rc;
	c->child_source = sd_event_source_disable_unref(c->child_source);
	rc = sd_event_add_child(c->vm->daemon->event, &c->child_source, c->pid, WEXITED,
				on_exit_of_command, c);
	return rc < 0 ? failure_set(f, CODE_FAILED, rc, "The event loop failed: %s.", strerror(-rc)) :
			0;
}

/* --- what follows --- */

/* The last line of it; false: there is none. */
static bool read_errors(const struct vm_control *c, char *ret, size_t size)
{
	struct stat file;
	ssize_t got;
	char *newline;

	if (c->errors < 0 || fstat(c->errors, &file) < 0)
		return false;
	got = pread(c->errors, ret, size - 1,
		    file.st_size < (off_t)size ? 0 : file.st_size - (off_t)size + 1);
	if (got <= 0)
		return false;
	ret[got] = '\0';
	if (ret[got - 1] == '\n')
		ret[got - 1] = '\0';
	newline = strrchr(ret, '\n');
	if (newline)
		memmove(ret, newline + 1, strlen(newline));
	return ret[0];
}

static int explain_status(const struct vm_control *c, const siginfo_t *status, struct failure *f)
{
	char why[sizeof(f->text)];

	if (status->si_code == CLD_EXITED && read_errors(c, why, sizeof(why)))
		return failure_set(f, code_of_exit_status(status->si_status), -EIO, "VM %.64s: %s",
				   c->vm->r.name, why);
	return failure_set(f, CODE_FAILED, -EIO, "VM %.64s: \"%.200s\" ended with %s %d.",
			   c->vm->r.name, command_of(c),
			   status->si_code == CLD_EXITED ? "status" : "signal", status->si_status);
}

static int on_time_to_ask(sd_event_source *source, uint64_t usec, void *context)
{
	struct vm_control *c = context;
	struct failure why;

	(void)source;
	(void)usec;
	if (run(c, STEP_AWAIT, &why))
		c->done(c->context, &why);
	return 0;
}

static int ask_later(struct vm_control *c, struct failure *f)
{
	int rc;

	c->timer = sd_event_source_disable_unref(c->timer);
	rc = sd_event_add_time_relative(c->vm->daemon->event, &c->timer, CLOCK_MONOTONIC,
					ASK_AGAIN_US, 0, on_time_to_ask, c);
	return rc < 0 ? failure_set(f, CODE_FAILED, rc, "The event loop failed: %s.", strerror(-rc)) :
			0;
}

/* 0: something follows; 1: it is so. */
static int answer(struct vm_control *c, bool runs, struct failure *f)
{
	if (!runs)
		return 1;
	if (c->step == STEP_AWAIT)
		return ask_later(c, f);
	if (can(c->vm, VM_STOP))
		return run(c, STEP_STOP, f);
	return failure_set(f, CODE_IN_USE, -EBUSY,
			   "VM %.64s runs here, says `vm-running`: shut it down first, or name a "
			   "command that does with `vm-stop` in failbackd.conf.",
			   c->vm->r.name);
}

static int go_on(struct vm_control *c, const siginfo_t *status, struct failure *f)
{
	int number = status->si_code == CLD_EXITED ? status->si_status : -1;

	switch (c->step) {
	case STEP_READY:
		if (number == EXIT_RUNS || number == EXIT_RUNS_NOT)
			return 1;
		break;
	case STEP_ASK:
	case STEP_AWAIT:
		if (number == EXIT_RUNS || number == EXIT_RUNS_NOT)
			return answer(c, number == EXIT_RUNS, f);
		break;
	case STEP_STOP:
		if (number == 0)
			return run(c, STEP_AWAIT, f);
		break;
	case STEP_LOOK:
		if (number == EXIT_RUNS_NOT)
			return run(c, STEP_START, f);
		if (number != EXIT_RUNS)
			break;
		definition_used(c->vm);
		return 1;
	case STEP_DEFINE:
	case STEP_REDEFINE:
		if (number == 0)
			return run(c, STEP_START, f);
		break;
	case STEP_START:
		if (number != 0)
			break;
		definition_used(c->vm);
		return 1;
	case STEP_AUTOSTART:
	case STEP_DUMP:
		if (number == 0)
			return 1;
		break;
	}
	return explain_status(c, status, f);
}

static int on_exit_of_command(sd_event_source *source, const siginfo_t *status, void *context)
{
	struct vm_control *c = context;
	struct failure why;
	int rc;

	(void)source;
	c->pid = 0;
	rc = go_on(c, status, &why);
	if (rc)
		c->done(c->context, rc < 0 ? &why : NULL);
	return 0;
}

/* --- the beginning --- */

struct limit {
	const char *setting; /* as people read it */
	unsigned long long seconds;
};

static struct limit limit_of(const struct vm *vm, enum step step)
{
	const struct host_config *config = &vm->daemon->config;

	if (step == STEP_READY)
		return (struct limit){ "(call-timeout)", config->call_timeout };
	if (step == STEP_DUMP)
		return (struct limit){ "(half of call-timeout, or less)",
				       min_of(config->call_timeout / 2 + 1, (uint64_t)DUMP_MAX_S) };
	return (struct limit){ "(vm-timeout)", config->vm_timeout };
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *context)
{
	struct vm_control *c = context;
	const struct limit limit = limit_of(c->vm, c->step);
	struct failure why;

	(void)source;
	(void)usec;
	/* Who is asked again and again is nearly always just being asked. */
	if (c->step != STEP_AWAIT)
		(void)failure_set(&why, CODE_TIMEOUT, -ETIMEDOUT,
				  "VM %.64s: \"%.200s\" did not end within %llu s %s.",
				  c->vm->r.name, command_of(c), limit.seconds, limit.setting);
	else
		(void)failure_set(&why, CODE_TIMEOUT, -ETIMEDOUT,
				  "VM %.64s still runs after %llu s %s.", c->vm->r.name,
				  limit.seconds, limit.setting);
	kill_command(c);
	c->timer = sd_event_source_disable_unref(c->timer);
	c->done(c->context, &why);
	return 0;
}

static int begin(struct vm *vm, enum step step, vm_control_done done, void *context,
		 struct vm_control **ret, struct failure *f)
{
	_cleanup_(vm_control_free_at) struct vm_control *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return failure_no_memory(f);
	c->errors = -1;
	c->output = -1;
	c->vm = vm;
	c->event = vm->daemon->event;
	c->done = done;
	c->context = context;
	rc = sd_event_add_time_relative(vm->daemon->event, &c->deadline, CLOCK_MONOTONIC,
					limit_of(vm, step).seconds * 1000000, 0, on_deadline, c);
	if (rc < 0)
		return failure_set(f, CODE_FAILED, rc, "The event loop failed: %s.", strerror(-rc));
	rc = run(c, step, f);
	if (rc)
		return rc;
	*ret = steal_ptr(c);
	return 0;
}

int vm_control_stop(struct vm *vm, vm_control_done done, void *context, struct vm_control **ret,
		    struct failure *f)
{
	if (!vm_control_can_tell(vm))
		return 1;
	return begin(vm, STEP_ASK, done, context, ret, f);
}

int vm_control_start(struct vm *vm, bool again, vm_control_done done, void *context, struct vm_control **ret,
		     struct failure *f)
{
	enum step first = STEP_START;

	/* Who defines it looks for himself whether it runs, and knows more of how. */
	if (can(vm, VM_DEFINE) && definition_is_owed(vm))
		first = again ? STEP_REDEFINE : STEP_DEFINE;
	else if (again && vm_control_can_tell(vm) && !can(vm, VM_DEFINE))
		first = STEP_LOOK;
	if (!can(vm, VM_START))
		return 1;
	return begin(vm, first, done, context, ret, f);
}

int vm_control_autostart(struct vm *vm, vm_control_done done, void *context, struct vm_control **ret,
			 struct failure *f)
{
	if (!can(vm, VM_AUTOSTART))
		return 1;
	return begin(vm, STEP_AUTOSTART, done, context, ret, f);
}

int vm_control_dump(struct vm *vm, vm_control_done done, void *context, struct vm_control **ret,
		    struct failure *f)
{
	if (!can(vm, VM_DUMP))
		return 1;
	return begin(vm, STEP_DUMP, done, context, ret, f);
}

int vm_control_output(const struct vm_control *c)
{
	return c->output;
}

int vm_control_ready(struct vm *vm, vm_control_done done, void *context, struct vm_control **ret,
		     struct failure *f)
{
	if (!can(vm, VM_READY))
		return 1;
	return begin(vm, STEP_READY, done, context, ret, f);
}
