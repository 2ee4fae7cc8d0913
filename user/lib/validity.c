// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/validity.h"

#include <errno.h>
#include <time.h>

#include "base/macro.h"

#define DAY_S 86400

const char *validity_format(int64_t at_s, char buf[VALIDITY_TEXT_MAX])
{
	time_t at = (time_t)at_s;
	struct tm utc;

	if (!gmtime_r(&at, &utc) || !strftime(buf, VALIDITY_TEXT_MAX, "%Y-%m-%d %H:%M UTC", &utc))
		return "an unknown time";
	return buf;
}

void validity_narrow(struct validity *v, const struct validity *other)
{
	v->from_s = max_of(v->from_s, other->from_s);
	v->until_s = min_of(v->until_s, other->until_s);
}

int validity_check(const struct validity *v, int64_t now_s, const char *whose, const char *where,
		   struct failure *f)
{
	char at[VALIDITY_TEXT_MAX];

	if (now_s < v->from_s)
		return failure_set(f, CODE_ACCESS_DENIED, -EKEYEXPIRED,
				   "%s is not valid before %s: is the clock right on both hosts?", whose,
				   validity_format(v->from_s, at));
	if (now_s > v->until_s)
		return failure_set(f, CODE_ACCESS_DENIED, -EKEYEXPIRED,
				   "%s expired at %s: renew it %s (`failback host init --force` keeps the "
				   "key).",
				   whose, validity_format(v->until_s, at), where);
	return 0;
}

bool validity_warning(const struct validity *v, int64_t now_s, const char *whose, const char *where,
		      struct failure *ret)
{
	char at[VALIDITY_TEXT_MAX];

	if (now_s > v->until_s || v->until_s - now_s > (int64_t)VALIDITY_WARN_DAYS * DAY_S)
		return false;
	(void)failure_set(ret, CODE_ACCESS_DENIED, -EKEYEXPIRED,
			  "%s expires at %s: renew it %s before (`failback host init --force` keeps the "
			  "key).",
			  whose, validity_format(v->until_s, at), where);
	return true;
}
