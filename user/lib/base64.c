// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/base64.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/gnutls.h>

#include "base/cleanup.h"

static void free_gnutls_at(gnutls_datum_t *data)
{
	gnutls_free(data->data);
}

/* With a NUL behind it, which is no part of it. */
static void *copy(const gnutls_datum_t *data)
{
	char *ret = malloc((size_t)data->size + 1);

	if (!ret)
		return NULL;
	if (data->size)
		memcpy(ret, data->data, data->size);
	ret[data->size] = '\0';
	return ret;
}

char *base64_encode(const void *data, size_t len)
{
	const gnutls_datum_t from = { (unsigned char *)data, (unsigned int)len };
	_cleanup_(free_gnutls_at) gnutls_datum_t to = { 0 };

	if (len > INT_MAX || (len && gnutls_base64_encode2(&from, &to) < 0))
		return NULL;
	return copy(&to);
}

int base64_decode(const char *text, size_t len, void **ret, size_t *ret_len)
{
	const gnutls_datum_t from = { (unsigned char *)text, (unsigned int)len };
	_cleanup_(free_gnutls_at) gnutls_datum_t to = { 0 };
	void *data;

	if (len > INT_MAX || (len && gnutls_base64_decode2(&from, &to) < 0))
		return -EBADMSG;
	data = copy(&to);
	if (!data)
		return -ENOMEM;
	*ret = data;
	*ret_len = to.size;
	return 0;
}
