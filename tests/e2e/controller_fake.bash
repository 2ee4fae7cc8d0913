# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced after controller.bash by the tests that run the whole way without the module: loop devices
# as disks, files as trackers (fake_kernel.c).

requires loop gcc pkg-config cmp

MiB=$((1 << 20))
size=$((16 * MiB))

# build [<function to be wrapped>...]: the programs, with the fake in front of the library.
build()
{
	local bin=$TMPDIR/bin packages name wraps

	mkdir "$bin"
	wraps=()
	for name in "$@"; do wraps+=("-Wl,--wrap=$name"); done
	packages="liburing libnl-3.0 libnl-genl-3.0 blkid mount devmapper libsystemd gnutls sqlite3 expat
		json-c inih libzstd libxxhash libseccomp"
	# shellcheck disable=SC2086 # lists
	gcc -std=gnu11 -O1 -g -Wall -D_GNU_SOURCE -I"$top/user" -I"$top/uapi" ${1:+-DCUTS} $(pkg-config --cflags $packages) \
		-c -o "$TMPDIR/fake_kernel.o" "$top/tests/e2e/fake_kernel.c"
	for name in failbackd failback-send failback-receive; do
		# shellcheck disable=SC2046,SC2086
		gcc -Wl,--as-needed "${wraps[@]}" -pthread -o "$bin/$name" "$top/build/obj/user/prog/$name.o" \
			"$TMPDIR/fake_kernel.o" "$top/build/obj/libfailback.a" $(pkg-config --libs $packages)
	done
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

# make_tracker <name> <origin>
make_tracker()
{
	mkdir -p "$FAKE_KERNEL/$1"
	echo "$2" >"$FAKE_KERNEL/$1/origin"
	cat /proc/sys/kernel/random/uuid >"$FAKE_KERNEL/$1/uuid"
	: >"$FAKE_KERNEL/$1/active" >"$FAKE_KERNEL/$1/store"
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

