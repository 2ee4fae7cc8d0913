// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The bare copy loop that a delta stream is measured against: no checks, no records, no order.
 *
 *	copyloop send FD FILE BYTES	pread, send
 *	copyloop receive FD FILE BYTES	recv, pwrite
 *
 * BYTES from the start of the file, 256 KiB at a time, over the stream socket FD; the receiver ends
 * with fdatasync() and says so with one byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)256 << 10)

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void send_file(int sock, int fd, uint64_t left, char *buf)
{
	uint64_t offset = 0;
	char done;

	while (left) {
		size_t want = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
		ssize_t got = pread(fd, buf, want, (off_t)offset);
		size_t sent = 0;

		if (got <= 0)
			die("pread");
		while (sent < (size_t)got) {
			ssize_t rc = send(sock, buf + sent, (size_t)got - sent, 0);

			if (rc < 0)
				die("send");
			sent += (size_t)rc;
		}
		offset += (size_t)got;
		left -= (size_t)got;
	}
	if (recv(sock, &done, 1, MSG_WAITALL) != 1)
		die("recv");
}

static void receive_file(int sock, int fd, uint64_t left, char *buf)
{
	uint64_t offset = 0;

	while (left) {
		size_t want = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
		ssize_t got = recv(sock, buf, want, MSG_WAITALL);

		if (got <= 0)
			die("recv");
		if (pwrite(fd, buf, (size_t)got, (off_t)offset) != got)
			die("pwrite");
		offset += (size_t)got;
		left -= (size_t)got;
	}
	if (fdatasync(fd) || send(sock, "", 1, 0) != 1)
		die("end");
}

int main(int argc, char **argv)
{
	char *buf = aligned_alloc(4096, PIECE_BYTES);
	int fd;

	if (argc != 5 || !buf)
		return 2;
	fd = open(argv[3], O_RDWR);
	if (fd < 0)
		die(argv[3]);
	memset(buf, 0, PIECE_BYTES);
	if (strcmp(argv[1], "send") == 0)
		send_file(atoi(argv[2]), fd, strtoull(argv[4], NULL, 10), buf);
	else
		receive_file(atoi(argv[2]), fd, strtoull(argv[4], NULL, 10), buf);
	return 0;
}
