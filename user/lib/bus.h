/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What daemon and client share of D-Bus, on top of sd-bus: names, paths, opening, and who is
 * calling.
 */
#ifndef FAILBACK_LIB_BUS_H
#define FAILBACK_LIB_BUS_H

#include <stddef.h>

#include <systemd/sd-bus.h>

#include "base/failure.h"
#include "base/uuid.h"

#define BUS_NAME		   "org.failback1"
#define BUS_ROOT		   "/org/failback1"
#define BUS_SERVICE_PATH	   BUS_ROOT "/service"
#define BUS_VM_PREFIX		   BUS_ROOT "/computersystem"
#define BUS_JOB_PREFIX		   BUS_ROOT "/job"
#define BUS_SERVICE_INTERFACE	   "org.failback1.ReplicationService"
#define BUS_RELATIONSHIP_INTERFACE "org.failback1.ReplicationRelationship"
#define BUS_JOB_INTERFACE	   "org.failback1.ConcreteJob"

#define BUS_PATH_MAX 128 /* of the paths above with a UUID */

/** bus_open - connect to the bus at @address; "": the system bus, or DBUS_SYSTEM_BUS_ADDRESS. */
int bus_open(const char *address, sd_bus **ret, struct failure *f);

/** bus_path - @prefix "/" UUID with '_' for '-'; returns @buf. */
const char *bus_path(const char *prefix, const struct uuid *uuid, char buf[BUS_PATH_MAX]);

/** bus_path_uuid - the inverse. 0 or -EINVAL. */
int bus_path_uuid(const char *prefix, const char *path, struct uuid *ret);

/**
 * bus_paths_add - append a copy to a list that ends with NULL; -ENOMEM frees the list. For node
 * enumerators.
 */
int bus_paths_add(char ***paths, size_t *nr, const char *path);

/* Declares a property's getter in a vtable: appends to @reply, for the object @context. */
#define BUS_GETTER(getter)                                                                         \
	static int getter(sd_bus *bus __attribute__((__unused__)),                                 \
			  const char *path __attribute__((__unused__)),                            \
			  const char *interface __attribute__((__unused__)),                       \
			  const char *property __attribute__((__unused__)), sd_bus_message *reply, \
			  void *context, sd_bus_error *error __attribute__((__unused__)))

#define BUS_PROPERTY_CONST(name, type, getter) \
	SD_BUS_PROPERTY(name, type, getter, 0, SD_BUS_VTABLE_PROPERTY_CONST)
#define BUS_PROPERTY_CHANGING(name, type, getter) \
	SD_BUS_PROPERTY(name, type, getter, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

/**
 * bus_sender_is_allowed - 1: the sender is root or a member of @group ("": no group); 0: it is
 * not; or -errno.
 */
int bus_sender_is_allowed(sd_bus_message *message, const char *group);

#endif
