/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text, made fit to be shown. */
#ifndef FAILBACK_BASE_TEXT_H
#define FAILBACK_BASE_TEXT_H

#include <stddef.h>

/**
 * text_make_printable - copy @len bytes as one line of valid UTF-8 with NUL into @buf.
 *
 * Control characters and bytes that are not UTF-8 become '?'. What does not fit into @room (at
 * least 1) is cut between two characters.
 */
void text_make_printable(const char *src, size_t len, char *buf, size_t room);

/** text_full_stop - what is still needed to end @text as a sentence: ".", or "". */
const char *text_full_stop(const char *text);

#endif
