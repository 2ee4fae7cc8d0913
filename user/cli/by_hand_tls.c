// SPDX-License-Identifier: GPL-2.0-or-later
/* TLS for a transfer by hand: this host is who it is for failbackd, and knows whom that knows. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/by_hand.h"
#include "lib/dial.h"

int by_hand_tls_load(const struct options *o, const struct address *where, struct by_hand_tls *ret,
		     struct failure *f)
{
	char fingerprint[FINGERPRINT_TEXT_MAX];
	struct tls_files files;
	int rc;

	ret->used = o->tls || (!o->plain && !address_is_loopback(where));
	if (o->tls && o->plain)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL, "--tls and --plain exclude each other.");
	if (!ret->used)
		return 0;
	rc = host_config_read(o->config, &ret->config, f);
	if (rc)
		return rc;
	files = host_config_tls_files(&ret->config);
	/* without it nothing would come of the handshake: better said before anybody waits */
	return tls_identity_show(&files, fingerprint, f);
}

static int handshake(struct tls *t, int fd, uint64_t deadline_ns, struct failure *f)
{
	int rc = dial_shake_hands(t, fd, deadline_ns, f);

	if (rc == -ETIMEDOUT)
		return failure_set(f, CODE_TIMEOUT, rc,
				   "The other side does not go on with the handshake of TLS: was it told "
				   "--plain, or is it on loopback without --tls?");
	return rc;
}

int by_hand_secure(const struct by_hand_tls *tls, bool listener, uint64_t deadline_ns,
		   struct by_hand_peer *peer, int *fd, struct failure *f)
{
	_cleanup_(tls_free_at) struct tls *t = NULL;
	struct tls_files files;
	int rc;

	peer->protection = PROTECTION_NONE;
	peer->fingerprint[0] = '\0';
	if (!tls->used)
		return 0;
	files = host_config_tls_files(&tls->config);
	rc = tls_new(&files, listener, &peer->address, &t, f);
	if (!rc)
		rc = handshake(t, *fd, deadline_ns, f);
	if (rc)
		return rc;
	(void)strcpy(peer->fingerprint, tls_fingerprint(t));
	return tls_hand_over(t, fd, &peer->protection, f);
}
