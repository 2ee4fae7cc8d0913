/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device-mapper target "cbt-image": the frozen blocks of one epoch, read-only, as they were
 * when it was frozen.
 *
 *	0 <sectors> cbt-image <tracker uuid> <epoch uuid>
 *
 *	<sectors>	the size of the tracker
 *
 * A block that is not part of the epoch or was released reads as an I/O error, so that nobody
 * takes the image for a copy of the whole device; so does all of it once the epoch has ended or is
 * broken, or the tracker is gone. Writes fail. To be read with O_DIRECT: the page cache reads
 * around what was asked for, and keeps what has ceased to be.
 *
 * STATUSTYPE_INFO: <epoch> <state>
 * state: "valid"; "broken"; "ended", also when the tracker is gone
 */
#ifndef CBT_IMAGE_H
#define CBT_IMAGE_H

int cbt_image_init(void);
void cbt_image_exit(void);

#endif
