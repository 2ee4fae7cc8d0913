// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys and record numbers from the session into the kernel (module tls). Where the kernel lacks it,
 * or the cipher, nothing has happened to the connection: a protocol without keys passes bytes on as
 * they are.
 */
#include <errno.h>
#include <string.h>

#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "lib/tls_private.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

union crypto_info {
	struct tls_crypto_info info;
	struct tls12_crypto_info_aes_gcm_128 aes_128;
	struct tls12_crypto_info_aes_gcm_256 aes_256;
	struct tls12_crypto_info_chacha20_poly1305 chacha20;
};

/* The salt is the first part of TLS 1.3's IV, and the kernel's IV the rest. */
#define FILL(member, nr, prefix)                                                              \
	do {                                                                                  \
		if (key.size != sizeof((member)->key) ||                                      \
		    iv.size != sizeof((member)->iv) + (prefix))                               \
			return 0;                                                             \
		(member)->info.version = TLS_1_3_VERSION;                                     \
		(member)->info.cipher_type = (nr);                                            \
		memcpy((member)->salt, iv.data, (prefix));                                    \
		memcpy((member)->iv, iv.data + (prefix), sizeof((member)->iv));               \
		memcpy((member)->key, key.data, sizeof((member)->key));                       \
		memcpy((member)->rec_seq, number, sizeof((member)->rec_seq));                 \
		return sizeof(*(member));                                                     \
	} while (0)

/* Its length; 0: not for the kernel. */
static socklen_t fill(gnutls_session_t session, bool reading, union crypto_info *ret)
{
	gnutls_datum_t mac, iv, key;
	unsigned char number[8];

	if (gnutls_record_get_state(session, reading, &mac, &iv, &key, number) < 0)
		return 0;
	switch (gnutls_cipher_get(session)) {
	case GNUTLS_CIPHER_AES_128_GCM:
		FILL(&ret->aes_128, TLS_CIPHER_AES_GCM_128, sizeof(ret->aes_128.salt));
	case GNUTLS_CIPHER_AES_256_GCM:
		FILL(&ret->aes_256, TLS_CIPHER_AES_GCM_256, sizeof(ret->aes_256.salt));
	case GNUTLS_CIPHER_CHACHA20_POLY1305:
		FILL(&ret->chacha20, TLS_CIPHER_CHACHA20_POLY1305, sizeof(ret->chacha20.salt));
	default:
		return 0;
	}
}

int tls_records_to_kernel(gnutls_session_t session, int fd, struct failure *f)
{
	union crypto_info in = { 0 };
	union crypto_info out = { 0 };
	socklen_t in_len = fill(session, true, &in);
	socklen_t out_len = fill(session, false, &out);
	int rc = 0;

	if (!in_len || !out_len || gnutls_record_check_pending(session) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) < 0 ||
	    setsockopt(fd, SOL_TLS, TLS_TX, &out, out_len) < 0)
		rc = -EOPNOTSUPP;
	/* From here on there is no way back. */
	else if (setsockopt(fd, SOL_TLS, TLS_RX, &in, in_len) < 0)
		rc = failure_set(f, CODE_NOT_SUPPORTED, -EIO,
				 "The kernel sends TLS records and does not receive them (%s): set "
				 "tls-kernel to 0.",
				 strerror(errno));
	gnutls_memset(&in, 0, sizeof(in));
	gnutls_memset(&out, 0, sizeof(out));
	return rc;
}
