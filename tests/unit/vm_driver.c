// SPDX-License-Identifier: GPL-2.0-or-later
/* user/daemon/vm_driver.c: the words of a command, without a shell; what each driver can be asked. */
#include <string.h>

#include "daemon/vm_driver.h"

#include "kselftest_harness.h"

#define UUID "11111111-2222-4333-8444-555555555555"

static struct vm_words words;

static int make(const char *command, const char *name)
{
	return vm_words_make(command, name, UUID, &words, NULL);
}

TEST(words_are_separated_by_spaces_and_nothing_else_means_anything)
{
	ASSERT_EQ(0, make("  /bin/x   a\t$(b) \"c  d\" ", "vm1"));
	EXPECT_STREQ("/bin/x", words.argv[0]);
	EXPECT_STREQ("a\t$(b)", words.argv[1]);
	EXPECT_STREQ("\"c", words.argv[2]);
	EXPECT_STREQ("d\"", words.argv[3]);
	EXPECT_EQ(NULL, words.argv[4]);
}

TEST(a_name_with_spaces_is_one_word)
{
	ASSERT_EQ(0, make("/bin/x --name=%n %u 100%%", "my vm; rm -rf /"));
	EXPECT_STREQ("--name=my vm; rm -rf /", words.argv[1]);
	EXPECT_STREQ(UUID, words.argv[2]);
	EXPECT_STREQ("100%", words.argv[3]);
	EXPECT_EQ(NULL, words.argv[4]);
}

TEST(what_is_in_a_name_is_not_looked_at_again)
{
	ASSERT_EQ(0, make("/bin/x %n", "%u %n"));
	EXPECT_STREQ("%u %n", words.argv[1]);
}

TEST(what_is_no_command_is_refused)
{
	EXPECT_NE(0, make("", "vm1"));
	EXPECT_NE(0, make("   ", "vm1"));
	EXPECT_NE(0, make("virsh domstate %n", "vm1"));
	EXPECT_NE(0, make("/bin/x %d", "vm1"));
	EXPECT_NE(0, make("/bin/x %", "vm1"));
	EXPECT_NE(0, make("/a b c d e f g h i j k l m n o p q", "vm1"));
	EXPECT_EQ(0, make("/a b c d e f g h i j k l m n o p", "vm1"));
}

TEST(a_word_that_is_too_long_is_refused)
{
	char name[VM_WORD_BYTES_MAX + 1];

	memset(name, 'x', sizeof(name));
	name[VM_WORD_BYTES_MAX - 1] = '\0';
	EXPECT_EQ(0, make("/bin/x %n", name));
	EXPECT_NE(0, make("/bin/x y%n", name));
}

/* Bit i: question i has a command. */
static unsigned int answers(const struct host_config *config)
{
	unsigned int bits = 0;

	for (enum vm_question question = VM_RUNNING; question <= VM_DEFINE; question++)
		bits |= vm_driver_of(config)->command(config, question) ? 1U << question : 0;
	return bits;
}

TEST(without_commands_nothing_can_be_asked)
{
	struct host_config config;

	config_init(&host_config_table, &config);
	EXPECT_EQ(0, answers(&config));
}

TEST(each_command_answers_its_own_question)
{
	struct host_config config;

	config_init(&host_config_table, &config);
	(void)strcpy(config.vm_stop, "/bin/x");
	EXPECT_EQ(1U << VM_STOP, answers(&config));
	(void)strcpy(config.vm_running, "/bin/y");
	EXPECT_EQ(1U << VM_STOP | 1U << VM_RUNNING | 1U << VM_READY, answers(&config));
	EXPECT_STREQ("/bin/y", vm_driver_of(&config)->command(&config, VM_RUNNING));
	EXPECT_STREQ("/bin/y", vm_driver_of(&config)->command(&config, VM_READY));
	(void)strcpy(config.vm_start, "/bin/z");
	EXPECT_STREQ("/bin/z", vm_driver_of(&config)->command(&config, VM_START));
}

TEST(libvirt_can_be_asked_everything)
{
	struct host_config config;

	config_init(&host_config_table, &config);
	(void)strcpy(config.vm_driver, "libvirt");
	EXPECT_EQ(127, answers(&config));
	EXPECT_STREQ("failback-libvirt define", vm_driver_of(&config)->command(&config, VM_DEFINE));
	EXPECT_STREQ("failback-libvirt stop", vm_driver_of(&config)->command(&config, VM_STOP));
}

TEST_HARNESS_MAIN
