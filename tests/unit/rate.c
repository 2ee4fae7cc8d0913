// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/rate.c: never more than the limit and a bucket, and never much less for who keeps sending. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/macro.h"
#include "lib/rate.h"

#include "kselftest_harness.h"

#define MiB (UINT64_C(1) << 20)

/* Sends records as soon as it may, for so long; bytes that were sent. */
static uint64_t send_all(struct rate *r, uint64_t record, uint64_t *now_ns, uint64_t ns)
{
	uint64_t end_ns = *now_ns + ns;
	uint64_t bytes = 0;

	for (;;) {
		*now_ns += rate_wait_ns(r, *now_ns);
		if (*now_ns >= end_ns)
			return bytes;
		rate_spend(r, record, *now_ns);
		bytes += record;
	}
}

TEST(without_a_limit_nothing_waits)
{
	struct rate r;

	rate_init(&r, 0);
	for (int i = 0; i < 1000; i++) {
		EXPECT_EQ(0, rate_wait_ns(&r, 5));
		rate_spend(&r, 100 * MiB, 5);
	}
}

TEST(the_first_byte_does_not_wait)
{
	struct rate r;

	rate_init(&r, MiB);
	EXPECT_EQ(0, rate_wait_ns(&r, 0));
	EXPECT_EQ(0, rate_wait_ns(&r, 123 * NS_PER_S));
}

TEST(who_keeps_sending_has_just_the_limit)
{
	static const uint64_t limits[] = { RATE_MIN, MiB, 117 * MiB + 7, 3000 * MiB };
	static const uint64_t records[] = { 100, 4096, 512 << 10, MiB };

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(records); k++) {
			uint64_t limit = limits[i];
			uint64_t now_ns = 55 * NS_PER_S;
			struct rate r;
			uint64_t bytes;

			if (records[k] < limit / 100000)
				continue; /* takes long, and says no more */
			rate_init(&r, limit);
			bytes = send_all(&r, records[k], &now_ns, 20 * NS_PER_S);
			EXPECT_GE(20 * limit + limit / 10 + records[k], bytes);
			EXPECT_LE(20 * limit, bytes + records[k] + 20 * limit / 500);
		}
	}
}

TEST(what_was_not_sent_is_kept_for_a_tenth_of_a_second_only)
{
	uint64_t now_ns = 1000 * NS_PER_S;
	uint64_t bytes = 0;
	struct rate r;

	rate_init(&r, 10 * MiB);
	(void)send_all(&r, 4096, &now_ns, NS_PER_S);
	now_ns += 3600 * NS_PER_S;
	for (; !rate_wait_ns(&r, now_ns); bytes += 4096)
		rate_spend(&r, 4096, now_ns);
	EXPECT_LE(MiB, bytes);
	EXPECT_GE(MiB + 4096, bytes);
}

TEST(a_record_larger_than_the_bucket_passes_and_is_paid_for)
{
	struct rate r;

	rate_init(&r, RATE_MIN);
	rate_spend(&r, MiB, NS_PER_S);
	/* 16 seconds of the limit, less the bucket */
	EXPECT_EQ(16 * NS_PER_S - NS_PER_S / 10, rate_wait_ns(&r, NS_PER_S));
	EXPECT_EQ(0, rate_wait_ns(&r, 17 * NS_PER_S));
}

TEST_HARNESS_MAIN
