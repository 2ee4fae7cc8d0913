/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numeric socket addresses as text. PURE. Host names are not resolved: that would block, and a
 * peer is pinned to its address.
 */
#ifndef FAILBACK_LIB_ADDRESS_H
#define FAILBACK_LIB_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/failure.h"

#define ADDRESS_TEXT_MAX 64 /* "[IPv6%scope]:port" with NUL */

struct address {
	struct sockaddr_storage addr;
	socklen_t len;
};

/**
 * address_parse - "192.0.2.1:7407", "[2001:db8::1]:7407", or without the port when @default_port
 * is not 0. CODE_INVALID_PARAMETER with a sentence for anything else.
 */
int address_parse(const char *text, uint16_t default_port, struct address *ret, struct failure *f);

/** address_format - with the port; returns @buf. */
const char *address_format(const struct address *a, char buf[ADDRESS_TEXT_MAX]);

/** address_format_host - without the port, as it can be parsed again; returns @buf. */
const char *address_format_host(const struct address *a, char buf[ADDRESS_TEXT_MAX]);

uint16_t address_port(const struct address *a);
void address_set_port(struct address *a, uint16_t port);

/**
 * address_is_same_host - equal but for the port; an IPv4 address and its form in IPv6 are the
 * same.
 */
bool address_is_same_host(const struct address *a, const struct address *b);

bool address_is_loopback(const struct address *a);
bool address_is_any(const struct address *a); /* 0.0.0.0, [::] */

/**
 * address_is_in_list - one of the addresses in @list, which are separated by spaces or commas;
 * ports do not count.
 */
bool address_is_in_list(const struct address *a, const char *list);

#endif
