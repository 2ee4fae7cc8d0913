// SPDX-License-Identifier: GPL-2.0-or-later
/* user/daemon/vm.c without a bus: what a record may say to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "daemon/relationship.h"
#include "daemon/vm.h"

#include "kselftest_harness.h"

#define NAME "\xe4\xb8\xad" /* three bytes */

FIXTURE(vm)
{
	struct daemon d;
	struct relationship_record r;
	struct failure f;
	char dir[64];
	char path[96];
};

FIXTURE_SETUP(vm)
{
	memset(self, 0, sizeof(*self));
	(void)strcpy(self->dir, "/tmp/vm-test.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	(void)snprintf(self->path, sizeof(self->path), "%s/db", self->dir);
	(void)snprintf(self->d.config.state_dir, sizeof(self->d.config.state_dir), "%s", self->dir);
	ASSERT_EQ(0, store_open(self->path, &self->d.store, &self->f));
	self->r.vm = (struct uuid){ { 1 } };
	self->r.mode = MODE_REPLICA;
	self->r.state = STATE_REPLICATING;
	for (int i = 0; i < 30; i++)
		(void)strcat(self->r.name, NAME);
}

FIXTURE_TEARDOWN(vm)
{
	char path[112];

	vm_free_all(&self->d);
	store_close(self->d.store);
	(void)unlink(self->path);
	(void)snprintf(path, sizeof(path), "%s-wal", self->path);
	(void)unlink(path);
	(void)rmdir(self->dir);
}

/* As many places write it; D-Bus takes no text that is cut within a character. */
static void say_of(struct relationship_record *r)
{
	(void)snprintf(r->last_error, sizeof(r->last_error), "`failback resume %.64s` sends it.", r->name);
}

static bool is_text(const char *text)
{
	char printable[512];

	text_make_printable(text, strlen(text), printable, sizeof(printable));
	return strcmp(text, printable) == 0;
}

TEST_F(vm, what_a_record_says_is_text_though_a_name_was_cut_in_it)
{
	struct relationship_record next;

	ASSERT_EQ(0, store_put_relationship(self->d.store, &self->r, &self->f));
	ASSERT_EQ(0, vm_load_all(&self->d, &self->f));
	next = self->d.vms->r;
	say_of(&next);
	ASSERT_FALSE(is_text(next.last_error));
	ASSERT_EQ(0, vm_change(self->d.vms, &next, &self->f));
	EXPECT_TRUE(is_text(self->d.vms->r.last_error));
	EXPECT_NE(NULL, strstr(self->d.vms->r.last_error, "` sends it."));
}

TEST_F(vm, what_a_version_before_cut_is_text_once_it_is_read)
{
	say_of(&self->r);
	ASSERT_EQ(0, store_put_relationship(self->d.store, &self->r, &self->f));
	ASSERT_EQ(0, vm_load_all(&self->d, &self->f));
	EXPECT_TRUE(is_text(self->d.vms->r.last_error));
	EXPECT_NE(NULL, strstr(self->d.vms->r.last_error, "` sends it."));
}

TEST_HARNESS_MAIN
