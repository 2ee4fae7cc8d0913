/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a disk holds that somebody may miss. The only file that knows libblkid. */
#ifndef FAILBACK_LIB_CONTENTS_H
#define FAILBACK_LIB_CONTENTS_H

#include "base/failure.h"

#define CONTENTS_TEXT_MAX 128

/**
 * contents_describe - "an ext4 file system", "a partition table (gpt)", "LVM2_member"; "" when
 * nothing is recognised. @fd: of the disk at @path.
 */
int contents_describe(int fd, const char *path, char ret[CONTENTS_TEXT_MAX], struct failure *f);

/** contents_wipe - make what contents_describe() recognises unrecognisable. */
int contents_wipe(int fd, const char *path, struct failure *f);

#endif
