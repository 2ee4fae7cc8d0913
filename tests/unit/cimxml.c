// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/cimxml.c: both dialects are read, and hostile text is not. */
#include <stdio.h>

#include <string.h>

#include "base/macro.h"
#include "lib/cimxml.h"
#include "lib/settings.h"

#include "kselftest_harness.h"

#define OPEN  "<INSTANCE CLASSNAME=\"Msvm_ReplicationSettingData\">"
#define CLOSE "</INSTANCE>"

FIXTURE(cimxml)
{
	struct settings s;
	struct failure f;
};

FIXTURE_SETUP(cimxml)
{
	memset(self, 0, sizeof(*self));
}

FIXTURE_TEARDOWN(cimxml)
{
	settings_clear(&self->s);
}

static uint32_t code_of(struct settings *s, const char *text, struct failure *f)
{
	settings_clear(s);
	memset(f, 0, sizeof(*f));
	return settings_parse(text, s, f) ? f->code : 0;
}

TEST_F(cimxml, an_instance_as_get_text_1_writes_it_is_read)
{
	ASSERT_EQ(
		0,
		code_of(&self->s,
			OPEN
			"<PROPERTY NAME=\"RecoveryConnectionPoint\" CLASSORIGIN=\"Msvm_ReplicationSettingData\""
			" TYPE=\"string\"><VALUE>192.0.2.9</VALUE></PROPERTY>"
			"<PROPERTY NAME=\"ReplicationInterval\" TYPE=\"uint16\"><VALUE>30</VALUE></PROPERTY>"
			"<PROPERTY NAME=\"CompressionEnabled\" TYPE=\"boolean\"><VALUE>TRUE</VALUE></PROPERTY>"
			"<PROPERTY NAME=\"CertificateThumbPrint\" TYPE=\"string\"></PROPERTY>"
			"<PROPERTY.ARRAY NAME=\"IncludedDisks\" TYPE=\"string\"><VALUE.ARRAY>"
			"<VALUE>disk0</VALUE><VALUE>a &amp; b</VALUE></VALUE.ARRAY></PROPERTY.ARRAY>"
			"<PROPERTY.ARRAY NAME=\"Notes\" TYPE=\"string\"></PROPERTY.ARRAY>" CLOSE,
			&self->f))
	{
		TH_LOG("%s", self->f.text);
	}
	EXPECT_STREQ("192.0.2.9", settings_text(&self->s, SETTING_RECOVERY_CONNECTION_POINT));
	EXPECT_EQ(30, settings_number(&self->s, SETTING_REPLICATION_INTERVAL));
	EXPECT_EQ(1, settings_number(&self->s, SETTING_COMPRESSION_ENABLED));
	EXPECT_FALSE(self->s.values[SETTING_CERTIFICATE_THUMB_PRINT].set);
	ASSERT_EQ(2, self->s.values[SETTING_INCLUDED_DISKS].nr_texts);
	EXPECT_STREQ("a & b", self->s.values[SETTING_INCLUDED_DISKS].texts[1]);
}

TEST_F(cimxml, an_instance_as_get_text_2_writes_it_is_read)
{
	ASSERT_EQ(
		0,
		code_of(&self->s,
			"<?xml version=\"1.0\" encoding=\"utf-16\"?>\n"
			"<INSTANCE CLASSNAME=\"Msvm_ReplicationSettingData\">\n"
			" <QUALIFIER NAME=\"dynamic\" TYPE=\"boolean\"><VALUE>TRUE</VALUE></QUALIFIER>\n"
			" <PROPERTY NAME=\"__PATH\" CLASSORIGIN=\"___SYSTEM\" TYPE=\"string\"><VALUE>\\\\H\\x</VALUE>"
			"</PROPERTY>\n"
			" <PROPERTY.ARRAY NAME=\"__DERIVATION\" CLASSORIGIN=\"___SYSTEM\" TYPE=\"string\">"
			"<VALUE.ARRAY><VALUE>CIM_SettingData</VALUE></VALUE.ARRAY></PROPERTY.ARRAY>\n"
			" <PROPERTY NAME=\"__PROPERTY_COUNT\" CLASSORIGIN=\"___SYSTEM\" TYPE=\"sint32\">"
			"<VALUE>47</VALUE></PROPERTY>\n"
			" <PROPERTY NAME=\"ReplicationInterval\" PROPAGATED=\"true\" TYPE=\"uint16\">"
			"<QUALIFIER NAME=\"read\" TYPE=\"boolean\"><VALUE>TRUE</VALUE></QUALIFIER>"
			"<VALUE>900</VALUE></PROPERTY>\n"
			"</INSTANCE>\n",
			&self->f))
	{
		TH_LOG("%s", self->f.text);
	}
	EXPECT_EQ(900, settings_number(&self->s, SETTING_REPLICATION_INTERVAL));
}

TEST_F(cimxml, a_value_in_cdata_is_read)
{
	ASSERT_EQ(0, code_of(&self->s,
			     OPEN "<PROPERTY NAME=\"RecoveryConnectionPoint\" TYPE=\"string\">"
				  "<VALUE><![CDATA[a<b]]></VALUE></PROPERTY>" CLOSE,
			     &self->f));
	EXPECT_STREQ("a<b", settings_text(&self->s, SETTING_RECOVERY_CONNECTION_POINT));
}

TEST_F(cimxml, what_is_no_such_instance_is_an_incorrect_data_type)
{
	static const char *const texts[] = {
		"<INSTANCE/>",
		"<INSTANCE CLASSNAME=\"Msvm_Other\"/>",
		"<CLASS NAME=\"Msvm_ReplicationSettingData\"/>",
		OPEN,
		OPEN CLOSE CLOSE,
		OPEN CLOSE OPEN CLOSE,
		OPEN "text" CLOSE,
		OPEN "<VALUE>1</VALUE>" CLOSE,
		OPEN "<METHOD NAME=\"x\"/>" CLOSE,
		OPEN "<PROPERTY TYPE=\"string\"/>" CLOSE,
		OPEN "<PROPERTY NAME=\"Caption\"/>" CLOSE,
		OPEN
		"<PROPERTY NAME=\"Caption\" TYPE=\"string\"><VALUE>a</VALUE><VALUE>b</VALUE></PROPERTY>" CLOSE,
		OPEN
		"<PROPERTY NAME=\"Caption\" TYPE=\"string\"><VALUE><VALUE>a</VALUE></VALUE></PROPERTY>" CLOSE,
		OPEN "<PROPERTY NAME=\"Caption\" NAME=\"Caption\" TYPE=\"string\"/>" CLOSE,
		OPEN
		"<PROPERTY NAME=\"ReplicationInterval\" TYPE=\"uint32\"><VALUE>300</VALUE></PROPERTY>" CLOSE,
		OPEN
		"<PROPERTY NAME=\"ReplicationInterval\" TYPE=\"uint16\"><VALUE>3OO</VALUE></PROPERTY>" CLOSE,
		OPEN
		"<PROPERTY NAME=\"ReplicationInterval\" TYPE=\"uint16\"><VALUE>-30</VALUE></PROPERTY>" CLOSE,
		OPEN
		"<PROPERTY NAME=\"ReplicationInterval\" TYPE=\"uint16\"><VALUE></VALUE></PROPERTY>" CLOSE,
		OPEN
		"<PROPERTY NAME=\"CompressionEnabled\" TYPE=\"boolean\"><VALUE>1</VALUE></PROPERTY>" CLOSE,
		OPEN
		"<PROPERTY NAME=\"IncludedDisks\" TYPE=\"string\"><VALUE>x</VALUE></PROPERTY>" CLOSE,
		OPEN "<PROPERTY.ARRAY NAME=\"Caption\" TYPE=\"string\"/>" CLOSE,
		OPEN "&undefined;" CLOSE,
		"<\xff\xfe",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(texts); i++) {
		EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, code_of(&self->s, texts[i], &self->f))
		{
			TH_LOG("%s", texts[i]);
		}
		EXPECT_NE(0, strlen(self->f.text));
	}
}

TEST_F(cimxml, an_illegal_value_is_an_invalid_parameter)
{
	EXPECT_EQ(
		CODE_INVALID_PARAMETER,
		code_of(&self->s,
			OPEN
			"<PROPERTY NAME=\"ReplicationInterval\" TYPE=\"uint16\"><VALUE>31</VALUE></PROPERTY>" CLOSE,
			&self->f));
	EXPECT_EQ(CODE_INVALID_PARAMETER,
		  code_of(&self->s, OPEN "<PROPERTY NAME=\"Nonsense\" TYPE=\"string\"/>" CLOSE,
			  &self->f));
}

TEST_F(cimxml, document_types_and_entities_are_refused)
{
	static const char *const texts[] = {
		"<!DOCTYPE INSTANCE>" OPEN CLOSE,
		"<!DOCTYPE INSTANCE SYSTEM \"file:///etc/passwd\">" OPEN CLOSE,
		"<!DOCTYPE x [<!ENTITY a \"b\">]>" OPEN
		"<PROPERTY NAME=\"Caption\" TYPE=\"string\"><VALUE>&a;</VALUE></PROPERTY>" CLOSE,
		"<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>" OPEN
		"<PROPERTY NAME=\"Caption\" TYPE=\"string\"><VALUE>&a;</VALUE></PROPERTY>" CLOSE,
		"<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;\">]>" OPEN
		"<PROPERTY NAME=\"Caption\" TYPE=\"string\"><VALUE>&c;</VALUE></PROPERTY>" CLOSE,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(texts); i++) {
		EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, code_of(&self->s, texts[i], &self->f));
		EXPECT_NE(NULL, strstr(self->f.text, "document type"))
		{
			TH_LOG("%s", self->f.text);
		}
	}
}

/* @nr times @piece between @before and @after. */
static char *repeat(const char *before, const char *piece, unsigned int nr, const char *after)
{
	char *text = malloc(strlen(before) + nr * strlen(piece) + strlen(after) + 1);
	char *at = stpcpy(text, before);

	while (nr--)
		at = stpcpy(at, piece);
	(void)strcpy(at, after);
	return text;
}

static bool is_refused(struct settings *s, char *text, struct failure *f)
{
	bool refused = code_of(s, text, f) == CODE_INCORRECT_DATA_TYPE;

	free(text);
	return refused;
}

TEST_F(cimxml, depth_is_bounded)
{
	EXPECT_TRUE(is_refused(&self->s, repeat(OPEN "<QUALIFIER>", "<A>", 4000, ""), &self->f));
	EXPECT_NE(NULL, strstr(self->f.text, "nested"));
}

TEST_F(cimxml, attributes_are_bounded)
{
	char text[2048] = OPEN "<PROPERTY NAME=\"Caption\" TYPE=\"string\"";
	size_t len = strlen(text);

	for (unsigned int i = 0; i < 15; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, " A%u=\"\"", i);
	(void)snprintf(text + len, sizeof(text) - len, "/>" CLOSE);
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, code_of(&self->s, text, &self->f));
	EXPECT_NE(NULL, strstr(self->f.text, "attributes"));
}

TEST_F(cimxml, properties_are_bounded)
{
	EXPECT_TRUE(is_refused(
		&self->s, repeat(OPEN, "<PROPERTY NAME=\"Caption\" TYPE=\"string\"/>", 257, CLOSE),
		&self->f));
	EXPECT_NE(NULL, strstr(self->f.text, "properties"));
}

TEST_F(cimxml, values_are_bounded)
{
	EXPECT_TRUE(is_refused(
		&self->s,
		repeat(OPEN "<PROPERTY.ARRAY NAME=\"Notes\" TYPE=\"string\"><VALUE.ARRAY>",
		       "<VALUE>a</VALUE>", 257, "</VALUE.ARRAY></PROPERTY.ARRAY>" CLOSE),
		&self->f));
	EXPECT_TRUE(is_refused(&self->s,
			       repeat(OPEN "<PROPERTY NAME=\"Caption\" TYPE=\"string\"><VALUE>",
				      "a", SETTINGS_VALUE_MAX + 1, "</VALUE></PROPERTY>" CLOSE),
			       &self->f));
}

TEST_F(cimxml, length_is_bounded)
{
	EXPECT_TRUE(is_refused(&self->s, repeat(OPEN, " ", SETTINGS_TEXT_MAX, CLOSE), &self->f));
}

TEST_F(cimxml, cut_anywhere_it_is_refused)
{
	static const char whole[] = OPEN
		"<PROPERTY.ARRAY NAME=\"IncludedDisks\" TYPE=\"string\"><VALUE.ARRAY><VALUE>disk0</VALUE>"
		"</VALUE.ARRAY></PROPERTY.ARRAY>" CLOSE;
	char text[sizeof(whole)];

	for (size_t len = 1; len < sizeof(whole) - 1; len++) {
		memcpy(text, whole, len);
		text[len] = '\0';
		EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, code_of(&self->s, text, &self->f));
	}
}

TEST_F(cimxml, an_error_has_its_name_first_and_is_escaped)
{
	static const char start[] =
		"<INSTANCE CLASSNAME=\"Msvm_Error\"><PROPERTY NAME=\"Message\" ";
	struct failure why = { CODE_IN_USE, "a < b & c" };
	char *text = cimxml_error(&why);

	ASSERT_NE(NULL, text);
	EXPECT_EQ(0, strncmp(text, start, strlen(start)));
	EXPECT_NE(NULL, strstr(text, "<VALUE>a &lt; b &amp; c</VALUE>"));
	EXPECT_NE(NULL, strstr(text, "<VALUE>32774</VALUE>"));
	free(text);
}

TEST_HARNESS_MAIN
