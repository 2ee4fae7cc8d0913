// SPDX-License-Identifier: GPL-2.0-or-later
/* user/daemon/retry.c: how often, how soon and for how long. */
#include <string.h>

#include "daemon/retry.h"

#include "kselftest_harness.h"

FIXTURE(retry)
{
	struct daemon d;
	struct retry r;
};

FIXTURE_SETUP(retry)
{
	memset(self, 0, sizeof(*self));
	self->d.config.resume_for = 900;
	self->d.config.second_ms = 1000;
	ASSERT_LE(0, sd_event_new(&self->d.event));
}

FIXTURE_TEARDOWN(retry)
{
	retry_clear(&self->r);
	(void)sd_event_unref(self->d.event);
}

TEST(the_delay_doubles_up_to_thirty_seconds)
{
	static const unsigned int want[] = { 1, 1, 2, 4, 8, 16, 30, 30 };

	for (unsigned int i = 0; i < 8; i++)
		EXPECT_EQ(want[i], retry_delay_s(i));
	EXPECT_EQ(30, retry_delay_s(1000000));
}

TEST_F(retry, a_peer_that_is_away_is_tried_for_as_long_as_is_set)
{
	for (unsigned int i = 0; i < 100; i++) {
		EXPECT_TRUE(retry_may(&self->d, &self->r));
		retry_failed(&self->r, false);
	}
	self->r.until_ns = 1;
	EXPECT_FALSE(retry_may(&self->d, &self->r));
}

TEST_F(retry, with_no_time_set_nothing_is_tried)
{
	self->d.config.resume_for = 0;
	EXPECT_FALSE(retry_may(&self->d, &self->r));
}

TEST_F(retry, five_connections_that_gain_nothing_are_enough)
{
	for (unsigned int i = 0; i < 5; i++) {
		EXPECT_TRUE(retry_may(&self->d, &self->r));
		retry_failed(&self->r, true);
	}
	EXPECT_FALSE(retry_may(&self->d, &self->r));
	retry_gained(&self->r);
	EXPECT_TRUE(retry_may(&self->d, &self->r));
	EXPECT_EQ(0, self->r.failures);
}

static int on_time(sd_event_source *source, uint64_t usec, void *context)
{
	(void)source;
	(void)usec;
	*(bool *)context = true;
	return 0;
}

TEST_F(retry, it_is_called_when_the_delay_is_over)
{
	unsigned int seconds = 0;
	bool called = false;

	self->d.config.second_ms = 1;
	retry_failed(&self->r, false);
	ASSERT_EQ(0, retry_wait(&self->d, &self->r, on_time, &called, &seconds, NULL));
	EXPECT_EQ(1, seconds);
	EXPECT_FALSE(called);
	EXPECT_LT(0, sd_event_run(self->d.event, UINT64_MAX));
	EXPECT_TRUE(called);
}

TEST_HARNESS_MAIN
