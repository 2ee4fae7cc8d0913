// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * deny_io_uring PROGRAM [ARGUMENT]...: run it where io_uring_setup(2) is refused, as by the seccomp
 * profile of a container. For tests/e2e/threads.sh.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <seccomp.h>

int main(int argc, char **argv)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (argc < 2 || !filter ||
	    seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(io_uring_setup), 0) ||
	    seccomp_load(filter))
		return 2;
	seccomp_release(filter);
	(void)execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 2;
}
