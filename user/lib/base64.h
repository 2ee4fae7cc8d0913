/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes as text, with the codec of GnuTLS. */
#ifndef FAILBACK_LIB_BASE64_H
#define FAILBACK_LIB_BASE64_H

#include <stddef.h>

/** base64_encode - malloc()ed, without line breaks; NULL when out of memory. */
char *base64_encode(const void *data, size_t len);

/** base64_decode - malloc()ed, never NULL. -EBADMSG: it is none; -ENOMEM. */
int base64_decode(const char *text, size_t len, void **ret, size_t *ret_len);

#endif
