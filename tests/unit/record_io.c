// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/record_io.c, over a socket pair. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "lib/record_io.h"

#include "kselftest_harness.h"

FIXTURE(pair)
{
	int fd[2];
	uint64_t deadline_ns;
	struct failure f;
	char *text;
};

FIXTURE_SETUP(pair)
{
	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->fd));
	self->deadline_ns = deadline_in_ms(5000);
}

FIXTURE_TEARDOWN(pair)
{
	free(self->text);
	(void)close(self->fd[0]);
	(void)close(self->fd[1]);
}

TEST_F(pair, a_text_arrives_and_not_a_byte_behind_it_is_read)
{
	char rest[8];

	ASSERT_EQ(0, record_write_text(self->fd[0], CBT_WIRE_CALL, 3, "{\"call\": 1}",
				       self->deadline_ns, &self->f));
	ASSERT_EQ(6, write(self->fd[0], "behind", 6));
	ASSERT_EQ(0, record_read_text(self->fd[1], CBT_WIRE_CALL, 3, &self->text, self->deadline_ns,
				      &self->f));
	EXPECT_STREQ("{\"call\": 1}", self->text);
	EXPECT_EQ(6, read(self->fd[1], rest, sizeof(rest)));
}

TEST_F(pair, silence_ends_at_the_deadline)
{
	uint64_t before = clock_ns();

	EXPECT_EQ(-ETIMEDOUT, record_read_text(self->fd[1], CBT_WIRE_CALL, 0, &self->text,
					       deadline_in_ms(50), &self->f));
	EXPECT_EQ(CODE_TIMEOUT, self->f.code);
	EXPECT_GE(clock_ns() - before, 50 * NS_PER_MS);
	EXPECT_EQ(NULL, self->text);
}

TEST_F(pair, half_a_record_ends_at_the_deadline_too)
{
	ASSERT_EQ(4, write(self->fd[0], "cbt1", 4));
	EXPECT_EQ(-ETIMEDOUT, record_read_text(self->fd[1], CBT_WIRE_CALL, 0, &self->text,
					       deadline_in_ms(50), &self->f));
}

TEST_F(pair, a_peer_that_takes_nothing_ends_at_the_deadline)
{
	char text[60000];
	int rc = 0;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	for (int i = 0; i < 1000 && !rc; i++)
		rc = record_write_text(self->fd[0], CBT_WIRE_CALL, 0, text, deadline_in_ms(50),
				       &self->f);
	EXPECT_EQ(-ETIMEDOUT, rc);
}

TEST_F(pair, a_closed_connection_is_a_reset)
{
	(void)close(self->fd[0]);
	EXPECT_EQ(-ECONNRESET, record_read_text(self->fd[1], CBT_WIRE_CALL, 0, &self->text,
						self->deadline_ns, &self->f));
	EXPECT_EQ(CODE_NOT_AVAILABLE, self->f.code);
	EXPECT_EQ(-ECONNRESET, record_write_text(self->fd[1], CBT_WIRE_CALL, 0, "{}",
						 self->deadline_ns, &self->f));
}

TEST_F(pair, failed_instead_of_a_text_gives_the_peers_code_and_sentence)
{
	struct failure why = { .code = CODE_IN_USE, .text = "disk0 is mounted" };

	ASSERT_EQ(0, record_write_failed(self->fd[0], 0, &why, self->deadline_ns));
	EXPECT_EQ(-EREMOTEIO, record_read_text(self->fd[1], CBT_WIRE_REPLY, 0, &self->text,
					       self->deadline_ns, &self->f));
	EXPECT_EQ(CODE_IN_USE, self->f.code);
	EXPECT_STREQ("disk0 is mounted", self->f.text);
}

TEST_F(pair, another_type_or_sequence_number_is_refused)
{
	ASSERT_EQ(0, record_write_text(self->fd[0], CBT_WIRE_CALL, 0, "{}", self->deadline_ns,
				       &self->f));
	EXPECT_EQ(-EPROTO, record_read_text(self->fd[1], CBT_WIRE_REPLY, 0, &self->text,
					    self->deadline_ns, &self->f));
	ASSERT_EQ(0, record_write_text(self->fd[0], CBT_WIRE_REPLY, 1, "{}", self->deadline_ns,
				       &self->f));
	EXPECT_EQ(-EPROTO, record_read_text(self->fd[1], CBT_WIRE_REPLY, 0, &self->text,
					    self->deadline_ns, &self->f));
	EXPECT_EQ(NULL, self->text);
}

TEST_F(pair, a_text_with_nul_is_refused)
{
	ASSERT_EQ(0, record_write(self->fd[0], CBT_WIRE_CALL, 0, "{\0}", 3, self->deadline_ns,
				  &self->f));
	EXPECT_EQ(-EPROTO, record_read_text(self->fd[1], CBT_WIRE_CALL, 0, &self->text,
					    self->deadline_ns, &self->f));
}

TEST_F(pair, noise_is_refused_before_anything_is_allocated_for_it)
{
	uint8_t noise[WIRE_HEADER_BYTES];

	memset(noise, 0xff, sizeof(noise));
	ASSERT_EQ((ssize_t)sizeof(noise), write(self->fd[0], noise, sizeof(noise)));
	EXPECT_EQ(-EPROTO, record_read_text(self->fd[1], CBT_WIRE_CALL, 0, &self->text,
					    self->deadline_ns, &self->f));
	EXPECT_STREQ(
		"record 0 of the peer does not start with the magic number: the peer speaks another protocol",
		self->f.text);
}

TEST_F(pair, a_text_that_is_too_long_or_empty_is_not_sent)
{
	char *text = malloc(CBT_WIRE_TEXT_MAX + 2);
	char byte;

	memset(text, 'x', CBT_WIRE_TEXT_MAX + 1);
	text[CBT_WIRE_TEXT_MAX + 1] = 0;
	EXPECT_EQ(-EMSGSIZE, record_write_text(self->fd[0], CBT_WIRE_CALL, 0, text,
					       self->deadline_ns, &self->f));
	EXPECT_EQ(-EINVAL, record_write_text(self->fd[0], CBT_WIRE_CALL, 0, "", self->deadline_ns,
					     &self->f));
	EXPECT_EQ(-1, recv(self->fd[1], &byte, 1, MSG_DONTWAIT));
	free(text);
}

static void *write_slowly(void *fd)
{
	struct wire_header h = { .type = CBT_WIRE_CALL, .body_len = 4 };
	uint8_t record[WIRE_HEADER_BYTES + 4] = { 0 };

	memcpy(record + WIRE_HEADER_BYTES, "{  }", 4);
	wire_seal(&h, NULL, record + WIRE_HEADER_BYTES, record);
	for (size_t i = 0; i < sizeof(record); i++)
		if (write(*(int *)fd, record + i, 1) != 1)
			return NULL;
	return fd;
}

TEST_F(pair, a_record_that_comes_byte_by_byte_arrives)
{
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, write_slowly, &self->fd[0]));
	EXPECT_EQ(0, record_read_text(self->fd[1], CBT_WIRE_CALL, 0, &self->text, self->deadline_ns,
				      &self->f));
	EXPECT_STREQ("{  }", self->text);
	(void)pthread_join(thread, NULL);
}

TEST_HARNESS_MAIN
