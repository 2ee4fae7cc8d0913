// SPDX-License-Identifier: GPL-2.0-or-later
/* user/daemon/transfer_plan.c: what a relationship and a host are set to is in the plan that a worker reads. */
#include <stdlib.h>
#include <string.h>

#include "daemon/transfer_plan.h"
#include "lib/json.h"
#include "lib/rate.h"

#include "kselftest_harness.h"

/* The plan for a relationship without disks. */
static struct json_object *plan_of(const char *settings, uint64_t rate)
{
	struct relationship_record *r = calloc(1, sizeof(*r));
	struct json_object *plan = NULL;
	struct failure f;
	char *text = NULL;

	memset(&r->vm, 1, sizeof(r->vm));
	memset(&r->epoch, 2, sizeof(r->epoch));
	r->settings = settings ? strdup(settings) : NULL;
	if (!send_plan(r, NULL, NULL, NULL, NULL, rate, &text, &f))
		(void)json_parse_object("plan", text, &plan, &f);
	free(text);
	free(r->settings);
	free(r);
	return plan;
}

TEST(compression_is_what_the_relationship_says_and_else_off)
{
	static const struct {
		const char *settings;
		bool compress;
	} cases[] = {
		{ NULL, false },
		{ "{}", false },
		{ "{\"CompressionEnabled\": false}", false },
		{ "{\"CompressionEnabled\": true, \"ReplicationInterval\": 30}", true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_object *plan = plan_of(cases[i].settings, RATE_MIN);
		bool compress = false;

		ASSERT_NE(NULL, plan);
		EXPECT_EQ(0, json_get_flag("plan", plan, "compress", &compress, NULL));
		EXPECT_EQ(cases[i].compress, compress);
		json_object_put(plan);
	}
}

TEST(the_rate_is_the_hosts)
{
	struct json_object *plan = plan_of(NULL, 12345678);
	uint64_t rate = 0;

	ASSERT_NE(NULL, plan);
	EXPECT_EQ(0, json_get_uint("plan", plan, "rate", true, INT64_MAX, &rate, NULL));
	EXPECT_EQ(12345678, rate);
	json_object_put(plan);
}

TEST_HARNESS_MAIN
