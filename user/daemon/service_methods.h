/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handlers for the vtable in service_object.c; what each takes and gives stands there. */
#ifndef FAILBACK_DAEMON_SERVICE_METHODS_H
#define FAILBACK_DAEMON_SERVICE_METHODS_H

#include <systemd/sd-bus.h>

int method_reverse_relationship(sd_bus_message *message, void *context, sd_bus_error *error);
int method_initiate_failover(sd_bus_message *message, void *context, sd_bus_error *error);
int method_create_relationship(sd_bus_message *message, void *context, sd_bus_error *error);
int method_modify_settings(sd_bus_message *message, void *context, sd_bus_error *error);
int method_request_state_change(sd_bus_message *message, void *context, sd_bus_error *error);
int method_test_connection(sd_bus_message *message, void *context, sd_bus_error *error);
int method_apply(sd_bus_message *message, void *context, sd_bus_error *error);
int method_adopt(sd_bus_message *message, void *context, sd_bus_error *error);

/* What takes nothing but a VM: found by the name of the method. */
int method_simple(sd_bus_message *message, void *context, sd_bus_error *error);

#endif
