// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>

#include "genl.h"
#include "image.h"
#include "target.h"
#include "track.h"


static int __init cbt_init(void)
{
	int error = cbt_track_init();

	if (error)
		return error;
	error = cbt_target_init();
	if (error)
		goto track_exit;
	error = cbt_image_init();
	if (error)
		goto target_exit;
	error = cbt_genl_init();
	if (error)
		goto image_exit;
	return 0;

image_exit:
	cbt_image_exit();
target_exit:
	cbt_target_exit();
track_exit:
	cbt_track_exit();
	return error;
}

static void __exit cbt_exit(void)
{
	cbt_genl_exit();
	cbt_image_exit();
	cbt_target_exit();
	cbt_track_exit();
}

module_init(cbt_init);
module_exit(cbt_exit);

MODULE_DESCRIPTION("Device-mapper changed block tracking");
MODULE_AUTHOR("The Failback developers");
MODULE_LICENSE("GPL");
MODULE_VERSION(CBT_MODULE_VERSION);
