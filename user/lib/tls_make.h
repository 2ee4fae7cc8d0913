/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making a host's identity. */
#ifndef FAILBACK_LIB_TLS_MAKE_H
#define FAILBACK_LIB_TLS_MAKE_H

#include "base/failure.h"

/**
 * tls_identity_make - a certificate that the host's key signs itself, for ten years. The key is made
 * unless it is there: peers know a host by its key. What is there of the certificate is replaced.
 * @name: of the host, for people
 */
int tls_identity_make(const char *certificate_path, const char *key_path, const char *name,
		      struct failure *f);

#endif
