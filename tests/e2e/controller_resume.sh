#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A delta whose connection breaks, or one of whose workers dies, is gone on with where the replica has it;
# what needs a replica that applies its journal waits for it.
#
# e2e: timeout=240
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

daemon_options=(--call-timeout 5 --second-ms 50)
export FAILBACK_NO_IO_URING=1
two_hosts cuts
up a
up b
relate
echo '{"ReplicationInterval": 900}' >"$TMPDIR/interval.json"
on a failback settings --settings "$TMPDIR/interval.json" vm1 >/dev/null
check "a delta gives both a base" on a failback resume vm1

# --- a disk that is slow at the freeze ---

touch "$TMPDIR"/a.kernel/vm1-disk0/slow{1,2}
check "a disk that is slow for a moment does not end a delta" on a failback resume vm1
touch "$TMPDIR"/a.kernel/vm1-disk0/slow{1,2,3}
check_fails "one that stays slow does, and the next delta covers it" 14 'did not end in time.*failback resume vm1' \
	on a failback resume vm1
check "... which is sent then" on a failback resume vm1

# write_delta: 12 MiB, and what the disk holds then into frozen.expected
write_delta()
{
	write_on a vm1-disk0 0 3072
	cp "$TMPDIR/a.disk0" "$TMPDIR/frozen.expected"
}

# last_receive <member>: of b's last job of receiving
last_receive()
{
	on b failback jobs --json | jq -s "map(select(.type == 106)) | max_by(.start_us) | .$1"
}

nr_sends()
{
	on a failback jobs --json | jq -s 'map(select(.type == 105)) | length'
}

# ends_with <claim> <pid> <status>
ends_with()
{
	local rc=0
	wait "$2" || rc=$?
	check_equal "$1" $rc "$3"
	[ $rc = "$3" ] || diag <"$TMPDIR/out"
}

was_cut()
{
	[ ! -e "$TMPDIR/$1.cut" ]
}

# check_resumed <what dies> <host> <cut>: then the delta arrives as it was frozen, in the same job.
check_resumed()
{
	local what=$1 host=$2 pid before

	write_delta
	before=$(nr_sends)
	echo "$3" >"$TMPDIR/$host.cut"
	on a timeout 60 failback resume vm1 >"$TMPDIR/out" 2>&1 &
	pid=$!
	check "$what dies in the middle of a delta" wait_for 20 was_cut "$host"
	[[ $3 = *alone* ]] || { stop_daemon "$host"; up "$host"; }
	write_on a vm1-disk0 7 1 # it is not in the image any more
	ends_with "the delta goes on" $pid 0
	check_equal "in the same job" "$(nr_sends)" $((before + 1))
	check "and arrives as it was frozen" wait_for 60 cmp "$b0" "$TMPDIR/frozen.expected"
	[ "$host" = b ] || return 0 # who was ahead of it may have sent all
	check "what the journal had was not sent again" test "$(last_receive bytes_sent)" -le $((11 * MiB))
	check_equal "since the replica went on with it" "$(last_receive 'result | fromjson.resumed')" true
}
# slowly, so that the journal has a part of it, and not all
stop_daemon a
up a --send-rate $((4 * MiB))
check_resumed "the sending worker" a "1 failback-send alone nl_release"
check_resumed "the receiving worker" b "4 failback-receive alone journal_file_commit"
check_resumed "the replica's daemon, with its worker," b "4 failback-receive both journal_file_commit"

# --- the replica's daemon is stopped, as by an upgrade or a reboot ---

has_a_part() { on b failback jobs --json | jq -se "any(.[]; .type == 106 and .state == 4 and .bytes_done > $((3 * MiB)))" >/dev/null; }
write_delta
before=$(nr_sends)
on a timeout 60 failback resume vm1 >"$TMPDIR/out" 2>&1 &
pid=$!
check "the replica has a part of a delta" wait_for 20 has_a_part
stop_daemon b
up b
ends_with "... which goes on when its daemon was stopped and started" $pid 0
check_equal "... in the same job" "$(nr_sends)" $((before + 1))
check "... and arrives" wait_for 60 cmp "$b0" "$TMPDIR/frozen.expected"
check "... without what the journal had" test "$(last_receive bytes_sent)" -le $((11 * MiB))

stop_daemon a
up a

# --- an acknowledgement that is lost ---

# replace <program>: by the script on the standard input, in which $good is the program
replace()
{
	mv "$TMPDIR/bin/$1" "$TMPDIR/bin/$1.good"
	{
		printf '#!/bin/bash\ngood=%q hold=%q\n' "$TMPDIR/bin/$1.good" "$TMPDIR/hold"
		cat
	} >"$TMPDIR/bin/$1"
	chmod +x "$TMPDIR/bin/$1"
}
put_back()
{
	mv "$TMPDIR/bin/$1.good" "$TMPDIR/bin/$1"
}

write_delta
before=$(on b failback jobs --json | jq -s 'map(select(.type == 106)) | length')
replace failback-send <<'SH'
"$good" "$@"
kill -KILL $$
SH
check "a delta whose acknowledgement is lost succeeds" on a failback resume vm1
put_back failback-send
check_equal "without being sent again" "$(on b failback jobs --json | jq -s 'map(select(.type == 106)) | length')" $((before + 1))
check_equal "and it is the base" "$(vm_property a Base)" "$(vm_property b Base)"

# --- a command that comes while a delta runs ---

write_delta
touch "$TMPDIR/hold"
replace failback-send <<'SH'
while [ -e "$hold" ]; do sleep 0.1; done
exec "$good" "$@"
SH
check "a delta begins" on a failback resume vm1 --no-wait
check_fails "who does not wait is refused another" 16 'has a job already' on a failback resume vm1 --no-wait
before=$(nr_sends)
on a timeout 60 failback resume vm1 >"$TMPDIR/out" 2>&1 &
pid=$!
check "who waits is told so" wait_for 20 grep -q 'sends a delta, which is waited for' "$TMPDIR/out"
write_on a vm1-disk0 9 1
rm "$TMPDIR/hold"
ends_with "and gets another when it has ended" $pid 0
check_equal "which is a job of its own" "$(nr_sends)" $((before + 1))
check "and has what was written meanwhile" cmp "$a0" "$b0"
put_back failback-send

# --- it does not go on for ever ---

write_delta
replace failback-send <<'SH'
kill -KILL $$
SH
check_fails "a worker that gains nothing is given up" any 'Nothing is lost: the next delta covers it' on a failback resume vm1
put_back failback-send
check_fails "then the epoch is not frozen any more" any '' test -e "$TMPDIR/a.kernel/vm1-disk0/frozen"
check "and the next delta covers it" on a failback resume vm1
check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"

# begin_broken: a delta that waits for b, which is dead; sets $pid
begin_broken()
{
	write_delta
	echo "4 failback-receive both journal_file_commit" >"$TMPDIR/b.cut"
	on a timeout 60 failback resume vm1 >"$TMPDIR/out" 2>&1 &
	pid=$!
	wait_for 20 was_cut b || bail "it was not cut"
	stop_daemon b
}
pauses()
{
	on a failback status | grep -q 'gone on with as soon as it can be'
}
begin_broken
check "status says that a delta waits" wait_for 60 pauses
check "and it can be terminated" on a failback terminate vm1
ends_with "which ends it" $pid 10
check_fails "and its epoch" any '' test -e "$TMPDIR/a.kernel/vm1-disk0/frozen"
up b
check "another delta than the one in the journal takes its place" on a failback resume vm1
check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
check_equal "and no journal is left" "$(find "$TMPDIR/b.state" -name '*.journal' | wc -l)" 0

stop_daemon a
up a --resume-for 2
begin_broken
ends_with "after resume-for it is given up" $pid 19
check_fails "and the VM's blocks need no copy any more" any '' test -e "$TMPDIR/a.kernel/vm1-disk0/frozen"
up b

# a sender that starts anew has aborted its epoch
stop_daemon a
up a
begin_broken
stop_daemon a KILL
wait $pid || true
up b
up a
check "after the sender's crash the next delta covers it" on a failback resume vm1
check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"

# --- a replica that applies its journal ---

replace failback-receive <<'SH'
"$good" "$@" || exit
while [ -e "$hold" ]; do sleep 0.05; done
SH
: >"$TMPDIR/hold"
write_delta
check "a delta is acknowledged as soon as it is durable" on a failback resume vm1
status_of()
{
	on "$1" failback jobs --json | jq -r 'select(.state == 4) | .status'
}
says()
{
	status_of "$1" | grep -qx "$2"
}
check "while the replica still applies it" wait_for 5 says b 'applying the journal'
on a timeout 60 failback resume vm1 >"$TMPDIR/out" 2>&1 &
pid=$!
check "the next one waits for that" wait_for 5 says a 'waiting until the replica has applied its journal'
rm "$TMPDIR/hold"
ends_with "and goes then" $pid 0
idle()
{
	[ -z "$(status_of b)" ]
}
check "until it is on the disks" wait_for 60 idle

: >"$TMPDIR/hold"
write_delta
check "one more" on a failback resume vm1
wait_for 5 says b 'applying the journal' || true
stop_daemon a KILL
on b timeout 60 failback failover --force vm1 >"$TMPDIR/out" 2>&1 &
pid=$!
check "so does a failover" wait_for 5 says b 'waiting until the journal is applied'
check_fails "and a second one is refused" 16 'has a job' on b failback failover --force vm1
check_equal "nothing has changed meanwhile" "$(role b)" "2 3"
rm "$TMPDIR/hold"
ends_with "it goes then" $pid 0
check_equal "the VM may run there" "$(role b)" "2 5"
check "from what was acknowledged" cmp "$b0" "$TMPDIR/frozen.expected"
