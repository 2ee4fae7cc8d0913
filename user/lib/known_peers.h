/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who a peer has to be, by its address: lines of a file, like that of
 *
 *	192.0.2.1 sha256:0123...	the SHA-256 of its public key, in 64 hex digits
 *	192.0.2.2 name:db2.example.net	a name in its certificate, which a CA vouches for
 *
 * An address may stand on several lines: one of them has to be right, so that a key can be
 * replaced. Empty lines and those that begin with '#' are skipped. The file is read at each use: a
 * peer is allowed without starting anything anew.
 */
#ifndef FAILBACK_LIB_KNOWN_PEERS_H
#define FAILBACK_LIB_KNOWN_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"
#include "lib/address.h"

#define FINGERPRINT_BYTES    32
#define FINGERPRINT_TEXT_MAX 72 /* "sha256:", the digits and NUL */
#define KNOWN_NAME_MAX	     254 /* of a host, with NUL */
#define KNOWN_IDENTITIES_MAX 4

struct known_identity {
	uint8_t fingerprint[FINGERPRINT_BYTES];
	char name[KNOWN_NAME_MAX]; /* "": the fingerprint counts */
};

struct known_peer {
	struct known_identity identities[KNOWN_IDENTITIES_MAX];
	size_t nr; /* 0: nobody is known at that address */
};

/**
 * known_peers_find - whom the file @path allows at @peer's address; its port does not count.
 *
 * Without the file nobody is known. A line that cannot be understood fails all look-ups: the
 * failure names it.
 */
int known_peers_find(const char *path, const struct address *peer, struct known_peer *ret,
		     struct failure *f);

/**
 * known_peers_edit - @text, the lines of a file, with the one more that allows @fingerprint at @peer's
 * address; malloc()ed, NULL when out of memory. PURE.
 * @replace: without the lines that the address had; all others, and comments, stay as they are
 */
char *known_peers_edit(const char *text, const struct address *peer,
		       const uint8_t fingerprint[FINGERPRINT_BYTES], bool replace);

/**
 * known_peers_allow - the same of the file @path, which is replaced in one step; it and its directory need
 * not be there. Two that do it at once wait for each other.
 */
int known_peers_allow(const char *path, const struct address *peer,
		      const uint8_t fingerprint[FINGERPRINT_BYTES], bool replace, struct failure *f);

/** known_peers_line - "ADDRESS sha256:..." as it stands in the file; returns @buf. */
#define KNOWN_LINE_MAX (ADDRESS_TEXT_MAX + FINGERPRINT_TEXT_MAX)
const char *known_peers_line(const struct address *peer, const uint8_t fingerprint[FINGERPRINT_BYTES],
			     char buf[KNOWN_LINE_MAX]);

/** fingerprint_parse - as it stands in the file. False: it is none. */
bool fingerprint_parse(const char *text, uint8_t ret[FINGERPRINT_BYTES]);

/** fingerprint_format - as it stands in the file; returns @buf. */
const char *fingerprint_format(const uint8_t fingerprint[FINGERPRINT_BYTES],
			       char buf[FINGERPRINT_TEXT_MAX]);

#endif
