/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's harness, found after this file. It ends a test after 30 seconds, which is little on
 * the debug kernel, and for all rounds of a seeded test: those get more (see count.h).
 */
#ifndef FAILBACK_TESTS_HARNESS_H
#define FAILBACK_TESTS_HARNESS_H

#include <stdlib.h>
#include <unistd.h>

static inline unsigned int patient_alarm(unsigned int seconds)
{
	if (getenv("CHECK_LONG"))
		seconds *= 240;
	else if (getenv("CHECK_SHORT"))
		seconds *= 20;
	return alarm(seconds);
}

#define alarm patient_alarm
#include_next <kselftest_harness.h>
#undef alarm

#endif
