// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/gathering.h"

#include <errno.h>
#include <stddef.h>

#include <cbt-wire.h>

#include "base/macro.h"

unsigned int gathering_size(uint64_t asked)
{
	if (!asked)
		return 1;
	return (unsigned int)min_of(asked, (uint64_t)CBT_WIRE_CONNECTIONS_MAX);
}

void gathering_begin(struct gathering *g, unsigned int nr, const struct uuid *token)
{
	*g = (struct gathering){ .nr = nr, .nr_joined = 1, .joined = 1, .token = *token };
}

bool gathering_is_whole(const struct gathering *g)
{
	return g->nr_joined == g->nr;
}

bool gathering_is_under(const struct gathering *g, const struct uuid *token)
{
	uint8_t differ = 0;

	for (size_t i = 0; i < sizeof(token->b); i++)
		differ |= (uint8_t)(g->token.b[i] ^ token->b[i]);
	return g->nr && !differ && !uuid_is_nil(token);
}

int gathering_admit(struct gathering *g, const struct uuid *token, uint64_t number, struct failure *f)
{
	if (!gathering_is_under(g, token) || gathering_is_whole(g))
		return failure_set(f, CODE_ACCESS_DENIED, -EACCES,
				   "No delta waits for a further connection with this token.");
	if (!number || number >= g->nr)
		return failure_set(f, CODE_INVALID_PARAMETER, -ERANGE,
				   "Connection %llu cannot join %u that are numbered from 0 on.",
				   (unsigned long long)number, g->nr);
	if (g->joined & 1U << number)
		return failure_set(f, CODE_IN_USE, -EEXIST,
				   "Connection %llu of the delta is there already.",
				   (unsigned long long)number);
	g->joined |= 1U << number;
	g->nr_joined++;
	return 0;
}
