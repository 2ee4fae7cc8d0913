/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The oldest kernel. */
#ifndef FAILBACK_TESTS_SIM_VERSION_H
#define FAILBACK_TESTS_SIM_VERSION_H

#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))
#define LINUX_VERSION_CODE KERNEL_VERSION(6, 1, 0)

#endif
