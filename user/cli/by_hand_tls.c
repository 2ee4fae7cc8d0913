// SPDX-License-Identifier: GPL-2.0-or-later
/* TLS for a transfer by hand: this host is who it is for failbackd, and knows whom that knows. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/by_hand.h"

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

static int handshake(struct tls *t, int fd, struct failure *f)
{
	uint64_t deadline_ns = deadline_in_ms(BY_HAND_TIMEOUT_MS);
	int rc;

	while ((rc = tls_step(t, fd, f)) > 0) {
		struct pollfd poll_fd = { .fd = fd, .events = rc == EPOLLIN ? POLLIN : POLLOUT };
		int nr = poll(&poll_fd, 1, deadline_left_ms(deadline_ns));

		if (!nr)
			return failure_set(f, CODE_TIMEOUT, -ETIMEDOUT,
					   "The other side does not go on with the handshake of TLS: was it told "
					   "--plain, or is it on loopback without --tls?");
		if (nr < 0 && errno != EINTR)
			return failure_set(f, CODE_FAILED, -errno, "Cannot wait for the other side: %s.",
					   strerror(errno));
	}
	return rc;
}

int by_hand_secure(const struct by_hand_tls *tls, const struct address *peer, bool listener, int *fd,
		   enum protection *ret, struct failure *f)
{
	_cleanup_(tls_free_at) struct tls *t = NULL;
	struct tls_files files;
	int rc;

	*ret = PROTECTION_NONE;
	if (!tls->used)
		return 0;
	files = host_config_tls_files(&tls->config);
	rc = tls_new(&files, listener, peer, &t, f);
	if (!rc)
		rc = handshake(t, *fd, f);
	return rc ? rc : tls_hand_over(t, fd, ret, f);
}
