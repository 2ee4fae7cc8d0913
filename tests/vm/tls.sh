#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# TLS with the kernel's records, also against a host that makes its own: the kernel counts the
# connections, and the workers go on with io_uring.
#
# vm: disk=64M disk=64M timeout=240 quick=6.12
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../e2e/controller.bash"

ip link set lo up
modprobe tls
insmod_cbt
size=$(blockdev --getsize64 /dev/vda)
head -c "$size" /dev/urandom >/dev/vda
cat /dev/vda >/dev/vdb
dmsetup create vm1-disk0 --table "0 $((size / 512)) cbt /dev/vdb -"
cleanup_fn dmsetup remove --retry vm1-disk0
dmsetup mknodes

plain=""
for host in a b; do
	printf '[failbackd]\ntls-certificate = %s.pem\ntls-key = %s.key\n' "$TMPDIR/$host" "$TMPDIR/$host" \
		>"$TMPDIR/$host.conf"
	failback host init --config "$TMPDIR/$host.conf" --json | jq -r .fingerprint >"$TMPDIR/$host.fingerprint"
done
echo "127.0.0.3 $(<"$TMPDIR/b.fingerprint")" >"$TMPDIR/a.peers"
echo "127.0.0.2 $(<"$TMPDIR/a.fingerprint")" >"$TMPDIR/b.peers"

# What the workers report stands in $TMPDIR/reports, and reaches the daemons when they end: too late for a journal.
mkdir "$TMPDIR/bin"
for worker in send receive; do
	cat >"$TMPDIR/bin/failback-$worker" <<-SH
		#!/bin/bash
		rc=0
		"$top/build/bin/failback-$worker" "\${@:3}" --report 20 20>"$TMPDIR/report.$worker" || rc=\$?
		tee -a "$TMPDIR/reports" <"$TMPDIR/report.$worker" >&4
		exit \$rc
	SH
	chmod +x "$TMPDIR/bin/failback-$worker"
done

relationship 1 4 b "$(disk disk0 "$size" /dev/vda "")" >"$TMPDIR/a.json"
relationship 2 5 a "$(disk disk0 "$size" /dev/vdb vm1-disk0)" >"$TMPDIR/b.json"
start_bus a
start_bus b
start_daemon a --libexec-dir "$TMPDIR/bin" --receive-mode direct
start_daemon b --libexec-dir "$TMPDIR/bin" --receive-mode direct
on a failback apply "$TMPDIR/a.json" >/dev/null
on b failback apply "$TMPDIR/b.json" >/dev/null

# counted <name>: of /proc/net/tls_stat
counted() { awk -v name="$1" '$1 == name { print $2 }' /proc/net/tls_stat; }
# ends: of connections, for each direction, whose records the kernel made until now
ends() { echo $(($(counted TlsTxSw) + $(counted TlsRxSw))); }
overwrite()
{
	dd if=/dev/urandom of=/dev/mapper/vm1-disk0 bs=1M seek="$1" count="$2" oflag=direct status=none
}
same_disks()
{
	blockdev --flushbufs /dev/vda
	blockdev --flushbufs /dev/vdb
	cmp /dev/vda /dev/vdb
}

overwrite 1 20
before=$(ends)
check "a reverse goes over TLS" on b failback reverse vm1
check "the disks are identical" same_disks
# at least a conversation and a delta, each with two ends and two directions
check "the kernel made the records, at both ends of each connection" [ $(($(ends) - before)) -ge 8 ]
check_equal "none was wrong" "$(counted TlsDecryptError)" 0
check "the log says so" grep -q 'made with tls: kernel' "$TMPDIR/b.log"
check_equal "so does test-connection" "$(on b failback test-connection vm1 --json | jq -r .protection)" "tls: kernel"
check_equal "both workers went on with io_uring" \
	"$(jq -rs '[.[] | select(.event == "done") | .engine] | unique | join(",")' "$TMPDIR/reports")" io_uring

# --- over several connections, whose records the kernel makes too ---

stop_daemon b
start_daemon b --libexec-dir "$TMPDIR/bin" --receive-mode direct --connections 4
: >"$TMPDIR/reports"
overwrite 11 20
before=$(ends)
check "a delta goes over four of them" on b failback resume vm1
check "and arrives" same_disks
check "the kernel made the records of all of them" [ $(($(ends) - before)) -ge 16 ]
check_equal "none of those was wrong" "$(counted TlsDecryptError)" 0
check_equal "both workers went on with io_uring over them" \
	"$(jq -rs '[.[] | select(.event == "done") | .engine] | join(",")' "$TMPDIR/reports")" io_uring,io_uring

stop_daemon a
start_daemon a --libexec-dir "$TMPDIR/bin" --receive-mode direct --tls-kernel 0
overwrite 5 30
check "a host that makes its own records understands the kernel's" on b failback resume vm1
check "the disks are identical again" same_disks
check_equal "and the other way round" \
	"$(on a failback test-connection vm1 --json | jq -r .protection)$(on b failback test-connection vm1 --json | jq -r .protection)" \
	"tls: usertls: kernel"
stop_daemons
