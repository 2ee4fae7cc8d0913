// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/vm_control.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/child.h"

#define EXIT_RUNS	 0
#define EXIT_RUNS_NOT	 1
#define ASK_AGAIN_US	 UINT64_C(500000)

/* --- words --- */

static int refuse(const char *command, const char *wrong, struct failure *f)
{
	return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL, "The command \"%.200s\" %s.", command,
			   wrong);
}

/* Appends; false: there is no room. */
static bool put(char *word, const char *text, size_t len)
{
	size_t used = strlen(word);

	if (len >= VM_WORD_BYTES_MAX - used)
		return false;
	memcpy(word + used, text, len);
	word[used + len] = '\0';
	return true;
}

/* One word, which ends at @end. */
static bool make_word(const char *at, const char *end, const char *name, const char *uuid, char *ret,
		      bool *ret_known)
{
	ret[0] = '\0';
	for (; at < end; at++) {
		const char *text = at;
		size_t len = 1;

		if (*at == '%') {
			at++;
			*ret_known &= at < end && (*at == 'n' || *at == 'u' || *at == '%');
			text = at < end && *at == 'n' ? name : at < end && *at == 'u' ? uuid : "%";
			len = strlen(text);
		}
		if (!put(ret, text, len))
			return false;
	}
	return true;
}

int vm_words_make(const char *command, const char *name, const char *uuid, struct vm_words *ret,
		  struct failure *f)
{
	bool known = true;
	size_t nr = 0;

	for (const char *at = command + strspn(command, " "); *at; at += strspn(at, " ")) {
		const char *end = at + strcspn(at, " ");

		if (nr == VM_WORDS_MAX)
			return refuse(command, "has more than 16 words", f);
		if (!make_word(at, end, name, uuid, ret->texts[nr], &known))
			return refuse(command, "has a word that is too long", f);
		ret->argv[nr] = ret->texts[nr];
		nr++;
		at = end;
	}
	ret->argv[nr] = NULL;
	if (!known)
		return refuse(command, "has a % that is none of %n, %u and %%", f);
	if (!nr || ret->argv[0][0] != '/')
		return refuse(command, "does not begin with a path", f);
	return 0;
}

/* --- one command --- */

enum step { STEP_ASK, STEP_STOP, STEP_AWAIT, STEP_START };

struct vm_control {
	struct vm *vm;
	vm_control_done done;
	void *context;
	enum step step;
	pid_t pid; /* 0: none runs */
	sd_event_source *child_source;
	sd_event_source *timer; /* until it is asked again */
	sd_event_source *deadline; /* of all that is done */
};

static void kill_command(struct vm_control *c)
{
	if (!c->pid)
		return;
	(void)kill(-c->pid, SIGKILL);
	(void)kill(c->pid, SIGKILL); /* before it had its own group */
	(void)waitpid(c->pid, NULL, 0);
	c->pid = 0;
}

void vm_control_free_at(struct vm_control **at)
{
	struct vm_control *c = *at;

	*at = NULL;
	if (!c)
		return;
	(void)sd_event_source_disable_unref(c->child_source);
	(void)sd_event_source_disable_unref(c->timer);
	(void)sd_event_source_disable_unref(c->deadline);
	kill_command(c);
	free(c);
}

static const char *command_of(const struct vm_control *c)
{
	const struct host_config *config = &c->vm->daemon->config;

	switch (c->step) {
	case STEP_STOP:
		return config->vm_stop;
	case STEP_START:
		return config->vm_start;
	default:
		return config->vm_running;
	}
}

static int on_exit_of_command(sd_event_source *source, const siginfo_t *status, void *context);

static int run(struct vm_control *c, enum step step, struct failure *f)
{
	char uuid[UUID_TEXT_LEN + 1];
	struct vm_words words;
	cleanup_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	const int fds[] = { null, STDERR_FILENO, STDERR_FILENO };
	int rc;

	c->step = step;
	rc = vm_words_make(command_of(c), c->vm->r.name, uuid_format(&c->vm->r.vm, uuid), &words, f);
	if (!rc)
		rc = child_start(words.argv, fds, 3, &c->pid, f);
	if (rc)
		return rc;
	c->child_source = sd_event_source_disable_unref(c->child_source);
	rc = sd_event_add_child(c->vm->daemon->event, &c->child_source, c->pid, WEXITED,
				on_exit_of_command, c);
	return rc < 0 ? failure_set(f, CODE_FAILED, rc, "The event loop failed: %s.", strerror(-rc)) :
			0;
}

/* --- what follows --- */

static int explain_status(const struct vm_control *c, const siginfo_t *status, struct failure *f)
{
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
	if (c->vm->daemon->config.vm_stop[0])
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
	case STEP_ASK:
	case STEP_AWAIT:
		if (number == EXIT_RUNS || number == EXIT_RUNS_NOT)
			return answer(c, number == EXIT_RUNS, f);
		break;
	case STEP_STOP:
		if (number == 0)
			return run(c, STEP_AWAIT, f);
		break;
	case STEP_START:
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

static int on_deadline(sd_event_source *source, uint64_t usec, void *context)
{
	struct vm_control *c = context;
	unsigned long long seconds = c->vm->daemon->config.vm_timeout;
	struct failure why;

	(void)source;
	(void)usec;
	/* Who is asked again and again is nearly always just being asked. */
	if (c->step != STEP_AWAIT)
		(void)failure_set(&why, CODE_TIMEOUT, -ETIMEDOUT,
				  "VM %.64s: \"%.200s\" did not end within %llu s (vm-timeout).",
				  c->vm->r.name, command_of(c), seconds);
	else
		(void)failure_set(&why, CODE_TIMEOUT, -ETIMEDOUT,
				  "VM %.64s still runs after %llu s (vm-timeout).", c->vm->r.name,
				  seconds);
	kill_command(c);
	c->child_source = sd_event_source_disable_unref(c->child_source);
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
		return failure_set(f, CODE_OUT_OF_MEMORY, -ENOMEM, "Out of memory.");
	c->vm = vm;
	c->done = done;
	c->context = context;
	rc = sd_event_add_time_relative(vm->daemon->event, &c->deadline, CLOCK_MONOTONIC,
					vm->daemon->config.vm_timeout * 1000000, 0, on_deadline, c);
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
	if (!vm->daemon->config.vm_running[0])
		return 1;
	return begin(vm, STEP_ASK, done, context, ret, f);
}

int vm_control_start(struct vm *vm, vm_control_done done, void *context, struct vm_control **ret,
		     struct failure *f)
{
	if (!vm->daemon->config.vm_start[0])
		return 1;
	return begin(vm, STEP_START, done, context, ret, f);
}
