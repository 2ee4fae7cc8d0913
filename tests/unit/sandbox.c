// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/lib/sandbox.c and what lib/ring.c adds to it: a process that was given up to it reads and writes
 * what it has, and nothing else that it could ask for is granted. Each claim is tried in a child.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <liburing.h>

#include "lib/ring.h"
#include "lib/sandbox.h"

#include "kselftest_harness.h"

#define NOT_CONFINED 99

static void confine(void)
{
	struct failure f;

	if (sandbox_drop(&f) || sandbox_filter(&f))
		_exit(NOT_CONFINED);
}

/* How a child that does @fn ends: its exit status, or 1000 and the signal that killed it. */
static int child(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(fn());
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* 0: refused with EPERM. System calls as they are, so that no library stands between. */
static int refused(long rc)
{
	return rc < 0 && errno == EPERM ? 0 : 1;
}

static int opens(void)
{
	confine();
	return refused(syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY)) +
	       refused(syscall(SYS_openat, AT_FDCWD, "/dev/null", O_WRONLY)) +
	       refused(syscall(SYS_open, "/etc/passwd", O_RDONLY));
}

static int connects(void)
{
	confine();
	return refused(syscall(SYS_socket, AF_INET, SOCK_STREAM, 0)) +
	       refused(syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0)) +
	       refused(syscall(SYS_connect, 0, NULL, 0));
}

static int starts_a_process(void)
{
	confine();
	return refused(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0)) + refused(syscall(SYS_fork));
}

static int executes(void)
{
	char *argv[] = { (char *)"/bin/true", NULL };

	confine();
	(void)execv(argv[0], argv);
	return 1;
}

static int kills(void)
{
	confine();
	return refused(syscall(SYS_kill, getppid(), 0)) + refused(syscall(SYS_tgkill, getppid(), getppid(), 0));
}

static int makes_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	confine();
	return refused(syscall(SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC)) +
	       refused(syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int makes_a_ring(void)
{
	struct io_uring_params params = { 0 };

	confine();
	return refused(syscall(SYS_io_uring_setup, 8, &params));
}

static int reads_and_writes(void)
{
	char text[] = "x";
	int fds[2];
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);

	if (pipe(fds) || fd < 0)
		return 1;
	confine();
	return write(fds[1], text, 1) != 1 || read(fds[0], text, 1) != 1 || pwrite(fd, text, 1, 5) != 1 ||
	       pread(fd, text, 1, 5) != 1 || fdatasync(fd) || !malloc(1 << 24);
}

TEST(nothing_is_opened) { EXPECT_EQ(0, child(opens)); }
TEST(nothing_is_connected) { EXPECT_EQ(0, child(connects)); }
TEST(no_process_is_started) { EXPECT_EQ(0, child(starts_a_process)); }
TEST(who_executes_is_killed) { EXPECT_EQ(1000 + SIGSYS, child(executes)); }
TEST(nobody_else_is_killed) { EXPECT_EQ(0, child(kills)); }
TEST(no_memory_becomes_code) { EXPECT_EQ(0, child(makes_code)); }
TEST(no_ring_is_made) { EXPECT_EQ(0, child(makes_a_ring)); }
TEST(what_is_open_is_read_and_written) { EXPECT_EQ(0, child(reads_and_writes)); }

/* --- threads --- */

static sem_t confined;

static void *open_when_confined(void *context)
{
	while (sem_wait(&confined))
		;
	*(int *)context = refused(syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY));
	return NULL;
}

static int opens_in_a_thread(void)
{
	pthread_t thread;
	int rc = 1;

	(void)sem_init(&confined, 0, 0);
	if (pthread_create(&thread, NULL, open_when_confined, &rc))
		return NOT_CONFINED;
	confine();
	(void)sem_post(&confined);
	(void)pthread_join(thread, NULL);
	return rc;
}

TEST(threads_that_were_there_are_confined_too) { EXPECT_EQ(0, child(opens_in_a_thread)); }

/* --- rights --- */

/* Capabilities, and no root: as of a service that was given some. */
static int has_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	struct failure f;

	if (prctl(PR_SET_KEEPCAPS, 1) || setresuid(65534, 65534, 65534))
		return NOT_CONFINED;
	if (syscall(SYS_capget, &header, data) || !data[0].permitted || sandbox_drop(&f))
		return NOT_CONFINED;
	return syscall(SYS_capget, &header, data) || data[0].permitted || data[1].permitted;
}

static int has_rights(void)
{
	char status[4096] = "";
	struct failure f;
	int fd = open("/proc/self/status", O_RDONLY);

	if (prctl(PR_SET_PDEATHSIG, SIGTERM) || sandbox_drop(&f))
		return NOT_CONFINED;
	if (read(fd, status, sizeof(status) - 1) <= 0)
		return 1;
	return !strstr(status, "\nCapPrm:\t0000000000000000\n") + !strstr(status, "\nCapEff:\t0000000000000000\n") +
	       !strstr(status, "\nNoNewPrivs:\t1\n") + (getuid() == 0) + (geteuid() == 0) + (getgid() == 0) +
	       (setuid(0) == 0);
}

static int outlives_its_parent(void)
{
	struct failure f;
	int signo = 0;

	if (prctl(PR_SET_PDEATHSIG, SIGTERM) || sandbox_drop(&f))
		return NOT_CONFINED;
	return prctl(PR_GET_PDEATHSIG, &signo) || signo != SIGTERM;
}

TEST(no_capability_is_left)
{
	if (geteuid() != 0)
		SKIP(return, "needs root");
	EXPECT_EQ(0, child(has_capabilities));
}

TEST(no_right_is_left) { EXPECT_EQ(0, child(has_rights)); }
TEST(its_parents_death_still_ends_it) { EXPECT_EQ(0, child(outlives_its_parent)); }

/* --- io_uring, whose operations no filter sees --- */

/* The ring of struct ring, found among the descriptors, with queues of our own view. */
static int borrow(struct io_uring *ret)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
			 IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE,
		.cq_entries = 8192,
	};
	struct io_uring like = { 0 };
	char link[64];
	char name[64];

	if (io_uring_queue_init_params(512, &like, &params) < 0)
		return -1;
	for (int fd = 3; fd < like.ring_fd; fd++) {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		memset(name, 0, sizeof(name));
		if (readlink(link, name, sizeof(name) - 1) > 0 && strcmp(name, "anon_inode:[io_uring]") == 0)
			return io_uring_queue_mmap(fd, &params, ret);
	}
	return -1;
}

static int run_borrowed(void (*prepare)(struct io_uring_sqe *sqe))
{
	struct io_uring borrowed = { 0 };
	struct io_uring_cqe *cqe = NULL;
	struct ring *ring;
	struct failure f;
	int null = open("/dev/null", O_RDWR);

	(void)setenv("FAILBACK_NO_IO_URING", "0", 1);
	if (ring_open(&ring, &null, 1, 1, &f) || strcmp(ring_engine_name(ring), "io_uring") != 0)
		return NOT_CONFINED;
	if (borrow(&borrowed))
		return NOT_CONFINED;
	prepare(io_uring_get_sqe(&borrowed));
	if (io_uring_submit_and_wait(&borrowed, 1) < 0 || io_uring_peek_cqe(&borrowed, &cqe))
		return NOT_CONFINED;
	return cqe->res < 0 ? -cqe->res : 0;
}

static void prepare_open(struct io_uring_sqe *sqe)
{
	io_uring_prep_openat(sqe, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
}

static void prepare_socket(struct io_uring_sqe *sqe)
{
	io_uring_prep_socket(sqe, AF_INET, SOCK_STREAM, 0, 0);
}

static void prepare_read_of_any_file(struct io_uring_sqe *sqe)
{
	static char byte;

	io_uring_prep_read(sqe, 0, &byte, 1, 0);
}

static int ring_opens(void) { return run_borrowed(prepare_open); }
static int ring_connects(void) { return run_borrowed(prepare_socket); }
static int ring_reads(void) { return run_borrowed(prepare_read_of_any_file); }

TEST(a_ring_opens_nothing) { EXPECT_EQ(EACCES, child(ring_opens)); }
TEST(a_ring_makes_no_socket) { EXPECT_EQ(EACCES, child(ring_connects)); }
TEST(a_ring_does_what_ring_h_says_and_no_more) { EXPECT_EQ(EACCES, child(ring_reads)); }

TEST_HARNESS_MAIN
