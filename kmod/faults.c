// SPDX-License-Identifier: GPL-2.0-only
/* Only built with CONFIG_DM_CBT_FAULTS. */
#include <linux/module.h>

#include "faults.h"

unsigned long long cbt_fault_drop_block = ~0ULL;
module_param_named(drop_block, cbt_fault_drop_block, ullong, 0600);
MODULE_PARM_DESC(drop_block, "block of every tracker whose bit is never set; default: none");

unsigned int cbt_fault_skip_flush;
module_param_named(skip_flush, cbt_fault_skip_flush, uint, 0600);
MODULE_PARM_DESC(skip_flush, "sum of the flushes to leave out: 1 FUA of the log, 2 flush of map pages, 4 FUA of the superblock, 8 flush of the origin before a commit, 16 the same before its fingerprint");
