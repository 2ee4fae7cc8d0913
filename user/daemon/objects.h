/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's objects on D-Bus. Reading needs no privilege; what changes something is refused
 * with 32769 unless the caller is root or in the configured group. Before the daemon is on the
 * bus, announcements go nowhere.
 */
#ifndef FAILBACK_DAEMON_OBJECTS_H
#define FAILBACK_DAEMON_OBJECTS_H

#include <systemd/sd-bus.h>

#include "base/failure.h"

struct daemon;
struct job;
struct vm;

/** objects_export - everything below BUS_ROOT. */
int objects_export(struct daemon *d, struct failure *f);

int service_object_export(struct daemon *d);
int relationship_object_export(struct daemon *d);
int job_object_export(struct daemon *d);

void relationship_object_added(struct vm *vm);
void relationship_object_changed(struct vm *vm);
void relationship_object_removed(struct vm *vm);

void job_object_added(struct job *job);
void job_object_changed(struct job *job);
void job_object_removed(struct job *job);

/**
 * service_object_job_removed - signal JobRemoved(o Job, u Code, s Text): the job is no longer
 * among those that run. Its object stays for the setting job-retention.
 */
void service_object_job_removed(struct job *job);

#endif
