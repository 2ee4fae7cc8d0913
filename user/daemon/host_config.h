/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings of a host: /etc/failback/failbackd.conf and the command line of failbackd. */
#ifndef FAILBACK_DAEMON_HOST_CONFIG_H
#define FAILBACK_DAEMON_HOST_CONFIG_H

#include <limits.h>
#include <stdint.h>

#include "lib/address.h"
#include "lib/config.h"
#include "lib/tls.h"

#define HOST_CONFIG_FILE "/etc/failback/failbackd.conf"
#define PEER_PORT	 7407

#define VM_DRIVER_EXEC	  "exec"
#define VM_DRIVER_LIBVIRT "libvirt"

struct host_config {
	char listen[ADDRESS_TEXT_MAX];
	char plain[1024];
	char tls_certificate[PATH_MAX / 4];
	char tls_key[PATH_MAX / 4];
	char tls_ca[PATH_MAX / 4];
	char tls_peers[PATH_MAX / 4];
	uint64_t tls_kernel;
	char group[64];
	char tracker_table[PATH_MAX / 4];
	char state_dir[PATH_MAX / 2]; /* leaves room for a file name in a path */
	char receive_mode[16];
	char journal_dir[PATH_MAX / 2];
	char libexec_dir[PATH_MAX / 2];
	char bus_address[512];
	uint64_t max_connections;
	uint64_t call_timeout; /* seconds */
	uint64_t resume_for; /* seconds */
	char vm_driver[16];
	char libvirt_uri[512];
	char vm_running[512];
	char vm_stop[512];
	char vm_start[512];
	uint64_t vm_timeout; /* seconds */
	uint64_t guard_timeout; /* seconds */
	char guard_policy[16];
	uint64_t ready_interval; /* seconds; 0: never */
	uint64_t max_transfers;
	uint64_t send_rate; /* bytes per second */
	uint64_t connections; /* of one delta */
	char replica_paths[1024];
	char boot_id_file[PATH_MAX / 2];
	uint64_t job_retention; /* seconds */
	uint64_t second_ms;
};

extern const struct config_table host_config_table;

/**
 * host_config_read - the settings of a host as a tool needs them.
 * @path: NULL: HOST_CONFIG_FILE, which may be missing: the defaults then
 */
int host_config_read(const char *path, struct host_config *ret, struct failure *f);

/** host_config_check - PURE: do the settings go together? CODE_INVALID_PARAMETER names those that do not. */
int host_config_check(const struct host_config *config, struct failure *f);

/** host_config_tls_files - of its identity and its peers; they belong to @config. */
struct tls_files host_config_tls_files(const struct host_config *config);

#endif
