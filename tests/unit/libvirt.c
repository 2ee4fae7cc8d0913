// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/libvirt.c: which states of a domain count as running. The rest: tests/e2e/libvirt.sh. */
#include <libvirt/libvirt.h>

#include "lib/libvirt.h"

#include "kselftest_harness.h"

TEST(only_a_domain_that_is_shut_off_does_not_run)
{
	for (int state = VIR_DOMAIN_NOSTATE; state <= VIR_DOMAIN_PMSUSPENDED; state++)
		EXPECT_EQ(state != VIR_DOMAIN_SHUTOFF, libvirt_state_runs(state));
}

TEST(a_domain_in_a_state_that_is_not_known_runs)
{
	EXPECT_TRUE(libvirt_state_runs(VIR_DOMAIN_PMSUSPENDED + 1));
	EXPECT_TRUE(libvirt_state_runs(-1));
}

TEST(no_state_goes_on_by_itself_that_a_guest_hears_nothing_in)
{
	EXPECT_NE(NULL, libvirt_state_stuck(VIR_DOMAIN_PAUSED));
	EXPECT_NE(NULL, libvirt_state_stuck(VIR_DOMAIN_PMSUSPENDED));
	EXPECT_NE(NULL, libvirt_state_stuck(VIR_DOMAIN_CRASHED));
}

TEST(a_domain_that_runs_or_is_off_is_not_stuck)
{
	static const int states[] = { VIR_DOMAIN_NOSTATE, VIR_DOMAIN_RUNNING, VIR_DOMAIN_BLOCKED,
				      VIR_DOMAIN_SHUTDOWN, VIR_DOMAIN_SHUTOFF };

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		EXPECT_EQ(NULL, libvirt_state_stuck(states[i]));
}

TEST_HARNESS_MAIN
