/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking the definition of a VM (lib/definition.h) out of libvirt, and bringing it into another one. */
#ifndef FAILBACK_LIB_DOMAIN_H
#define FAILBACK_LIB_DOMAIN_H

#include <stdbool.h>
#include <time.h>

#include "lib/definition.h"
#include "lib/libvirt.h"

/** domain_dump - malloc()ed text. CODE_FILE_NOT_FOUND: libvirt does not know the domain. */
int domain_dump(struct libvirt *l, const char *uuid, char **ret, struct failure *f);

/* What came from the other host, and may be used for. */
struct domain_arrival {
	struct definition definition; /* its xml NULL: nothing came */
	const char *const *devices; /* the VM's own, here */
	size_t nr_devices;
	bool again; /* the VM may have run here since: */
	struct timespec since; /* what was written later is its own */
};

/**
 * domain_read - the definition that @fd holds from where it is to its end, as text, or as one frame of
 * lib/pack.h. Nothing at all: nothing came. CODE_INVALID_PARAMETER: it is another VM's.
 */
int domain_read(int fd, const char *uuid, struct definition *ret, struct failure *f);

/**
 * domain_ready - 0: it runs, or could be started, when it had been defined. Failures: those of libvirt_off()
 * and domain_define().
 */
int domain_ready(struct libvirt *l, const char *uuid, const struct domain_arrival *arrival,
		 struct failure *f);

/**
 * domain_define - a domain that libvirt does not know is defined, if another host may do that
 * (lib/domain_xml.h); of one that it knows the definition stays as it is. The files go where its definition
 * here has them. One that runs is left alone, and so are the files of one that has run here since.
 *
 * CODE_NOT_SUPPORTED: what came cannot be had here, and is to be defined by hand; CODE_IN_USE: a domain has
 * its name.
 */
int domain_define(struct libvirt *l, const char *uuid, const struct domain_arrival *arrival,
		  struct failure *f);

#endif
