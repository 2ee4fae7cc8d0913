// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One walk for both: it notes what is asked for, and, of what a peer sent, holds every element, attribute and
 * text against the tables. Where an element stands is written as a path, "domain/os/nvram".
 *
 * Text and elements do not stand side by side, so that a text is the one that libvirt reads, whole.
 */
#include "lib/domain_xml.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "lib/definition.h"

#define DEPTH_MAX 24U
#define PLACE_MAX 512U

/* --- the rules --- */

static const char *const domain_elements[] = {
	"name",	     "uuid",	    "genid",	 "title",    "description", "metadata",	  "maxMemory",
	"memory",    "currentMemory", "memoryBacking", "memtune", "numatune", "vcpu",	  "vcpus",
	"iothreads", "iothreadids", "defaultiothread", "cputune", "resource", "os",	  "features",
	"cpu",	     "clock",	    "pm",	 "perf",     "on_poweroff", "on_reboot",  "on_crash",
	"on_lockfailure", "sysinfo", "blkiotune", "seclabel", "devices",
};

static const char *const device_elements[] = {
	"emulator", "disk",  "controller", "interface", "serial",   "parallel", "console", "channel",
	"input",    "graphics", "sound",   "audio",	"video",    "redirdev", "watchdog", "memballoon",
	"rng",	    "tpm",   "hub",	   "iommu",	"panic",    "vsock",
};

/* Wherever they stand. */
static const char *const forbidden_elements[] = { "label",  "baselabel",  "log",
						  "script", "downscript", "portForward" };

/* What is in them is for people, or for other programs. */
static const char *const skipped[] = { "domain/title", "domain/description", "domain/metadata" };

/* Values that an attribute may have, and no other. */
static const struct {
	const char *place, *attribute, *values;
} choices[] = {
	{ "domain/seclabel", "type", "dynamic" },
	{ "domain/os/nvram", "type", "file" },
	{ "domain/devices/disk", "device", "disk cdrom floppy" },
	{ "domain/devices/interface", "type", "network bridge direct user" },
	{ "domain/devices/serial", "type", "pty null vc spicevmc spiceport unix" },
	{ "domain/devices/parallel", "type", "pty null vc" },
	{ "domain/devices/console", "type", "pty null vc" },
	{ "domain/devices/channel", "type", "pty null spicevmc spiceport unix qemu-vdagent" },
	{ "domain/devices/redirdev", "type", "spicevmc" },
	{ "domain/devices/graphics", "type", "vnc spice" },
	{ "domain/devices/rng/backend", "model", "random builtin" },
	{ "domain/devices/tpm/backend", "type", "emulator" },
};

/* Attributes that an element may have, and no other. */
static const struct {
	const char *place, *attributes;
} attributes[] = {
	{ "domain/devices/disk", "type device model snapshot" },
	{ "domain/devices/disk*/source", "dev file index startupPolicy" },
};

enum path { PATH_NONE, PATH_ANY, PATH_SYSTEM, PATH_EMULATOR, PATH_NVRAM, PATH_DISK, PATH_RANDOM };

/* Where a path may stand, and which. Attribute NULL: the element's text. */
static const struct {
	const char *place, *attribute;
	enum path path;
} paths[] = {
	{ "domain/devices/emulator", NULL, PATH_EMULATOR },
	{ "domain/devices/disk*/source", "dev", PATH_DISK },
	{ "domain/devices/disk*/source", "file", PATH_DISK },
	{ "domain/devices/rng/backend", NULL, PATH_RANDOM },
	{ "domain/os/loader", NULL, PATH_SYSTEM },
	{ "domain/os/nvram", NULL, PATH_NVRAM },
	{ "domain/os/nvram", "template", PATH_SYSTEM },
	{ "domain/os/nvram/source", "file", PATH_NVRAM },
	{ "domain/resource/partition", NULL, PATH_ANY }, /* of control groups */
	{ "domain/sysinfo/*/entry", NULL, PATH_ANY }, /* a word of the vendor's */
};

/* --- the walk --- */

struct parser {
	XML_Parser expat;
	bool guarded; /* a peer wrote it */
	const char *const *devices;
	size_t nr_devices;
	struct domain_xml found;
	int error;
	struct failure failure;

	char place[PLACE_MAX];
	size_t ends[DEPTH_MAX]; /* of it, by depth */
	bool has_children[DEPTH_MAX];
	unsigned int depth;
	unsigned int skipping; /* elements deep; 0: not */
	char text[PATH_MAX];
	size_t text_len;
};

static void stop(struct parser *p, int error)
{
	if (p->error)
		return;
	p->error = error;
	(void)XML_StopParser(p->expat, XML_FALSE);
}

#define fail(p, ...)                                                           \
	stop(p, failure_set(&(p)->failure, CODE_INCORRECT_DATA_TYPE, -EBADMSG, \
			    "The XML of the domain " __VA_ARGS__))

#define refuse(p, fmt, ...)                                                                               \
	stop(p, failure_set(&(p)->failure, CODE_NOT_SUPPORTED, -EPERM,                                    \
			    "The definition that the peer sent has " fmt ", which no other host may decide " \
			    "for this one: define the domain here by hand, with `virsh define`.",         \
			    __VA_ARGS__))

static bool is_among(const char *const *list, size_t nr, const char *word)
{
	for (size_t i = 0; i < nr; i++) {
		if (strcmp(list[i], word) == 0)
			return true;
	}
	return false;
}

/* Of words that spaces separate. */
static bool is_word_of(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = words; *at; at += strspn(at, " ")) {
		size_t next = strcspn(at, " ");

		if (next == len && strncmp(at, word, len) == 0)
			return true;
		at += next;
	}
	return false;
}

static bool is_blank(const char *text, size_t len)
{
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	return len == 0;
}

static bool is_at(const struct parser *p, const char *pattern)
{
	return fnmatch(pattern, p->place, 0) == 0;
}

static const char *element_of(const struct parser *p)
{
	const char *slash = strrchr(p->place, '/');

	return slash ? slash + 1 : p->place;
}

/* --- paths --- */

static bool is_below(const char *path, const char *directory)
{
	return strncmp(path, directory, strlen(directory)) == 0 && !strstr(path, "/..");
}

static bool is_emulator(const char *path)
{
	const char *name = strrchr(path, '/');

	return is_below(path, "/usr/") &&
	       (strncmp(name + 1, "qemu-", 5) == 0 || strcmp(name + 1, "kvm") == 0);
}

static bool path_is_allowed(const struct parser *p, enum path path, const char *value)
{
	static const char *const random[] = { "/dev/urandom", "/dev/random", "/dev/hwrng" };

	switch (path) {
	case PATH_ANY:
	case PATH_NVRAM: /* in the end, when the name is known */
		return true;
	case PATH_SYSTEM:
		return is_below(value, "/usr/");
	case PATH_EMULATOR:
		return is_emulator(value);
	case PATH_DISK:
		return is_among(p->devices, p->nr_devices, value);
	case PATH_RANDOM:
		return is_among(random, ARRAY_SIZE(random), value);
	default:
		return false;
	}
}

static enum path path_at(const struct parser *p, const char *attribute)
{
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		if (!paths[i].attribute == !attribute && is_at(p, paths[i].place) &&
		    (!attribute || strcmp(paths[i].attribute, attribute) == 0))
			return paths[i].path;
	}
	return PATH_NONE;
}

/* One that has no slash may still name a file: in the directory that libvirt runs in. */
static bool is_path(const char *attribute, const char *value)
{
	return strchr(value, '/') || (attribute && is_word_of("file path logFile", attribute));
}

static void check_path(struct parser *p, const char *attribute, const char *value)
{
	enum path path = path_at(p, attribute);

	if ((is_path(attribute, value) || (path && *value)) && !path_is_allowed(p, path, value))
		refuse(p, "\"%.128s\" in <%.32s>", value, element_of(p));
}

/* --- attributes and elements --- */

static void check_choice(struct parser *p, const char *attribute, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
		if (strcmp(choices[i].attribute, attribute) == 0 && is_at(p, choices[i].place) &&
		    !is_word_of(choices[i].values, value))
			refuse(p, "%.32s=\"%.64s\" in <%.32s>", attribute, value, element_of(p));
	}
}

static void check_attribute(struct parser *p, const char *attribute, const char *value)
{
	/* A prefix does nothing before an element has it. */
	if (strncmp(attribute, "xmlns:", 6) == 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		if (is_at(p, attributes[i].place) && !is_word_of(attributes[i].attributes, attribute))
			refuse(p, "the attribute %.32s in <%.32s>", attribute, element_of(p));
	}
	check_choice(p, attribute, value);
	check_path(p, attribute, value);
}

static bool element_is_allowed(const struct parser *p, const char *element)
{
	if (strchr(element, ':') || is_among(forbidden_elements, ARRAY_SIZE(forbidden_elements), element))
		return false;
	if (p->depth == 2)
		return is_among(domain_elements, ARRAY_SIZE(domain_elements), element);
	if (p->depth == 3 && is_at(p, "domain/devices/*"))
		return is_among(device_elements, ARRAY_SIZE(device_elements), element);
	return true;
}

static void check_element(struct parser *p, const char **list)
{
	const char *element = element_of(p);

	if (!element_is_allowed(p, element))
		refuse(p, "<%.64s>", element);
	for (; *list; list += 2)
		check_attribute(p, list[0], list[1]);
}

/* --- what is found --- */

static void note(struct parser *p, const char *what, const char *value, char *ret, size_t size)
{
	if (ret[0] || strlen(value) >= size)
		fail(p, "has more than one %s, or one that is too long.", what);
	else
		(void)snprintf(ret, size, "%s", value);
}

static void note_uuid(struct parser *p)
{
	if (!uuid_is_nil(&p->found.uuid) || uuid_parse(p->text, &p->found.uuid))
		fail(p, "has more than one UUID, or one that is none.");
}

static void note_text(struct parser *p)
{
	if (is_at(p, "domain/uuid"))
		note_uuid(p);
	else if (is_at(p, "domain/name"))
		note(p, "name", p->text, p->found.name, sizeof(p->found.name));
	else if (is_at(p, "domain/devices/emulator"))
		note(p, "emulator", p->text, p->found.emulator, sizeof(p->found.emulator));
	else if (is_at(p, "domain/os/nvram") && !is_blank(p->text, p->text_len))
		note(p, "NVRAM", p->text, p->found.nvram, sizeof(p->found.nvram));
}

static void note_attributes(struct parser *p, const char **list)
{
	for (; is_at(p, "domain/os/nvram/source") && *list; list += 2) {
		if (strcmp(list[0], "file") == 0)
			note(p, "NVRAM", list[1], p->found.nvram, sizeof(p->found.nvram));
	}
}

/* --- expat --- */

static void enter(struct parser *p, const char *element)
{
	size_t used = p->depth ? p->ends[p->depth - 1] : 0;
	int len = snprintf(p->place + used, sizeof(p->place) - used, "%s%s", used ? "/" : "", element);

	if (p->depth == DEPTH_MAX || (size_t)len >= sizeof(p->place) - used) {
		fail(p, "is nested too deep.");
		return;
	}
	if (p->depth)
		p->has_children[p->depth - 1] = true;
	p->has_children[p->depth] = false;
	p->ends[p->depth++] = used + (size_t)len;
}

static void on_start(void *context, const char *element, const char **list)
{
	struct parser *p = context;

	if (p->error)
		return;
	if (p->skipping) {
		p->skipping++;
		return;
	}
	if (!is_blank(p->text, p->text_len))
		fail(p, "has text beside <%.64s>.", element);
	p->text_len = 0;
	if (!p->depth && strcmp(element, "domain") != 0)
		fail(p, "is of something else, <%.64s>.", element);
	if (!p->error)
		enter(p, element);
	if (!p->error && p->guarded)
		check_element(p, list);
	if (!p->error)
		note_attributes(p, list);
	if (is_among(skipped, ARRAY_SIZE(skipped), p->place))
		p->skipping = 1;
}

static void leave(struct parser *p)
{
	p->depth--;
	p->place[p->depth ? p->ends[p->depth - 1] : 0] = '\0';
	p->text_len = 0;
}

static void on_end(void *context, const char *element)
{
	struct parser *p = context;

	if (p->error || (p->skipping && --p->skipping))
		return;
	p->text[p->text_len] = '\0';
	if (p->has_children[p->depth - 1] && !is_blank(p->text, p->text_len))
		fail(p, "has text beside elements, in <%.64s>.", element);
	if (!p->error && p->guarded)
		check_path(p, NULL, p->text);
	if (!p->error)
		note_text(p);
	leave(p);
}

static void on_text(void *context, const char *text, int len)
{
	struct parser *p = context;

	if (p->error || p->skipping)
		return;
	if ((size_t)len >= sizeof(p->text) - p->text_len) {
		if (p->guarded)
			fail(p, "has a text of more than %zu characters in <%.64s>.", sizeof(p->text) - 1,
			     element_of(p));
		return; /* none of those that are noted */
	}
	memcpy(p->text + p->text_len, text, (size_t)len);
	p->text_len += (size_t)len;
}

static void on_doctype(void *context, const char *name, const char *system_id, const char *public_id,
		       int has_internal_subset)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)has_internal_subset;
	fail((struct parser *)context, "has a document type declaration, which is not allowed.");
}

static void on_declaration(void *context, const char *version, const char *encoding, int standalone)
{
	(void)version;
	(void)encoding;
	(void)standalone;
	fail((struct parser *)context, "has an XML declaration, which is not allowed.");
}

static void free_parser_at(struct parser **p)
{
	if (*p)
		XML_ParserFree((*p)->expat);
	free(*p);
}

/* --- the end --- */

/* As libvirt chooses it, so that it is no other domain's: "NAME_VARS.fd". */
static bool nvram_is_own(const struct domain_xml *x)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	char begin[sizeof(DOMAIN_NVRAM) + DOMAIN_NAME_MAX + sizeof("_VARS.")];
	size_t len = (size_t)snprintf(begin, sizeof(begin), DOMAIN_NVRAM "%s_VARS.", x->name);

	return !x->nvram[0] || (strncmp(x->nvram, begin, len) == 0 && x->nvram[len] &&
				strspn(x->nvram + len, letters) == strlen(x->nvram + len));
}

static int judge(struct parser *p)
{
	const struct domain_xml *x = &p->found;

	if (uuid_is_nil(&x->uuid) || !x->name[0] || strchr(x->name, '/'))
		fail(p, "has no UUID, or no name that is one.");
	if (p->guarded && !nvram_is_own(x))
		refuse(p, "\"%.128s\" in <nvram>", x->nvram);
	return p->error;
}

static int parse(struct parser *p, const char *text, struct domain_xml *ret, struct failure *f)
{
	size_t len = strlen(text);

	if (len > DEFINITION_XML_MAX)
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EMSGSIZE,
				   "The XML of the domain has %zu bytes; at most %zu are accepted.", len,
				   DEFINITION_XML_MAX);
	XML_SetUserData(p->expat, p);
	XML_SetElementHandler(p->expat, on_start, on_end);
	XML_SetCharacterDataHandler(p->expat, on_text);
	XML_SetStartDoctypeDeclHandler(p->expat, on_doctype);
	XML_SetXmlDeclHandler(p->expat, on_declaration);
	if (XML_Parse(p->expat, text, (int)len, XML_TRUE) == XML_STATUS_OK && !judge(p)) {
		*ret = p->found;
		return 0;
	}
	if (p->error)
		return failure_set(f, (enum code)p->failure.code, p->error, "%s", p->failure.text);
	return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EBADMSG,
			   "The XML of the domain is not well-formed: line %lu, column %lu: %s.",
			   XML_GetCurrentLineNumber(p->expat), XML_GetCurrentColumnNumber(p->expat),
			   XML_ErrorString(XML_GetErrorCode(p->expat)));
}

static int walk(const char *text, bool guarded, const char *const *devices, size_t nr_devices,
		struct domain_xml *ret, struct failure *f)
{
	_cleanup_(free_parser_at) struct parser *p = calloc(1, sizeof(*p));

	if (p)
		p->expat = XML_ParserCreate("UTF-8");
	if (!p || !p->expat)
		return failure_no_memory(f);
	p->guarded = guarded;
	p->devices = devices;
	p->nr_devices = nr_devices;
	return parse(p, text, ret, f);
}

int domain_xml_parse(const char *text, struct domain_xml *ret, struct failure *f)
{
	return walk(text, false, NULL, 0, ret, f);
}

int domain_xml_check(const char *text, const char *const *devices, size_t nr_devices,
		     struct domain_xml *ret, struct failure *f)
{
	return walk(text, true, devices, nr_devices, ret, f);
}
