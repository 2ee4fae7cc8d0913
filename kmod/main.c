// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/suspend.h>

#include "genl.h"
#include "image.h"
#include "target.h"
#include "track.h"

/*
 * A resumed image knows maps and stores as they were, while the kernel that loaded the image has gone on with the
 * disks: writes would be missing, and log positions be used twice.
 */
static int on_power_event(struct notifier_block *nb, unsigned long action, void *data)
{
	int error;

	if (action == PM_POST_HIBERNATION)
		(void)cbt_tracker_hibernate(false);
	if (action != PM_HIBERNATION_PREPARE)
		return NOTIFY_DONE;
	error = cbt_tracker_hibernate(true);
	if (error)
		pr_err("dm-cbt: no hibernation while there is a tracker: bypass or remove it first\n");
	return notifier_from_errno(error);
}

static struct notifier_block pm_notifier = { .notifier_call = on_power_event };

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
	error = register_pm_notifier(&pm_notifier);
	if (error)
		goto genl_exit;
	return 0;

genl_exit:
	cbt_genl_exit();
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
	unregister_pm_notifier(&pm_notifier);
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
