// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sockaddr_in *in4(struct address *a)
{
	return (struct sockaddr_in *)&a->addr;
}

static struct sockaddr_in6 *in6(struct address *a)
{
	return (struct sockaddr_in6 *)&a->addr;
}

static bool parse_port(const char *text, uint16_t *ret)
{
	unsigned long port;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	port = strtoul(text, &end, 10);
	if (*end || port == 0 || port > UINT16_MAX)
		return false;
	*ret = (uint16_t)port;
	return true;
}

static bool parse_host(const char *host, bool v6, uint16_t port, struct address *ret)
{
	struct address a = { 0 };

	if (v6) {
		a.len = sizeof(struct sockaddr_in6);
		in6(&a)->sin6_family = AF_INET6;
		in6(&a)->sin6_port = htons(port);
		if (inet_pton(AF_INET6, host, &in6(&a)->sin6_addr) != 1)
			return false;
	} else {
		a.len = sizeof(struct sockaddr_in);
		in4(&a)->sin_family = AF_INET;
		in4(&a)->sin_port = htons(port);
		if (inet_pton(AF_INET, host, &in4(&a)->sin_addr) != 1)
			return false;
	}
	*ret = a;
	return true;
}

/* Split "[host]:port", "host:port", "[host]" or "host"; *@ret_port is "" without one. */
static bool split(const char *text, char *host, size_t size, bool *ret_v6, const char **ret_port)
{
	bool bracket = text[0] == '[';
	const char *start = text + bracket;
	size_t len = strcspn(start, bracket ? "]" : ":");
	const char *rest = start + len;

	if (bracket && *rest++ != ']')
		return false;
	/* Without brackets, a second colon means a bare IPv6 address. */
	if (!bracket && *rest && strchr(rest + 1, ':')) {
		len = strlen(start);
		rest = start + len;
		bracket = true;
	}
	if (!len || len >= size || (*rest && (*rest != ':' || !rest[1])))
		return false;
	memcpy(host, start, len);
	host[len] = '\0';
	*ret_v6 = bracket;
	*ret_port = *rest ? rest + 1 : "";
	return true;
}

int address_parse(const char *text, uint16_t default_port, struct address *ret, struct failure *f)
{
	char host[ADDRESS_TEXT_MAX];
	uint16_t port = default_port;
	const char *port_text;
	bool v6;

	if (!split(text, host, sizeof(host), &v6, &port_text) ||
	    (*port_text && !parse_port(port_text, &port)) || !port ||
	    !parse_host(host, v6, port, ret))
		return failure_set(
			f, CODE_INVALID_PARAMETER, -EINVAL,
			"\"%.64s\" is not a numeric address%s such as 192.0.2.1:7407 or "
			"[2001:db8::1]:7407.",
			text, default_port ? "" : " with a port");
	return 0;
}

const char *address_format(const struct address *a, char buf[ADDRESS_TEXT_MAX])
{
	struct address copy = *a;
	char host[INET6_ADDRSTRLEN] = "?";

	if (a->addr.ss_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &in6(&copy)->sin6_addr, host, sizeof(host));
		(void)snprintf(buf, ADDRESS_TEXT_MAX, "[%s]:%u", host, address_port(a));
	} else {
		(void)inet_ntop(AF_INET, &in4(&copy)->sin_addr, host, sizeof(host));
		(void)snprintf(buf, ADDRESS_TEXT_MAX, "%s:%u", host, address_port(a));
	}
	return buf;
}

const char *address_format_host(const struct address *a, char buf[ADDRESS_TEXT_MAX])
{
	(void)address_format(a, buf);
	*strrchr(buf, ':') = '\0';
	return buf;
}

uint16_t address_port(const struct address *a)
{
	struct address copy = *a;

	return ntohs(a->addr.ss_family == AF_INET6 ? in6(&copy)->sin6_port : in4(&copy)->sin_port);
}

void address_set_port(struct address *a, uint16_t port)
{
	if (a->addr.ss_family == AF_INET6)
		in6(a)->sin6_port = htons(port);
	else
		in4(a)->sin_port = htons(port);
}

/* Both families as one: IPv4 in its form in IPv6. */
static struct in6_addr unified(const struct address *a)
{
	struct address copy = *a;
	struct in6_addr u = { 0 };

	if (a->addr.ss_family == AF_INET6)
		return in6(&copy)->sin6_addr;
	u.s6_addr[10] = 0xff;
	u.s6_addr[11] = 0xff;
	memcpy(&u.s6_addr[12], &in4(&copy)->sin_addr, 4);
	return u;
}

bool address_is_same_host(const struct address *a, const struct address *b)
{
	struct in6_addr ua = unified(a);
	struct in6_addr ub = unified(b);

	return memcmp(&ua, &ub, sizeof(ua)) == 0;
}

bool address_is_loopback(const struct address *a)
{
	struct in6_addr u = unified(a);

	return IN6_IS_ADDR_LOOPBACK(&u) || (IN6_IS_ADDR_V4MAPPED(&u) && u.s6_addr[12] == 127);
}

bool address_is_any(const struct address *a)
{
	static const struct in6_addr any4 = { .s6_addr = { [10] = 0xff, [11] = 0xff } };
	struct in6_addr u = unified(a);

	return IN6_IS_ADDR_UNSPECIFIED(&u) || memcmp(&u, &any4, sizeof(u)) == 0;
}

bool address_is_in_list(const struct address *a, const char *list)
{
	char item[ADDRESS_TEXT_MAX];
	struct address other;

	while (*list) {
		size_t len = strcspn(list, " ,\t");

		if (len && len < sizeof(item)) {
			memcpy(item, list, len);
			item[len] = '\0';
			if (address_parse(item, 1, &other, NULL) == 0 &&
			    address_is_same_host(a, &other))
				return true;
		}
		list += len;
		list += strspn(list, " ,\t");
	}
	return false;
}
