# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced after controller.bash by the tests that run the whole way without the module: loop devices
# as disks, files as trackers (fake_kernel.c).

requires loop cmp

# shellcheck source=tests/e2e/fake.bash
. "$(dirname "${BASH_SOURCE[0]}")/fake.bash"

MiB=$((1 << 20))
size=$((16 * MiB))

# build [cuts]: the programs, with the fake in front of the library; they die where $FAKE_CUT says.
build()
{
	local bin=$TMPDIR/bin

	mkdir "$bin"
	# shellcheck disable=SC2206 # a list
	wrapped=(${1:+store_put_relationship conn_call conn_send_reply dm_rename journal_file_commit ring_wait
		sandbox_drop sandbox_filter run_program cbt_store_format tracker_table_add client_create client_act})
	link_fake "$bin" failbackd failback-send failback-receive
	failbackd=$bin/failbackd
}
# make_disk <host> <nr>: a loop device with random contents, the same on both hosts; sets $loop.
make_disk()
{
	random_contents "$2" >"$TMPDIR/$1.disk$2"
	loop=$(losetup --find --show "$TMPDIR/$1.disk$2")
	cleanup_fn losetup -d "$loop"
}

random_contents()
{
	python3 -c 'import random, sys; sys.stdout.buffer.write(random.Random(int(sys.argv[1])).randbytes(int(sys.argv[2])))' \
		"$1" "$size"
}

# write_tracked <tracker> <first 4 KiB block> <number>: new contents, and marked.
write_tracked()
{
	dd if=/dev/urandom of="$(<"$FAKE_KERNEL/$1/origin")" bs=4k seek="$2" count="$3" conv=fsync,notrunc \
		status=none
	echo "$2 $3" >>"$FAKE_KERNEL/$1/active"
}

# job_ends <host> <job>
job_ends()
{
	[ "$(job_property "$1" "$2" JobState)" -ge 7 ]
}

# start_job <host> <method> <signature> <argument>...: sets $job.
start_job()
{
	local answer

	answer=$(call "$@")
	[ "${answer% *}" = "uo 4096" ] || bail "$* answered $answer"
	job=$(sed 's/.*"\(.*\)"/\1/' <<<"$answer")
}

# --- two hosts with one VM of one disk ---

daemon_options=()

# two_hosts [cuts]: programs, disks $a0 and $b0 with the same contents, trackers, buses; no daemons yet.
two_hosts()
{
	local host

	build "$@"
	make_disk a 0; a0=$loop
	make_disk b 0; b0=$loop
	export FAKE_KERNEL FAKE_CUT
	for host in a b; do
		mkdir "$TMPDIR/$host.kernel"
		start_bus $host
		echo "boot of $host" >"$TMPDIR/$host.boot"
	done
	FAKE_KERNEL=$TMPDIR/a.kernel make_tracker vm1-disk0 "$a0"
	FAKE_KERNEL=$TMPDIR/b.kernel make_tracker vm1-disk0.replica "$b0"
}

# up <host> [<option>...]: start its daemon, with its own kernel and $daemon_options.
up()
{
	local host=$1
	shift
	FAKE_KERNEL=$TMPDIR/$host.kernel
	FAKE_CUT=$TMPDIR/$host.cut
	start_daemon "$host" --boot-id-file "$TMPDIR/$host.boot" "${daemon_options[@]}" "$@"
}

down()
{
	stop_daemon a "$@"
	stop_daemon b "$@"
}

# relate: a is the primary, b its replica; they know nothing of each other's disks yet.
relate()
{
	relationship 1 3 b "$(disk disk0 $size "$a0" vm1-disk0)" >"$TMPDIR/a.json"
	relationship 2 3 a "$(disk disk0 $size "$b0" vm1-disk0)" >"$TMPDIR/b.json"
	on a failback apply "$TMPDIR/a.json" >/dev/null
	on b failback apply "$TMPDIR/b.json" >/dev/null
}

# write_on <host> <tracker> <first block> <number>
write_on()
{
	FAKE_KERNEL=$TMPDIR/$1.kernel write_tracked "${@:2}"
}

# save <name>, restore <name>: all that the two hosts hold, while they are down.
save()
{
	rm -rf "$TMPDIR/saved.$1"
	mkdir "$TMPDIR/saved.$1"
	cp -a "$TMPDIR"/[ab].state "$TMPDIR"/[ab].kernel "$TMPDIR"/[ab].boot "$TMPDIR"/[ab].disk0 "$TMPDIR/saved.$1"
}

restore()
{
	local saved=$TMPDIR/saved.$1

	rm -rf "$TMPDIR"/[ab].state "$TMPDIR"/[ab].kernel
	cp -a "$saved"/[ab].state "$saved"/[ab].kernel "$saved"/[ab].boot "$TMPDIR"
	dd if="$saved/a.disk0" of="$a0" bs=1M conv=fsync,notrunc status=none
	dd if="$saved/b.disk0" of="$b0" bs=1M conv=fsync,notrunc status=none
}
