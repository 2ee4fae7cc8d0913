/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * failbackd as a client sees it over D-Bus. On top of sd-bus.
 *
 * Failures carry the code and the sentence of failbackd. A daemon that does not run is
 * CODE_NOT_AVAILABLE.
 */
#ifndef FAILBACK_LIB_CLIENT_H
#define FAILBACK_LIB_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"
#include "lib/bus.h"

#define CLIENT_UNKNOWN UINT64_MAX /* in DirtyBytes and SecondsLeft */

struct client;

struct client_vm {
	char path[BUS_PATH_MAX];
	char id[64];
	char name[256];
	uint16_t mode;
	char mode_name[64];
	uint16_t state;
	char state_name[64];
	uint16_t health;
	char health_name[64];
	char peer[64];
	bool consistent;
	bool may_run; /* the VM, here, now */
	uint64_t term;
	char settings[4096]; /* JSON */
	uint16_t peer_mode; /* as it described itself last; 0: not yet */
	uint16_t peer_state;
	char peer_state_name[64];
	uint64_t peer_seen_us;
	uint64_t lag_us; /* CLIENT_UNKNOWN, as the next two */
	uint64_t seconds_to_catch_up;
	uint64_t dirty_bytes;
	uint64_t last_replication_us;
	char last_error[512];
	char split_brain[1024]; /* JSON; "": none (daemon/split_brain.h) */
};

#define CLIENT_RESULT_MAX (256 * 512) /* the longest is a plan, with less than 512 bytes for each of 256 disks */

struct client_job {
	char path[BUS_PATH_MAX];
	char id[64];
	char name[64];
	uint16_t type;
	uint16_t state;
	char status[128];
	uint16_t percent;
	uint16_t code;
	char text[512];
	uint64_t elapsed_us;
	uint64_t start_us;
	uint64_t bytes_total;
	uint64_t bytes_done;
	uint64_t bytes_sent;
	uint64_t bytes_per_second;
	uint64_t seconds_left;
	char result[CLIENT_RESULT_MAX]; /* JSON; "": none */
	char vm_path[BUS_PATH_MAX];
	char follow_up[BUS_PATH_MAX]; /* "/": none */
};

/** client_open - for the bus at @bus_address, "": the system bus; it is connected to when something is asked first. */
int client_open(const char *bus_address, struct client **ret, struct failure *f);
void client_close_at(struct client **client); /* *@client may be NULL */

/** client_set_deadline - what is not answered by then (base/clock.h) fails with CODE_TIMEOUT. */
void client_set_deadline(struct client *client, uint64_t deadline_ns);

/** client_find_vm - the object path of a VM, by name or UUID. */
int client_find_vm(struct client *client, const char *name, char ret[BUS_PATH_MAX],
		   struct failure *f);

int client_get_vm(struct client *client, const char *path, struct client_vm *ret,
		  struct failure *f);
int client_get_job(struct client *client, const char *path, struct client_job *ret,
		   struct failure *f);

/** client_list_vms, client_list_jobs - all objects of the kind; *@ret is malloc()ed. */
int client_list_vms(struct client *client, struct client_vm **ret, size_t *ret_nr,
		    struct failure *f);
int client_list_jobs(struct client *client, struct client_job **ret, size_t *ret_nr,
		     struct failure *f);

/*
 * These call a method of ReplicationService; @ret is the job's path. A refusal by failbackd is a
 * failure with its code and the sentence of its job.
 */

/** client_act - a method that takes nothing but the VM: "CommitFailover" and so on. */
int client_act(struct client *client, const char *method, const char *vm_path,
	       char ret[BUS_PATH_MAX], struct failure *f);

/** client_act_with - one that takes the VM and ReplicationSettingData: "PlanReverse" and so on. */
int client_act_with(struct client *client, const char *method, const char *vm_path,
		    const char *setting_data, char ret[BUS_PATH_MAX], struct failure *f);
int client_create(struct client *client, const char *json, const char *setting_data,
		  char ret[BUS_PATH_MAX], struct failure *f);
int client_test_connection(struct client *client, const char *vm_path, const char *host,
			   char ret[BUS_PATH_MAX], struct failure *f);
int client_failover(struct client *client, const char *vm_path, bool force,
		    char ret[BUS_PATH_MAX], struct failure *f);
int client_change_state(struct client *client, const char *vm_path, uint16_t state,
			char ret[BUS_PATH_MAX], struct failure *f);

/**
 * client_terminate_job - ask a running job to end; it has not ended yet on return.
 *
 * CODE_INVALID_STATE when it cannot be ended, now or any more.
 */
int client_terminate_job(struct client *client, const char *path, struct failure *f);

/** client_apply - @text, of @size bytes, tells what was done. */
int client_apply(struct client *client, const char *json, bool *ret_changed, char *text,
		 size_t size, struct failure *f);

/**
 * client_adopt - @name: of a VM, or its UUID; "": all that the stores there tell of. @text, of @size
 * bytes, tells how many there were; *@ret_report, malloc()ed JSON (daemon/adopt.h), is set also when
 * one was refused, which fails.
 */
int client_adopt(struct client *client, const char *name, char *text, size_t size,
		 char **ret_report, struct failure *f);

/** client_export - JSON, malloc()ed. */
int client_export(struct client *client, char **ret, struct failure *f);

/** client_statistics - of a VM, as a JSON object (daemon/statistics.h), malloc()ed. */
int client_statistics(struct client *client, const char *vm_path, char **ret, struct failure *f);

/** client_history - the newest @max jobs as a JSON array, malloc()ed. */
int client_history(struct client *client, uint32_t max, char **ret, struct failure *f);

bool client_job_has_ended(const struct client_job *job);

#endif
