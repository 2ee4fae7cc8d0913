// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/images.h"

#include <stdio.h>

#include "base/log.h"
#include "lib/devid.h"
#include "lib/dm_image.h"

#define NAME_MAX_BYTES (UUID_TEXT_LEN + 48)

static const char *image_name(const struct relationship_record *r, size_t i,
			      char buf[NAME_MAX_BYTES])
{
	char epoch[UUID_TEXT_LEN + 1];

	(void)snprintf(buf, NAME_MAX_BYTES, "failback-image-%s-%zu", uuid_format(&r->epoch, epoch), i);
	return buf;
}

int images_source(const struct relationship_record *r, size_t i, const struct tracker_info *info,
		  char ret_path[PATH_MAX], struct failure *f)
{
	char name[NAME_MAX_BYTES];

	if (!info->has_store)
		return devid_path(info->origin_dev, ret_path, f);
	return dm_image_create(image_name(r, i, name), &info->uuid, &r->epoch, info->size_sectors,
			       ret_path, f);
}

void images_remove(const struct relationship_record *r)
{
	for (size_t i = 0; i < r->nr_disks; i++) {
		char name[NAME_MAX_BYTES];
		struct failure why;

		if (dm_image_remove(image_name(r, i, name), &why))
			log_warning("VM %s: %s", r->name, why.text);
	}
}
