#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# failback-libvirt: a domain in each of its states, a domain that is not there, and libvirts that are not.
#
# e2e: timeout=120
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/e2e/libvirt.bash
. "$(dirname "$0")/libvirt.bash"
requires root setpriv chroot ldd gcc

# check_status <claim> <status> <verb> <URI> [<UUID>]: it ends with it, and says nothing.
check_status()
{
	local claim=$1 status=$2 verb=$3 uri=$4 out rc=0

	out=$(failback-libvirt "$verb" "$uri" "${5:-$domain}" 2>&1) || rc=$?
	check_equal "$claim" "$rc $out" "$status "
}
# check_says <claim> <status> <regex> <verb> <URI> [<UUID>]: ... and says one sentence.
check_says()
{
	local claim=$1 status=$2 regex=$3 verb=$4 uri=$5

	check_fails "$claim" "$status" "^$regex\$" failback-libvirt "$verb" "$uri" "${6:-$domain}"
}

# --- every state that libvirt has ---

node=$TMPDIR/node.xml
uri=test://$node
state() { node_with "$node" "<test:runstate>$1</test:runstate>"; }
for state in "0 without a state" "1 running" "2 blocked" "4 shutting down"; do
	state "${state%% *}"
	check_status "a domain that is ${state#* } runs" 0 running "$uri"
	check_status "and is shut down" 0 stop "$uri"
done
state 1
check_status "one that runs can be stopped" 0 ready "$uri"
for state in "3 is paused" "6 has crashed" "7 is suspended"; do
	state "${state%% *}"
	check_status "a domain that ${state#* } runs, for it may write" 0 running "$uri"
	check_says "but its guest would not hear that it is to shut down" 17 "Domain $domain ${state#* }, .*\`virsh destroy\`.*" stop "$uri"
	check_says "and it cannot be started" 17 "Domain $domain ${state#* }, .*" start "$uri"
	check_says "which is known before" 17 "Domain $domain ${state#* }, .*" ready "$uri"
done
state 5
check_status "a domain that is shut off does not run" 1 running "$uri"
check_status "it is stopped" 0 stop "$uri"
check_status "it could be started" 0 ready "$uri"
check_status "it can be started" 0 start "$uri"
state 1
check_status "one that runs is started" 0 start "$uri"
state 4
check_says "one that shuts down is not, yet" 17 ".*just shutting down.*" start "$uri"
node_with "$node" "<test:runstate>5</test:runstate><test:hasmanagedsave>1</test:hasmanagedsave>"
check_says "one whose memory is saved is not said not to run" 17 "Domain $domain is saved, not shut down.*managedsave-remove.*" running "$uri"
check_says "and is not started with that memory" 17 "Domain $domain is saved, not shut down.*" start "$uri"
check_says "which is known before" 17 "Domain $domain is saved, not shut down.*" ready "$uri"

other=99999999-2222-4333-8444-555555555555
check_status "a domain that libvirt does not know does not run there" 1 running "$uri" $other
check_status "it is stopped" 0 stop "$uri" $other
check_says "it cannot be started, and what is missing is said" 21 "Libvirt at \"$uri\" knows no domain $other.*virsh define.*" start "$uri" $other
check_says "before, too" 21 "Libvirt at \"$uri\" knows no domain $other.*virsh define.*" ready "$uri" $other
check_status "a UUID may be in capitals" 1 running "$uri" ${other//9/A}

# --- a daemon, which remembers ---

start_libvirt a
uri=${libvirt_uri[a]}
define_domain a
check_status "a domain that was defined does not run" 1 running "$uri"
check_status "it could be started" 0 ready "$uri"
check_equal "which does not start it" "$(domain_state a)" "shut off"
check_status "it is started" 0 start "$uri"
check_equal "and libvirt says so" "$(domain_state a)" running
check_status "it runs" 0 running "$uri"
on_libvirt a suspend $domain >/dev/null
check_status "it runs when it was paused, too" 0 running "$uri"
on_libvirt a resume $domain >/dev/null
check_status "it is shut down" 0 stop "$uri"
check_equal "and libvirt says that too" "$(domain_state a)" "shut off"
check_status "it does not run" 1 running "$uri"
domain_xml | sed "s/$domain/$other/; s/vm1/fleeting/" >"$TMPDIR/fleeting.xml"
on_libvirt a create "$TMPDIR/fleeting.xml" >/dev/null
check_status "a domain that nothing defines runs" 0 running "$uri" $other
check_status "it is shut down" 0 stop "$uri" $other
check_status "and is gone, and does not run" 1 running "$uri" $other

# --- libvirts that are not there ---

chmod 755 "$TMPDIR" "$TMPDIR/a.libvirt"
check_fails "a daemon that lets nobody but root in is told" 11 '^Libvirt at .* does not let this process in: .*Permission denied\.$' \
	setpriv --reuid 65534 --regid 65534 --clear-groups "$top/build/bin/failback-libvirt" running "$uri" $domain
stop_libvirt a
for verb in running stop start; do
	check_says "a daemon that is not there is told, by $verb" 19 "Libvirt does not answer at \"test.*: start its daemon .*libvirt-uri.*" $verb "$uri"
done
check_says "a URI that is none is told" 15 'Libvirt cannot use the URI "nonsense": mend libvirt-uri .*' running nonsense
check_fails "so is the one of a file that is missing" 15 'Libvirt cannot use the URI' failback-libvirt running "test://$TMPDIR/none" $domain

mkdir "$TMPDIR/bare" "$TMPDIR/old"
cp "$top/build/bin/failback-libvirt" "$TMPDIR/bare"
ldd "$top/build/bin/failback-libvirt" | grep -oE '/[^ ]+' | xargs -I{} cp --parents -L {} "$TMPDIR/bare"
for verb in running stop start; do
	check_fails "where there is no libvirt that is told, by $verb" 12 \
		'^Libvirt cannot be loaded \(libvirt.so.0: .*No such file.*\): install it .*vm-driver = exec.*' \
		chroot "$TMPDIR/bare" /failback-libvirt $verb "$uri" $domain
done
gcc -shared -o "$TMPDIR/old/libvirt.so.0" -x c /dev/null
check_fails "so is a libvirt that is too old" 12 '^The libvirt of this host has no vir.*: install a newer one' \
	env LD_LIBRARY_PATH="$TMPDIR/old" failback-libvirt running "$uri" $domain

# --- the command line ---

for words in "" "running" "running $uri" "runs $uri $domain" "running $uri vm1" "running $uri $domain x"; do
	# shellcheck disable=SC2086 # words
	check_fails "a wrong command line is no answer: ${words:-nothing}" 2 '^usage: failback-libvirt' failback-libvirt $words
done
check_fails "so is one without a URI" 2 '^usage: failback-libvirt' failback-libvirt running "" $domain
