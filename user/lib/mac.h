/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keyed hashes of pieces of disks, for comparing two hosts' disks: AES-128-GMAC, the only file
 * beside tls.* that knows GnuTLS.
 *
 * Guests choose what stands in blocks, so that two blocks that differ must not have one hash that
 * somebody could work out beforehand: the key is random and new for every comparison. A key is good
 * for hashing each piece of each disk once on the side that sends hashes; the other side may do so
 * too as long as its own hashes stay there.
 */
#ifndef FAILBACK_LIB_MAC_H
#define FAILBACK_LIB_MAC_H

#include <stddef.h>
#include <stdint.h>

#include <cbt-wire.h>

#include "base/failure.h"

#define MAC_BYTES     CBT_WIRE_MAC_BYTES
#define MAC_KEY_BYTES CBT_WIRE_KEY_BYTES

struct mac;

/** mac_key_new - a random key. */
int mac_key_new(uint8_t ret[MAC_KEY_BYTES], struct failure *f);

int mac_open(const uint8_t key[MAC_KEY_BYTES], struct mac **ret, struct failure *f);
void mac_close_at(struct mac **mac); /* *@mac may be NULL, and is then */

/**
 * mac_piece - of the @len bytes at @data, which stand at byte @offset of disk @disk: equal hashes
 * mean equal bytes at the same place.
 */
int mac_piece(struct mac *mac, uint32_t disk, uint64_t offset, const void *data, size_t len,
	      uint8_t ret[MAC_BYTES], struct failure *f);

#endif
