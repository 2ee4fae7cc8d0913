// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/peer.h"

#include <time.h>

#include "base/log.h"

int peer_tls(const struct daemon *d, const struct address *peer, bool listener, struct tls **ret,
	     struct failure *f)
{
	const struct tls_files files = host_config_tls_files(&d->config);

	*ret = NULL;
	if (address_is_in_list(peer, d->config.plain))
		return 0;
	return tls_new(&files, listener, peer, ret, f);
}

int peer_connect(struct daemon *d, const char *peer, conn_fn fn, void *context, struct conn **ret,
		 struct failure *f)
{
	struct address address;
	struct tls *tls = NULL;
	int rc = address_parse(peer, PEER_PORT, &address, f);

	if (!rc)
		rc = peer_tls(d, &address, false, &tls, f);
	return rc ? rc
		  : conn_connect(d->event, &d->listen, &address, tls, peer_timeout_us(d), fn,
				 context, ret, f);
}

void peer_log_identity(const struct daemon *d)
{
	static const char whose[] = "This host's certificate";
	const struct tls_files files = host_config_tls_files(&d->config);
	char fingerprint[FINGERPRINT_TEXT_MAX];
	struct validity validity;
	struct failure why;

	if (tls_identity_show(&files, fingerprint, &why) ||
	    tls_identity_validity(&files, &validity, &why)) {
		log_warning("only peers in the setting plain can be spoken to: %s", why.text);
		return;
	}
	log_info("peers know this host by its key %s", fingerprint);
	if (validity_check(&validity, time(NULL), whose, "here", &why) ||
	    validity_warning(&validity, time(NULL), whose, "here", &why))
		log_warning("%s", why.text);
}

void peer_log_protection(struct daemon *d, enum protection protection)
{
	if (d->protection_logged && d->protection == protection)
		return;
	d->protection_logged = true;
	d->protection = protection;
	log_info("connections between hosts are now made with %s", protection_name(protection));
}

uint64_t peer_timeout_us(const struct daemon *d)
{
	return d->config.call_timeout * 1000000;
}
