#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The Debian packages: what is in them, what they need, that the module builds from them, and what
# is left when they are gone. In `make check-long` they are built twice and compared.
#
# e2e: timeout=1500 long=3000
. "$(dirname "$0")/../lib.sh"
requires root dpkg-buildpackage dh dh_dkms dkms unshare

# the make that runs this test must not hand its own targets and jobs on
unset MAKEFLAGS MAKEOVERRIDES MFLAGS MAKELEVEL
debs=$TMPDIR/debs
"$top/scripts/packaging/build-deb" "$debs" >"$TMPDIR/build.log" 2>&1 || bail "$(<"$TMPDIR/build.log")"
version=$(sed -n '1s/.*(\(.*\)).*/\1/p' "$top/debian/changelog")
arch=$(dpkg --print-architecture)
programs=$debs/failback_${version}_$arch.deb
module=$debs/failback-dkms_${version}_all.deb
check "the packages of this version are built" test -s "$programs" -a -s "$module"

# --- what is in them ---

contents() { dpkg-deb -c "$1" | awk '$1 ~ /^[-l]/ { print $6 }' | sed 's#^\./##' | sort; }

contents "$programs" >"$TMPDIR/contents"
check_equal "failback has programs, units, rules, policies, manual and completion, where they belong" "$(<"$TMPDIR/contents")" "$(sort <<-END
	etc/ufw/applications.d/failback
	lib/systemd/system/failback-activate.service
	lib/systemd/system/failback-metrics.socket
	lib/systemd/system/failback-metrics@.service
	lib/systemd/system/failbackd.service
	lib/udev/rules.d/56-failback.rules
	usr/bin/failback
	usr/lib/firewalld/services/failback.xml
	usr/libexec/failback/failback-libvirt
	usr/libexec/failback/failback-receive
	usr/libexec/failback/failback-reload-module
	usr/libexec/failback/failback-send
	usr/sbin/cbtctl
	usr/sbin/failbackd
	usr/share/bash-completion/completions/cbtctl
	usr/share/bash-completion/completions/failback
	usr/share/dbus-1/system.d/org.failback1.conf
	usr/share/doc/failback/changelog.gz
	usr/share/doc/failback/copyright
	usr/share/man/man1/failback.1.gz
	usr/share/man/man5/failback-files.5.gz
	usr/share/man/man5/failback-trackers.5.gz
	usr/share/man/man5/failbackd.conf.5.gz
	usr/share/man/man8/cbtctl.8.gz
	usr/share/man/man8/failback-activate.service.8.gz
	usr/share/man/man8/failback-libvirt.8.gz
	usr/share/man/man8/failback-metrics.socket.8.gz
	usr/share/man/man8/failback-metrics@.service.8.gz
	usr/share/man/man8/failback-receive.8.gz
	usr/share/man/man8/failback-reload-module.8.gz
	usr/share/man/man8/failback-send.8.gz
	usr/share/man/man8/failbackd.8.gz
	usr/share/man/man8/failbackd.service.8.gz
	END
)"
contents "$module" | sed -n "s#^usr/src/failback-$version/##p" >"$TMPDIR/source"
check_equal "failback-dkms has the module's source and dkms.conf" "$(<"$TMPDIR/source")" \
	"$( (cd "$top" && find kmod uapi Kconfig -type f && echo dkms.conf) | sort)"
check_equal "and its manual" "$(contents "$module" | grep -v '^usr/src/')" "$(sort <<-END
	usr/share/doc/failback-dkms/README.Debian
	usr/share/doc/failback-dkms/changelog.gz
	usr/share/doc/failback-dkms/copyright
	usr/share/man/man4/dm-cbt-image.4.gz
	usr/share/man/man4/dm-cbt.4.gz
	END
)"
dpkg-deb -x "$programs" "$TMPDIR/unpacked"
check_equal "the programs say the package's version" "$("$TMPDIR/unpacked/usr/bin/failback" --version)" "failback $version"
check_fails "no path of the build is in them" 1 '' \
	grep -rqaE "$debs|${top//./\\.}" "$TMPDIR/unpacked"

# --- what they need ---

# packages of the libraries that the programs are linked with
for library in $(objdump -p "$TMPDIR"/unpacked/usr/{bin,sbin,libexec/failback}/* 2>/dev/null | awk '$1 == "NEEDED" { print $2 }' | sort -u); do
	dpkg-query -S "*/$(gcc -print-multiarch)/$library" | cut -d: -f1
done | sort -u >"$TMPDIR/libraries"
depends=$(dpkg-deb -f "$programs" Depends | tr ',' '\n' | sed -E 's/^ *([^ :(]+).*/\1/' | sort -u)
check_equal "the package of every library is depended on" "$(comm -23 "$TMPDIR/libraries" <(echo "$depends"))" ""
check "there are some" test "$(wc -l <"$TMPDIR/libraries")" -gt 10
check_fails "libvirt is not, which is used where it is there" 1 '' grep -q libvirt <<<"$depends"
check_equal "it is suggested, and so is LVM" "$(dpkg-deb -f "$programs" Suggests)" "libvirt0, lvm2"
check "and dmsetup, which the scripts call" grep -qx dmsetup <<<"$depends"
check "failback-dkms brings dkms" grep -qw dkms <<<"$(dpkg-deb -f "$module" Depends)"

if command -v lintian >/dev/null; then
	check_equal "lintian finds no error" "$(lintian --fail-on none --tag-display-limit 0 "$programs" "$module" 2>&1 | grep '^E: ')" ""
else
	skip "lintian finds no error" "no lintian"
fi

# --- the module builds from them, by DKMS, for every kernel ---

dpkg-deb -x "$module" "$TMPDIR/unpacked"
mkdir "$TMPDIR/dkms"
dkms_do() { dkms --dkmstree "$TMPDIR/dkms" --sourcetree "$TMPDIR/unpacked/usr/src" "$@" >"$TMPDIR/dkms.log" 2>&1; }
dkms_do add -m failback -v "$version" || bail "$(<"$TMPDIR/dkms.log")"
while read -r short release _ _ headers; do
	case $headers in -) continue ;; esac
	claim="DKMS builds the module for Linux $short, and it says its version and source"
	if dkms_do build -m failback -v "$version" -k "$release" --kernelsourcedir "$headers" &&
		modinfo "$TMPDIR/dkms/failback/$version/$release/x86_64/module"/dm-cbt.ko* >"$TMPDIR/modinfo" &&
		grep -qE "^version: +$version\$" "$TMPDIR/modinfo" &&
		[ "$(modinfo -F srcversion "$TMPDIR/dkms/failback/$version/$release/x86_64/module"/dm-cbt.ko*)" = \
			"$(modinfo -F srcversion "$top/build/kmod-$short/dm-cbt.ko")" ]; then
		ok "$claim"
	else
		not_ok "$claim"
		diag "$(tail -n 20 "$TMPDIR/dkms.log" "$TMPDIR/modinfo")"
	fi
done < <("$top/scripts/kernels")

# --- installed, again, upgraded, removed and purged, in a root of its own ---

# Prints what each step left in the root that lies over this machine's, and what failed. The host's kernel
# has no headers here: DKMS says so and builds nothing.
cat >"$TMPDIR/steps" <<'STEPS'
set -euo pipefail
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount --bind /proc "$1/root/proc"
mkdir "$1/root/debs"
cp "$2"/failback_*.deb "$2"/failback-dkms_*.deb "$1/root/debs/"
in_root() { DEBIAN_FRONTEND=noninteractive chroot "$1/root" "${@:2}" </dev/null >"$1/log" 2>&1 || { echo "failed: ${*:2}"; cat "$1/log"; }; }
left() # without dpkg's own and caches
{
	(cd "$1/upper" && find . ! -type d ! -type c -printf '%P\n' | sort |
		grep -vE '^(var/(lib/(dpkg|apt)|cache|log)|tmp)/|^(debs|dev)/|^usr/share/man/.*index|^etc/(ld.so.cache|mailcap)' || true)
}
in_root "$1" dpkg -i --force-depends --recursive /debs
left "$1" >"$3/installed"
in_root "$1" dpkg -i --force-depends --recursive /debs
in_root "$1" dpkg-reconfigure failback failback-dkms
left "$1" >"$3/again"
chroot "$1/root" failback --version
chroot "$1/root" sh -c '[ -d /etc/failback ] && mkdir -p /var/lib/failback && : >/var/lib/failback/failback.db && failback host init >/dev/null && ls /etc/failback' | paste -sd' '
mkdir -p "$1/root/run/systemd/system"
printf '#!/bin/sh\necho "$@" >>/debs/invoked\n' >"$1/invoke"
cp --preserve=mode /bin/true "$1/root/usr/bin/deb-systemd-invoke"
cat "$1/invoke" >"$1/root/usr/bin/deb-systemd-invoke"
in_root "$1" dpkg -r failback failback-dkms
grep -h stop "$1/root/debs/invoked" >"$3/invoked"
rm -r "$1/root/usr/bin/deb-systemd-invoke" "$1/root/run/systemd/system"
left "$1" >"$3/removed"
in_root "$1" dpkg -P failback failback-dkms
left "$1" >"$3/purged"
STEPS
mkdir "$TMPDIR/over" "$TMPDIR/left"
steps=$(unshare -m bash "$TMPDIR/steps" "$TMPDIR/over" "$debs" "$TMPDIR/left" 2>&1) || true
check_equal "they install, install again and reconfigure, the programs run, and removal and purge succeed" "$steps" \
	"failback $version
host.key host.pem"
check_equal "installing again changes nothing" "$(<"$TMPDIR/left/again")" "$(<"$TMPDIR/left/installed")"
check "the service is enabled" grep -q '^etc/systemd/system/multi-user.target.wants/failbackd.service$' "$TMPDIR/left/installed"
check_equal "removed, keys, state and configuration are left" "$(grep -vE '^(etc|var/lib)/systemd/' "$TMPDIR/left/removed")" \
	"etc/failback/host.key
etc/failback/host.pem
etc/ufw/applications.d/failback
var/lib/failback/failback.db"
check_equal "the trackers end with it, behind the daemon" "$(grep -o 'stop .*' "$TMPDIR/left/invoked")" \
	"stop failbackd.service
stop failback-metrics.socket failback-activate.service"
check_equal "purged, only the state is" "$(<"$TMPDIR/left/purged")" "var/lib/failback/failback.db"

if [ -n "${CHECK_LONG:-}" ]; then
	"$top/scripts/packaging/build-deb" "$TMPDIR/again" >"$TMPDIR/build.log" 2>&1 || bail "$(<"$TMPDIR/build.log")"
	check_equal "built again, elsewhere and later, they are the same bytes" \
		"$(cd "$TMPDIR/again" && sha256sum ./*.deb)" "$(cd "$debs" && sha256sum ./*.deb)"
fi
