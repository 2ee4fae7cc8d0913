// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CRASH: the files are in place before the domain is defined, so that one that is there has what it needs.
 * Whatever was cut off, the same again completes it.
 */
#include "lib/domain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/domain_files.h"
#include "lib/domain_xml.h"
#include "lib/pack.h"

/* --- out of libvirt --- */

int domain_dump(struct libvirt *l, const char *uuid, char **ret, struct failure *f)
{
	_cleanup_(definition_clear) struct definition d = { 0 };
	struct domain_xml x;
	int rc = libvirt_xml(l, uuid, &d.xml, f);

	if (!rc)
		rc = domain_xml_parse(d.xml, &x, f);
	if (rc)
		return rc;
	d.uuid = x.uuid;
	rc = domain_files_read(x.nvram, &d, f);
	return rc ? rc : definition_encode(&d, ret, f);
}

/* --- what came --- */

static int read_whole(int fd, char **ret, size_t *ret_len, struct failure *f)
{
	cleanup_free char *data = malloc(DEFINITION_TEXT_MAX + 1);
	size_t len = 0;
	ssize_t got;

	if (!data)
		return failure_no_memory(f);
	while ((got = read(fd, data + len, DEFINITION_TEXT_MAX + 1 - len)) != 0) {
		if (got < 0 && errno != EINTR)
			return failure_set(f, CODE_FAILED, -errno, "Cannot read the definition of the VM: %s.",
					   strerror(errno));
		len += got > 0 ? (size_t)got : 0;
	}
	if (len > DEFINITION_TEXT_MAX)
		return failure_set(f, CODE_INVALID_PARAMETER, -EFBIG,
				   "The definition of the VM has more than %zu bytes.", DEFINITION_TEXT_MAX);
	data[len] = '\0';
	*ret = steal_ptr(data);
	*ret_len = len;
	return 0;
}

static int unpack(const char *frame, size_t len, char **ret, struct failure *f)
{
	_cleanup_(unpack_close_at) struct unpack *u = NULL;
	cleanup_free char *text = NULL;
	size_t bytes = unpack_size(frame, len);
	int rc = unpack_open(&u, f);

	if (rc)
		return rc;
	text = bytes <= DEFINITION_TEXT_MAX ? calloc(1, bytes + 1) : NULL;
	if (!bytes || !text || !unpack_data(u, frame, len, text, bytes))
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EBADMSG,
				   "The definition of the VM is neither text nor packed text: it was cut off, or "
				   "is damaged.");
	*ret = steal_ptr(text);
	return 0;
}

int domain_read(int fd, const char *uuid, struct definition *ret, struct failure *f)
{
	cleanup_free char *data = NULL;
	cleanup_free char *text = NULL;
	struct uuid wanted;
	size_t len = 0;
	int rc = read_whole(fd, &data, &len, f);

	if (rc || !len)
		return rc;
	if (data[0] == '{')
		text = steal_ptr(data);
	else
		rc = unpack(data, len, &text, f);
	if (!rc)
		rc = definition_decode(text, ret, f);
	if (rc || (uuid_parse(uuid, &wanted) == 0 && uuid_equal(&wanted, &ret->uuid)))
		return rc;
	return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
			   "The definition that came for domain %s is another one's.", uuid);
}

/* --- into libvirt --- */

/* May it be defined here? */
static int check(struct libvirt *l, const char *uuid, const struct domain_arrival *arrival,
		 struct domain_xml *ret, struct failure *f)
{
	const struct definition *d = &arrival->definition;
	int rc = domain_xml_check(d->xml, arrival->devices, arrival->nr_devices, ret, f);

	if (rc)
		return rc;
	if (!uuid_equal(&ret->uuid, &d->uuid))
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "The XML that came for domain %s is another one's.", uuid);
	if (ret->emulator[0] && access(ret->emulator, X_OK) < 0)
		return failure_set(f, CODE_NOT_SUPPORTED, -ENOENT,
				   "The domain runs with %.200s on the primary, which is not there on this host: "
				   "install the same, or define the domain here by hand, with `virsh define`.",
				   ret->emulator);
	return libvirt_check_name(l, ret->name, f);
}

int domain_ready(struct libvirt *l, const char *uuid, const struct domain_arrival *arrival,
		 struct failure *f)
{
	struct domain_xml x;
	int rc = libvirt_off(l, uuid, f);

	if (rc == -ENOENT && arrival->definition.xml)
		rc = check(l, uuid, arrival, &x, f);
	return rc < 0 ? rc : 0;
}

/* Where it keeps its files, by its own definition here. */
static int look_up(struct libvirt *l, const char *uuid, struct domain_xml *ret, struct failure *f)
{
	cleanup_free char *xml = NULL;
	int rc = libvirt_xml(l, uuid, &xml, f);

	return rc ? rc : domain_xml_parse(xml, ret, f);
}

int domain_define(struct libvirt *l, const char *uuid, const struct domain_arrival *arrival,
		  struct failure *f)
{
	const struct definition *d = &arrival->definition;
	struct domain_xml x;
	int rc = libvirt_off(l, uuid, f);
	bool knows = rc != -ENOENT;

	if ((rc < 0 && knows) || !rc)
		return rc;
	if (!d->xml)
		return failure_set(f, CODE_INVALID_PARAMETER, -ENODATA, "There is no definition of domain %s.", uuid);
	rc = knows ? look_up(l, uuid, &x, f) : check(l, uuid, arrival, &x, f);
	if (!rc && !(arrival->again && domain_files_are_newer(x.nvram, d, &arrival->since)))
		rc = domain_files_put(x.nvram, d, f);
	if (!rc && !knows)
		rc = libvirt_define(l, uuid, d->xml, f);
	return rc;
}
