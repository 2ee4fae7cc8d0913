// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Taking leave: whoever fails says FAILED, ends its direction and reads on until the peer has
 * closed. Closing a socket with unread data resets the connection, and a reset overtakes the
 * sentence that the peer should read.
 */
#include "xfer/transfer.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macro.h"
#include "lib/covered.h"
#include "lib/keep_alive.h"
#include "lib/record_io.h"
#include "lib/sandbox.h"
#include "xfer/journal_file.h"

#define LEAVE_TIMEOUT_MS 5000
#define EXIT_USAGE	 2

bool transfer_is_direct(const struct transfer *t)
{
	for (unsigned int i = 0; i < t->nr_open_disks; i++)
		if (t->disks[i].direct < 0)
			return false;
	return true;
}

/* Whose host, or daemon, is stopped can be gone on with; who was told to end it, ends it. */
static int signalled(const struct transfer *t, struct failure *f)
{
	struct signalfd_siginfo info = { 0 };

	if (read(t->signal_fd, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGTERM)
		return failure_set(f, CODE_NOT_AVAILABLE, -ECANCELED, "the transfer was stopped");
	return failure_set(f, CODE_FAILED, -ECANCELED, "the transfer was terminated");
}

int transfer_wait(struct transfer *t, int timeout_ms, const char *waiting_for, struct ring_op **ret,
		  struct failure *f)
{
	struct ring_op *op;
	int rc;

	rc = ring_wait(t->ring, timeout_ms, &op);
	if (rc == -ETIMEDOUT)
		return failure_set(f, CODE_TIMEOUT, rc, "waited %d s for %s",
				   (timeout_ms + 999) / 1000, waiting_for);
	if (rc)
		return failure_set(f, CODE_FAILED, rc, "the %s engine failed: %s",
				   ring_engine_name(t->ring), strerror(-rc));
	if (op == &t->signal_op)
		return signalled(t, f);
	*ret = op;
	return 0;
}

int transfer_say(struct transfer *t, enum cbt_wire_type type, const void *body, size_t len,
		    struct failure *f)
{
	uint64_t deadline_ns = deadline_in_ms((uint64_t)t->idle_timeout_ms);
	int rc;

	t->mid_record = true;
	rc = record_write(t->connections[t->stripe.turn], type, t->sequence_out, body, len,
			  deadline_ns, f);
	if (rc)
		return rc;
	t->mid_record = false;
	t->sequence_out++;
	return 0;
}

void transfer_quiet(struct transfer *t)
{
	ring_drain(t->ring);
	ring_submit(t->ring, &t->signal_op);
}

void transfer_read(struct transfer *t, unsigned int disk, const struct extent *extents,
		   unsigned int nr, uint8_t *body, struct ring_op *ops, void *owner)
{
	for (unsigned int i = 0; i < nr; i++) {
		const struct extent *extent = &extents[i];
		bool direct =
			disk_takes_direct(&t->disks[disk], extent->offset, extent->length, body);

		ops[i] = (struct ring_op){
			.kind = RING_READ,
			.file = transfer_file(disk, direct),
			.offset = extent->offset,
			.iov = { { body, extent->length } },
			.nr_iov = 1,
			.owner = owner,
		};
		ring_submit(t->ring, &ops[i]);
		body += extent->length;
	}
}

int transfer_read_ended(const struct transfer *t, unsigned int disk, const struct ring_op *op,
			struct failure *f)
{
	if (!op->result)
		return 0;
	return failure_set(f, CODE_FAILED, -EIO, "cannot read disk %s at byte %llu: %s",
			   t->plan->begin.disks[disk].name, (unsigned long long)op->offset,
			   op->result == -ENODATA ? "the disk ends there" : strerror(-op->result));
}

/* --- leaving --- */

/* Read what the peer still sends, until it closes. */
static void await_close(int fd, uint64_t deadline_ns)
{
	char ignored[65536];

	for (;;) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		ssize_t got;

		if (poll(&poll_fd, 1, deadline_left_ms(deadline_ns)) <= 0)
			return;
		got = recv(fd, ignored, sizeof(ignored), MSG_DONTWAIT);
		if (!got || (got < 0 && errno != EAGAIN && errno != EINTR))
			return;
	}
}

static void leave(const struct transfer *t, int rc, const struct failure *f)
{
	uint64_t deadline_ns = deadline_in_ms(LEAVE_TIMEOUT_MS);

	if (!t->nr_connections || rc == -EREMOTEIO || rc == -ECONNRESET || t->mid_record)
		return;
	if (record_write_failed(t->connections[t->stripe.turn], t->sequence_out, f, deadline_ns))
		return;
	for (unsigned int i = 0; i < t->nr_connections; i++)
		(void)shutdown(t->connections[i], SHUT_WR);
	await_close(t->connections[0], deadline_ns);
}

/* --- setting up --- */

static int open_disks(struct transfer *t, enum plan_role role, struct failure *f)
{
	for (uint32_t i = 0; i < t->plan->begin.nr_disks; i++) {
		const struct wire_disk *wire = &t->plan->begin.disks[i];
		int rc;

		if (role == PLAN_SEND || t->plan->verify)
			rc = disk_open_source(&t->plan->disks[i], wire, &t->disks[i], f);
		else
			rc = disk_open_target(&t->plan->disks[i], wire, &t->disks[i], f);
		if (rc)
			return rc;
		t->nr_open_disks++;
	}
	return 0;
}

static int open_ring(struct transfer *t, struct failure *f)
{
	int fds[FILE_JOURNAL + 1 + 2 * CBT_WIRE_DISKS_MAX];
	int rc;

	memcpy(&fds[FILE_CONNECTION], t->connections, sizeof(t->connections));
	fds[FILE_SIGNAL] = t->signal_fd;
	fds[FILE_JOURNAL] = t->journal ? t->journal->fd : -1;
	for (unsigned int i = 0; i < t->nr_open_disks; i++) {
		fds[transfer_file(i, false)] = t->disks[i].buffered;
		fds[transfer_file(i, true)] = t->disks[i].direct;
	}
	/* one buffer more than slots: zeroes to be written */
	rc = ring_open(&t->ring, fds, transfer_file(t->nr_open_disks, false), t->nr_slots + 1, f);
	if (rc)
		return rc;
	t->signal_op = (struct ring_op){ .kind = RING_POLL, .file = FILE_SIGNAL };
	ring_submit(t->ring, &t->signal_op);
	return 0;
}

static int open_covered(struct transfer *t, struct failure *f)
{
	const struct wire_begin *begin = &t->plan->begin;
	uint64_t sizes[CBT_WIRE_DISKS_MAX];
	int rc;

	for (uint32_t i = 0; i < begin->nr_disks; i++)
		sizes[i] = begin->disks[i].size_bytes;
	rc = covered_open(t->plan->covered_fd, sizes, begin->nr_disks, &t->covered);
	if (rc)
		return failure_set(f, code_of_errno(-rc), rc, "cannot use the \"covered_fd\" of the plan: %s",
				   strerror(-rc));
	return 0;
}

static int run_transfer(struct transfer *t, enum plan_role role, transfer_run_fn run,
			struct failure *f)
{
	bool confined = role == PLAN_RECEIVE;
	int rc;

	rc = open_disks(t, role, f);
	if (!rc && t->plan->journal.used)
		rc = journal_file_open(&t->plan->journal, &t->journal, f);
	if (!rc && t->plan->covered_fd >= 0)
		rc = open_covered(t, f);
	if (!rc && confined)
		rc = sandbox_drop(f);
	if (!rc)
		rc = open_ring(t, f);
	if (!rc && confined)
		rc = sandbox_filter(f);
	if (!rc)
		rc = run(t, f);
	if (t->ring)
		ring_drain(t->ring);
	if (rc)
		leave(t, rc, f);
	ring_close_at(&t->ring);
	journal_file_close_at(&t->journal);
	covered_close_at(&t->covered);
	while (t->nr_open_disks)
		disk_close(&t->disks[--t->nr_open_disks]);
	return rc;
}

/* --- command line --- */

static int usage(const char *name, enum plan_role role)
{
	(void)fprintf(stderr, "usage: %s --connection FD ... [--report FD] < plan\n", name);
	if (role == PLAN_RECEIVE)
		(void)fprintf(stderr, "       %s --apply [--report FD] < plan\n", name);
	return EXIT_USAGE;
}

static bool fd_parse(const char *text, int *ret)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < 0 || value > INT_MAX)
		return false;
	*ret = (int)value;
	return true;
}

static bool connection_add(struct transfer *t, const char *text)
{
	return t->nr_connections < CBT_WIRE_CONNECTIONS_MAX &&
	       fd_parse(text, &t->connections[t->nr_connections++]);
}

static bool arguments_parse(int argc, char **argv, enum plan_role role, struct transfer *t,
			    int *ret_report)
{
	static const struct option options[] = {
		{ "apply", no_argument, NULL, 'a' },
		{ "connection", required_argument, NULL, 'c' },
		{ "report", required_argument, NULL, 'r' },
		{ 0 },
	};
	bool right = true;
	bool apply = false;
	int option;

	*ret_report = STDOUT_FILENO;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'c')
			right = right && connection_add(t, optarg);
		else if (option == 'r')
			right = right && fd_parse(optarg, ret_report);
		else if (option == 'a' && role == PLAN_RECEIVE)
			apply = true;
		else
			right = false;
	}
	return right && optind == argc && apply == !t->nr_connections;
}

/* A parent's signals reach the worker between two operations, never inside one. */
static int signals_open(void)
{
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int idle_timeout_ms(void)
{
	const char *text = getenv("FAILBACK_IDLE_TIMEOUT_MS");
	int ms;

	return text && fd_parse(text, &ms) && ms > 0 ? ms : IDLE_TIMEOUT_MS;
}

int worker_main(int argc, char **argv, const char *name, enum plan_role role, transfer_run_fn run)
{
	_cleanup_(plan_free_at) struct plan *plan = NULL;
	struct transfer t = { .idle_timeout_ms = idle_timeout_ms() };
	struct failure f;
	int report_fd;
	int rc;

	memset(t.connections, -1, sizeof(t.connections));
	if (!arguments_parse(argc, argv, role, &t, &report_fd))
		return usage(name, role);
	report_init(&t.report, report_fd);
	t.stripe.nr = max_of(t.nr_connections, 1U);
	t.nr_slots = NR_SLOTS + t.stripe.nr - 1;
	for (unsigned int i = 0; i < t.nr_connections; i++)
		keep_alive(t.connections[i]);
	t.signal_fd = signals_open();
	if (t.signal_fd < 0)
		rc = failure_set(&f, CODE_FAILED, -errno, "cannot receive signals: %s",
				 strerror(errno));
	else
		rc = plan_read(STDIN_FILENO, role, &plan, &f);
	if (!rc && !t.nr_connections && !plan->journal.used)
		rc = failure_set(&f, CODE_INVALID_PARAMETER, -EINVAL,
				 "the plan names no journal to apply");
	if (rc) {
		leave(&t, rc, &f);
		report_failed(&t.report, &f);
		return EXIT_USAGE;
	}
	t.plan = plan;
	rc = run_transfer(&t, role, run, &f);
	if (rc)
		report_failed(&t.report, &f);
	return rc ? code_exit_status(f.code) : 0;
}
