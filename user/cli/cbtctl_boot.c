// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The trackers of a host at its boot and shutdown, as the table of lib/tracker_table.h has them.
 *
 * A disk whose tracker cannot be had, for want of the module or of its store, gets a linear device
 * of the same name instead: its VM runs, and nothing is tracked. Then nobody may take the store's
 * map for complete when both are back. So, before such a device is made, the store notes that it
 * was bypassed; where it is not there to do that, a note of the tracker's name waits for it in a
 * directory of this host. A disk of which neither can be noted stays away.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/cbtctl.h"
#include "daemon/fence.h"
#include "lib/devid.h"
#include "lib/dm.h"
#include "lib/dm_table.h"
#include "lib/store_bypass.h"
#include "lib/tracker_table.h"

#define POLL_MS	     100
#define UUID_PREFIX  "FAILBACK-" /* by which udev rules know our devices */
#define MODE_FENCED  0600
#define MODE_VISIBLE 0660

/* What activates one tracker, and what stopped it from being more than a linear device. */
struct activation {
	const struct tracker_entry *entry;
	const char *notes;
	struct nl *nl; /* NULL: there is no module */
	struct failure why;
};

static void say(const struct activation *a, const char *sentence)
{
	(void)fprintf(stderr, "cbtctl: %s: %s\n", a->entry->name, sentence);
}

/* ---- notes ---- */

static const char *note_path(const struct activation *a, char buf[PATH_MAX])
{
	(void)snprintf(buf, PATH_MAX, "%s/%s", a->notes, a->entry->name);
	return buf;
}

static int sync_directory(const char *path)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Durable, with the directory: it is made at the first need. */
static int note_write(const struct activation *a, struct failure *f)
{
	char path[PATH_MAX];
	cleanup_fd int fd = -1;
	int err = mkdir(a->notes, 0700) < 0 && errno != EEXIST ? -errno : 0;

	if (!err) {
		fd = open(note_path(a, path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		err = fd < 0 || fsync(fd) < 0 ? -errno : sync_directory(a->notes);
	}
	if (!err)
		(void)snprintf(path, sizeof(path), "%s/..", a->notes);
	if (!err)
		err = sync_directory(path);
	if (err < 0)
		return failure_set(f, code_of_errno(err), err, "nothing can be noted in %s: %s",
				   a->notes, strerror(-err));
	return 0;
}

static bool note_exists(const struct activation *a)
{
	char path[PATH_MAX];

	return access(note_path(a, path), F_OK) == 0;
}

/* What waits for the store goes to it. ORDER: the store has it before the note is gone. */
static int note_settle(const struct activation *a, struct failure *f)
{
	char path[PATH_MAX];
	int err = strcmp(a->entry->store, "-") == 0 ?
			  0 : store_bypass_note(a->entry->store, STORE_BYPASS_MS, f);

	if (!err && unlink(note_path(a, path)) < 0)
		err = failure_set(f, code_of_errno(-errno), -errno, "%s cannot be removed: %s", path,
				  strerror(errno));
	return err;
}

/* Either the store or a note says from here on that its disk is written without it. */
static int note_untracked(const struct activation *a, struct failure *f)
{
	struct failure ignored;

	if (strcmp(a->entry->store, "-") == 0 || note_exists(a) ||
	    !store_bypass_note(a->entry->store, STORE_BYPASS_MS, &ignored))
		return 0;
	return note_write(a, f);
}

/* ---- devices ---- */

static void fenced_name(const struct tracker_entry *e, char buf[FENCE_NAME_MAX])
{
	(void)snprintf(buf, FENCE_NAME_MAX, "%s%s", e->name, e->start ? "" : FENCE_SUFFIX);
}

/* The name that its device has now; false: there is none. */
static bool find_device(const struct tracker_entry *e, char buf[FENCE_NAME_MAX])
{
	(void)snprintf(buf, FENCE_NAME_MAX, "%s", e->name);
	if (dm_exists(buf))
		return true;
	(void)snprintf(buf, FENCE_NAME_MAX, "%s" FENCE_SUFFIX, e->name);
	return dm_exists(buf);
}

static int make_device(const struct tracker_entry *e, const struct dm_table *table, struct failure *f)
{
	char name[FENCE_NAME_MAX];
	char uuid[sizeof(UUID_PREFIX) + TRACKER_ENTRY_NAME];

	fenced_name(e, name);
	(void)snprintf(uuid, sizeof(uuid), UUID_PREFIX "%s", e->name);
	return dm_table_create(name, uuid, table, e->start ? MODE_VISIBLE : MODE_FENCED, f);
}

static int wait_for_disk(const char *path, uint64_t deadline_ns, struct failure *f)
{
	int err;

	while ((err = devid_exists(path, f)) == -ENOENT && deadline_left_ms(deadline_ns) > 0)
		(void)poll(NULL, 0, POLL_MS);
	return err;
}

static int make_tracker(const struct activation *a, uint64_t sectors, uint64_t deadline_ns,
			struct failure *f)
{
	const struct tracker_entry *e = a->entry;
	struct dm_table table = { .sectors = sectors, .type = "cbt" };
	char options[32] = "";
	int err;

	if (e->block_sectors)
		(void)snprintf(options, sizeof(options), " 2 block_size %u", e->block_sectors);
	(void)snprintf(table.params, sizeof(table.params), "%.240s %.240s%s", e->origin, e->store, options);
	err = strcmp(e->store, "-") == 0 ? 0 : wait_for_disk(e->store, deadline_ns, f);
	if (!err && note_exists(a))
		err = note_settle(a, f);
	return err ? err : make_device(e, &table, f);
}

static int make_linear(const struct activation *a, uint64_t sectors, struct failure *f)
{
	struct dm_table table = { .sectors = sectors, .type = "linear" };
	int err = note_untracked(a, f);

	(void)snprintf(table.params, sizeof(table.params), "%.240s 0", a->entry->origin);
	return err ? err : make_device(a->entry, &table, f);
}

/* One that does not track, but holds its store: it is taken out, after it was noted what goes past it. */
static int take_out(const struct activation *a, const char *name, bool *ret_is_out, struct failure *f)
{
	struct tracker_info info;
	int err = nl_tracker_get(a->nl, name, &info, f);

	*ret_is_out = !err && (info.state == CBT_STATE_LOST || info.state == CBT_STATE_BYPASSED);
	if (*ret_is_out)
		err = note_untracked(a, f);
	return err || !*ret_is_out ? err : cbtctl_bypass(a->nl, name, f);
}

/* A device that is there already: the tracker, or one without it, which may have to be put back. */
static int take_up(const struct activation *a, const char *name, struct failure *f)
{
	struct dm_table table;
	bool is_out = true;
	int err = dm_table_read(name, &table, f);

	if (err)
		return err;
	if (!a->nl)
		return strcmp(table.type, "cbt") == 0 ? 0 : -ENODEV;
	if (strcmp(table.type, "cbt") == 0)
		err = take_out(a, name, &is_out, f);
	else if (strcmp(table.type, "linear") != 0)
		err = failure_set(f, CODE_INVALID_STATE, -EINVAL,
				  "its mapped device is neither a tracker nor one without it");
	if (err || !is_out)
		return err;
	err = note_untracked(a, f);
	if (!err && note_exists(a))
		err = note_settle(a, f);
	return err ? err : cbtctl_restore(name, a->entry->store, f);
}

/* Made when its line did not say yet that the VM may see it at once. What has it open is no VM. */
static int show(const struct tracker_entry *e, char name[FENCE_NAME_MAX], struct failure *f)
{
	unsigned int nr_open;
	int err;

	if (!e->start || strcmp(name, e->name) == 0)
		return 0;
	err = dm_open_count(name, &nr_open, f);
	if (!err && nr_open)
		err = failure_set(f, CODE_IN_USE, -EBUSY, "%s is open, and is not given the name %s", name, e->name);
	if (!err)
		err = dm_rename(name, e->name, f);
	if (!err)
		(void)snprintf(name, FENCE_NAME_MAX, "%s", e->name);
	return err;
}

/* 0: it is tracked; else @a->why, after whatever could be done. */
static int activate(struct activation *a, uint64_t deadline_ns)
{
	char name[FENCE_NAME_MAX];
	struct failure f;
	uint64_t bytes;
	int err;

	if (find_device(a->entry, name)) {
		if (show(a->entry, name, &f))
			say(a, f.text);
		err = take_up(a, name, &a->why);
		if (err)
			say(a, a->why.text);
		return err;
	}
	err = wait_for_disk(a->entry->origin, deadline_ns, &f);
	if (!err)
		err = devid_size(a->entry->origin, &bytes, &f);
	if (err) {
		say(a, f.text);
		return err;
	}
	err = a->nl ? make_tracker(a, bytes >> 9, deadline_ns, &a->why) : -ENODEV;
	if (!err)
		return 0;
	say(a, a->why.text);
	if (make_linear(a, bytes >> 9, &f))
		say(a, f.text);
	else
		say(a, "its disk is not tracked; when what is missing is there, `cbtctl activate` puts "
		       "the tracker back");
	return err;
}

/* ---- the commands ---- */

static bool is_named(const struct cbtctl_options *o, const char *name)
{
	for (size_t i = 0; i < o->nr_operands; i++) {
		if (strcmp(o->operands[i], name) == 0)
			return true;
	}
	return o->nr_operands == 0;
}

/* Of the table, those that are named; all of them when none is. */
static int read_table(const struct cbtctl_options *o, struct tracker_entry **ret, size_t *ret_nr,
		      struct failure *f)
{
	const char *path = o->table ? o->table : TRACKER_TABLE_FILE;
	struct tracker_entry *entries = NULL;
	size_t nr_named = 0;
	size_t nr = 0;
	int err = tracker_table_read(path, &entries, &nr, f);

	if (err)
		return err;
	for (size_t i = 0; i < nr; i++) {
		if (is_named(o, entries[i].name))
			entries[nr_named++] = entries[i];
	}
	*ret = entries;
	*ret_nr = nr_named;
	if (nr_named < o->nr_operands)
		return failure_set(f, CODE_INVALID_PARAMETER, -ENOENT,
				   "%zu of the trackers that are named do not stand in %s",
				   o->nr_operands - nr_named, path);
	return 0;
}

static void close_nl_at(struct nl **nl)
{
	nl_close_at(nl);
}

static int run_activate(const struct cbtctl_command *c, const struct cbtctl_options *o,
			struct nl *nl, struct failure *f)
{
	_cleanup_(close_nl_at) struct nl *module = NULL;
	cleanup_free struct tracker_entry *entries = NULL;
	uint64_t deadline_ns = deadline_in_ms(o->wait_s * 1000);
	struct failure no_module;
	size_t nr_failed = 0;
	size_t nr = 0;
	int err = read_table(o, &entries, &nr, f);

	(void)c;
	(void)nl;
	if (!err)
		(void)nl_open(&module, &no_module);
	for (size_t i = 0; !err && i < nr; i++) {
		struct activation a = { .entry = &entries[i],
					.notes = o->notes ? o->notes : CBTCTL_NOTES,
					.nl = module };

		if (!module)
			a.why = no_module;
		nr_failed += activate(&a, deadline_ns) != 0;
	}
	if (nr_failed)
		err = failure_set(f, CODE_FAILED, -EIO, "%zu of %zu disks are not tracked", nr_failed, nr);
	return err;
}

static int run_deactivate(const struct cbtctl_command *c, const struct cbtctl_options *o,
			  struct nl *nl, struct failure *f)
{
	cleanup_free struct tracker_entry *entries = NULL;
	char name[FENCE_NAME_MAX];
	struct failure why;
	size_t nr_failed = 0;
	size_t nr = 0;
	int err = read_table(o, &entries, &nr, f);

	(void)c;
	(void)nl;
	for (size_t i = 0; !err && i < nr; i++) {
		if (!find_device(&entries[i], name) || !dm_remove(name, &why))
			continue;
		(void)fprintf(stderr, "cbtctl: %s\n", why.text);
		nr_failed++;
	}
	if (nr_failed)
		err = failure_set(f, CODE_IN_USE, -EBUSY, "%zu of %zu mapped devices are left", nr_failed, nr);
	return err;
}

const struct cbtctl_command cbtctl_boot_commands[] = {
	{
		.name = "activate",
		.operands = "[TRACKER...]",
		.noun = "tracker",
		.summary = "make the devices of a table of trackers, as at boot",
		.details = "Without operands, all of them; those that are there already stay. A disk whose tracker "
			   "cannot\nbe had gets a linear device, and is not tracked.",
		.takes = TAKES(TABLE) | TAKES(NOTES) | TAKES(WAIT) | TAKES(HELP),
		.max_operands = SIZE_MAX,
		.without_module = true,
		.run = run_activate,
	},
	{
		.name = "deactivate",
		.operands = "[TRACKER...]",
		.noun = "tracker",
		.summary = "stop the trackers of a table in order, as at shutdown",
		.details = "Those that are open stay.",
		.takes = TAKES(TABLE) | TAKES(HELP),
		.max_operands = SIZE_MAX,
		.without_module = true,
		.run = run_deactivate,
	},
	{ 0 },
};
