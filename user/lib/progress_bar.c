// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/progress_bar.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/macro.h"
#include "base/size.h"

#define BAR_MIN 8U
#define BAR_MAX 40U
#define FRAME	4U /* two spaces, "[" and "]" */

static unsigned int percent_of(const struct progress_bar *bar)
{
	if (!bar->bytes_total)
		return 0;
	if (bar->bytes_done >= bar->bytes_total)
		return 100;
	return (unsigned int)((double)bar->bytes_done / (double)bar->bytes_total * 100);
}

static void format_figures(const struct progress_bar *bar, char *buf, size_t size)
{
	char done[SIZE_TEXT_LEN];
	char total[SIZE_TEXT_LEN];
	char rate[SIZE_TEXT_LEN];
	char left[SIZE_TEXT_LEN];
	int len;

	if (!bar->bytes_total) {
		buf[0] = '\0';
		return;
	}
	len = snprintf(buf, size, "  %3u %%  %s of %s", percent_of(bar),
		       size_format(bar->bytes_done, done), size_format(bar->bytes_total, total));
	if (bar->bytes_per_second && (size_t)len < size)
		len += snprintf(buf + len, size - (size_t)len, "  %s",
				rate_format(bar->bytes_per_second, NS_PER_S, rate));
	if (bar->seconds_left != UINT64_MAX && bar->seconds_left && (size_t)len < size)
		(void)snprintf(
			buf + len, size - (size_t)len, "  %s left",
			duration_format(min_of(bar->seconds_left, UINT64_MAX / NS_PER_S) * NS_PER_S,
					left));
}

void progress_bar_format(const struct progress_bar *bar, unsigned int width, char *buf, size_t size)
{
	char cells[BAR_MAX + 1];
	char figures[160];
	unsigned int nr = 0;
	size_t used;

	format_figures(bar, figures, sizeof(figures));
	used = strlen(bar->label) + strlen(figures) + FRAME;
	if (figures[0] && width > used)
		nr = min_of((unsigned int)(width - used), BAR_MAX);
	if (nr < BAR_MIN) {
		(void)snprintf(buf, size, "%s%s", bar->label, figures);
		return;
	}
	memset(cells, ' ', nr);
	memset(cells, '#', nr * percent_of(bar) / 100);
	cells[nr] = '\0';
	(void)snprintf(buf, size, "%s  [%s]%s", bar->label, cells, figures);
}
