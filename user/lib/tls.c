// SPDX-License-Identifier: GPL-2.0-or-later
/*
 *	HANDSHAKE -> WELCOME -> DONE
 *
 * GnuTLS reads and writes through functions of ours: it takes from the descriptor exactly the bytes
 * of a record, so that whoever makes the records afterwards finds the next one whole. For the same
 * reason it does not know the descriptor: it would hand the records to the kernel by itself where
 * its own configuration says so.
 */
#include "lib/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "cbt-wire.h"
#include "lib/tls_private.h"

/* TLS 1.3 alone, with ciphers that the kernel has too. */
static const char priority[] =
	"SECURE128:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305";

enum tls_state {
	TLS_HANDSHAKE,
	TLS_WELCOME,
	TLS_DONE,
};

struct tls {
	gnutls_session_t session;
	struct tls_identity identity;
	struct known_peer known;
	struct address peer;
	char *peers_path;
	bool listener;
	bool meets; /* whoever it is */
	bool kernel;
	enum tls_state state;
	bool sending; /* the welcome, the rest of it */
	int fd; /* during a step */
	int first_byte; /* of the peer; -1: none came */
	char fingerprint[FINGERPRINT_TEXT_MAX];
	struct validity validity;
	int refused; /* by the check of the certificate: its error, and then */
	struct failure why;
};

const char *protection_name(enum protection protection)
{
	static const char *const names[] = {
		[PROTECTION_NONE] = "plain",
		[PROTECTION_TLS_KERNEL] = "tls: kernel",
		[PROTECTION_TLS_USER] = "tls: user",
	};

	return names[protection];
}

const char *tls_fingerprint(const struct tls *t)
{
	return t->fingerprint;
}

struct validity tls_validity(const struct tls *t)
{
	return t->validity;
}

int tls_acquainted(const struct tls *t, struct failure *f)
{
	if (t->refused && f)
		*f = t->why;
	return t->refused;
}

/* Does the check of the certificate end the handshake? */
static bool is_refused(const struct tls *t)
{
	return t->refused && !t->meets;
}

/* --- what GnuTLS calls --- */

static ssize_t pull(gnutls_transport_ptr_t context, void *buf, size_t len)
{
	struct tls *t = context;
	ssize_t got = recv(t->fd, buf, len, MSG_DONTWAIT);

	if (got > 0 && t->first_byte < 0)
		t->first_byte = *(uint8_t *)buf;
	if (got < 0)
		gnutls_transport_set_errno(t->session, errno);
	return got;
}

static ssize_t push(gnutls_transport_ptr_t context, const void *buf, size_t len)
{
	struct tls *t = context;
	ssize_t sent = send(t->fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0)
		gnutls_transport_set_errno(t->session, errno);
	return sent;
}

/* Whether @t's peer is the right one; within the handshake, so that a caller's refusal is part of it. */
static int verify(gnutls_session_t session)
{
	struct tls *t = gnutls_session_get_ptr(session);
	gnutls_x509_crt_t chain[TLS_CHAIN_MAX];
	uint8_t fingerprint[FINGERPRINT_BYTES];
	const gnutls_datum_t *der;
	unsigned int sent = 0;
	unsigned int nr = 0;

	der = gnutls_certificate_get_peers(session, &sent);
	while (der && nr < sent && nr < TLS_CHAIN_MAX) {
		if (gnutls_x509_crt_init(&chain[nr]) < 0)
			break;
		nr++;
		if (gnutls_x509_crt_import(chain[nr - 1], &der[nr - 1], GNUTLS_X509_FMT_DER) < 0)
			break;
	}
	if (nr && tls_fingerprint_of(chain[0], fingerprint))
		(void)fingerprint_format(fingerprint, t->fingerprint);
	t->validity = tls_validity_of(chain, nr == sent ? nr : 0);
	t->refused = tls_check(chain, nr == sent ? nr : 0, t->identity.ca, &t->known, &t->peer,
			       t->peers_path, &t->why);
	while (nr)
		gnutls_x509_crt_deinit(chain[--nr]);
	return is_refused(t) ? GNUTLS_E_CERTIFICATE_ERROR : 0;
}

/* --- how it fails --- */

static gnutls_alert_description_t alert_of(int refused)
{
	return refused == -EKEYEXPIRED ? GNUTLS_A_CERTIFICATE_EXPIRED : GNUTLS_A_ACCESS_DENIED;
}

static int explain_alert(const struct tls *t, const char *peer, struct failure *f)
{
	gnutls_alert_description_t alert = gnutls_alert_get(t->session);

	if (alert == GNUTLS_A_PROTOCOL_VERSION || alert == GNUTLS_A_HANDSHAKE_FAILURE ||
	    alert == GNUTLS_A_INSUFFICIENT_SECURITY)
		return failure_set(f, CODE_ACCESS_DENIED, -EPROTO,
				   "Peer %s cannot do TLS 1.3 as this host wants it (%s).", peer,
				   gnutls_alert_get_name(alert));
	if (alert == GNUTLS_A_CERTIFICATE_EXPIRED)
		return failure_set(f, CODE_ACCESS_DENIED, -EACCES,
				   "Peer %s refuses this host's certificate (%s), because of its times: "
				   "`failback host init --force` here renews it; is the clock right on both "
				   "hosts?",
				   peer, t->identity.fingerprint);
	return failure_set(f, CODE_ACCESS_DENIED, -EACCES,
			   "Peer %s refuses this host's certificate (%s; \"%s\"): the log of failbackd "
			   "there says why, and how to allow it.",
			   peer, t->identity.fingerprint, gnutls_alert_get_name(alert));
}

static int explain(const struct tls *t, int rc, struct failure *f)
{
	char peer[ADDRESS_TEXT_MAX];

	(void)address_format(&t->peer, peer);
	if (is_refused(t)) {
		*f = t->why;
		return t->refused;
	}
	if (t->first_byte >= 0 && t->first_byte != TLS_RECORD_HANDSHAKE &&
	    t->first_byte != TLS_RECORD_ALERT)
		return failure_set(f, CODE_ACCESS_DENIED, -EPROTO,
				   "Peer %s does not speak TLS: on one host, the setting plain names the "
				   "other, and not the other way round.",
				   peer);
	switch (rc) {
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		return explain_alert(t, peer, f);
	case GNUTLS_E_NO_CERTIFICATE_FOUND:
	case GNUTLS_E_CERTIFICATE_REQUIRED:
		return failure_set(f, CODE_ACCESS_DENIED, -EPROTO, "Peer %s shows no certificate.",
				   peer);
	case GNUTLS_E_PREMATURE_TERMINATION:
	case GNUTLS_E_PULL_ERROR:
	case GNUTLS_E_PUSH_ERROR:
		return failure_set(f, CODE_NOT_AVAILABLE, -ECONNRESET,
				   "Peer %s closed the connection instead of a TLS handshake: the log of "
				   "failbackd there says why; does its setting plain name this host?",
				   peer);
	default:
		return failure_set(f, CODE_ACCESS_DENIED, -EPROTO,
				   "Peer %s: the TLS handshake failed: %s.", peer,
				   gnutls_strerror(rc));
	}
}

static int fail(struct tls *t, int rc, struct failure *f)
{
	if (is_refused(t))
		(void)gnutls_alert_send(t->session, GNUTLS_AL_FATAL, alert_of(t->refused));
	else if (rc != GNUTLS_E_FATAL_ALERT_RECEIVED)
		(void)gnutls_alert_send_appropriate(t->session, rc);
	return explain(t, rc, f);
}

/* --- the handshake --- */

/* GnuTLS's result, or 1 when all of the welcome has passed. */
static int welcome(struct tls *t)
{
	uint8_t byte = CBT_WIRE_WELCOME;
	ssize_t rc;

	if (t->listener) {
		rc = gnutls_record_send(t->session, t->sending ? NULL : &byte, t->sending ? 0 : 1);
		t->sending = true;
		return (int)rc;
	}
	rc = gnutls_record_recv(t->session, &byte, 1);
	if (rc == 0)
		return GNUTLS_E_PREMATURE_TERMINATION;
	if (rc == 1 && byte != CBT_WIRE_WELCOME)
		return GNUTLS_E_UNEXPECTED_PACKET;
	return (int)rc;
}

int tls_step(struct tls *t, int fd, struct failure *f)
{
	t->fd = fd;
	while (t->state != TLS_DONE) {
		bool handshake = t->state == TLS_HANDSHAKE;
		int rc = handshake ? gnutls_handshake(t->session) : welcome(t);

		if (rc == GNUTLS_E_AGAIN)
			return gnutls_record_get_direction(t->session) ? EPOLLOUT : EPOLLIN;
		if (rc < 0 && gnutls_error_is_fatal(rc))
			return fail(t, rc, f);
		if (handshake && rc == 0)
			t->state = TLS_WELCOME;
		else if (!handshake && rc == 1)
			t->state = TLS_DONE;
	}
	return 0;
}

static int start_session(struct tls *t)
{
	unsigned int flags = GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS | GNUTLS_NO_AUTO_REKEY |
			     GNUTLS_NO_SIGNAL;
	int rc = gnutls_init(&t->session, flags | (t->listener ? GNUTLS_SERVER : GNUTLS_CLIENT));

	if (!rc)
		rc = gnutls_priority_set_direct(t->session, priority, NULL);
	if (!rc)
		rc = gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE,
					    t->identity.credentials);
	if (rc)
		return rc;
	if (t->listener)
		gnutls_certificate_server_set_request(t->session, GNUTLS_CERT_REQUIRE);
	gnutls_session_set_ptr(t->session, t);
	gnutls_session_set_verify_function(t->session, verify);
	gnutls_transport_set_ptr(t->session, t);
	gnutls_transport_set_pull_function(t->session, pull);
	gnutls_transport_set_push_function(t->session, push);
	/* the caller of tls_step() has the time */
	gnutls_handshake_set_timeout(t->session, 0);
	return 0;
}

int tls_new(const struct tls_files *files, bool listener, const struct address *peer,
	    struct tls **ret, struct failure *f)
{
	_cleanup_(tls_free_at) struct tls *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return failure_no_memory(f);
	t->listener = listener;
	t->kernel = files->kernel;
	t->peer = *peer;
	t->first_byte = -1;
	t->peers_path = strdup(files->peers);
	if (!t->peers_path)
		return failure_no_memory(f);
	rc = tls_identity_load(files, &t->identity, f);
	if (!rc)
		rc = known_peers_find(files->peers, peer, &t->known, f);
	if (rc)
		return rc;
	rc = start_session(t);
	if (rc)
		return failure_set(f, CODE_FAILED, -EINVAL, "Cannot start TLS: %s.",
				   gnutls_strerror(rc));
	*ret = steal_ptr(t);
	return 0;
}

int tls_meet(const struct tls_files *files, const struct address *peer, struct tls **ret,
	     struct failure *f)
{
	int rc = tls_new(files, false, peer, ret, f);

	if (!rc)
		(*ret)->meets = true;
	return rc;
}

int tls_hand_over(struct tls *t, int *fd, enum protection *ret, struct failure *f)
{
	int rc;

	if (t->meets)
		return failure_set(f, CODE_ACCESS_DENIED, -EPERM, "The peer was only met, not checked.");
	rc = t->kernel ? tls_records_to_kernel(t->session, *fd, f) : -EOPNOTSUPP;
	if (!rc) {
		*ret = PROTECTION_TLS_KERNEL;
		return 0;
	}
	if (rc != -EOPNOTSUPP)
		return rc;
	rc = tls_relay_start(t->session, fd, f);
	if (!rc)
		*ret = PROTECTION_TLS_USER;
	return rc;
}

void tls_free_at(struct tls **at)
{
	struct tls *t = steal_ptr(*at);

	if (!t)
		return;
	if (t->session)
		gnutls_deinit(t->session);
	tls_identity_clear(&t->identity);
	free(t->peers_path);
	free(t);
}
