// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/suspend.h>

#include "genl.h"
#include "image.h"
#include "target.h"
#include "track.h"

/*
 * A resumed image knows the store as it was, while the kernel that loaded the image has gone on with
 * it: log positions would be used twice.
 */
static int refuse_hibernation(struct notifier_block *nb, unsigned long action, void *data)
{
	struct cbt_tracker *t;
	bool has_store = false;
	u32 i;

	if (action != PM_HIBERNATION_PREPARE)
		return NOTIFY_DONE;
	cbt_control_lock();
	for (i = 0; (t = cbt_tracker_at(i)); i++)
		has_store |= !!t->store_dev;
	cbt_control_unlock();
	if (!has_store)
		return NOTIFY_DONE;
	pr_err("dm-cbt: no hibernation while a tracker has a store: bypass or remove it first\n");
	return notifier_from_errno(-EBUSY);
}

static struct notifier_block pm_notifier = { .notifier_call = refuse_hibernation };

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
