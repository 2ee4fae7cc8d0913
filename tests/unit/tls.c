// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/lib/tls*.c: whose certificate is taken, what both sides say when it is not, and that what is
 * handed over carries bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cbt-wire.h"
#include "certificate.h"
#include "lib/tls_make.h"
#include "lib/tls_private.h"

#include "kselftest_harness.h"

#define YEAR (365 * 86400L)
#define HOSTS 2
#define CALLER 0
#define LISTENER 1

struct host {
	char certificate[128];
	char key[128];
	char ca[128];
	char peers[128];
	struct tls_files files;
	struct tls *tls;
	int fd;
	int rc;
	struct failure f;
};

FIXTURE(tls)
{
	char directory[64];
	struct address address;
	struct certificate ca;
	struct host hosts[HOSTS];
};

static void connect_pair(int fds[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(listener, (struct sockaddr *)&address, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &len))
		abort();
	fds[CALLER] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fds[CALLER], (struct sockaddr *)&address, len))
		abort();
	fds[LISTENER] = accept(listener, (struct sockaddr *)&address, &len);
	(void)close(listener);
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	(void)fputs(text, file);
	(void)fclose(file);
}

/* The other host knows it by its key. */
static void pin(FIXTURE_DATA(tls) * self, int host)
{
	char fingerprint[FINGERPRINT_TEXT_MAX];
	char line[128];
	struct failure f;

	if (tls_identity_show(&self->hosts[host].files, fingerprint, &f))
		abort();
	(void)snprintf(line, sizeof(line), "127.0.0.1 %s\n", fingerprint);
	write_text(self->hosts[!host].peers, line);
}

/* @issuer: NULL: the CA of the test */
static void identify(FIXTURE_DATA(tls) * self, int host, const struct certificate *issuer,
		     const char *name, long from, long until)
{
	struct host *h = &self->hosts[host];
	struct certificate own;

	certificate_make(&own, issuer ? issuer : &self->ca, name, from, until);
	certificate_write(&own, h->certificate, h->key);
	certificate_clear(&own);
}

FIXTURE_SETUP(tls)
{
	int fds[2];

	memset(self, 0, sizeof(*self));
	(void)strcpy(self->directory, "/tmp/tls-test.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->directory));
	ASSERT_EQ(0, address_parse("127.0.0.1", 7407, &self->address, NULL));
	certificate_make(&self->ca, NULL, "ca", -YEAR, YEAR);
	connect_pair(fds);
	for (int i = 0; i < HOSTS; i++) {
		struct host *h = &self->hosts[i];

		(void)snprintf(h->certificate, sizeof(h->certificate), "%s/%d.pem", self->directory, i);
		(void)snprintf(h->key, sizeof(h->key), "%s/%d.key", self->directory, i);
		(void)snprintf(h->ca, sizeof(h->ca), "%s/%d.ca", self->directory, i);
		(void)snprintf(h->peers, sizeof(h->peers), "%s/%d.peers", self->directory, i);
		h->files = (struct tls_files){ h->certificate, h->key, "", h->peers, false };
		h->fd = fds[i];
		identify(self, i, NULL, i ? "listener.example" : "caller.example", -YEAR, YEAR);
	}
	for (int i = 0; i < HOSTS; i++)
		pin(self, i);
}

FIXTURE_TEARDOWN(tls)
{
	char command[128];

	for (int i = 0; i < HOSTS; i++) {
		tls_free_at(&self->hosts[i].tls);
		(void)close(self->hosts[i].fd);
	}
	certificate_clear(&self->ca);
	(void)snprintf(command, sizeof(command), "rm -r %s", self->directory);
	(void)!system(command);
}

/* As conn.c does it: a host's end of the connection goes with its failure. */
static void step(struct host *h)
{
	h->rc = tls_step(h->tls, h->fd, &h->f);
	if (h->rc < 0)
		(void)shutdown(h->fd, SHUT_RDWR);
}

static void start(FIXTURE_DATA(tls) * self)
{
	for (int i = 0; i < HOSTS; i++)
		if (tls_new(&self->hosts[i].files, i == LISTENER, &self->address,
			    &self->hosts[i].tls, &self->hosts[i].f))
			abort();
}

static void shake_hands_of(FIXTURE_DATA(tls) * self)
{
	struct host *hosts = self->hosts;

	hosts[CALLER].rc = hosts[LISTENER].rc = EPOLLIN | EPOLLOUT;
	while (hosts[CALLER].rc > 0 || hosts[LISTENER].rc > 0)
		for (int i = 0; i < HOSTS; i++)
			if (hosts[i].rc > 0)
				step(&hosts[i]);
}

static void shake_hands(FIXTURE_DATA(tls) * self)
{
	start(self);
	shake_hands_of(self);
}

/* The caller only wants to know who listens. */
static void meet(FIXTURE_DATA(tls) * self)
{
	struct host *caller = &self->hosts[CALLER];

	start(self);
	tls_free_at(&caller->tls);
	if (tls_meet(&caller->files, &self->address, &caller->tls, &caller->f))
		abort();
	shake_hands_of(self);
}

/* The listener refuses the caller with @error and a sentence with @words; the caller hears of it. */
static void check_caller_refused(struct __test_metadata *_metadata, FIXTURE_DATA(tls) * self, int error,
				 const char *words)
{
	shake_hands(self);
	EXPECT_EQ(error, self->hosts[LISTENER].rc);
	EXPECT_NE(NULL, strstr(self->hosts[LISTENER].f.text, words))
	{
		TH_LOG("%s", self->hosts[LISTENER].f.text);
	}
	EXPECT_EQ(-EACCES, self->hosts[CALLER].rc);
	EXPECT_NE(NULL, strstr(self->hosts[CALLER].f.text, "refuses this host's certificate"))
	{
		TH_LOG("%s", self->hosts[CALLER].f.text);
	}
	EXPECT_EQ(CODE_ACCESS_DENIED, self->hosts[CALLER].f.code);
}

/* --- who is taken --- */

TEST_F(tls, two_hosts_that_know_each_others_keys_agree)
{
	char own[FINGERPRINT_TEXT_MAX];

	shake_hands(self);
	EXPECT_EQ(0, self->hosts[CALLER].rc);
	EXPECT_EQ(0, self->hosts[LISTENER].rc);
	ASSERT_EQ(0, tls_identity_show(&self->hosts[CALLER].files, own, NULL));
	EXPECT_STREQ(own, tls_fingerprint(self->hosts[LISTENER].tls));
}

TEST_F(tls, a_renewed_certificate_of_the_same_key_is_taken)
{
	struct host *caller = &self->hosts[CALLER];

	ASSERT_EQ(0, tls_identity_make(caller->certificate, caller->key, "renamed", NULL));
	shake_hands(self);
	EXPECT_EQ(0, self->hosts[LISTENER].rc);
}

TEST_F(tls, one_of_two_known_keys_is_enough)
{
	char text[512];
	char fingerprint[FINGERPRINT_TEXT_MAX];

	ASSERT_EQ(0, tls_identity_show(&self->hosts[CALLER].files, fingerprint, NULL));
	(void)snprintf(text, sizeof(text), "127.0.0.1 sha256:%064d\n127.0.0.1 %s\n", 0, fingerprint);
	write_text(self->hosts[LISTENER].peers, text);
	shake_hands(self);
	EXPECT_EQ(0, self->hosts[LISTENER].rc);
}

/* --- who is not --- */

TEST_F(tls, an_unknown_key_is_refused_with_the_line_that_would_allow_it)
{
	char line[256];
	char fingerprint[FINGERPRINT_TEXT_MAX];

	write_text(self->hosts[LISTENER].peers, "");
	ASSERT_EQ(0, tls_identity_show(&self->hosts[CALLER].files, fingerprint, NULL));
	(void)snprintf(line, sizeof(line), "\"127.0.0.1 %s\" in %s", fingerprint,
		       self->hosts[LISTENER].peers);
	check_caller_refused(_metadata, self, -ENOKEY, line);
}

TEST_F(tls, another_key_than_the_known_one_is_refused)
{
	identify(self, CALLER, NULL, "caller.example", -YEAR, YEAR);
	check_caller_refused(_metadata, self, -EKEYREJECTED, "another key");
}

TEST_F(tls, a_key_that_differs_in_the_last_bit_is_refused)
{
	struct known_peer known;
	char line[128];

	ASSERT_EQ(0, known_peers_find(self->hosts[LISTENER].peers, &self->address, &known, NULL));
	known.identities[0].fingerprint[31] ^= 1;
	(void)strcpy(line, "127.0.0.1 ");
	(void)fingerprint_format(known.identities[0].fingerprint, line + strlen(line));
	write_text(self->hosts[LISTENER].peers, line);
	check_caller_refused(_metadata, self, -EKEYREJECTED, "another key");
}

TEST_F(tls, an_expired_certificate_is_refused_although_its_key_is_known)
{
	identify(self, CALLER, NULL, "caller.example", -YEAR, -60);
	pin(self, CALLER);
	check_caller_refused(_metadata, self, -EKEYEXPIRED, "expired at");
	EXPECT_NE(NULL, strstr(self->hosts[CALLER].f.text, "because of its times"));
}

TEST_F(tls, a_certificate_of_tomorrow_is_refused)
{
	identify(self, CALLER, NULL, "caller.example", 86400, YEAR);
	pin(self, CALLER);
	check_caller_refused(_metadata, self, -EKEYEXPIRED, "is not valid before");
}

TEST_F(tls, a_caller_that_is_refused_before_it_is_done_is_no_peer_of_the_listener)
{
	write_text(self->hosts[CALLER].peers, "");
	shake_hands(self);
	EXPECT_EQ(-ENOKEY, self->hosts[CALLER].rc);
	EXPECT_EQ(-EACCES, self->hosts[LISTENER].rc);
}

/* --- who is met --- */

TEST_F(tls, a_stranger_that_is_met_says_who_it_is_and_is_not_spoken_to)
{
	struct host *caller = &self->hosts[CALLER];
	char fingerprint[FINGERPRINT_TEXT_MAX];
	enum protection protection;

	write_text(caller->peers, "");
	meet(self);
	EXPECT_EQ(0, caller->rc);
	ASSERT_EQ(0, tls_identity_show(&self->hosts[LISTENER].files, fingerprint, NULL));
	EXPECT_STREQ(fingerprint, tls_fingerprint(caller->tls));
	EXPECT_EQ(-ENOKEY, tls_acquainted(caller->tls, &caller->f));
	EXPECT_NE(NULL, strstr(caller->f.text, "is not known"));
	EXPECT_EQ(-EPERM, tls_hand_over(caller->tls, &caller->fd, &protection, &caller->f));
}

TEST_F(tls, one_that_is_met_and_does_not_let_this_host_in_says_who_it_is_all_the_same)
{
	struct host *caller = &self->hosts[CALLER];

	write_text(self->hosts[LISTENER].peers, "");
	meet(self);
	EXPECT_EQ(-EACCES, caller->rc);
	EXPECT_EQ(0, tls_acquainted(caller->tls, NULL));
	EXPECT_STRNE("", tls_fingerprint(caller->tls));
}

TEST_F(tls, until_when_the_certificate_of_a_peer_is_valid_is_known)
{
	struct validity own;

	identify(self, LISTENER, NULL, "listener.example", -YEAR, 86400);
	meet(self);
	ASSERT_EQ(0, tls_identity_validity(&self->hosts[LISTENER].files, &own, NULL));
	EXPECT_EQ(own.until_s, tls_validity(self->hosts[CALLER].tls).until_s);
	EXPECT_GE(86400, own.until_s - time(NULL));
	EXPECT_LE(86400 - 60, own.until_s - time(NULL));
}

/* --- names --- */

static void certify(FIXTURE_DATA(tls) * self, const char *wanted)
{
	char line[128];

	(void)snprintf(line, sizeof(line), "127.0.0.1 name:%s\n", wanted);
	write_text(self->hosts[LISTENER].peers, line);
	certificate_write(&self->ca, self->hosts[LISTENER].ca, NULL);
	self->hosts[LISTENER].files.ca = self->hosts[LISTENER].ca;
}

TEST_F(tls, a_name_that_the_ca_vouches_for_is_taken)
{
	certify(self, "caller.example");
	shake_hands(self);
	EXPECT_EQ(0, self->hosts[LISTENER].rc);
}

TEST_F(tls, another_name_of_the_same_ca_is_refused_and_both_are_said)
{
	certify(self, "other.example");
	check_caller_refused(_metadata, self, -EKEYREJECTED, "for caller.example, not for other.example");
}

TEST_F(tls, a_wildcard_is_no_name)
{
	identify(self, CALLER, NULL, "*.hosts.example", -YEAR, YEAR);
	certify(self, "caller.hosts.example");
	check_caller_refused(_metadata, self, -EKEYREJECTED, "for *.hosts.example");
}

TEST_F(tls, the_right_name_of_another_ca_is_refused)
{
	struct certificate other;

	certificate_make(&other, NULL, "ca", -YEAR, YEAR);
	identify(self, CALLER, &other, "caller.example", -YEAR, YEAR);
	certificate_clear(&other);
	certify(self, "caller.example");
	check_caller_refused(_metadata, self, -ENOKEY, "not from the CA");
}

TEST_F(tls, an_expired_name_is_refused)
{
	identify(self, CALLER, NULL, "caller.example", -YEAR, -60);
	certify(self, "caller.example");
	check_caller_refused(_metadata, self, -EKEYEXPIRED, "expired at");
}

TEST_F(tls, a_name_without_a_ca_is_refused_with_the_setting)
{
	certify(self, "caller.example");
	self->hosts[LISTENER].files.ca = "";
	check_caller_refused(_metadata, self, -ENOKEY, "tls-ca");
}

/* --- what is not TLS, or not this one --- */

TEST_F(tls, plain_text_is_told_from_tls)
{
	static const char text[] = "1btcCALL and so on";

	start(self);
	ASSERT_EQ((ssize_t)sizeof(text), send(self->hosts[CALLER].fd, text, sizeof(text), 0));
	step(&self->hosts[LISTENER]);
	EXPECT_EQ(-EPROTO, self->hosts[LISTENER].rc);
	EXPECT_NE(NULL, strstr(self->hosts[LISTENER].f.text, "does not speak TLS"));
	EXPECT_STREQ("", tls_fingerprint(self->hosts[LISTENER].tls));
}

TEST_F(tls, a_peer_that_hangs_up_is_not_available)
{
	start(self);
	(void)shutdown(self->hosts[LISTENER].fd, SHUT_RDWR);
	step(&self->hosts[CALLER]);
	while (self->hosts[CALLER].rc > 0)
		step(&self->hosts[CALLER]);
	EXPECT_EQ(-ECONNRESET, self->hosts[CALLER].rc);
	EXPECT_EQ(CODE_NOT_AVAILABLE, self->hosts[CALLER].f.code);
}

/* A caller of our own making: its priorities, with or without a certificate. */
static int shake_hands_with(FIXTURE_DATA(tls) * self, const char *priority, bool certificate)
{
	struct host *caller = &self->hosts[CALLER];
	struct host *listener = &self->hosts[LISTENER];
	gnutls_certificate_credentials_t credentials;
	gnutls_session_t session;
	int rc = GNUTLS_E_AGAIN;

	if (fcntl(caller->fd, F_SETFL, O_NONBLOCK) < 0)
		abort();
	start(self);
	must(gnutls_certificate_allocate_credentials(&credentials));
	if (certificate)
		must(gnutls_certificate_set_x509_key_file(credentials, caller->certificate, caller->key,
							  GNUTLS_X509_FMT_PEM));
	must(gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NONBLOCK));
	must(gnutls_priority_set_direct(session, priority, NULL));
	must(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials));
	gnutls_transport_set_int(session, caller->fd);
	listener->rc = EPOLLIN;
	while (listener->rc > 0) {
		if (rc)
			rc = gnutls_handshake(session);
		step(listener);
	}
	gnutls_deinit(session);
	gnutls_certificate_free_credentials(credentials);
	return listener->rc;
}

TEST_F(tls, no_certificate_no_session)
{
	EXPECT_EQ(-EPROTO, shake_hands_with(self, "NORMAL", false));
	EXPECT_NE(NULL, strstr(self->hosts[LISTENER].f.text, "shows no certificate"))
	{
		TH_LOG("%s", self->hosts[LISTENER].f.text);
	}
}

TEST_F(tls, tls_1_2_is_refused)
{
	EXPECT_EQ(-EPROTO, shake_hands_with(self, "NORMAL:-VERS-ALL:+VERS-TLS1.2", true));
}

TEST_F(tls, another_client_with_tls_1_3_and_the_right_key_is_taken)
{
	EXPECT_EQ(0, shake_hands_with(self, "NORMAL", true));
}

/* --- files --- */

TEST_F(tls, a_key_that_others_can_read_is_refused)
{
	struct host *h = &self->hosts[CALLER];

	ASSERT_EQ(0, chmod(h->key, 0640));
	EXPECT_EQ(-EPERM, tls_new(&h->files, false, &self->address, &h->tls, &h->f));
	EXPECT_EQ(NULL, h->tls);
}

TEST_F(tls, without_a_key_the_sentence_says_how_to_make_one)
{
	struct host *h = &self->hosts[CALLER];

	ASSERT_EQ(0, unlink(h->key));
	EXPECT_EQ(-ENOENT, tls_new(&h->files, false, &self->address, &h->tls, &h->f));
	EXPECT_EQ(CODE_FILE_NOT_FOUND, h->f.code);
	EXPECT_NE(NULL, strstr(h->f.text, "failback host init"));
}

TEST_F(tls, a_key_of_another_certificate_is_refused)
{
	struct host *h = &self->hosts[CALLER];

	EXPECT_GT(0, tls_new(&(struct tls_files){ h->certificate, self->hosts[LISTENER].key, "",
						  h->peers, false },
			     false, &self->address, &h->tls, &h->f));
}

TEST_F(tls, an_identity_is_made_once_and_its_key_stays)
{
	struct host *h = &self->hosts[CALLER];
	char first[FINGERPRINT_TEXT_MAX], second[FINGERPRINT_TEXT_MAX];
	struct stat key;

	ASSERT_EQ(0, unlink(h->key));
	ASSERT_EQ(0, tls_identity_make(h->certificate, h->key, "host", NULL));
	ASSERT_EQ(0, stat(h->key, &key));
	EXPECT_EQ(0600, key.st_mode & 07777);
	ASSERT_EQ(0, tls_identity_show(&h->files, first, NULL));
	ASSERT_EQ(0, tls_identity_make(h->certificate, h->key, "host", NULL));
	ASSERT_EQ(0, tls_identity_show(&h->files, second, NULL));
	EXPECT_STREQ(first, second);
	pin(self, CALLER);
	shake_hands(self);
	EXPECT_EQ(0, self->hosts[LISTENER].rc);
}

/* --- what is handed over --- */

static void hand_over(struct __test_metadata *_metadata, FIXTURE_DATA(tls) * self)
{
	shake_hands(self);
	for (int i = 0; i < HOSTS; i++) {
		struct host *h = &self->hosts[i];
		enum protection protection;

		ASSERT_EQ(0, h->rc);
		ASSERT_EQ(0, tls_hand_over(h->tls, &h->fd, &protection, &h->f));
		EXPECT_EQ(PROTECTION_TLS_USER, protection);
		tls_free_at(&h->tls);
	}
}

static void send_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);

		if (sent < 0)
			return;
		bytes += sent;
		len -= (size_t)sent;
	}
}

/* Both at once, more than all buffers hold. */
TEST_F(tls, bytes_pass_both_ways_at_once_and_so_does_their_end)
{
	const size_t len = 8 << 20;
	cleanup_free uint8_t *bytes = malloc(len);
	cleanup_free uint8_t *got = malloc(len);
	uint8_t more;

	hand_over(_metadata, self);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 2654435761U >> 13);
	for (int i = 0; i < HOSTS; i++) {
		if (fork() == 0) {
			send_all(self->hosts[i].fd, bytes, len);
			_exit(0);
		}
	}
	for (int i = 0; i < HOSTS; i++) {
		ASSERT_EQ((ssize_t)len, recv(self->hosts[i].fd, got, len, MSG_WAITALL));
		EXPECT_EQ(0, memcmp(bytes, got, len));
	}
	ASSERT_EQ(0, shutdown(self->hosts[CALLER].fd, SHUT_WR));
	EXPECT_EQ(0, recv(self->hosts[LISTENER].fd, &more, 1, 0));
	/* the other way stays open */
	ASSERT_EQ(1, send(self->hosts[LISTENER].fd, "x", 1, 0));
	EXPECT_EQ(1, recv(self->hosts[CALLER].fd, &more, 1, 0));
}

/* Each part has to arrive before the next is sent, whatever records it became. */
TEST_F(tls, the_last_records_arrive_without_more_behind_them)
{
	const size_t max = 1 << 20;
	cleanup_free uint8_t *bytes = calloc(1, max);
	unsigned int random = 1;
	char more;

	hand_over(_metadata, self);
	for (int part = 0; part < 60; part++) {
		size_t len = max / 4 + (random = random * 1103515245 + 12345) % (max / 2);

		if (fork() == 0) {
			for (size_t at = 0; at < len; at += 16385)
				send_all(self->hosts[CALLER].fd, bytes, min_of((size_t)16385, len - at));
			_exit(0);
		}
		ASSERT_EQ((ssize_t)len, recv(self->hosts[LISTENER].fd, bytes, len, MSG_WAITALL));
		ASSERT_EQ(1, send(self->hosts[LISTENER].fd, "x", 1, 0));
		ASSERT_EQ(1, recv(self->hosts[CALLER].fd, &more, 1, 0));
	}
}

TEST_F(tls, what_was_said_before_closing_arrives)
{
	char got[6];

	hand_over(_metadata, self);
	ASSERT_EQ(6, send(self->hosts[CALLER].fd, "failed", 6, 0));
	(void)close(self->hosts[CALLER].fd);
	self->hosts[CALLER].fd = -1;
	EXPECT_EQ(6, recv(self->hosts[LISTENER].fd, got, 6, MSG_WAITALL));
	EXPECT_EQ(0, recv(self->hosts[LISTENER].fd, got, 1, 0));
	EXPECT_EQ(0, memcmp(got, "failed", 6));
}

static void await_relay(struct __test_metadata *_metadata)
{
	int status;

	ASSERT_LT(0, waitpid(-1, &status, 0));
	EXPECT_EQ(0, status);
}

/* Nobody's children become this process's, so that it can wait for them. */
TEST_F(tls, when_one_side_goes_its_process_goes_though_the_other_side_stays)
{
	int status;

	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	hand_over(_metadata, self);
	(void)close(self->hosts[CALLER].fd);
	self->hosts[CALLER].fd = -1;
	await_relay(_metadata);
	(void)close(self->hosts[LISTENER].fd);
	self->hosts[LISTENER].fd = -1;
	await_relay(_metadata);
	EXPECT_EQ(-1, waitpid(-1, &status, WNOHANG));
}

/* The peer reads nothing, and stays: what is left to say is not worth a process for ever. */
TEST_F_TIMEOUT(tls, when_one_side_goes_a_peer_that_takes_nothing_is_not_waited_for_long, 60)
{
	char some[65536] = { 0 };

	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	hand_over(_metadata, self);
	for (int idle = 0; idle < 20; idle++) {
		while (send(self->hosts[CALLER].fd, some, sizeof(some), MSG_DONTWAIT) > 0)
			idle = 0;
		(void)usleep(10000);
	}
	(void)close(self->hosts[CALLER].fd);
	self->hosts[CALLER].fd = -1;
	await_relay(_metadata);
}

TEST_HARNESS_MAIN
