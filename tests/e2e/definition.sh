#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# failback-libvirt dump and define: a domain, its NVRAM and its TPM go from one libvirt to another; what another
# host may not say of this one, and what is no definition at all, changes nothing.
#
# e2e: timeout=120
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/e2e/libvirt.bash
. "$(dirname "$0")/libvirt.bash"
requires root jq

disk=/dev/mapper/vm1-disk0
for host in a b; do
	start_libvirt $host
	make_files $host
done

# dump, define, ready <definition>: on a, and on b
dump() { with_files a failback-libvirt dump "${libvirt_uri[a]}" $domain; }
define() { (umask 077 && with_files b failback-libvirt define "${libvirt_uri[b]}" $domain $disk <"$1"); }
ready() { with_files b failback-libvirt ready "${libvirt_uri[b]}" $domain $disk <"$1"; }
# change <name> <filter of jq> [<option>...]: another definition
change() { jq "${@:3}" "$2" "$TMPDIR/definition" >"$TMPDIR/$1"; }
# change_xml <name> <command of sed>
change_xml() { change "$1" '.xml = $xml' --arg xml "$(jq -r .xml "$TMPDIR/definition" | sed -E "$2")"; }
forget() { on_libvirt b undefine --nvram $domain >/dev/null 2>&1 || on_libvirt b undefine $domain >/dev/null; rm -rf "$TMPDIR/b.lib"; make_files b; }
# what b has
files() { (cd "$TMPDIR/b.lib/libvirt" && find . -type f -o -type l | sort); }

# --- out of one ---

check_fails "a domain that libvirt does not know is told as that" 21 "knows no domain $domain" dump
define_machine a
check "a domain that has not run yet has a definition" eval 'dump >"$TMPDIR/definition"'
check_equal "without NVRAM, and without the state of a TPM" "$(jq -c '[.version, .uuid, has("nvram"), .tpm]' "$TMPDIR/definition")" "[1,\"$domain\",false,[]]"
head -c 540672 /dev/urandom >"${nvram[a]}"
put_tpm a state
chmod 640 "${tpm[a]}"
echo "not for others" >"${tpm[a]%/*}/.lock"
ln -s /etc/passwd "${tpm[a]%/*}/link"
mkdir "${tpm[a]%/*}/directory"
dump >"$TMPDIR/definition"
check "its NVRAM goes along" cmp -s <(jq -r .nvram "$TMPDIR/definition" | base64 -d) "${nvram[a]}"
check_equal "and its TPM's files, with their modes: no locks, no links" "$(jq -c .tpm "$TMPDIR/definition")" \
	'[{"directory":"tpm2","name":"tpm2-00.permall","mode":416,"data":"c3RhdGUK"}]'
check "and its passwords" eval 'jq -r .xml "$TMPDIR/definition" | grep -q secret'
mv "${nvram[a]}" "$TMPDIR/nvram"
ln -s /etc/passwd "${nvram[a]}"
check_fails "NVRAM that is a link is not followed" 10 'Cannot read .*vm1_VARS.fd of the domain: it is a link' dump
rm "${nvram[a]}"
truncate -s 8388609 "${nvram[a]}"
check_fails "NVRAM that is too large is told" 12 'has 8388609 bytes, and at most 8388608' dump
mv "$TMPDIR/nvram" "${nvram[a]}"
touch "${tpm[a]%/*}"/file{1..16}
check_fails "a TPM of too many files is told" 12 'more than 16 files' dump
rm "${tpm[a]%/*}"/file*

# --- into another ---

check_fails "b does not know the domain" 21 "knows no domain" ready /dev/null
check "with the definition it could be started" ready "$TMPDIR/definition"
check_equal "which changes nothing" "$(files)$(on_libvirt b list --all --name | grep vm1)" ""
check_fails "nothing is defined from nothing" 15 'There is no definition' define /dev/null
check "it is defined there" define "$TMPDIR/definition"
check_equal "and is the same" "$(on_libvirt b dumpxml --inactive --security-info $domain)" "$(on_libvirt a dumpxml --inactive --security-info $domain)"
check "with its NVRAM" cmp -s "${nvram[a]}" "${nvram[b]}"
check_equal "and the state of its TPM" "$(cat "${tpm[b]}") $(stat -c %a "${tpm[b]}")" "state 640"
check_equal "and nothing else" "$(files | wc -l)" 2
check_equal "its directories are as libvirt makes them" "$(cd "$TMPDIR/b.lib/libvirt" && stat -c %a swtpm swtpm/$domain swtpm/$domain/tpm2 | xargs)" "711 711 700"
chown 1234:1235 "${nvram[b]}" "${tpm[b]}"
chmod 604 "${nvram[b]}"
on_libvirt b desc $domain --config "of this host" >/dev/null
change other '.nvram = "bmV3" | .tpm[0].data = "bmV3"'
check "what is there is replaced" define "$TMPDIR/other"
check_equal "NVRAM and TPM" "$(cat "${nvram[b]}" "${tpm[b]}")" "newnew"
check_equal "which keep their owners and modes" "$(stat -c '%u:%g %a' "${nvram[b]}" "${tpm[b]}" | xargs)" "1234:1235 604 1234:1235 640"
check_equal "the domain's own definition stays" "$(on_libvirt b desc $domain)" "of this host"
on_libvirt b start $domain >/dev/null
check "one that runs" define "$TMPDIR/definition"
check_equal "is left alone" "$(cat "${nvram[b]}" "${tpm[b]}")" "newnew"
on_libvirt b destroy $domain >/dev/null
forget
mkdir "$TMPDIR/b.lib/own"
machine_xml "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0xbeef'/></source></hostdev>" |
	sed 's,/var/lib/libvirt/qemu/nvram/vm1_VARS.fd,/var/lib/own/x,' >"$TMPDIR/own.xml"
on_libvirt b define "$TMPDIR/own.xml" >/dev/null
check "NVRAM goes where this host has it" define "$TMPDIR/definition"
check "whatever the definition says that came" cmp -s "${nvram[a]}" "$TMPDIR/b.lib/own/x"
forget

# --- what is not taken ---

# refuses <claim> <status> <regex> <definition>: it is not defined, nor would be, and nothing is written
refuses()
{
	check_fails "$1" "$2" "$3" define "$TMPDIR/$4"
	check_fails "... which is known before" "$2" "$3" ready "$TMPDIR/$4"
	check_equal "... and nothing is left of it" "$(files)$(on_libvirt b list --all --name | grep vm1)" ""
}
head -c 1000 "$TMPDIR/definition" >"$TMPDIR/cut"
refuses "a definition that was cut off is refused" 18 'is not a JSON object' cut
head -c 1000 /dev/urandom | sed 's/^{/x/' >"$TMPDIR/garbage"
refuses "so is one that is none" 18 'neither text nor packed text' garbage
{ echo "{"; head -c 17000000 /dev/zero | tr '\0' ' '; } >"$TMPDIR/long"
refuses "one that is too long" 15 'more than 16777216 bytes' long
change alien ".uuid = \"99999999-2222-4333-8444-555555555555\" | .xml |= gsub(\"$domain\"; \"99999999-2222-4333-8444-555555555555\")"
refuses "one of another domain" 15 "The definition that came for domain $domain is another one's" alien
change_xml mixed "s/$domain/99999999-2222-4333-8444-555555555555/"
refuses "one whose XML is another domain's" 15 "XML that came for domain $domain is another one's" mixed
change escape '.tpm[0].name = "../../../../../etc/x"'
refuses "a TPM's file that leads elsewhere" 15 '"tpm2/../../../../../etc/x" is no file' escape
change_xml device "s,$disk,/dev/mapper/vm2-disk0,"
refuses "another VM's disk" 12 'has "/dev/mapper/vm2-disk0" in <source>.*by hand' device
change_xml log "s,</devices>,<serial type='file'><source path='/etc/cron.d/x'/></serial></devices>,"
refuses "a file of the host" 12 'has type="file" in <serial>' log
change_xml emulator "s,<devices>,<devices><emulator>/usr/bin/qemu-of-the-primary</emulator>,"
refuses "an emulator that is not here" 12 'runs with /usr/bin/qemu-of-the-primary on the primary' emulator
domain_xml | sed "s/$domain/99999999-2222-4333-8444-555555555555/" >"$TMPDIR/named.xml"
on_libvirt b define "$TMPDIR/named.xml" >/dev/null
check_fails "a name that another domain has" 16 'has another domain of the name "vm1"' define "$TMPDIR/definition"
on_libvirt b undefine vm1 >/dev/null
echo precious >"$TMPDIR/precious"
ln -s "$TMPDIR/precious" "${nvram[b]}"
check_fails "a link in the place of its NVRAM is not followed" 10 'Cannot write .*: it is a link' define "$TMPDIR/definition"
rm "${nvram[b]}"
mkdir -p "$TMPDIR/b.lib/libvirt/swtpm/$domain" "$TMPDIR/elsewhere"
ln -s "$TMPDIR/elsewhere" "${tpm[b]%/*}"
check_fails "nor is one in the place of its TPM" 10 'Cannot write .*: it is a link' define "$TMPDIR/definition"
check_equal "where they lead to nothing changes" "$(cat "$TMPDIR/precious")$(ls "$TMPDIR/elsewhere")" precious
check_equal "and what was not put leaves no domain" "$(on_libvirt b list --all --name | grep vm1)" ""
check_fails "a definition without devices is none that is read" 15 'There is no definition' \
	with_files b failback-libvirt define "${libvirt_uri[b]}" $domain
for words in "dump" "dump ${libvirt_uri[a]} $domain $disk" "define ${libvirt_uri[a]} vm1 $disk"; do
	# shellcheck disable=SC2086 # words
	check_fails "a wrong command line is no answer: $words" 2 '^usage: failback-libvirt' failback-libvirt $words
done
