// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/conn.c: which connections are one peer's. What is said on them: tests/e2e. */
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/conn.h"

#include "kselftest_harness.h"

static bool is_same_peer(const char *one, const char *other)
{
	const char *const texts[] = { one, other };
	struct conn *conns[2] = { NULL };
	sd_event *event = NULL;
	struct address address;
	int fds[2];
	bool same;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 || sd_event_new(&event) < 0)
		abort();
	for (int i = 0; i < 2; i++)
		if (address_parse(texts[i], 7407, &address, NULL) ||
		    conn_new(event, fds[i], &address, &conns[i], NULL))
			abort();
	same = conn_is_same_peer(conns[0], conns[1]);
	conn_free_at(&conns[0]);
	conn_free_at(&conns[1]);
	(void)sd_event_unref(event);
	return same;
}

TEST(without_tls_a_peer_is_an_address)
{
	EXPECT_TRUE(is_same_peer("192.0.2.1:1000", "192.0.2.1:2000"));
	EXPECT_FALSE(is_same_peer("192.0.2.1:1000", "192.0.2.2:1000"));
}

TEST_HARNESS_MAIN
