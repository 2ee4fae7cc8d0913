// SPDX-License-Identifier: GPL-2.0-or-later
/* What kmod/port.h wants of user space. A unit test may bring its own, which refuse memory. */
#include <stdlib.h>

#include "port.h"

void *port_zeroed_page(void)
{
	return calloc(1, 4096);
}

void port_free_page(void *page)
{
	free(page);
}
