// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * For scripts/guest-bench, no test: how long a map takes to come over netlink, and read() of as many
 * bytes as it has bits for from a tmpfs. Raw messages: what the kernel does is measured, not how a
 * program decodes it.
 *
 *	bench_map NAME BYTES ROUNDS [every-second]
 *
 * prints "map_ns=N read_ns=N messages_bytes=N", the least of the rounds. every-second: every second
 * block of as many as BYTES have bits is made dirty before.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/dm-cbt.h>

#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>

#include "base/macro.h"
#include "lib/nl.h"
#include "lib/nl_control.h"

#define RECV_SIZE (256 << 10) /* what a reader gives; the kernel fills what it wants of it */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void mark_every_second(const char *name, uint64_t nr_blocks)
{
	struct cbt_blocks ranges[1024];
	struct failure f = { 0 };
	struct nl *nl;

	if (nl_open(&nl, &f) < 0)
		errx(1, "%s", f.text);
	for (uint64_t at = 0; at < nr_blocks;) {
		size_t nr;

		for (nr = 0; nr < ARRAY_SIZE(ranges) && at < nr_blocks; nr++, at += 2)
			ranges[nr] = (struct cbt_blocks){ .start = at, .nr = 1 };
		if (nl_mark(nl, name, ranges, nr, &f) < 0)
			errx(1, "%s", f.text);
	}
	nl_close_at(&nl);
}

static void ask(struct nl_sock *sock, int family, const char *name)
{
	struct nl_msg *msg = nlmsg_alloc();
	struct nlattr *nest;

	genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, NLM_F_REQUEST | NLM_F_DUMP,
		    CBT_CMD_MAP_GET, CBT_GENL_VERSION);
	nest = nla_nest_start(msg, CBT_A_TRACKER | NLA_F_NESTED);
	nla_put_string(msg, CBT_TRACKER_A_NAME, name);
	nla_nest_end(msg, nest);
	nla_put_u32(msg, CBT_A_WHICH, CBT_MAP_ACTIVE);
	if (nl_send_auto(sock, msg) < 0)
		errx(1, "the request cannot be sent");
	nlmsg_free(msg);
}

/* Until the end of the dump; bytes that came. */
static uint64_t receive(int fd, unsigned char *buffer)
{
	uint64_t bytes = 0;

	for (;;) {
		ssize_t n = recv(fd, buffer, RECV_SIZE, 0);
		const struct nlmsghdr *h = (const void *)buffer;

		if (n < 0)
			err(1, "recv");
		bytes += n;
		for (int left = n; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_type == NLMSG_ERROR)
				errx(1, "the kernel refused");
			if (h->nlmsg_type == NLMSG_DONE)
				return bytes;
		}
	}
}

static uint64_t read_all(int fd, unsigned char *buffer, uint64_t size)
{
	uint64_t begin = now_ns();

	for (uint64_t at = 0; at < size;) {
		ssize_t n = pread(fd, buffer, RECV_SIZE, at);

		if (n <= 0)
			err(1, "read");
		at += n;
	}
	return now_ns() - begin;
}

int main(int argc, char **argv)
{
	bool marks = argc == 5 && !strcmp(argv[4], "every-second");
	uint64_t size = argc == 4 || marks ? strtoull(argv[2], NULL, 0) : 0, begin, took, bytes = 0;
	uint64_t map_ns = UINT64_MAX, read_ns = UINT64_MAX;
	unsigned char *buffer = malloc(RECV_SIZE);
	struct nl_sock *sock = nl_socket_alloc();
	int family, file = memfd_create("bytes", 0);

	if (!size || !buffer || !sock)
		errx(2, "usage: bench_map NAME BYTES ROUNDS [every-second]");
	if (marks)
		mark_every_second(argv[1], size * 8);
	memset(buffer, 0x55, RECV_SIZE);
	for (uint64_t at = 0; at < size; at += RECV_SIZE)
		if (pwrite(file, buffer, size - at < RECV_SIZE ? size - at : RECV_SIZE, at) < 0)
			err(1, "memfd");
	if (genl_connect(sock) < 0 || (family = genl_ctrl_resolve(sock, CBT_GENL_NAME)) < 0)
		errx(1, "no family %s", CBT_GENL_NAME);
	for (int round = atoi(argv[3]); round > 0; round--) {
		begin = now_ns();
		ask(sock, family, argv[1]);
		bytes = receive(nl_socket_get_fd(sock), buffer);
		took = now_ns() - begin;
		map_ns = took < map_ns ? took : map_ns;
		took = read_all(file, buffer, size);
		read_ns = took < read_ns ? took : read_ns;
	}
	printf("map_ns=%llu read_ns=%llu messages_bytes=%llu\n", (unsigned long long)map_ns,
	       (unsigned long long)read_ns, (unsigned long long)bytes);
	nl_socket_free(sock);
	free(buffer);
	return 0;
}
