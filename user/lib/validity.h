/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From when until when a certificate may be used, and what is to be said of it. PURE. */
#ifndef FAILBACK_LIB_VALIDITY_H
#define FAILBACK_LIB_VALIDITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"

#define VALIDITY_WARN_DAYS 30
#define VALIDITY_TEXT_MAX  32

/* In seconds since 1970, both inclusive. */
struct validity {
	int64_t from_s;
	int64_t until_s;
};

/** validity_narrow - @v to what @other allows, too: a chain is as good as the worst of it. */
void validity_narrow(struct validity *v, const struct validity *other);

/**
 * validity_check - may it be used at @now_s? -EKEYEXPIRED: no; the sentence says how that is mended.
 * @whose: "This host's certificate"; @where: it is renewed: "here", "there"
 */
int validity_check(const struct validity *v, int64_t now_s, const char *whose, const char *where,
		   struct failure *f);

/**
 * validity_warning - will it end within VALIDITY_WARN_DAYS? Then @ret->text is the sentence to warn with.
 * False for one that has ended, which is a failure.
 */
bool validity_warning(const struct validity *v, int64_t now_s, const char *whose, const char *where,
		      struct failure *ret);

/** validity_format - a moment as "2026-11-29 14:40 UTC"; returns @buf, or a text that it is none. */
const char *validity_format(int64_t at_s, char buf[VALIDITY_TEXT_MAX]);

#endif
