// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two hosts get to know each other. Nothing that comes over the network is believed: the peer's key is
 * written down only after somebody, or a script, has said that it is the right one.
 *
 * The handshake also tells whether the peer lets this host in: that is the other half of the pair.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/command.h"
#include "daemon/host_config.h"
#include "lib/dial.h"
#include "lib/known_peers.h"
#include "lib/output.h"
#include "lib/tls.h"

struct meeting {
	struct host_config config;
	struct tls_files files; /* of config */
	struct address listen;
	struct address peer;
	char peer_text[ADDRESS_TEXT_MAX];
	char peer_host[ADDRESS_TEXT_MAX];
	struct address own; /* as the peer sees this host */
	char own_fingerprint[FINGERPRINT_TEXT_MAX];
	struct validity own_validity;
	char fingerprint[FINGERPRINT_TEXT_MAX];
	uint8_t fingerprint_bytes[FINGERPRINT_BYTES];
	struct validity validity;
	bool lets_us_in;
	bool is_known;
	struct known_peer known;
};

/* --- before anybody is asked --- */

static int read_settings(const struct options *o, struct meeting *m, struct failure *f)
{
	int rc = host_config_read(o->config, &m->config, f);

	m->files = host_config_tls_files(&m->config);
	if (!rc)
		rc = address_parse(m->config.listen, PEER_PORT, &m->listen, f);
	if (!rc)
		rc = address_parse(o->operand, PEER_PORT, &m->peer, f);
	if (rc)
		return rc;
	(void)address_format(&m->peer, m->peer_text);
	(void)address_format_host(&m->peer, m->peer_host);
	if (!address_is_in_list(&m->peer, m->config.plain))
		return 0;
	return failure_set(f, CODE_INVALID_STATE, -EBADE,
			   "The setting plain names %s: no key counts there. Take it out of that first.",
			   m->peer_host);
}

static int read_own(struct meeting *m, struct failure *f)
{
	int rc = tls_identity_show(&m->files, m->own_fingerprint, f);

	if (!rc)
		rc = tls_identity_validity(&m->files, &m->own_validity, f);
	return rc ? rc : validity_check(&m->own_validity, time(NULL), "This host's certificate", "here", f);
}

static int check_options(const struct options *o, struct failure *f)
{
	uint8_t ignored[FINGERPRINT_BYTES];

	if (o->fingerprint && !fingerprint_parse(o->fingerprint, ignored))
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "--fingerprint is not sha256: and 64 hex digits, as `failback host show` "
				   "prints it.");
	if (!o->fingerprint && !isatty(STDIN_FILENO))
		return failure_set(f, CODE_INVALID_PARAMETER, -ENOTTY,
				   "Nobody can be asked whether the key is right: run it in a terminal, or "
				   "give --fingerprint.");
	return 0;
}

/* --- meeting --- */

static int explain_meeting(const struct meeting *m, int rc, const struct failure *why, struct failure *f)
{
	return failure_set(f, CODE_NOT_AVAILABLE, rc,
			   "What listens on %s is not failbackd, or one that wants no TLS with this host: "
			   "%s",
			   m->peer_text, why->text);
}

static int dial_peer(struct meeting *m, uint64_t deadline_ns, int *ret_fd, struct failure *f)
{
	struct failure why;
	int rc = dial(&m->peer, &m->listen, deadline_ns, ret_fd, &why);

	m->own.len = sizeof(m->own.addr);
	if (!rc && getsockname(*ret_fd, (struct sockaddr *)&m->own.addr, &m->own.len) < 0)
		rc = failure_set(&why, CODE_FAILED, -errno, "%s.", strerror(errno));
	return rc ? failure_set(f, (enum code)why.code, rc,
				"%s Is failbackd running there, and does the firewall let its port through?",
				why.text) :
		    0;
}

static int meet(struct meeting *m, struct failure *f)
{
	uint64_t deadline_ns = deadline_in_ms(m->config.call_timeout * 1000);
	_cleanup_(tls_free_at) struct tls *t = NULL;
	cleanup_fd int fd = -1;
	struct failure why;
	int rc = dial_peer(m, deadline_ns, &fd, f);

	if (!rc)
		rc = tls_meet(&m->files, &m->peer, &t, f);
	if (rc)
		return rc;
	rc = dial_shake_hands(t, fd, deadline_ns, &why);
	(void)strcpy(m->fingerprint, tls_fingerprint(t));
	m->validity = tls_validity(t);
	m->lets_us_in = rc == 0;
	m->is_known = tls_acquainted(t, NULL) == 0;
	if ((rc && rc != -EACCES) || !fingerprint_parse(m->fingerprint, m->fingerprint_bytes))
		return explain_meeting(m, rc ? rc : -EPROTO, &why, f);
	return 0;
}

/* --- whom it met --- */

static int check_met(struct meeting *m, const struct options *o, struct failure *f)
{
	char whose[ADDRESS_TEXT_MAX + 32];
	int rc;

	if (strcmp(m->fingerprint, m->own_fingerprint) == 0)
		return failure_set(f, CODE_INVALID_PARAMETER, -ELOOP,
				   "%s shows the key of this host: it is this host, or a copy of it, which "
				   "needs a key of its own.",
				   m->peer_text);
	(void)snprintf(whose, sizeof(whose), "The certificate of peer %s", m->peer_host);
	rc = validity_check(&m->validity, time(NULL), whose, "there", f);
	if (!rc)
		rc = known_peers_find(m->files.peers, &m->peer, &m->known, f);
	if (rc || !m->known.nr || m->is_known || o->replace)
		return rc;
	return failure_set(f, CODE_ACCESS_DENIED, -EKEYREJECTED,
			   "%s is known by another key in %s than by %s. Was it installed anew without its "
			   "old key? Ask the one who runs it; if so, --replace puts the new key in the place "
			   "of the old one.",
			   m->peer_host, m->files.peers, m->fingerprint);
}

/* --- the answer --- */

static int ask(const struct meeting *m, struct failure *f)
{
	char answer[16] = "";

	(void)fprintf(stderr,
		      "%s shows the key\n\n    %s\n\nand this host's own is\n\n    %s\n\n"
		      "`failback host show` prints there what its key is. Is it the first of these? Then "
		      "type yes: ",
		      m->peer_text, m->fingerprint, m->own_fingerprint);
	if (fgets(answer, sizeof(answer), stdin) && strcmp(answer, "yes\n") == 0)
		return 0;
	return failure_set(f, CODE_ACCESS_DENIED, -ECANCELED, "Nothing was changed.");
}

static int compare(const struct meeting *m, const char *wanted, struct failure *f)
{
	uint8_t bytes[FINGERPRINT_BYTES];

	if (fingerprint_parse(wanted, bytes) && memcmp(bytes, m->fingerprint_bytes, sizeof(bytes)) == 0)
		return 0;
	return failure_set(f, CODE_ACCESS_DENIED, -EKEYREJECTED,
			   "%s shows the key %s, not the one of --fingerprint: it is another host, or one "
			   "stands between. Nothing was changed.",
			   m->peer_text, m->fingerprint);
}

/* 1: it is written down now; 0: it stood there. */
static int let_in(const struct meeting *m, const struct options *o, struct failure *f)
{
	/* Another key may stand beside it, which is to go. */
	bool stands = m->is_known && !o->replace;
	int rc;

	if (stands && !o->fingerprint)
		return 0;
	rc = o->fingerprint ? compare(m, o->fingerprint, f) : ask(m, f);
	if (rc || stands)
		return rc;
	rc = known_peers_allow(m->files.peers, &m->peer, m->fingerprint_bytes, o->replace, f);
	return rc ? rc : 1;
}

/* --- what is told --- */

static void warn_of_end(const struct validity *v, const char *whose, const char *where)
{
	struct failure why;

	if (validity_warning(v, time(NULL), whose, where, &why))
		(void)fprintf(stderr, "failback: warning: %s\n", why.text);
}

/* What the other host has to be told of this one, which listens on another port than it called from. */
static const char *own_address(const struct meeting *m, char buf[ADDRESS_TEXT_MAX])
{
	struct address own = m->own;

	if (address_port(&m->listen) == PEER_PORT)
		return address_format_host(&own, buf);
	address_set_port(&own, address_port(&m->listen));
	return address_format(&own, buf);
}

static int tell_json(const struct meeting *m, bool changed, struct failure *f)
{
	cleanup_json struct json_object *object = output_document();

	json_add_text(object, "peer", m->peer_text);
	json_add_text(object, "fingerprint", m->fingerprint);
	(void)json_object_object_add(object, "valid_until", json_object_new_int64(m->validity.until_s));
	json_add_text(object, "own_fingerprint", m->own_fingerprint);
	(void)json_object_object_add(object, "changed", json_object_new_boolean(changed));
	(void)json_object_object_add(object, "paired", json_object_new_boolean(m->lets_us_in));
	return output_print(object, f);
}

static void tell(const struct meeting *m, bool changed)
{
	char own[ADDRESS_TEXT_MAX];

	(void)printf("%s %s let in, with the key %s (%s).\n", m->peer_host,
		     changed ? "is from now on" : "was already", m->fingerprint, m->files.peers);
	if (m->lets_us_in)
		(void)printf("It lets this host in, too: the two are paired.\n");
	else
		(void)printf("It does not let this host in yet. On it, run\n\n"
			     "    failback host pair %s --fingerprint %s\n",
			     own_address(m, own), m->own_fingerprint);
}

int command_host_pair(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_free struct meeting *m = calloc(1, sizeof(*m));
	char whose[ADDRESS_TEXT_MAX + 32];
	int changed;
	int rc;

	(void)client;
	if (!m)
		return failure_no_memory(f);
	rc = check_options(o, f);
	if (!rc)
		rc = read_settings(o, m, f);
	if (!rc)
		rc = read_own(m, f);
	if (!rc)
		rc = meet(m, f);
	if (!rc)
		rc = check_met(m, o, f);
	changed = rc ? rc : let_in(m, o, f);
	if (changed < 0)
		return changed;
	(void)snprintf(whose, sizeof(whose), "The certificate of peer %s", m->peer_host);
	warn_of_end(&m->own_validity, "This host's certificate", "here");
	warn_of_end(&m->validity, whose, "there");
	if (o->json)
		return tell_json(m, changed, f);
	tell(m, changed);
	return 0;
}
