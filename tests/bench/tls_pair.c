// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tls_pair NEAR FAR SOCKET DIRECTORY: the two ends of a connection, with TLS between them. Sends the
 * two descriptors that carry what is said over SOCKET, and prints who makes the records.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/tls.h"
#include "lib/tls_make.h"

#define ENDS 2

static struct failure why;

static void must(int rc)
{
	if (rc == 0)
		return;
	(void)fprintf(stderr, "tls_pair: %s\n", why.text);
	exit(1);
}

static void send_descriptors(int fd, const int *fds)
{
	char control[CMSG_SPACE(ENDS * sizeof(int))] = { 0 };
	char nothing = '\0';
	struct iovec byte = { .iov_base = &nothing, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &byte,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&msg);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(ENDS * sizeof(int));
	memcpy(CMSG_DATA(header), fds, ENDS * sizeof(int));
	if (sendmsg(fd, &msg, 0) != 1)
		exit(1);
}

int main(int argc, char **argv)
{
	struct tls *tls[ENDS];
	enum protection protection;
	char certificate[256], key[256], peers[256];
	char fingerprint[FINGERPRINT_TEXT_MAX];
	struct address address;
	struct tls_files files = { certificate, key, "", peers, true };
	FILE *file;
	int fds[ENDS];
	int rc[ENDS] = { 1, 1 };

	if (argc != 5)
		return 2;
	(void)snprintf(certificate, sizeof(certificate), "%s/host.pem", argv[4]);
	(void)snprintf(key, sizeof(key), "%s/host.key", argv[4]);
	(void)snprintf(peers, sizeof(peers), "%s/peers", argv[4]);
	must(tls_identity_make(certificate, key, "bench", &why));
	must(tls_identity_show(&files, fingerprint, &why));
	file = fopen(peers, "w");
	if (!file || fprintf(file, "127.0.0.1 %s\n", fingerprint) < 0 || fclose(file))
		return 1;
	must(address_parse("127.0.0.1", 1, &address, &why));
	for (int i = 0; i < ENDS; i++) {
		fds[i] = atoi(argv[1 + i]);
		must(tls_new(&files, i, &address, &tls[i], &why));
	}
	while (rc[0] > 0 || rc[1] > 0) {
		for (int i = 0; i < ENDS; i++) {
			if (rc[i] > 0)
				rc[i] = tls_step(tls[i], fds[i], &why);
			must(rc[i] < 0 ? rc[i] : 0);
		}
	}
	for (int i = 0; i < ENDS; i++)
		must(tls_hand_over(tls[i], &fds[i], &protection, &why));
	send_descriptors(atoi(argv[3]), fds);
	(void)puts(protection_name(protection));
	return 0;
}
