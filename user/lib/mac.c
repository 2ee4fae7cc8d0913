// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * GMAC is AES-GCM with the data as what is authenticated and nothing as what is encrypted. The
 * nonce is the piece's place, which occurs once under a key.
 */
#include "lib/mac.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>

#include "base/cleanup.h"

#define NONCE_BYTES 12U

struct mac {
	gnutls_aead_cipher_hd_t cipher;
};

static int explain(int error, struct failure *f)
{
	return failure_set(f, CODE_FAILED, -EIO, "cannot hash: %s", gnutls_strerror(error));
}

int mac_key_new(uint8_t ret[MAC_KEY_BYTES], struct failure *f)
{
	int rc = gnutls_rnd(GNUTLS_RND_KEY, ret, MAC_KEY_BYTES);

	return rc < 0 ? explain(rc, f) : 0;
}

int mac_open(const uint8_t key[MAC_KEY_BYTES], struct mac **ret, struct failure *f)
{
	cleanup_free struct mac *mac = calloc(1, sizeof(*mac));
	const gnutls_datum_t datum = { (unsigned char *)key, MAC_KEY_BYTES };
	int rc;

	if (!mac)
		return failure_no_memory(f);
	rc = gnutls_aead_cipher_init(&mac->cipher, GNUTLS_CIPHER_AES_128_GCM, &datum);
	if (rc < 0)
		return explain(rc, f);
	*ret = steal_ptr(mac);
	return 0;
}

void mac_close_at(struct mac **mac)
{
	if (*mac)
		gnutls_aead_cipher_deinit((*mac)->cipher);
	free(*mac);
	*mac = NULL;
}

int mac_piece(struct mac *mac, uint32_t disk, uint64_t offset, const void *data, size_t len,
	      uint8_t ret[MAC_BYTES], struct failure *f)
{
	uint32_t disk_le = htole32(disk);
	uint64_t offset_le = htole64(offset);
	uint8_t nonce[NONCE_BYTES];
	size_t ret_len = MAC_BYTES;
	int rc;

	memcpy(nonce, &disk_le, sizeof(disk_le));
	memcpy(nonce + sizeof(disk_le), &offset_le, sizeof(offset_le));
	rc = gnutls_aead_cipher_encrypt(mac->cipher, nonce, sizeof(nonce), data, len, MAC_BYTES,
					NULL, 0, ret, &ret_len);
	return rc < 0 ? explain(rc, f) : 0;
}
