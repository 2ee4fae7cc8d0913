/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tls*.c share, in GnuTLS's own types. */
#ifndef FAILBACK_LIB_TLS_PRIVATE_H
#define FAILBACK_LIB_TLS_PRIVATE_H

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "lib/tls.h"

#define TLS_CHAIN_MAX 8

/* --- tls_identity.c --- */

struct tls_identity {
	gnutls_certificate_credentials_t credentials;
	gnutls_x509_trust_list_t ca; /* NULL: none configured */
	char fingerprint[FINGERPRINT_TEXT_MAX];
	struct validity validity;
};

int tls_identity_load(const struct tls_files *files, struct tls_identity *ret, struct failure *f);
void tls_identity_clear(struct tls_identity *id);

/** tls_fingerprint_of - SHA-256 of the public key (SubjectPublicKeyInfo). False: not to be had. */
bool tls_fingerprint_of(gnutls_x509_crt_t certificate, uint8_t ret[FINGERPRINT_BYTES]);

/** tls_validity_of - of all of @chain; of no time at all when it is empty. */
struct validity tls_validity_of(const gnutls_x509_crt_t *chain, unsigned int nr);

/* --- tls_check.c --- */

/**
 * tls_check - is the owner of @chain[0] whom @known wants at @peer's address? Errors as tls_step().
 * @ca: NULL: none is configured
 * @path: of the file that @known is from, for the sentence
 */
int tls_check(const gnutls_x509_crt_t *chain, unsigned int nr, gnutls_x509_trust_list_t ca,
	      const struct known_peer *known, const struct address *peer, const char *path,
	      struct failure *f);

/* --- tls_records.c: after the handshake --- */

int tls_records_to_kernel(gnutls_session_t session, int fd, struct failure *f);

/**
 * tls_relay_start - a process between *@fd, which is replaced, and the connection that it was.
 * It ends with either of them.
 */
int tls_relay_start(gnutls_session_t session, int *fd, struct failure *f);

#endif
