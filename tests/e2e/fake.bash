# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced by the tests that run programs with fake_kernel.c in front of the library, after lib.sh.

requires gcc pkg-config

# link_fake <directory> <program>...: they go there; functions in the array $wrapped are wrapped, for
# the cuts of fake_kernel.c; objects in the array $fake_objects come in front of the library, too.
wrapped=()
fake_objects=()
link_fake()
{
	local bin=$1 packages name
	shift

	packages="liburing libnl-3.0 libnl-genl-3.0 blkid mount devmapper libsystemd gnutls sqlite3 expat
		json-c inih libzstd libxxhash libseccomp"
	# shellcheck disable=SC2086 # lists
	gcc -std=gnu11 -O1 -g -Wall -D_GNU_SOURCE -I"$top/user" -I"$top/uapi" -iquote "$top/kmod" ${wrapped:+-DCUTS} $(pkg-config --cflags $packages) \
		-c -o "$TMPDIR/fake_kernel.o" "$top/tests/e2e/fake_kernel.c"
	for name in "$@"; do
		# shellcheck disable=SC2046,SC2086
		gcc -Wl,--as-needed "${wrapped[@]/#/-Wl,--wrap=}" -pthread -o "$bin/$name" "$top/build/obj/user/prog/$name.o" \
			"$TMPDIR/fake_kernel.o" "${fake_objects[@]}" "$top/build/obj/libfailback.a" $(pkg-config --libs $packages)
	done
}

# make_tracker <name> <origin>: with a store, nothing dirty. $FAKE_KERNEL is set.
make_tracker()
{
	mkdir -p "$FAKE_KERNEL/$1"
	echo "$2" >"$FAKE_KERNEL/$1/origin"
	cat /proc/sys/kernel/random/uuid >"$FAKE_KERNEL/$1/uuid"
	: >"$FAKE_KERNEL/$1/active" >"$FAKE_KERNEL/$1/store"
}
