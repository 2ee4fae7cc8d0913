// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A fingerprint is of the key, not of the certificate: one that was renewed with the same key needs no
 * change at the peers. It stands in for the chain, never for the times.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/tls_private.h"

struct check {
	const gnutls_x509_crt_t *chain;
	unsigned int nr;
	gnutls_x509_trust_list_t ca;
	const struct address *peer;
	const char *path;
	char host[ADDRESS_TEXT_MAX]; /* the address without its port */
	uint8_t fingerprint[FINGERPRINT_BYTES];
	char fingerprint_text[FINGERPRINT_TEXT_MAX];
};

/* --- times --- */

static int check_times(const struct check *c, struct failure *f)
{
	const struct validity validity = tls_validity_of(c->chain, c->nr);
	char whose[sizeof("The certificate of peer  ()") + sizeof(c->host) + sizeof(c->fingerprint_text)];

	(void)snprintf(whose, sizeof(whose), "The certificate of peer %s (%s)", c->host,
		       c->fingerprint_text);
	return validity_check(&validity, time(NULL), whose, "there", f);
}

/* --- a CA and a name --- */

static const char *own_name(gnutls_x509_crt_t certificate, char *buf, size_t size)
{
	size_t len = size;

	if (gnutls_x509_crt_get_subject_alt_name(certificate, 0, buf, &len, NULL) ==
	    GNUTLS_SAN_DNSNAME)
		return buf;
	len = size;
	return gnutls_x509_crt_get_dn(certificate, buf, &len) == 0 ? buf : "no name";
}

static int check_ca(const struct check *c, struct failure *f)
{
	gnutls_x509_crt_t chain[TLS_CHAIN_MAX];
	unsigned int status = 0;
	int rc;

	if (!c->ca)
		return failure_set(f, CODE_INVALID_PARAMETER, -ENOKEY,
				   "Peer %s is known by a name in %s, and no CA is set that could vouch "
				   "for it: see the setting tls-ca.",
				   c->host, c->path);
	memcpy(chain, c->chain, c->nr * sizeof(chain[0]));
	rc = gnutls_x509_trust_list_verify_crt2(c->ca, chain, c->nr, NULL, 0, 0, &status, NULL);
	if (rc == 0 && !status)
		return 0;
	if (rc == 0 && status & (GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED) &&
	    !(status & GNUTLS_CERT_SIGNER_NOT_FOUND))
		return failure_set(f, CODE_ACCESS_DENIED, -EKEYEXPIRED,
				   "The certificate of the CA of peer %s (%s) is not valid now.",
				   c->host, c->fingerprint_text);
	return failure_set(f, CODE_ACCESS_DENIED, -ENOKEY,
			   "The certificate of peer %s (%s) is not from the CA that the setting tls-ca "
			   "names.",
			   c->host, c->fingerprint_text);
}

static int check_name(const struct check *c, const char *name, struct failure *f)
{
	char own[KNOWN_NAME_MAX];

	if (gnutls_x509_crt_check_hostname2(c->chain[0], name,
					    GNUTLS_VERIFY_DO_NOT_ALLOW_WILDCARDS))
		return 0;
	return failure_set(f, CODE_ACCESS_DENIED, -EKEYREJECTED,
			   "Peer %s (%s) has a certificate for %.128s, not for %.128s, which %s wants "
			   "at its address.",
			   c->host, c->fingerprint_text, own_name(c->chain[0], own, sizeof(own)),
			   name, c->path);
}

/* --- all of it --- */

static int check_identity(const struct check *c, const struct known_identity *known,
			  struct failure *f)
{
	int rc;

	if (known->name[0]) {
		rc = check_name(c, known->name, f);
		if (!rc)
			rc = check_times(c, f);
		return rc ? rc : check_ca(c, f);
	}
	if (memcmp(known->fingerprint, c->fingerprint, FINGERPRINT_BYTES) == 0)
		return check_times(c, f);
	return failure_set(f, CODE_ACCESS_DENIED, -EKEYREJECTED,
			   "Peer %s has another key than %s says. If it was changed on purpose, put the "
			   "line \"%s %s\" there.",
			   c->host, c->path, c->host, c->fingerprint_text);
}

int tls_check(const gnutls_x509_crt_t *chain, unsigned int nr, gnutls_x509_trust_list_t ca,
	      const struct known_peer *known, const struct address *peer, const char *path,
	      struct failure *f)
{
	struct check c = { .chain = chain, .nr = nr, .ca = ca, .peer = peer, .path = path };
	int rc;

	(void)address_format_host(peer, c.host);
	if (!nr || nr > TLS_CHAIN_MAX || !tls_fingerprint_of(chain[0], c.fingerprint))
		return failure_set(f, CODE_ACCESS_DENIED, -EPROTO,
				   "Peer %s shows no certificate that can be read.", c.host);
	(void)fingerprint_format(c.fingerprint, c.fingerprint_text);
	rc = -ENOKEY;
	(void)failure_set(f, CODE_ACCESS_DENIED, rc,
			  "Peer %s is not known. If it is the one, allow it with the line \"%s %s\" in "
			  "%s.",
			  c.host, c.host, c.fingerprint_text, path);
	for (size_t i = 0; rc && rc != -EKEYEXPIRED && i < known->nr; i++)
		rc = check_identity(&c, &known->identities[i], f);
	return rc;
}
