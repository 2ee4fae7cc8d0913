// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/known_peers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "lib/put_file.h"

#define LINE_BYTES 512
#define SPACE	   " \t\r\n"

static const char hex[] = "0123456789abcdef";

const char *fingerprint_format(const uint8_t fingerprint[FINGERPRINT_BYTES],
			       char buf[FINGERPRINT_TEXT_MAX])
{
	char *at = stpcpy(buf, "sha256:");

	for (size_t i = 0; i < FINGERPRINT_BYTES; i++) {
		*at++ = hex[fingerprint[i] >> 4];
		*at++ = hex[fingerprint[i] & 15];
	}
	*at = '\0';
	return buf;
}

bool fingerprint_parse(const char *text, uint8_t ret[FINGERPRINT_BYTES])
{
	const char *digits = text + 7;

	if (strncmp(text, "sha256:", 7) != 0 || strlen(digits) != 2 * FINGERPRINT_BYTES ||
	    strspn(digits, "0123456789abcdefABCDEF") != 2 * FINGERPRINT_BYTES)
		return false;
	for (size_t i = 0; i < FINGERPRINT_BYTES; i++)
		(void)sscanf(digits + 2 * i, "%2hhx", &ret[i]);
	return true;
}

static bool identity_parse(const char *text, struct known_identity *ret)
{
	struct known_identity identity = { 0 };
	size_t len = strlen(text);

	if (fingerprint_parse(text, identity.fingerprint)) {
		*ret = identity;
		return true;
	}
	if (strncmp(text, "name:", 5) == 0 && len > 5 && len - 5 < KNOWN_NAME_MAX) {
		memcpy(identity.name, text + 5, len - 5);
		*ret = identity;
		return true;
	}
	return false;
}

/* 0, or what is wrong with the line. */
static const char *take_line(char *line, const struct address *peer, struct known_peer *known)
{
	struct known_identity identity;
	struct address address;
	char *rest = NULL;
	const char *first = strtok_r(line, SPACE, &rest);
	const char *second = strtok_r(NULL, SPACE, &rest);

	if (!first || *first == '#')
		return NULL;
	if (!second || strtok_r(NULL, SPACE, &rest) || !identity_parse(second, &identity))
		return "expected ADDRESS sha256:64-HEX-DIGITS or ADDRESS name:HOST";
	if (address_parse(first, 1, &address, NULL))
		return "the address has to be a numeric one";
	if (!address_is_same_host(&address, peer))
		return NULL;
	if (known->nr == KNOWN_IDENTITIES_MAX)
		return "the address stands on too many lines";
	known->identities[known->nr++] = identity;
	return NULL;
}

static void close_file_at(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

int known_peers_find(const char *path, const struct address *peer, struct known_peer *ret,
		     struct failure *f)
{
	_cleanup_(close_file_at) FILE *file = fopen(path, "re");
	struct known_peer known = { .nr = 0 };
	char line[LINE_BYTES];

	if (!file && errno != ENOENT)
		return failure_set(f, code_of_errno(errno), -errno, "Cannot read %s: %s.", path,
				   strerror(errno));
	for (unsigned int number = 1; file && fgets(line, sizeof(line), file); number++) {
		const char *wrong = strlen(line) == sizeof(line) - 1 ? "the line is too long"
								     : take_line(line, peer, &known);

		if (wrong)
			return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL, "%s, line %u: %s.",
					   path, number, wrong);
	}
	if (file && ferror(file))
		return failure_set(f, CODE_FAILED, -EIO, "Cannot read %s.", path);
	*ret = known;
	return 0;
}

/* --- one more --- */

const char *known_peers_line(const struct address *peer, const uint8_t fingerprint[FINGERPRINT_BYTES],
			     char buf[KNOWN_LINE_MAX])
{
	char host[ADDRESS_TEXT_MAX];
	char text[FINGERPRINT_TEXT_MAX];

	(void)snprintf(buf, KNOWN_LINE_MAX, "%s %s", address_format_host(peer, host),
		       fingerprint_format(fingerprint, text));
	return buf;
}

/* A line of @peer's: all of them are replaced, or the one that says the same already. */
static bool is_dropped(const char *line, size_t len, const struct address *peer,
		       const uint8_t fingerprint[FINGERPRINT_BYTES], bool replace)
{
	struct known_peer known = { .nr = 0 };
	char copy[LINE_BYTES];

	if (len >= sizeof(copy))
		return false;
	(void)snprintf(copy, sizeof(copy), "%.*s", (int)len, line);
	if (take_line(copy, peer, &known) || !known.nr)
		return false;
	return replace || (!known.identities[0].name[0] &&
			   memcmp(known.identities[0].fingerprint, fingerprint, FINGERPRINT_BYTES) == 0);
}

char *known_peers_edit(const char *text, const struct address *peer,
		       const uint8_t fingerprint[FINGERPRINT_BYTES], bool replace)
{
	char *edited = malloc(strlen(text) + 1 + KNOWN_LINE_MAX + 1);
	char line[KNOWN_LINE_MAX];
	char *end = edited;

	if (!edited)
		return NULL;
	while (*text) {
		size_t len = strcspn(text, "\n");

		len += text[len] == '\n';
		if (!is_dropped(text, len, peer, fingerprint, replace))
			end = mempcpy(end, text, len);
		text += len;
	}
	if (end != edited && end[-1] != '\n')
		*end++ = '\n';
	(void)sprintf(end, "%s\n", known_peers_line(peer, fingerprint, line));
	return edited;
}

int known_peers_allow(const char *path, const struct address *peer,
		      const uint8_t fingerprint[FINGERPRINT_BYTES], bool replace, struct failure *f)
{
	cleanup_free char *edited = NULL;
	cleanup_free char *text = NULL;
	cleanup_fd int lock = -1;
	mode_t mode = 0;
	int rc = put_file_lock(path, &lock, f);

	if (!rc)
		rc = put_file_read(path, &text, &mode, f);
	if (rc)
		return rc;
	edited = known_peers_edit(text, peer, fingerprint, replace);
	if (!edited)
		return failure_no_memory(f);
	return put_file(path, mode, edited, strlen(edited), f);
}
