// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/lib/config.c with the real table of failbackd: what is taken, refused, and how it is said.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/host_config.h"

#include "kselftest_harness.h"
#include "temp_file.h"

FIXTURE(config)
{
	struct host_config c;
	struct failure f;
	char path[TEMP_PATH_MAX];
};

FIXTURE_SETUP(config)
{
	memset(self, 0, sizeof(*self));
	config_init(&host_config_table, &self->c);
	ASSERT_TRUE(temp_file_make(self->path));
}

FIXTURE_TEARDOWN(config)
{
	(void)unlink(self->path);
}

static int load(struct host_config *c, const char *path, const char *text, struct failure *f)
{
	temp_file_write(path, text);
	return config_load(&host_config_table, c, path, f);
}

TEST_F(config, defaults_are_within_their_own_ranges)
{
	for (size_t i = 0; i < host_config_table.nr; i++) {
		const struct config_setting *s = &host_config_table.settings[i];

		EXPECT_EQ(0, config_set(&host_config_table, &self->c, s->name, s->default_value,
					&self->f))
		{
			TH_LOG("%s", self->f.text);
		}
	}
	EXPECT_STREQ("/var/lib/failback", self->c.state_dir);
	EXPECT_EQ(10, self->c.call_timeout);
}

TEST_F(config, a_file_is_read)
{
	ASSERT_EQ(0, load(&self->c, self->path,
			  "; comment\n[failbackd]\nlisten = 192.0.2.1:7407\nmax-connections=5\n",
			  &self->f))
	{
		TH_LOG("%s", self->f.text);
	}
	EXPECT_STREQ("192.0.2.1:7407", self->c.listen);
	EXPECT_EQ(5, self->c.max_connections);
}

TEST_F(config, an_empty_file_changes_nothing)
{
	EXPECT_EQ(0, load(&self->c, self->path, "", &self->f));
	EXPECT_EQ(32, self->c.max_connections);
}

TEST_F(config, a_missing_file_is_told_from_others)
{
	EXPECT_EQ(-ENOENT, config_load(&host_config_table, &self->c, "/nonexistent/x", &self->f));
	EXPECT_EQ(CODE_FILE_NOT_FOUND, self->f.code);
}

TEST_F(config, an_unknown_setting_is_refused_with_its_line)
{
	EXPECT_EQ(-ENOENT, load(&self->c, self->path, "[failbackd]\n\nlissten = x\n", &self->f));
	EXPECT_NE(NULL, strstr(self->f.text, "line 3"));
	EXPECT_NE(NULL, strstr(self->f.text, "lissten"));
}

TEST_F(config, an_unknown_section_is_refused)
{
	EXPECT_NE(0, load(&self->c, self->path, "[other]\nlisten = x\n", &self->f));
	EXPECT_NE(NULL, strstr(self->f.text, "[other]"));
}

TEST_F(config, what_is_no_ini_is_refused)
{
	EXPECT_EQ(-EINVAL, load(&self->c, self->path, "[failbackd]\nnonsense\n", &self->f));
	EXPECT_NE(NULL, strstr(self->f.text, "line 2"));
}

TEST_F(config, a_number_outside_its_range_is_refused_and_changes_nothing)
{
	static const char *const values[] = { "0", "1025", "99999999999999999999999" };

	for (size_t i = 0; i < 3; i++) {
		EXPECT_EQ(-ERANGE, config_set(&host_config_table, &self->c, "max-connections",
					      values[i], &self->f));
		EXPECT_NE(NULL, strstr(self->f.text, "1 to 1024"));
	}
	EXPECT_EQ(32, self->c.max_connections);
}

TEST_F(config, what_is_no_number_is_refused)
{
	static const char *const values[] = { "", "x", "5x", "-5", " 5", "0x5" };

	for (size_t i = 0; i < 6; i++)
		EXPECT_EQ(-EINVAL, config_set(&host_config_table, &self->c, "max-connections",
					      values[i], &self->f));
}

TEST_F(config, text_that_does_not_fit_is_refused_and_changes_nothing)
{
	char value[sizeof(self->c.group) + 1];

	memset(value, 'a', sizeof(value));
	value[sizeof(self->c.group)] = '\0';
	EXPECT_EQ(-ERANGE, config_set(&host_config_table, &self->c, "group", value, &self->f));
	EXPECT_STREQ("", self->c.group);
	value[sizeof(self->c.group) - 1] = '\0';
	EXPECT_EQ(0, config_set(&host_config_table, &self->c, "group", value, &self->f));
}

TEST_F(config, the_defaults_go_together)
{
	EXPECT_EQ(0, host_config_check(&self->c, &self->f));
}

TEST_F(config, a_driver_of_vms_that_is_none_is_refused)
{
	ASSERT_EQ(0, load(&self->c, self->path, "[failbackd]\nvm-driver = xen\n", &self->f));
	EXPECT_EQ(-EINVAL, host_config_check(&self->c, &self->f));
	EXPECT_EQ(CODE_INVALID_PARAMETER, self->f.code);
	EXPECT_NE(NULL, strstr(self->f.text, "exec or libvirt, not \"xen\""));
}

TEST_F(config, libvirt_and_a_command_are_refused_together)
{
	static const char *const names[] = { "vm-running", "vm-stop", "vm-start" };

	for (size_t i = 0; i < 3; i++) {
		char text[128];

		config_init(&host_config_table, &self->c);
		(void)snprintf(text, sizeof(text), "[failbackd]\nvm-driver = libvirt\n%s = /bin/true\n",
			       names[i]);
		ASSERT_EQ(0, load(&self->c, self->path, text, &self->f));
		EXPECT_EQ(-EINVAL, host_config_check(&self->c, &self->f));
		EXPECT_NE(NULL, strstr(self->f.text, names[i]));
		(void)strcpy(self->c.vm_driver, "exec");
		EXPECT_EQ(0, host_config_check(&self->c, &self->f));
	}
}

TEST_F(config, libvirt_is_somewhere)
{
	(void)strcpy(self->c.vm_driver, "libvirt");
	EXPECT_EQ(0, host_config_check(&self->c, &self->f));
	self->c.libvirt_uri[0] = '\0';
	EXPECT_EQ(-EINVAL, host_config_check(&self->c, &self->f));
	EXPECT_NE(NULL, strstr(self->f.text, "libvirt-uri"));
}

TEST_F(config, help_names_every_setting)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	config_print(&host_config_table, out);
	(void)fclose(out);
	for (size_t i = 0; i < host_config_table.nr; i++)
		EXPECT_NE(NULL, strstr(text, host_config_table.settings[i].name));
	free(text);
}

TEST_HARNESS_MAIN
