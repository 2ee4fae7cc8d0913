/* SPDX-License-Identifier: GPL-2.0-only */
/* What track.c needs of the write path; what a target needs of it is in track.h. */
#ifndef CBT_WRITE_H
#define CBT_WRITE_H

#include "track.h"

/* How writes go on that waited for copies. */
extern const struct cbt_cow_ops cbt_write_cow_ops;

/** cbt_write_init - no write waits. Return: 0 or -ENOMEM; cbt_write_exit() follows in either case. */
int cbt_write_init(struct cbt_tracker *tracker);

/** cbt_write_stop - no write comes any more: until the worker is done. May sleep. */
void cbt_write_stop(struct cbt_tracker *tracker);

/** cbt_write_exit - the worker is done. */
void cbt_write_exit(struct cbt_tracker *tracker);

#endif
