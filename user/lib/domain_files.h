/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files that belong to a domain: its NVRAM, and the state of its TPM below /var/lib/libvirt/swtpm. No link
 * is followed in their names.
 */
#ifndef FAILBACK_LIB_DOMAIN_FILES_H
#define FAILBACK_LIB_DOMAIN_FILES_H

#include <stdbool.h>
#include <time.h>

#include "lib/definition.h"

/**
 * domain_files_read - add them to @d, whose UUID is set. A file that is not there is left out.
 * @nvram: its path; "": there is none
 *
 * CODE_NOT_SUPPORTED: one is larger, or they are more, than is taken to another host.
 */
int domain_files_read(const char *nvram, struct definition *d, struct failure *f);

/**
 * domain_files_put - put those of @d in the place of what is there, durably, and each at once. What is
 * replaced keeps its owner and its mode; what is new is its directory's, and libvirt's when the domain starts.
 * @nvram: "": the domain here has none
 */
int domain_files_put(const char *nvram, const struct definition *d, struct failure *f);

/** domain_files_are_newer - was one of those that @d would replace written after @since, and holds something else? */
bool domain_files_are_newer(const char *nvram, const struct definition *d, const struct timespec *since);

#endif
