/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS 1.3 between two hosts. The tls*.[ch] are the only files that know GnuTLS.
 *
 * Both sides show a certificate, and each one checks the other's before a byte of what is said is
 * read: the key's fingerprint, or a CA and a name (lib/known_peers.h), and its times. The listener
 * says so with one byte, CBT_WIRE_WELCOME: only then the connection stands for the caller, whose
 * handshake is over earlier.
 *
 * Then the records are handed to the kernel, or where it cannot, to a process of our own that stands
 * between a socket pair and the connection. Either way there is a descriptor that others read and
 * write as if it were the connection itself. No session is ever resumed, there is no early data,
 * and keys are not updated: the kernel's records could not follow. Of AES-GCM's bounds, 64 TiB over
 * one connection, which carries one delta, leave an advantage of 2^-45 to who attacks its secrecy.
 *
 * The end of a connection is not protected (no close_notify, the kernel's records again): what runs
 * on it says itself when it is complete.
 */
#ifndef FAILBACK_LIB_TLS_H
#define FAILBACK_LIB_TLS_H

#include <stdbool.h>

#include "base/failure.h"
#include "lib/address.h"
#include "lib/known_peers.h"
#include "lib/validity.h"

/* How a record of TLS begins, for those who expect none. */
#define TLS_RECORD_ALERT     21
#define TLS_RECORD_HANDSHAKE 22

struct tls;

enum protection {
	PROTECTION_NONE, /* plain TCP */
	PROTECTION_TLS_KERNEL, /* the kernel makes the records */
	PROTECTION_TLS_USER, /* a process of ours does */
};

/** protection_name - "plain", "tls: kernel", "tls: user". */
const char *protection_name(enum protection protection);

/* Files of a host's identity and of whom it knows. */
struct tls_files {
	const char *certificate; /* PEM; the host's own first, then those that lead to its CA */
	const char *key; /* PEM, for its owner alone */
	const char *ca; /* PEM; "": none, peers are known by fingerprint only */
	const char *peers; /* see lib/known_peers.h */
	bool kernel; /* may the kernel make the records? */
};

/**
 * tls_new - one side of a handshake with @peer. Reads all files, so that what was put there a moment
 * ago counts.
 *
 * CODE_FILE_NOT_FOUND: this host has no certificate; the sentence says how to make one.
 */
int tls_new(const struct tls_files *files, bool listener, const struct address *peer,
	    struct tls **ret, struct failure *f);

/**
 * tls_meet - the caller's side of a handshake with whoever is at @peer, to learn who that is. Nobody is
 * trusted by it: when it is over, or failed with -EACCES, tls_fingerprint() and tls_acquainted() say whom
 * it met, and nothing can be said over the connection.
 */
int tls_meet(const struct tls_files *files, const struct address *peer, struct tls **ret,
	     struct failure *f);

/** tls_acquainted - is the one that was met known? 0, or the errors of tls_step() about certificates. */
int tls_acquainted(const struct tls *t, struct failure *f);

/**
 * tls_step - go on with the handshake on @fd, without waiting.
 *
 * 0: it is done, and the peer the right one. EPOLLIN, EPOLLOUT: call again when the descriptor is
 * ready for that. Negative: it failed, for good; the peer was told as much as TLS lets one say.
 * -ENOKEY: nobody is known at its address; -EKEYREJECTED: another key or name than the known one;
 * -EKEYEXPIRED: expired or not valid yet; -EPROTO: it does not speak TLS, or no version or way that
 * is allowed; -ECONNRESET: it closed the connection; -EACCES: it refuses this host.
 */
int tls_step(struct tls *t, int fd, struct failure *f);

/** tls_fingerprint - of the peer's key, as text; "" as long as it showed none. */
const char *tls_fingerprint(const struct tls *t);

/** tls_validity - of what the peer showed; nothing yet: of no time at all. */
struct validity tls_validity(const struct tls *t);

/**
 * tls_hand_over - after tls_step() returned 0: have the records of *@fd made from now on. *@fd may be
 * replaced. -EPERM: the peer was only met.
 */
int tls_hand_over(struct tls *t, int *fd, enum protection *ret, struct failure *f);

void tls_free_at(struct tls **t); /* *@t may be NULL, and is then */

/**
 * tls_identity_show - the fingerprint of this host's key, from its certificate and key.
 * CODE_FILE_NOT_FOUND as tls_new().
 */
int tls_identity_show(const struct tls_files *files, char ret[FINGERPRINT_TEXT_MAX],
		      struct failure *f);

/** tls_identity_validity - of this host's certificate, and those that it shows with it. */
int tls_identity_validity(const struct tls_files *files, struct validity *ret, struct failure *f);

#endif
