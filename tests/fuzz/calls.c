// SPDX-License-Identifier: GPL-2.0-or-later
/* What a peer says before a transfer, of any text: what is taken is said again and taken to be the same. */
#include <stdlib.h>
#include <string.h>

#include "daemon/calls.h"

#include "fuzz.h"

static void check_call(const char *text)
{
	struct call *call = calloc(1, sizeof(*call));
	struct call *again = calloc(1, sizeof(*again));
	struct failure why = { 0 };

	if (call_decode(text, call, &why)) {
		CLAIM(why.code && why.text[0]);
	} else {
		char *said = call_encode(call);

		CLAIM(call->kind < NR_CALLS && call->nr_disks <= CALL_DISKS_MAX && call->nr_aborted <= ABORTED_MAX);
		CLAIM(call_decode(said, again, NULL) == 0 && memcmp(call, again, sizeof(*call)) == 0);
		free(said);
	}
	free(again);
	free(call);
}

static void check_reply(const char *text)
{
	struct reply *reply = calloc(1, sizeof(*reply));
	struct reply *again = calloc(1, sizeof(*again));
	struct failure why = { 0 };

	if (reply_decode(text, reply, &why)) {
		CLAIM(why.code && why.text[0]);
	} else {
		char *said = reply_encode(reply);

		CLAIM(reply->nr_disks <= CALL_DISKS_MAX && reply->nr_ranges <= CALL_RANGES_MAX &&
		      reply->nr_guessed <= CALL_RANGES_MAX && reply->points.nr <= CALL_POINTS_MAX);
		CLAIM(reply_decode(said, again, NULL) == 0 && memcmp(reply, again, sizeof(*reply)) == 0);
		free(said);
	}
	free(again);
	free(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = text_of(data, size);

	check_call(text);
	check_reply(text);
	free(text);
	return 0;
}
