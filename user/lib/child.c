// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

/*
 * First every descriptor is moved above all targets, so that none is overwritten before it was
 * copied; then down to its target, which dup2() leaves open across exec.
 */
static bool place_descriptors(const int *fds, size_t nr_fds, int status_fd)
{
	int high[nr_fds];

	for (size_t i = 0; i < nr_fds; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, (int)nr_fds + 1);
		if (high[i] < 0)
			return false;
	}
	if (dup3(status_fd, (int)nr_fds, O_CLOEXEC) < 0)
		return false;
	for (size_t i = 0; i < nr_fds; i++) {
		if (dup2(high[i], (int)i) < 0)
			return false;
	}
	return close_range((unsigned int)nr_fds + 1, ~0U, 0) == 0;
}

static void reset_signals(void)
{
	sigset_t none;

	for (int signo = 1; signo < NSIG; signo++)
		(void)signal(signo, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Runs in the child. What fails before exec is told to the parent as an errno; a successful exec
 * closes the pipe.
 */
static void run(const char *const *argv, const int *fds, size_t nr_fds, int status_fd, pid_t parent)
{
	int error = 0;

	reset_signals();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || setpgid(0, 0) < 0)
		_exit(127);
	status_fd = fcntl(status_fd, F_DUPFD_CLOEXEC, (int)nr_fds + 1);
	if (status_fd < 0 || !place_descriptors(fds, nr_fds, status_fd))
		_exit(127);
	(void)execv(argv[0], (char *const *)argv);
	error = errno;
	(void)!write((int)nr_fds, &error, sizeof(error));
	_exit(127);
}

int child_start(const char *const *argv, const int *fds, size_t nr_fds, pid_t *ret,
		struct failure *f)
{
	cleanup_fd int status_read = -1;
	cleanup_fd int status_write = -1;
	pid_t parent = getpid();
	int pipe_fds[2];
	int error = 0;
	ssize_t got;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return failure_set(f, CODE_FAILED, -errno, "Cannot make a pipe: %s.",
				   strerror(errno));
	status_read = pipe_fds[0];
	status_write = pipe_fds[1];
	pid = fork();
	if (pid < 0)
		return failure_set(f, code_of_errno(errno), -errno, "Cannot start a process: %s.",
				   strerror(errno));
	if (!pid)
		run(argv, fds, nr_fds, status_write, parent);
	status_write = close_fd(status_write);
	do {
		got = read(status_read, &error, sizeof(error));
	} while (got < 0 && errno == EINTR);
	if (got == (ssize_t)sizeof(error)) {
		(void)waitpid(pid, NULL, 0);
		return failure_set(f, code_of_errno(error), -error, "Cannot run %s: %s.", argv[0],
				   strerror(error));
	}
	*ret = pid;
	return 0;
}
