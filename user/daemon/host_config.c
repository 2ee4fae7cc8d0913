// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/host_config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <cbt-wire.h>

#include "base/macro.h"
#include "lib/rate.h"
#include "lib/tracker_table.h"

#define TEXT(member) .type = CONFIG_TEXT, .max = sizeof(((struct host_config *)0)->member), \
	.offset = offsetof(struct host_config, member)
#define UINT(member) .type = CONFIG_UINT, .offset = offsetof(struct host_config, member)

static const struct config_setting settings[] = {
	{ .name = "listen", TEXT(listen), .default_value = "0.0.0.0:7407",
	  .doc = "address and port where peers connect; connections to peers come from it too" },
	{ .name = "plain", TEXT(plain), .default_value = "",
	  .doc = "addresses of peers with which this host speaks without TLS, for loopback and links that are safe otherwise" },
	{ .name = "tls-certificate", TEXT(tls_certificate),
	  .default_value = "/etc/failback/host.pem",
	  .doc = "file with this host's certificate (`failback host init` makes one), and those that lead to its CA" },
	{ .name = "tls-key", TEXT(tls_key), .default_value = "/etc/failback/host.key",
	  .doc = "file with its private key" },
	{ .name = "tls-peers", TEXT(tls_peers), .default_value = "/etc/failback/peers",
	  .doc = "file of the peers that are allowed: lines ADDRESS sha256:KEY or ADDRESS name:HOST" },
	{ .name = "tls-ca", TEXT(tls_ca), .default_value = "",
	  .doc = "file with the CA that vouches for peers known by name" },
	{ .name = "tls-kernel", UINT(tls_kernel), .min = 0, .max = 1, .default_value = "1",
	  .doc = "1: the kernel makes the records of TLS where it can; 0: never" },
	{ .name = "group", TEXT(group), .default_value = "",
	  .doc = "members of this group may call what changes something, like root" },
	{ .name = "tracker-table", TEXT(tracker_table), .default_value = TRACKER_TABLE_FILE,
	  .doc = "table of this host's trackers, in which no line of a disk that gets a relationship may say `start` (failback-trackers(5))" },
	{ .name = "state-dir", TEXT(state_dir), .default_value = "/var/lib/failback",
	  .doc = "directory of the database" },
	{ .name = "receive-mode", TEXT(receive_mode), .default_value = "journal",
	  .doc = "journal: a delta is durable in a file before the disks are touched, and is written twice; direct: in place" },
	{ .name = "journal-dir", TEXT(journal_dir), .default_value = "",
	  .doc = "directory of the journals of deltas that are received; none: state-dir" },
	{ .name = "libexec-dir", TEXT(libexec_dir), .default_value = "",
	  .doc = "directory of the workers; none: beside failbackd, else where installed" },
	{ .name = "bus-address", TEXT(bus_address), .default_value = "",
	  .doc = "D-Bus address; none: the system bus" },
	{ .name = "max-connections", UINT(max_connections), .min = 1, .max = 1024,
	  .default_value = "32", .doc = "connections of peers at once; as many more of whoever has not proved yet who he is" },
	{ .name = "call-timeout", UINT(call_timeout), .min = 1, .max = 600, .default_value = "10",
	  .doc = "seconds in which a peer has to answer or to finish what it says" },
	{ .name = "resume-for", UINT(resume_for), .min = 0, .max = 86400, .default_value = "900",
	  .doc = "seconds for which a delta whose connection broke is kept frozen, to be gone on with where the replica has it" },
	{ .name = "guard-timeout", UINT(guard_timeout), .min = 0, .max = 86400,
	  .default_value = "300",
	  .doc = "seconds after a boot in which a peer has to confirm that it did not take over" },
	{ .name = "guard-policy", TEXT(guard_policy), .default_value = "hold",
	  .doc = "what follows when it does not: hold the VM (`failback start --force` releases it), or start" },
	{ .name = "vm-driver", TEXT(vm_driver), .default_value = VM_DRIVER_EXEC,
	  .doc = "who knows whether a VM runs, stops and starts it: exec: the commands below; libvirt: libvirt, whose domain has the VM's UUID" },
	{ .name = "libvirt-uri", TEXT(libvirt_uri), .default_value = "qemu:///system",
	  .doc = "with vm-driver = libvirt, where libvirt is" },
	{ .name = "vm-running", TEXT(vm_running), .default_value = "",
	  .doc = "command that says whether a VM runs, with %n for its name and %u for its UUID: exit status 0: it does, 1: it does not; none: who has its devices open" },
	{ .name = "vm-stop", TEXT(vm_stop), .default_value = "",
	  .doc = "command with which `prepare` shuts a VM down that vm-running says runs; none: it is refused" },
	{ .name = "vm-start", TEXT(vm_start), .default_value = "",
	  .doc = "command with which `failover` starts a VM; none: that is left to whoever fails it over" },
	{ .name = "vm-timeout", UINT(vm_timeout), .min = 1, .max = 3600, .default_value = "120",
	  .doc = "seconds that these may take" },
	{ .name = "ready-interval", UINT(ready_interval), .min = 0, .max = 2592000,
	  .default_value = "86400",
	  .doc = "seconds after which it is asked again of each VM whether it could fail over and come home (`failback ready`); a tenth of it when it could not; 0: never" },
	{ .name = "max-transfers", UINT(max_transfers), .min = 1, .max = 1024,
	  .default_value = "3", .doc = "deltas sent at once" },
	{ .name = "send-rate", UINT(send_rate), .min = RATE_MIN, .max = UINT64_C(1) << 40,
	  .default_value = "1099511627776",
	  .doc = "bytes a second that a delta may send at most; the default is more than any link carries" },
	{ .name = "connections", UINT(connections), .min = 1, .max = CBT_WIRE_CONNECTIONS_MAX,
	  .default_value = "1",
	  .doc = "connections over which a delta is sent, as far as the peer takes so many; more than one is for a long or lossy link that one does not fill" },
	{ .name = "replica-paths", TEXT(replica_paths), .default_value = "",
	  .doc = "paths, separated by spaces, under which peers may name disks for new replicas; none: they may not" },
	{ .name = "job-retention", UINT(job_retention), .min = 1, .max = 86400, .default_value = "300",
	  .doc = "seconds for which a job that has ended can still be looked at; its record stays in the history" },
	{ .name = "boot-id-file", TEXT(boot_id_file),
	  .default_value = "/proc/sys/kernel/random/boot_id",
	  .doc = "file whose text differs from boot to boot" },
	{ .name = "second-ms", UINT(second_ms), .min = 1, .max = 1000, .default_value = "1000",
	  .doc = "milliseconds to a second of intervals, guard-timeout and resume-for; for tests" },
};

const struct config_table host_config_table = {
	.section = "failbackd",
	.settings = settings,
	.nr = ARRAY_SIZE(settings),
};

static int check_no_command(const char *name, const char *command, struct failure *f)
{
	return command[0] ? failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
					"With vm-driver = libvirt, %s is not for use: leave out one of "
					"the two.",
					name) :
			    0;
}

int host_config_check(const struct host_config *config, struct failure *f)
{
	int rc;

	if (strcmp(config->vm_driver, VM_DRIVER_EXEC) == 0)
		return 0;
	if (strcmp(config->vm_driver, VM_DRIVER_LIBVIRT) != 0)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "Setting vm-driver must be exec or libvirt, not \"%.64s\".",
				   config->vm_driver);
	if (!config->libvirt_uri[0])
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "With vm-driver = libvirt, libvirt-uri must not be empty.");
	rc = check_no_command("vm-running", config->vm_running, f);
	if (!rc)
		rc = check_no_command("vm-stop", config->vm_stop, f);
	return rc ? rc : check_no_command("vm-start", config->vm_start, f);
}

int host_config_read(const char *path, struct host_config *ret, struct failure *f)
{
	int rc;

	config_init(&host_config_table, ret);
	rc = config_load(&host_config_table, ret, path ? path : HOST_CONFIG_FILE, f);
	return rc == -ENOENT && !path ? 0 : rc;
}

struct tls_files host_config_tls_files(const struct host_config *config)
{
	return (struct tls_files){
		.certificate = config->tls_certificate,
		.key = config->tls_key,
		.ca = config->tls_ca,
		.peers = config->tls_peers,
		.kernel = config->tls_kernel,
	};
}
