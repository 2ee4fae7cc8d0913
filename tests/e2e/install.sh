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

(cd "$root" && find . ! -type d -printf '%P\n' | sort) >"$TMPDIR/installed"
sources=$(cd "$top" && find kmod uapi Kconfig -type f | sort)
version=$(sed -n '1s/.*(\(.*\)).*/\1/p' "$top/debian/changelog")
check_equal "programs, manual, units, rules and policies are where they belong" \
	"$(grep -vE '^usr/(src|local/share/man)/' "$TMPDIR/installed" | paste -sd' ')" "etc/dbus-1/system.d/org.failback1.conf\
 etc/firewalld/services/failback.xml etc/udev/rules.d/56-failback.rules etc/ufw/applications.d/failback\
 usr/local/bin/failback\
 usr/local/lib/systemd/system/failback-activate.service usr/local/lib/systemd/system/failback-metrics.socket\
 usr/local/lib/systemd/system/failback-metrics@.service usr/local/lib/systemd/system/failbackd.service\
 usr/local/libexec/failback/failback-libvirt usr/local/libexec/failback/failback-receive usr/local/libexec/failback/failback-reload-module\
 usr/local/libexec/failback/failback-send\
 usr/local/sbin/cbtctl usr/local/sbin/failbackd\
 usr/local/share/bash-completion/completions/cbtctl usr/local/share/bash-completion/completions/failback"
check_equal "so is the module's source, for DKMS" "$(sed -n "s#^usr/src/failback-$version/##p" "$TMPDIR/installed")" \
	"$({ echo dkms.conf; echo "$sources"; } | sort)"
check_equal "and every page by its section" "$(sed -n 's#^usr/local/share/man/man\(.\)/.*\.\1$#page#p' "$TMPDIR/installed" | wc -l)" \
	"$(grep -c '^usr/local/share/man/' "$TMPDIR/installed")"
check_equal "with a second name for those that describe two things" "$(readlink "$root/usr/local/share/man/man8/failback-receive.8")" failback-send.8
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

stop_daemons
mkdir -p "$root/etc/failback" "$root/var/lib/failback"
touch "$root/etc/failback/host.key" "$root/var/lib/failback/failback.db"
make -C "$top" --no-print-directory uninstall "DESTDIR=$root" >"$TMPDIR/uninstall.log" 2>&1 ||
	bail "$(<"$TMPDIR/uninstall.log")"
check_equal "uninstall leaves what others made" "$(cd "$root" && find . ! -type d -printf '%P\n' | sort | paste -sd' ')" \
	"etc/failback/host.key var/lib/failback/failback.db"
check_equal "and no directory of its own" "$(cd "$root" && find usr -path '*failback*')" ""
