// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/peer.h"

#include <errno.h>

int peer_check_trusted(const struct daemon *d, const struct address *peer, struct failure *f)
{
	char text[ADDRESS_TEXT_MAX];

	if (address_is_loopback(peer) || address_is_in_list(peer, d->config.trusted))
		return 0;
	return failure_set(
		f, CODE_ACCESS_DENIED, -EACCES,
		"Peer %s is not trusted: this version does not encrypt. If the link to it is safe, "
		"add the "
		"address to `trusted` in failbackd.conf.",
		address_format(peer, text));
}

int peer_connect(struct daemon *d, const char *peer, conn_fn fn, void *context, struct conn **ret,
		 struct failure *f)
{
	struct address address;
	int rc = address_parse(peer, PEER_PORT, &address, f);

	if (!rc)
		rc = peer_check_trusted(d, &address, f);
	return rc ? rc
		  : conn_connect(d->event, &d->listen, &address, peer_timeout_us(d), fn, context,
				 ret, f);
}

uint64_t peer_timeout_us(const struct daemon *d)
{
	return d->config.call_timeout * 1000000;
}
