#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What `make install` puts where, and that it runs from there.
#
# e2e: timeout=300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"

root=$TMPDIR/root
# the make that runs this test must not hand its own targets and jobs on
unset MAKEFLAGS MAKEOVERRIDES MFLAGS MAKELEVEL
make -C "$top" --no-print-directory install "DESTDIR=$root" >"$TMPDIR/install.log" 2>&1 ||
	bail "$(<"$TMPDIR/install.log")"

installed=$(cd "$root" && find . -type f | sort | paste -sd' ')
check_equal "programs, workers, bus policy and unit are where they belong" "$installed" "./etc/dbus-1/system.d/org.failback1.conf\
 ./usr/local/bin/failback\
 ./usr/local/lib/systemd/system/failbackd.service\
 ./usr/local/libexec/failback/failback-receive ./usr/local/libexec/failback/failback-send\
 ./usr/local/sbin/cbtctl ./usr/local/sbin/failbackd"
check_equal "the unit starts the daemon that was installed" \
	"$(sed -n 's/^ExecStart=//p' "$root/usr/local/lib/systemd/system/failbackd.service")" /usr/local/sbin/failbackd
check "the daemon looks for its workers there" \
	grep -qaF /usr/local/libexec/failback "$root/usr/local/sbin/failbackd"

PATH=$root/usr/local/bin:$root/usr/local/sbin:$PATH
hash -r
versions=$(for program in failback failbackd cbtctl; do "$program" --version | cut -d' ' -f2; done | sort -u)
check_equal "all programs are of one version" "$(wc -l <<<"$versions")" 1

failbackd=$root/usr/local/sbin/failbackd
start_bus a
start_daemon a --libexec-dir "$root/usr/local/libexec/failback"
check "the daemon that was installed runs and answers" on a "$root/usr/local/bin/failback" status
