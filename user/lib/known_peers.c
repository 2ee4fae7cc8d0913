// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/known_peers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

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

static bool fingerprint_parse(const char *digits, uint8_t ret[FINGERPRINT_BYTES])
{
	if (strlen(digits) != 2 * FINGERPRINT_BYTES ||
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

	if (strncmp(text, "sha256:", 7) == 0) {
		if (!fingerprint_parse(text + 7, identity.fingerprint))
			return false;
	} else if (strncmp(text, "name:", 5) == 0 && len > 5 && len - 5 < KNOWN_NAME_MAX) {
		memcpy(identity.name, text + 5, len - 5);
	} else {
		return false;
	}
	*ret = identity;
	return true;
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
