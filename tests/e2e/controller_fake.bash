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
		sandbox_drop sandbox_filter})
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

