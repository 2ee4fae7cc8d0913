/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VMs and jobs as failback prints them: tables for people, one JSON object each for programs. */
#ifndef FAILBACK_CLI_PRINT_H
#define FAILBACK_CLI_PRINT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/client.h"
#include "lib/json.h"

int print_vms(const struct client_vm *vms, size_t nr, struct failure *f);

/** json_add_known - null for CLIENT_UNKNOWN. */
void json_add_known(struct json_object *object, const char *name, uint64_t number);

/** print_vm_json - @statistics: JSON, or NULL. */
int print_vm_json(const struct client_vm *vm, const char *statistics, struct failure *f);

/** print_jobs - the oldest first; sorts @jobs. */
int print_jobs(struct client_job *jobs, size_t nr, bool json, struct failure *f);
int print_job_json(const struct client_job *job, struct failure *f);

/** job_state_text - what it is doing, or how it ended. */
const char *job_state_text(const struct client_job *job);

#define NAME_TEXT_MAX 256 /* with NUL */

/** name_text - of a VM, as a terminal may have it: who made the relationship chose it. Returns @buf. */
const char *name_text(const char *name, char buf[NAME_TEXT_MAX]);

/** time_text - local time of microseconds since 1970; "-" for 0. Returns @buf. */
const char *time_text(uint64_t us, char *buf, size_t size);

#endif
