/* SPDX-License-Identifier: GPL-2.0-only */
/* The generic netlink family "dm_cbt"; its manual is uapi/linux/dm-cbt.h. */
#ifndef CBT_GENL_H
#define CBT_GENL_H

int cbt_genl_init(void);
void cbt_genl_exit(void);

#endif
