#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Peers and callers that do not keep to the manuals, against programs with sanitizers: nobody gets
# more than a refusal, and everybody else is served. SEED=N repeats a run.
#
# e2e: timeout=240
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
requires failback

hostile=$top/tests/e2e/hostile.py
failbackd=$top/build/san/bin/failbackd
seconds=${SECONDS_OF_RUN:-4}
MiB=$((1 << 20))
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
export SEED=${SEED:-$((RANDOM * 32768 + RANDOM))}
diag "seed=$SEED"

relationship 2 3 b "$(disk disk0 $((16 * MiB)) /dev/null "")" >"$TMPDIR/a.json"
start_bus a
start_daemon a --max-connections 8 --call-timeout 2
on a failback apply "$TMPDIR/a.json" >/dev/null

# answers: the listener serves a proper call
answers()
{
	"$hostile" call "${address[a]}" "$port" '{"call": "reverse", "version": 1}' 2>/dev/null |
		jq -e '.code >= 32768 and (.text | length) > 0'
}

exports()
{
	call a ExportRelationships 2>/dev/null
}

# lives <claim>: failbackd is still the process that was started, and serves both sides.
lives()
{
	check "$1" eval 'kill -0 "${daemon_pid[a]}" && wait_for 20 answers && wait_for 20 exports'
}

check "random and damaged records are refused" "$hostile" calls "${address[a]}" "$port" "$seconds"
lives "and failbackd lives"
check "random and damaged calls on the bus are answered" "$hostile" bus "$TMPDIR/a.bus" "$seconds"
lives "and failbackd lives"
check "callers that vanish with hundreds of calls in flight are nothing" "$hostile" vanish "$TMPDIR/a.bus" 300
lives "and failbackd lives"

# --- peers that take their time ---

# take_places <kind>: all connections that there may be; sets $taker, whose end frees them.
take_places()
{
	mkfifo "$TMPDIR/hold"
	: >"$TMPDIR/taken"
	"$hostile" "$1" "${address[a]}" "$port" 8 <"$TMPDIR/hold" >"$TMPDIR/taken" &
	taker=$!
	exec 9>"$TMPDIR/hold"
	wait_for 20 grep -q ready "$TMPDIR/taken" || bail "no connections"
}

give_places()
{
	exec 9>&-
	wait "$taker" || true
	rm "$TMPDIR/hold"
}

take_places slow
check_fails "while slow peers have all connections, one more is closed" any "" answers
check "after call-timeout their places are free" wait_for 20 answers
give_places
take_places deaf
check "peers that ask and never read lose their places, too" wait_for 20 answers
give_places

# --- what anyone on the bus can do ---

wide=$(printf 'é%.0s' {1..200})
check_fails "a name that is cut inside a character gets its answer" any 'There is no VM' \
	call a GetComputerSystem s "x$wide"
call a ReverseReplicationRelationship os $vm_path "{\"x$wide\": 1}" >/dev/null
check "and does not keep others from reading the jobs" on a failback jobs
call a ReverseReplicationRelationship os $vm_path '{"\u001b[2J": 1}' >/dev/null
if on a failback jobs | grep -q $'\e'; then
	not_ok "terminal escapes in a setting do not reach the operator's terminal"
else
	ok "terminal escapes in a setting do not reach the operator's terminal"
fi

on a jq '.relationships[0] |= (.vm = "22222222-2222-4333-8444-555555555555" | .name = "vm2" | .disks[0].path = "/dev/zero" | .mode = 1 | .state = 3)' \
	"$TMPDIR/a.json" >"$TMPDIR/vm2.json"
on a failback apply "$TMPDIR/vm2.json" >/dev/null
ran=$(call a RequestReplicationStateChange oq \
	/org/failback1/computersystem/22222222_2222_4333_8444_555555555555 7 | sed -n 's/^uo 0 "\(.*\)"$/\1/p')
[ -n "$ran" ] || bail "no job"
"$hostile" refusals "$TMPDIR/a.bus" 600
check_equal "hundreds of refusals do not push out a job that ran" "$(job_property a "$ran" JobState)" 7

# --- the journal, and what the sanitizers say ---

if LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]' "$TMPDIR/a.log"; then
	not_ok "no control character reaches the log"
else
	ok "no control character reaches the log"
fi
stop_daemon a
check_fails "no sanitizer complained" 1 '^$' grep -aE 'Sanitizer|runtime error' "$TMPDIR/a.log"

# --- a receive worker ---

truncate -s 16M "$TMPDIR/disk"
jq -n --arg path "$TMPDIR/disk" '{version: 1, base: null, vm: "11111111-2222-4333-8444-555555555555",
	epoch: "22222222-2222-4333-8444-555555555555",
	disks: [{name: "disk0", size: 16777216, path: $path}]}' >"$TMPDIR/plan"
jq --arg path "$TMPDIR/journal" '.journal = {path: $path, mark_interval: 65536}' "$TMPDIR/plan" >"$TMPDIR/journaled"
check "random and damaged deltas fail with a sentence" "$hostile" worker "$top/build/san/bin/failback-receive" \
	"$seconds" "$TMPDIR/plan" "$TMPDIR/journaled"

# --- the state directory ---

mkdir "$TMPDIR/open" && chmod 777 "$TMPDIR/open"
refuses_directory()
{
	env DBUS_SYSTEM_BUS_ADDRESS="unix:path=$TMPDIR/a.bus" timeout 10 "$failbackd" --state-dir "$1" \
		--listen "${address[a]}:$port"
}
check_fails "a state directory that others may write to is refused" 11 'nobody else' refuses_directory "$TMPDIR/open"
ln -s a.state "$TMPDIR/link"
check_fails "a state directory that is a link is refused" 11 'must be a directory' refuses_directory "$TMPDIR/link"
check_equal "the database is for root alone" "$(find "$TMPDIR/a.state" -type f -perm /077)" ""
