/* SPDX-License-Identifier: GPL-2.0-only */
/* Stores that were lost and could not note it until they were closed: remembered until the module goes. */
#ifndef CBT_LOST_H
#define CBT_LOST_H

#include "layout.h"

/* To remember a store by; made while there is memory. */
struct cbt_lost;

struct cbt_lost *cbt_lost_new(void); /* NULL without memory */
void cbt_lost_free(struct cbt_lost *lost); /* of one that was not lost; may be NULL */

/** cbt_lost_remember - that the store of @super is; takes @lost over. */
void cbt_lost_remember(struct cbt_lost *lost, const struct cbt_super *super);

/** cbt_lost_generation - in which the store of @super was lost; 0: it was not. */
u64 cbt_lost_generation(const struct cbt_super *super);

/** cbt_lost_forget - all, at the end; the kernel log names them. */
void cbt_lost_forget(void);

#endif
