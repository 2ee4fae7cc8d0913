// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/macro.h"

static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };

const char *size_format(uint64_t bytes, char buf[SIZE_TEXT_LEN])
{
	unsigned int unit = 0;
	uint64_t tenths;

	while (unit + 1 < ARRAY_SIZE(units) && bytes >> (10 * (unit + 1)))
		unit++;
	/* rounded to a tenth; the whole part is taken off first so that nothing overflows */
	tenths = (bytes >> (10 * unit)) * 10;
	if (unit) {
		uint64_t rest = (bytes >> (10 * (unit - 1))) & 1023;

		tenths += (rest * 10 + 512) / 1024;
	}
	if (tenths == 10240 && unit + 1 < ARRAY_SIZE(units)) {
		tenths = 10;
		unit++;
	}
	if (tenths % 10)
		(void)snprintf(buf, SIZE_TEXT_LEN, "%llu.%llu %s",
			       (unsigned long long)(tenths / 10), (unsigned long long)(tenths % 10),
			       units[unit]);
	else
		(void)snprintf(buf, SIZE_TEXT_LEN, "%llu %s", (unsigned long long)(tenths / 10),
			       units[unit]);
	return buf;
}

const char *rate_format(uint64_t bytes, uint64_t ns, char buf[SIZE_TEXT_LEN])
{
	double rate;
	size_t len;

	if (!ns) {
		(void)snprintf(buf, SIZE_TEXT_LEN, "-");
		return buf;
	}
	rate = (double)bytes * (double)NS_PER_S / (double)ns;
	size_format(rate < 0x1p63 ? (uint64_t)rate : INT64_MAX, buf);
	len = strlen(buf);
	(void)snprintf(buf + len, SIZE_TEXT_LEN - len, "/s");
	return buf;
}

const char *duration_format(uint64_t ns, char buf[SIZE_TEXT_LEN])
{
	unsigned long long s = ns / NS_PER_S;

	if (s < 10)
		(void)snprintf(buf, SIZE_TEXT_LEN, "%llu.%llu s", s,
			       (unsigned long long)(ns % NS_PER_S / (NS_PER_S / 10)));
	else if (s < 60)
		(void)snprintf(buf, SIZE_TEXT_LEN, "%llu s", s);
	else if (s < 3600)
		(void)snprintf(buf, SIZE_TEXT_LEN, "%llu min %llu s", s / 60, s % 60);
	else if (s < 86400)
		(void)snprintf(buf, SIZE_TEXT_LEN, "%llu h %llu min", s / 3600, s / 60 % 60);
	else
		(void)snprintf(buf, SIZE_TEXT_LEN, "%llu d %llu h", s / 86400, s / 3600 % 24);
	return buf;
}

/* --- parsing --- */

/* Nothing, "B", "K" or "KiB"; "KB" is refused, for it means 1000 to some. */
static int unit_parse(const char *text, unsigned int *ret_shift)
{
	static const char letters[] = "BKMGTPE";

	if (!*text || strcasecmp(text, "B") == 0) {
		*ret_shift = 0;
		return 0;
	}
	for (unsigned int i = 1; i < ARRAY_SIZE(units); i++) {
		bool letter_alone = toupper((unsigned char)text[0]) == letters[i] && !text[1];

		if (letter_alone || strcasecmp(text, units[i]) == 0) {
			*ret_shift = 10 * i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Digits into @value; returns how many there were, or a negative errno. */
static int digits_parse(const char **at, uint64_t *value)
{
	int nr = 0;

	for (; **at >= '0' && **at <= '9'; (*at)++, nr++)
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(**at - '0'), value))
			return -ERANGE;
	return nr;
}

int size_parse(const char *text, uint64_t *ret)
{
	uint64_t value = 0;
	uint64_t divisor = 1;
	unsigned int shift;
	int whole;
	int decimals = 0;

	whole = digits_parse(&text, &value);
	if (whole < 0)
		return whole;
	if (*text == '.') {
		text++;
		decimals = digits_parse(&text, &value);
		if (decimals <= 0)
			return decimals ? decimals : -EINVAL;
	}
	if (!whole || decimals > 6)
		return -EINVAL;
	while (*text == ' ')
		text++;
	if (unit_parse(text, &shift))
		return -EINVAL;
	for (int i = 0; i < decimals; i++)
		divisor *= 10;
	if (value > UINT64_MAX >> shift)
		return -ERANGE;
	value <<= shift;
	if (value % divisor)
		return -EINVAL;
	if (value / divisor > INT64_MAX)
		return -ERANGE;
	*ret = value / divisor;
	return 0;
}
