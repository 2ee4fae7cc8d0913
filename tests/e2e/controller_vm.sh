#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The commands that say whether a VM runs, stop it before its last delta and start it after its failover.
#
# e2e: timeout=120
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

size=$MiB
daemon_options=(--call-timeout 5 --vm-timeout 60)
two_hosts

# vmctl <host> <what>...: "the VM runs" is a file; leaves what it was called with, and what it had open
cat >"$TMPDIR/vmctl" <<SH
#!/bin/bash
dir=$TMPDIR/\$1.vm
printf '%s\n' "\$@" >\$dir/args
for fd in /proc/\$\$/fd/*; do readlink \$fd >/dev/null && echo \${fd##*/}; done >\$dir/fds
readlink /proc/\$\$/fd/0 >\$dir/input
if [ -e \$dir/bad.\$2 ]; then exit 7; fi
if [ -e \$dir/hangs.\$2 ]; then sleep 60 & wait; fi
case \$2 in
running) [ -e \$dir/runs ] ;;
stop) [ -e \$dir/deaf ] || rm \$dir/runs ;;
start) [ -e $TMPDIR/\$1.kernel/vm1-disk0 ] && touch \$dir/runs ;;
esac
SH
chmod +x "$TMPDIR/vmctl"
mkdir "$TMPDIR/a.vm" "$TMPDIR/b.vm"

# control <host> <what>...: options for failbackd
control()
{
	local host=$1 what
	shift
	for what in "$@"; do
		printf '%s\n' "--vm-$what" "$TMPDIR/vmctl $host $what %n %u \$(touch${IFS:0:1}$TMPDIR/shell)"
	done
}
# up_with <host> <what>...
up_with()
{
	local options
	mapfile -t options < <(control "$@")
	up "$1" "${options[@]}"
}

up_with a running
up_with b start
relate
check "a delta gives both a base" on a failback resume vm1
touch "$TMPDIR/a.vm/runs"
check_fails "a VM that runs keeps a failover from being prepared" 16 'runs here.*vm-stop' on a failback prepare vm1
check_equal "and nothing has changed" "$(role a)" "1 3"
check_equal "the command gets its words, the VM's name and its UUID" "$(head -n 4 "$TMPDIR/a.vm/args" | tr '\n' ' ')" "a running vm1 $vm "
check "no shell looks at them" grep -qF '$(touch' "$TMPDIR/a.vm/args"
check_fails "nor does what stands there" any '' test -e "$TMPDIR/shell"
# bash itself has 10 and 255
check_equal "it has nothing open but its input, output and error" "$(grep -cvE '^(0|1|2|10|255)$' "$TMPDIR/a.vm/fds")" 0
check_equal "and nothing to read" "$(cat "$TMPDIR/a.vm/input")" /dev/null
touch "$TMPDIR/a.vm/bad.running"
check_fails "who does not know whether it runs keeps it, too" 10 'ended with status 7' on a failback prepare vm1
rm "$TMPDIR/a.vm/bad.running"
mv "$TMPDIR/vmctl" "$TMPDIR/vmctl.away"
check_fails "so does a command that is missing" 21 'Cannot run .*/vmctl: No such file' on a failback prepare vm1
check_equal "and the VM is replicated as before" "$(role a)" "1 3"
mv "$TMPDIR/vmctl.away" "$TMPDIR/vmctl"

# again_with_timeout <seconds>
again_with_timeout()
{
	stop_daemon a
	daemon_options=(--call-timeout 5 --vm-timeout "$1")
	up_with a running stop
}

again_with_timeout 5
touch "$TMPDIR/a.vm/hangs.stop"
check_fails "a command that takes too long is ended" 14 'did not end within 5 s' on a failback prepare vm1
nobody_sleeps()
{
	! pgrep -f "vmctl a stop vm1" >/dev/null
}
check "with all that it started" wait_for 5 nobody_sleeps
rm "$TMPDIR/a.vm/hangs.stop"
touch "$TMPDIR/a.vm/deaf"
check_fails "a VM that does not stop is not waited for longer" 14 'still runs after 5 s' on a failback prepare vm1
rm "$TMPDIR/a.vm/deaf"
check_equal "and nothing has changed" "$(role a)" "1 3"
again_with_timeout 60
check "a VM is stopped when its failover is prepared" on a failback prepare vm1
check_fails "it runs no more" any '' test -e "$TMPDIR/a.vm/runs"
check_equal "and its host is prepared" "$(role a)" "1 4"

check "the failover starts it, with its device there" on b failback failover vm1
check "it runs" test -e "$TMPDIR/b.vm/runs"
check_equal "in its place" "$(role b)" "2 5"
touch "$TMPDIR/b.kernel/deaf"
check_fails "where device-mapper does not answer, a device is not taken for out of sight" 19 'does not answer' on b failback revert vm1
check_equal "and the VM may run there still" "$(role b), $(vm_property b MayRun)" "2 5, true"
rm "$TMPDIR/b.kernel/deaf"
check "it is given back" on b failback revert vm1
touch "$TMPDIR/a.kernel/deaf"
check_fails "a primary that answers is not dead, whatever it says" 19 'refuses: .*does not answer' on b failback failover --force vm1
check_equal "and nothing comes of it" "$(role a), $(role b)" "1 4, 2 3"
rm "$TMPDIR/a.kernel/deaf"
touch "$TMPDIR/b.vm/bad.start"
check_fails "that it cannot be started is told" 10 'failed over and may run here, but it was not started: .*status 7' on b failback failover vm1
check_equal "and that it is failed over all the same" "$(role b)" "2 5"

# --- by force, while the peer is silent ---

rm "$TMPDIR/b.vm/bad.start"
check "it is given back once more" on b failback revert vm1
down
mapfile -t options < <(control b start)
up b "${options[@]}" --vm-timeout 5
touch "$TMPDIR/b.vm/hangs.start"
starting() { on b failback jobs | grep -q 'starting the VM'; }
on b failback failover --force vm1 >"$TMPDIR/forced" 2>&1 &
forced=$!
check "a failover by force starts the VM" wait_for 20 starting
check_fails "... and is not to be ended any more" 17 'cannot be terminated at this step' on b failback terminate vm1
status=0
wait $forced || status=$?
check_equal "... but ends as what it is" "$(grep -c 'is failed over and may run here, but it was not started' "$TMPDIR/forced") $(role b)" "1 2 5"
