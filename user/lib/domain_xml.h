/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the XML of a libvirt domain says, and whether another host may have written it. PURE.
 *
 * libvirt runs as root, and does what the XML of a domain says to the host that it is defined on: it opens
 * devices and files, runs programs, writes logs, takes confinement away. So of one that came from a peer only
 * this is taken, and anything else is to be defined by hand:
 *
 * - the elements of a list (domain_xml.c), of <domain> and of <devices>; no other namespaces, none of
 *   <hostdev>, <filesystem>, <memory>, <shmem> and the like;
 * - in <disk>, a source that is one of the VM's own devices, or none;
 * - a path anywhere else only where it is the <emulator> (a qemu-* or kvm below /usr), the <loader> or a
 *   template of NVRAM (below /usr), the NVRAM that libvirt itself would choose for a domain of that name, or a
 *   source of random numbers; a path is whatever has a slash, and what stands in an attribute of that name;
 * - character devices that end in this host's own programs or in nothing, networks, bridges and links by name,
 *   screens for VNC and SPICE, a TPM that swtpm emulates, labels that libvirt chooses;
 * - no declaration of an encoding, and no document type: libvirt has to read what was checked.
 */
#ifndef FAILBACK_LIB_DOMAIN_XML_H
#define FAILBACK_LIB_DOMAIN_XML_H

#include <limits.h>
#include <stddef.h>

#include "base/failure.h"
#include "base/uuid.h"

#define DOMAIN_NAME_MAX 255
#define DOMAIN_NVRAM	"/var/lib/libvirt/qemu/nvram/" /* where libvirt keeps those that it chooses */

struct domain_xml {
	struct uuid uuid;
	char name[DOMAIN_NAME_MAX + 1];
	char nvram[PATH_MAX]; /* a file; "": none is named */
	char emulator[PATH_MAX]; /* "": libvirt chooses */
};

/** domain_xml_parse - CODE_INCORRECT_DATA_TYPE: it is no domain that libvirt would have written. */
int domain_xml_parse(const char *text, struct domain_xml *ret, struct failure *f);

/**
 * domain_xml_check - the same, of what a peer sent. CODE_NOT_SUPPORTED: it breaks a rule, which is named.
 * @devices: the paths that the VM's own disks have here
 */
int domain_xml_check(const char *text, const char *const *devices, size_t nr_devices,
		     struct domain_xml *ret, struct failure *f);

#endif
