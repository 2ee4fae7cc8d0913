// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/vm_driver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "lib/child.h"

#define LIBVIRT_PROGRAM "failback-libvirt"

/* --- words --- */

static int refuse(const char *command, const char *wrong, struct failure *f)
{
	return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL, "The command \"%.200s\" %s.", command,
			   wrong);
}

/* Appends; false: there is no room. */
static bool put(char *word, const char *text, size_t len)
{
	size_t used = strlen(word);

	if (len >= VM_WORD_BYTES_MAX - used)
		return false;
	memcpy(word + used, text, len);
	word[used + len] = '\0';
	return true;
}

/* One word, which ends at @end. */
static bool make_word(const char *at, const char *end, const char *name, const char *uuid, char *ret,
		      bool *ret_known)
{
	ret[0] = '\0';
	for (; at < end; at++) {
		const char *text = at;
		size_t len = 1;

		if (*at == '%') {
			at++;
			*ret_known &= at < end && (*at == 'n' || *at == 'u' || *at == '%');
			text = at < end && *at == 'n' ? name : at < end && *at == 'u' ? uuid : "%";
			len = strlen(text);
		}
		if (!put(ret, text, len))
			return false;
	}
	return true;
}

int vm_words_make(const char *command, const char *name, const char *uuid, struct vm_words *ret,
		  struct failure *f)
{
	bool known = true;
	size_t nr = 0;

	for (const char *at = command + strspn(command, " "); *at; at += strspn(at, " ")) {
		const char *end = at + strcspn(at, " ");

		if (nr == VM_WORDS_MAX)
			return refuse(command, "has more than 16 words", f);
		if (!make_word(at, end, name, uuid, ret->texts[nr], &known))
			return refuse(command, "has a word that is too long", f);
		ret->argv[nr] = ret->texts[nr];
		nr++;
		at = end;
	}
	ret->argv[nr] = NULL;
	if (!known)
		return refuse(command, "has a % that is none of %n, %u and %%", f);
	if (!nr || ret->argv[0][0] != '/')
		return refuse(command, "does not begin with a path", f);
	return 0;
}

/* --- exec: commands of the configuration --- */

static const char *exec_command(const struct host_config *config, enum vm_question question)
{
	const char *const commands[] = {
		[VM_RUNNING] = config->vm_running, [VM_READY] = config->vm_running,
		[VM_STOP] = config->vm_stop,	   [VM_START] = config->vm_start,
		[VM_AUTOSTART] = "",		   [VM_DUMP] = "",
		[VM_DEFINE] = "",		   [VM_REDEFINE] = "",
	};

	return commands[question][0] ? commands[question] : NULL;
}

static int exec_start(const struct vm *vm, enum vm_question question, const int fds[3], pid_t *ret,
		      struct failure *f)
{
	char uuid[UUID_TEXT_LEN + 1];
	struct vm_words words;
	int rc = vm_words_make(exec_command(&vm->daemon->config, question), vm->r.name,
			       uuid_format(&vm->r.vm, uuid), &words, f);

	return rc ? rc : child_start(words.argv, fds, 3, ret, f);
}

static const struct vm_driver exec_driver = { .command = exec_command, .start = exec_start };

/* --- libvirt: a program of ours, which can do all of it --- */

static const char *const libvirt_commands[] = {
	[VM_RUNNING] = LIBVIRT_PROGRAM " running",
	[VM_READY] = LIBVIRT_PROGRAM " ready",
	[VM_STOP] = LIBVIRT_PROGRAM " stop",
	[VM_START] = LIBVIRT_PROGRAM " start",
	[VM_AUTOSTART] = LIBVIRT_PROGRAM " autostart",
	[VM_DUMP] = LIBVIRT_PROGRAM " dump",
	[VM_DEFINE] = LIBVIRT_PROGRAM " define",
	[VM_REDEFINE] = LIBVIRT_PROGRAM " redefine",
};

static const char *libvirt_command(const struct host_config *config, enum vm_question question)
{
	(void)config;
	return libvirt_commands[question];
}

struct device_path {
	char text[sizeof("/dev/mapper/") + CBT_NAME_LEN];
};

/* What the VM has open of a disk, where it runs. */
static const char *device_of(const struct disk_record *disk, struct device_path *room)
{
	if (!disk->tracker[0])
		return disk->path;
	(void)snprintf(room->text, sizeof(room->text), "/dev/mapper/%s", disk->tracker);
	return room->text;
}

static int libvirt_start(const struct vm *vm, enum vm_question question, const int fds[3], pid_t *ret,
			 struct failure *f)
{
	bool names_devices = question == VM_READY || question == VM_DEFINE || question == VM_REDEFINE;
	cleanup_free struct device_path *devices = calloc(vm->r.nr_disks + 1, sizeof(*devices));
	cleanup_free const char **argv = calloc(vm->r.nr_disks + 5, sizeof(*argv));
	char path[PATH_MAX];
	char uuid[UUID_TEXT_LEN + 1];

	if (!devices || !argv)
		return failure_no_memory(f);
	(void)snprintf(path, sizeof(path), "%s/" LIBVIRT_PROGRAM, vm->daemon->libexec);
	argv[0] = path;
	argv[1] = libvirt_commands[question] + sizeof(LIBVIRT_PROGRAM);
	argv[2] = vm->daemon->config.libvirt_uri;
	argv[3] = uuid_format(&vm->r.vm, uuid);
	for (size_t i = 0; names_devices && i < vm->r.nr_disks; i++)
		argv[4 + i] = device_of(&vm->r.disks[i], &devices[i]);
	return child_start(argv, fds, 3, ret, f);
}

static const struct vm_driver libvirt_driver = {
	.command = libvirt_command,
	.start = libvirt_start,
	.explains = true,
};

const struct vm_driver *vm_driver_of(const struct host_config *config)
{
	return strcmp(config->vm_driver, VM_DRIVER_LIBVIRT) == 0 ? &libvirt_driver : &exec_driver;
}
