// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CRASH: the slot that does not count is written, so that a crash leaves one of the two.
 *
 * Neither read nor write of a store that hangs can be given up by who makes it: a child makes them.
 */
#include "lib/store_bypass.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "lib/cbt_store.h"

/* Also of a store in use. A bypass that is noted stays so until the next attach. */
static bool says_so(const char *path)
{
	cleanup_cbt_store struct cbt_store store = CBT_STORE_CLOSED;
	struct cbt_super super;
	struct failure ignored;

	return !cbt_store_open(&store, path, CBT_STORE_LOOK, &ignored) &&
	       !cbt_store_super(&store, &super, &ignored) && super.flags & CBT_DISK_BYPASSED;
}

static int note(const char *path, struct failure *f)
{
	cleanup_cbt_store struct cbt_store store = CBT_STORE_CLOSED;
	cleanup_free void *block = cbt_store_buffer(1);
	struct cbt_super super;
	int err;

	if (!block)
		return failure_no_memory(f);
	if (says_so(path))
		return 0;
	err = cbt_store_open(&store, path, CBT_STORE_CHANGE, f);
	if (!err)
		err = cbt_store_super(&store, &super, f);
	if (err < 0)
		return err;
	super.flags |= CBT_DISK_BYPASSED;
	super.sequence++;
	cbt_super_encode(&super, block);
	err = cbt_store_write(&store, cbt_super_slot(super.sequence), block);
	if (!err)
		err = cbt_store_flush(&store);
	if (err < 0)
		return failure_set(f, code_of_errno(err), err, "store %s cannot be written: %s",
				   path, strerror(-err));
	return 0;
}

struct answer {
	int err;
	struct failure why;
};

/*
 * What the child has to say comes whole or not at all: it is less than PIPE_BUF. Where it is left
 * behind, it keeps neither pipes nor locks of who started us.
 */
static void note_and_tell(const char *path, int fd)
{
	struct answer a = { 0 };
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0U, 0) < 0)
		_exit(1);
	a.err = note(path, &a.why);
	_exit(write(STDIN_FILENO, &a, sizeof(a)) == (ssize_t)sizeof(a) ? 0 : 1);
}

static bool wait_readable(int fd, unsigned int timeout_ms)
{
	uint64_t deadline_ns = deadline_in_ms(timeout_ms);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, deadline_left_ms(deadline_ns));
	while (n < 0 && errno == EINTR);
	return n > 0;
}

int store_bypass_note(const char *path, unsigned int timeout_ms, struct failure *f)
{
	cleanup_fd int mine = -1;
	struct answer a;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return failure_set(f, CODE_FAILED, -errno, "there is no pipe: %s", strerror(errno));
	mine = fds[0];
	pid = fork();
	if (!pid)
		note_and_tell(path, fds[1]);
	(void)close(fds[1]);
	if (pid < 0)
		return failure_set(f, CODE_FAILED, -errno, "there is no process: %s", strerror(errno));
	if (!wait_readable(mine, timeout_ms)) {
		/* Before it writes, if it has not begun. */
		(void)kill(pid, SIGKILL);
		return failure_set(f, CODE_TIMEOUT, -ETIMEDOUT, "store %s does not answer", path);
	}
	if (read(mine, &a, sizeof(a)) != (ssize_t)sizeof(a))
		a.err = failure_set(&a.why, CODE_FAILED, -EIO, "what asked store %s died", path);
	(void)waitpid(pid, NULL, 0);
	if (a.err < 0)
		*f = a.why;
	return a.err;
}
