/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A definition: what a VM is besides its disks, as one text that a host takes to the other. PURE.
 *
 *	{"version": 1, "uuid", "xml", "nvram": BASE64,
 *	 "tpm": [{"directory": "tpm2", "name": "tpm2-00.permall", "mode": 384, "data": BASE64}]}
 *
 * "xml": the domain of libvirt, as it is when it does not run. "nvram": what UEFI keeps; missing: the domain has
 * none, or has not run yet. "tpm": the files that swtpm keeps, by the directory that stands for the TPM's version.
 *
 * Whoever reads one, reads what another host wrote: everything is bounded, and a name of a file is one.
 */
#ifndef FAILBACK_LIB_DEFINITION_H
#define FAILBACK_LIB_DEFINITION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/failure.h"
#include "base/uuid.h"

#define DEFINITION_TEXT_MAX  ((size_t)16 << 20)
#define DEFINITION_XML_MAX   ((size_t)1 << 20)
#define DEFINITION_NVRAM_MAX ((size_t)8 << 20)
#define DEFINITION_TPM_MAX   16U
#define DEFINITION_TPM_BYTES ((size_t)128 << 10) /* of each file */

struct definition_bytes {
	void *data; /* malloc()ed; NULL: there are none */
	size_t len;
};

struct definition_file {
	char directory[8];
	char name[64];
	mode_t mode;
	struct definition_bytes bytes;
};

struct definition {
	struct uuid uuid;
	char *xml;
	struct definition_bytes nvram;
	struct definition_file tpm[DEFINITION_TPM_MAX];
	size_t nr_tpm;
};

void definition_clear(struct definition *d);

/** definition_is_directory - does swtpm keep the state of a TPM in a directory of that name? */
bool definition_is_directory(const char *name);

/** definition_is_file - could that be a file of it? Never a path, nor a name that begins with a dot. */
bool definition_is_file(const char *name);

/** definition_encode - malloc()ed; CODE_NOT_SUPPORTED: it would be longer than DEFINITION_TEXT_MAX. */
int definition_encode(const struct definition *d, char **ret, struct failure *f);

/** definition_decode - CODE_INCORRECT_DATA_TYPE, CODE_INVALID_PARAMETER: it is none. @ret: zeroes before. */
int definition_decode(const char *text, struct definition *ret, struct failure *f);

#endif
