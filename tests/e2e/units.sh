#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The systemd units are valid, and how much a service can do is bounded.
. "$(dirname "$0")/../lib.sh"
requires systemd-analyze

# the most that `systemd-analyze security` may say of each, in tenths
declare -A bound=([failbackd]=39 [failback-activate]=28 [failback-metrics@]=20)

mkdir "$TMPDIR/units"
for path in "$top"/user/systemd/*.service.in; do
	unit=$(basename "$path" .service.in)
	# programs that exist, and no manual: it may not be installed
	sed -E 's#@(bindir|sbindir|libexecdir)@/[a-z-]+#/bin/true#; /^Documentation=/d' "$path" >"$TMPDIR/units/$unit.service"
	check_equal "$unit.service is valid" "$(systemd-analyze verify "$TMPDIR/units/$unit.service" 2>&1 | grep -F "$unit.service")" ""
	check "its exposure is at most ${bound[$unit]} tenths" systemd-analyze security --offline=true \
		--threshold="${bound[$unit]}" "$TMPDIR/units/$unit.service"
	diag "$(systemd-analyze security --offline=true "$TMPDIR/units/$unit.service" 2>&1 | grep 'Overall exposure')"
done
check_equal "trackers are there before anyone starts VMs" \
	"$(sed -n 's/^Before=//p' "$top/user/systemd/failback-activate.service.in" | tr ' ' '\n' | grep -cE '^(libvirtd|virtqemud|libvirt-guests|pve-guests|failbackd)\.service$')" 5
check "the firewall's service has the port of the default" grep -q "port=\"$(failbackd --help | sed -nE 's/.*default 0.0.0.0:([0-9]+).*/\1/p')\"" \
	"$top/user/firewall/failback.xml"
check "and so has ufw's profile" grep -qx "ports=$(failbackd --help | sed -nE 's/.*default 0.0.0.0:([0-9]+).*/\1/p')/tcp" \
	"$top/user/firewall/failback.ufw"
