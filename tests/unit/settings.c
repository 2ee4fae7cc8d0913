// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/lib/settings.c: Msvm_ReplicationSettingData from JSON, and what both forms have in common.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "lib/settings.h"

#include "kselftest_harness.h"

FIXTURE(settings)
{
	struct settings s;
	struct failure f;
};

FIXTURE_SETUP(settings)
{
	memset(self, 0, sizeof(*self));
}

FIXTURE_TEARDOWN(settings)
{
	settings_clear(&self->s);
}

/* The code of a refusal; 0 when the text is taken. */
static uint32_t code_of(struct settings *s, const char *text, struct failure *f)
{
	settings_clear(s);
	memset(f, 0, sizeof(*f));
	return settings_parse(text, s, f) ? f->code : 0;
}

TEST_F(settings, empty_text_sets_nothing)
{
	ASSERT_EQ(0, code_of(&self->s, "", &self->f));
	ASSERT_EQ(0, code_of(&self->s, " \n\t", &self->f));
	for (unsigned int i = 0; i < NR_SETTINGS; i++)
		EXPECT_FALSE(self->s.values[i].set);
}

TEST_F(settings, what_is_not_set_has_the_default_of_the_class)
{
	EXPECT_EQ(300, settings_number(&self->s, SETTING_REPLICATION_INTERVAL));
	EXPECT_EQ(0, settings_number(&self->s, SETTING_RECOVERY_SERVER_PORT_NUMBER));
	EXPECT_STREQ("00000000183000.000000:000",
		     settings_text(&self->s, SETTING_AUTO_RESYNCHRONIZE_INTERVAL_START));
	EXPECT_STREQ("", settings_text(&self->s, SETTING_RECOVERY_CONNECTION_POINT));
}

TEST_F(settings, each_type_is_read)
{
	ASSERT_EQ(
		0,
		code_of(&self->s,
			"{\"ReplicationInterval\": 30, \"CompressionEnabled\": true,"
			" \"RecoveryConnectionPoint\": \"192.0.2.1\", \"IncludedDisks\": [\"a\", \"b\"],"
			" \"AutoResynchronizeIntervalEnd\": \"00000000070000.000000:000\"}",
			&self->f));
	EXPECT_EQ(30, settings_number(&self->s, SETTING_REPLICATION_INTERVAL));
	EXPECT_EQ(1, settings_number(&self->s, SETTING_COMPRESSION_ENABLED));
	EXPECT_STREQ("192.0.2.1", settings_text(&self->s, SETTING_RECOVERY_CONNECTION_POINT));
	EXPECT_EQ(2, self->s.values[SETTING_INCLUDED_DISKS].nr_texts);
	EXPECT_STREQ("b", self->s.values[SETTING_INCLUDED_DISKS].texts[1]);
}

TEST_F(settings, names_are_not_case_sensitive)
{
	ASSERT_EQ(0, code_of(&self->s, "{\"replicationinterval\": 900}", &self->f));
	EXPECT_EQ(900, settings_number(&self->s, SETTING_REPLICATION_INTERVAL));
}

TEST_F(settings, null_unsets)
{
	ASSERT_EQ(0, code_of(&self->s, "{\"ReplicationInterval\": null, \"IncludedDisks\": null}",
			     &self->f));
	EXPECT_FALSE(self->s.values[SETTING_REPLICATION_INTERVAL].set);
	EXPECT_FALSE(self->s.values[SETTING_INCLUDED_DISKS].set);
}

TEST_F(settings, derived_and_unused_properties_are_forgotten)
{
	ASSERT_EQ(0,
		  code_of(&self->s,
			  "{\"Caption\": \"x\", \"PrimaryHostSystem\": \"y\", \"Notes\": [\"z\"],"
			  " \"AutomaticStartupAction\": 2, \"ReplicateHostKvpItems\": true}",
			  &self->f));
	for (unsigned int i = 0; i < NR_SETTINGS; i++)
		EXPECT_FALSE(self->s.values[i].set);
}

TEST_F(settings, malformed_text_is_an_incorrect_data_type)
{
	static const char *const texts[] = {
		"nonsense",
		"{",
		"{}x",
		"[]",
		"{\"ReplicationInterval\": 30",
		"{\"a\": \"\xff\"}",
		"{\"Notes\": [[[[[[[[]]]]]]]]}",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(texts); i++) {
		EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, code_of(&self->s, texts[i], &self->f))
		{
			TH_LOG("%s", texts[i]);
		}
	}
}

TEST_F(settings, a_value_of_another_type_is_an_incorrect_data_type)
{
	static const char *const texts[] = {
		"{\"ReplicationInterval\": \"300\"}",
		"{\"ReplicationInterval\": true}",
		"{\"ReplicationInterval\": 300.0}",
		"{\"ReplicationInterval\": [300]}",
		"{\"ReplicationInterval\": {}}",
		"{\"CompressionEnabled\": \"TRUE\"}",
		"{\"CompressionEnabled\": 1}",
		"{\"RecoveryConnectionPoint\": 1}",
		"{\"RecoveryConnectionPoint\": false}",
		"{\"IncludedDisks\": \"disk0\"}",
		"{\"IncludedDisks\": [1]}",
		"{\"AutoResynchronizeIntervalStart\": \"18:30\"}",
		"{\"Caption\": 7}",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(texts); i++) {
		EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, code_of(&self->s, texts[i], &self->f))
		{
			TH_LOG("%s", texts[i]);
		}
	}
}

TEST_F(settings, an_illegal_value_is_an_invalid_parameter)
{
	static const char *const texts[] = {
		"{\"ReplicationInterval\": 60}",
		"{\"ReplicationInterval\": 70000}",
		"{\"RecoveryHistory\": 25}",
		"{\"AuthenticationType\": 3}",
		"{\"ApplicationConsistentSnapshotInterval\": 13}",
		"{\"ApplicationConsistentSnapshotInterval\": 1}",
		"{\"NoSuchProperty\": 1}",
		"{\"RecoveryConnectionPoint\": \"192.0.2.1\\u0000.example\"}",
		"{\"IncludedDisks\": [\"a\", \"b\\u0000c\"]}",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(texts); i++) {
		EXPECT_EQ(CODE_INVALID_PARAMETER, code_of(&self->s, texts[i], &self->f))
		{
			TH_LOG("%s", texts[i]);
		}
	}
}

TEST_F(settings, what_this_version_lacks_is_not_supported)
{
	static const char *const texts[] = {
		"{\"AuthenticationType\": 1}",
		"{\"AuthenticationType\": 2}",
		"{\"RecoveryHistory\": 1}",
		"{\"AutoResynchronizeEnabled\": true}",
		"{\"ReplicationProvider\": \"{00000000-0000-0000-0000-000000000000}\"}",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(texts); i++) {
		EXPECT_EQ(CODE_NOT_SUPPORTED, code_of(&self->s, texts[i], &self->f))
		{
			TH_LOG("%s", texts[i]);
		}
	}
}

TEST_F(settings, text_is_limited_as_the_class_says)
{
	char text[512];
	char value[300];

	memset(value, 'a', sizeof(value));
	value[256] = '\0';
	(void)snprintf(text, sizeof(text), "{\"RecoveryConnectionPoint\": \"%s\"}", value);
	EXPECT_EQ(0, code_of(&self->s, text, &self->f));
	value[256] = 'a';
	value[257] = '\0';
	(void)snprintf(text, sizeof(text), "{\"RecoveryConnectionPoint\": \"%s\"}", value);
	EXPECT_EQ(CODE_INVALID_PARAMETER, code_of(&self->s, text, &self->f));
}

TEST_F(settings, a_text_beyond_the_limit_is_refused_unread)
{
	char *text = malloc(SETTINGS_TEXT_MAX + 2);

	memset(text, ' ', SETTINGS_TEXT_MAX + 1);
	text[SETTINGS_TEXT_MAX + 1] = '\0';
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, code_of(&self->s, text, &self->f));
	free(text);
}

TEST_F(settings, a_refusal_leaves_the_output_untouched)
{
	ASSERT_EQ(0, settings_parse("{\"ReplicationInterval\": 30}", &self->s, &self->f));
	EXPECT_NE(0,
		  settings_parse("{\"ReplicationInterval\": 900, \"x\": 1}", &self->s, &self->f));
	EXPECT_EQ(30, settings_number(&self->s, SETTING_REPLICATION_INTERVAL));
}

TEST_F(settings, json_written_is_json_read)
{
	static const char text[] =
		"{\"CompressionEnabled\":true,\"IncludedDisks\":[\"a\\\"b\"],\"ReplicationInterval\":900}";
	char *json;

	ASSERT_EQ(0, code_of(&self->s, text, &self->f));
	json = settings_to_json(&self->s);
	EXPECT_STREQ(text, json);
	free(json);
}

TEST_F(settings, merging_replaces_what_is_set_and_keeps_the_rest)
{
	struct settings over = { 0 };

	ASSERT_EQ(0,
		  code_of(&self->s, "{\"ReplicationInterval\": 30, \"CompressionEnabled\": true}",
			  &self->f));
	ASSERT_EQ(0, settings_parse(
			     "{\"ReplicationInterval\": 900, \"RecoveryConnectionPoint\": \"x\"}",
			     &over, NULL));
	ASSERT_EQ(0, settings_merge(&self->s, &over));
	settings_clear(&over);
	EXPECT_EQ(900, settings_number(&self->s, SETTING_REPLICATION_INTERVAL));
	EXPECT_EQ(1, settings_number(&self->s, SETTING_COMPRESSION_ENABLED));
	EXPECT_STREQ("x", settings_text(&self->s, SETTING_RECOVERY_CONNECTION_POINT));
}

TEST_F(settings, every_kept_setting_has_one_row)
{
	unsigned int seen[NR_SETTINGS] = { 0 };
	const struct setting_def *table;
	size_t nr;

	table = settings_table(&nr);
	for (size_t i = 0; i < nr; i++) {
		if (table[i].use == SETTING_KEPT)
			seen[table[i].setting]++;
	}
	for (unsigned int i = 0; i < NR_SETTINGS; i++)
		EXPECT_EQ(1, seen[i]);
}

TEST_HARNESS_MAIN
