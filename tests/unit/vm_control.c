// SPDX-License-Identifier: GPL-2.0-or-later
/* user/daemon/vm_control.c: a command that does not end holds nobody. */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "daemon/vm_control.h"

#include "kselftest_harness.h"

static unsigned int nr_waits;

/* In front of the library's: who calls it waits for as long as the kernel likes. */
pid_t waitpid(pid_t pid, int *status, int options)
{
	nr_waits += !(options & WNOHANG);
	return wait4(pid, status, options, NULL);
}

FIXTURE(vm_control)
{
	struct daemon d;
	struct vm vm;
	struct vm_control *control;
	struct failure why;
	bool done;
};

FIXTURE_SETUP(vm_control)
{
	sigset_t signals;

	memset(self, 0, sizeof(*self));
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGCHLD);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &signals, NULL));
	ASSERT_LE(0, sd_event_new(&self->d.event));
	(void)strcpy(self->d.config.vm_driver, "exec");
	(void)strcpy(self->d.config.vm_running, "/bin/sleep 600");
	self->d.config.vm_timeout = 1;
	self->vm.daemon = &self->d;
	nr_waits = 0;
}

FIXTURE_TEARDOWN(vm_control)
{
	vm_control_free_at(&self->control);
	(void)sd_event_unref(self->d.event);
}

static bool has_child(void)
{
	siginfo_t ignored;

	return waitid(P_ALL, 0, &ignored, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* In turns of the loop, within some seconds. */
static bool comes_true(struct daemon *d, const bool *flag)
{
	uint64_t deadline = deadline_in_ms(20000);

	while (flag ? !*flag : has_child()) {
		if (!deadline_left_ms(deadline))
			return false;
		(void)sd_event_run(d->event, 100000);
	}
	return true;
}

static void on_done(void *context, const struct failure *why)
{
	FIXTURE_DATA(vm_control) *self = context;

	if (why)
		self->why = *why;
	self->done = true;
}

TEST_F(vm_control, a_command_that_runs_out_of_time_is_killed_and_not_waited_for)
{
	ASSERT_EQ(0, vm_control_stop(&self->vm, on_done, self, &self->control, &self->why));
	ASSERT_TRUE(has_child());
	ASSERT_TRUE(comes_true(&self->d, &self->done));
	EXPECT_EQ(CODE_TIMEOUT, self->why.code);
	EXPECT_EQ(0, nr_waits);
	vm_control_free_at(&self->control);
	EXPECT_TRUE(comes_true(&self->d, NULL)); /* and is reaped */
}

TEST_F(vm_control, one_that_is_not_wanted_any_more_is_killed_and_not_waited_for)
{
	ASSERT_EQ(0, vm_control_stop(&self->vm, on_done, self, &self->control, &self->why));
	vm_control_free_at(&self->control);
	EXPECT_EQ(0, nr_waits);
	EXPECT_TRUE(comes_true(&self->d, NULL));
	EXPECT_FALSE(self->done);
}

TEST_HARNESS_MAIN
