// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/definition.c, with base64.c: a definition is read as it was written, and nothing else is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base64.h"
#include "lib/definition.h"

#include "kselftest_harness.h"

#define UUID "\"uuid\": \"11111111-2222-4333-8444-555555555555\""
#define XML  "\"xml\": \"<domain/>\""

static uint32_t code_of(const char *text)
{
	struct definition d = { 0 };
	struct failure why = { 0 };
	int rc = definition_decode(text, &d, &why);

	definition_clear(&d);
	return rc ? why.code : 0;
}

/* With one file of a TPM. */
static uint32_t with_file(const char *directory, const char *name, const char *mode, const char *data)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "{\"version\": 1, " UUID ", " XML ", \"tpm\": [{\"directory\": \"%s\", \"name\": \"%s\", "
		       "\"mode\": %s, \"data\": \"%s\"}]}",
		       directory, name, mode, data);
	return code_of(text);
}

TEST(a_definition_is_read_as_it_was_written)
{
	char xml[] = "<domain>\n\xc3\xa4 \"/\"</domain>";
	char nvram[] = "\0\xff\0b";
	char state[] = "state";
	struct definition written = {
		.uuid = { { 1 } },
		.xml = xml,
		.nvram = { nvram, sizeof(nvram) },
		.tpm = { { "tpm2", "tpm2-00.permall", 0640, { state, sizeof(state) } },
			 { "tpm2", "empty", 0600, { state, 0 } } },
		.nr_tpm = 2,
	};
	struct definition read = { 0 };
	char *text;

	ASSERT_EQ(0, definition_encode(&written, &text, NULL));
	ASSERT_EQ(0, definition_decode(text, &read, NULL));
	free(text);
	EXPECT_TRUE(uuid_equal(&written.uuid, &read.uuid));
	EXPECT_STREQ(xml, read.xml);
	ASSERT_EQ(sizeof(nvram), read.nvram.len);
	EXPECT_EQ(0, memcmp(nvram, read.nvram.data, sizeof(nvram)));
	ASSERT_EQ(2, read.nr_tpm);
	EXPECT_STREQ("tpm2", read.tpm[0].directory);
	EXPECT_STREQ("tpm2-00.permall", read.tpm[0].name);
	EXPECT_EQ(0640, read.tpm[0].mode);
	ASSERT_EQ(sizeof(state), read.tpm[0].bytes.len);
	EXPECT_EQ(0, memcmp(state, read.tpm[0].bytes.data, sizeof(state)));
	EXPECT_EQ(0, read.tpm[1].bytes.len);
	definition_clear(&read);
}

TEST(nvram_that_is_empty_is_not_nvram_that_is_missing)
{
	struct definition read = { 0 };

	ASSERT_EQ(0, definition_decode("{\"version\": 1, " UUID ", " XML ", \"nvram\": \"\"}", &read, NULL));
	EXPECT_NE(NULL, read.nvram.data);
	definition_clear(&read);
	ASSERT_EQ(0, definition_decode("{\"version\": 1, " UUID ", " XML "}", &read, NULL));
	EXPECT_EQ(NULL, read.nvram.data);
	definition_clear(&read);
}

TEST(what_is_no_definition_is_refused)
{
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, code_of(""));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, code_of("[]"));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, code_of("{\"version\": 1, " UUID ", " XML));
	EXPECT_EQ(CODE_INVALID_PARAMETER, code_of("{" UUID ", " XML "}"));
	EXPECT_EQ(CODE_NOT_SUPPORTED, code_of("{\"version\": 2, " UUID ", " XML "}"));
	EXPECT_EQ(CODE_INVALID_PARAMETER, code_of("{\"version\": 1, " XML "}"));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, code_of("{\"version\": 1, " UUID "}"));
	EXPECT_EQ(CODE_INVALID_PARAMETER, code_of("{\"version\": 1, " UUID ", " XML ", \"x\": 1}"));
	EXPECT_EQ(CODE_INVALID_PARAMETER, code_of("{\"version\": 1, " UUID ", \"xml\": \"a\\u0000b\"}"));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, code_of("{\"version\": 1, " UUID ", " XML ", \"nvram\": \"*\"}"));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, code_of("{\"version\": 1, " UUID ", " XML ", \"nvram\": 7}"));
	EXPECT_EQ(0, code_of("{\"version\": 1, " UUID ", " XML "}"));
}

TEST(a_file_of_a_tpm_has_a_name_that_leads_nowhere)
{
	EXPECT_EQ(0, with_file("tpm2", "tpm2-00.permall", "384", "AA=="));
	EXPECT_EQ(0, with_file("tpm1.2", "tpm-00.permall", "0", ""));
	EXPECT_EQ(CODE_INVALID_PARAMETER, with_file("..", "tpm2-00.permall", "384", ""));
	EXPECT_EQ(CODE_INVALID_PARAMETER, with_file("", "tpm2-00.permall", "384", ""));
	EXPECT_EQ(CODE_INVALID_PARAMETER, with_file("tpm2/..", "x", "384", ""));
	EXPECT_EQ(CODE_INVALID_PARAMETER, with_file("tpm2", "", "384", ""));
	EXPECT_EQ(CODE_INVALID_PARAMETER, with_file("tpm2", ".", "384", ""));
	EXPECT_EQ(CODE_INVALID_PARAMETER, with_file("tpm2", "..", "384", ""));
	EXPECT_EQ(CODE_INVALID_PARAMETER, with_file("tpm2", ".lock", "384", ""));
	EXPECT_EQ(CODE_INVALID_PARAMETER, with_file("tpm2", "../x", "384", ""));
	EXPECT_EQ(CODE_INVALID_PARAMETER, with_file("tpm2", "/etc/passwd", "384", ""));
	EXPECT_EQ(CODE_INVALID_PARAMETER, with_file("tpm2", "a\\u000ab", "384", ""));
	EXPECT_EQ(CODE_INVALID_PARAMETER, with_file("tpm2", "x", "2048", "")); /* set-user-ID */
}

/* 16 + 1 files; each but one byte too long. */
TEST(what_is_too_much_is_refused)
{
	size_t bytes = DEFINITION_TPM_BYTES + 1;
	char *zeroes = calloc(1, DEFINITION_NVRAM_MAX + 1);
	char *data = base64_encode(zeroes, DEFINITION_NVRAM_MAX + 1);
	char *state = base64_encode(zeroes, bytes);
	char *text = NULL;
	char many[4096] = "";

	ASSERT_LT(0, asprintf(&text, "{\"version\": 1, " UUID ", " XML ", \"nvram\": \"%s\"}", data));
	EXPECT_EQ(CODE_INVALID_PARAMETER, code_of(text));
	free(text);
	ASSERT_LT(0, asprintf(&text, "{\"version\": 1, " UUID ", " XML ", \"tpm\": [{\"directory\": \"tpm2\", \"name\": \"x\", "
				     "\"mode\": 384, \"data\": \"%s\"}]}", state));
	EXPECT_EQ(CODE_INVALID_PARAMETER, code_of(text));
	free(text);
	for (unsigned int i = 0; i <= DEFINITION_TPM_MAX; i++)
		(void)strcat(many, ", {\"directory\": \"tpm2\", \"name\": \"x\", \"mode\": 384, \"data\": \"\"}");
	ASSERT_LT(0, asprintf(&text, "{\"version\": 1, " UUID ", " XML ", \"tpm\": [%s]}", many + 2));
	EXPECT_EQ(CODE_INVALID_PARAMETER, code_of(text));
	free(text);
	memset(zeroes, 'x', DEFINITION_XML_MAX + 1);
	zeroes[DEFINITION_XML_MAX + 1] = '\0';
	ASSERT_LT(0, asprintf(&text, "{\"version\": 1, " UUID ", \"xml\": \"%s\"}", zeroes));
	EXPECT_EQ(CODE_INVALID_PARAMETER, code_of(text));
	free(text);
	free(state);
	free(data);
	free(zeroes);
}

TEST_HARNESS_MAIN
