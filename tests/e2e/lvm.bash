# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced after lib.sh by tests that need LVM without LVM: lvs, vgs, lvcreate and lvchange, as far as
# Failback calls them, on files and loop devices, and a cbtctl whose trackers are those of fake_kernel.c.
# $FAKE_LVM/VG/NAME is the volume /dev/VG/NAME; beside it NAME.tags, NAME.loop. Of the group: .extent, .bytes.
#
#	$FAKE_LVM/.broken	while it exists, lvcreate prints it and fails
#	$FAKE_LVM/.stale	what a new volume holds, where it is not empty
#	$FAKE_LVM/.log		lines, the calls that change something

requires root loop

# fake_lvm: sets $FAKE_LVM, and puts the programs in front of $PATH.
fake_lvm()
{
	local name

	# in memory: a volume is written and flushed often
	FAKE_LVM=$(mktemp -d /dev/shm/failback-lvm.XXXXXX)
	export FAKE_LVM
	cleanup_fn rm -rf "$FAKE_LVM"
	mkdir "$TMPDIR/tools"
	: >"$FAKE_LVM/.stale"
	: >"$FAKE_LVM/.log"
	cat >"$TMPDIR/tools/lvm" <<-'SH'
	#!/bin/bash
	set -euo pipefail
	name=${0##*/} words=() tag= size= volume=
	while [ $# -gt 0 ]; do
		case $1 in
		--noheadings | --nosuffix | --yes) ;;
		--units) [ "$2" = b ]; shift ;;
		--separator) [ "$2" = "|" ]; shift ;;
		-o) columns=$2; shift ;;
		--addtag | --deltag) tag=$2; shift ;;
		--size) size=$2; shift ;;
		--name) volume=$2; shift ;;
		-*) echo "  $name: unrecognized option '$1'" >&2; exit 3 ;;
		*) words+=("$1") ;;
		esac
		shift
	done
	shopt -s nullglob
	case $name in
	vgs)
		[ "$columns" = vg_name,vg_extent_size,vg_free ]
		for group in "$FAKE_LVM"/*/; do
			read -r extent <"$group.extent"
			read -r free <"$group.size"
			for file in "$group"*.bytes; do
				read -r bytes <"$file"
				free=$((free - bytes))
			done
			group=${group%/}
			echo "  ${group##*/}|$extent|$free"
		done
		;;
	lvs)
		[ "$columns" = lv_name,lv_size,lv_tags ]
		for file in "$FAKE_LVM/${words[0]}"/*.bytes; do
			file=${file%.bytes} tags=
			read -r bytes <"$file.bytes"
			read -r tags <"$file.tags" || true
			echo "  ${file##*/}|$bytes|$tags"
		done
		;;
	lvcreate)
		group=${words[0]}
		read -r extent <"$FAKE_LVM/$group/.extent"
		if [ -e "$FAKE_LVM/.broken" ]; then
			cat "$FAKE_LVM/.broken" >&2
			exit 5
		fi
		[ ! -e "$FAKE_LVM/$group/$volume" ] || { echo "  Logical Volume \"$volume\" already exists" >&2; exit 5; }
		echo "$name $group/$volume" >>"$FAKE_LVM/.log"
		size=$(((${size%b} + extent - 1) / extent * extent))
		cp "$FAKE_LVM/.stale" "$FAKE_LVM/$group/$volume"
		truncate -s $size "$FAKE_LVM/$group/$volume"
		mkdir -p "/dev/$group"
		loop=$(losetup --find --show "$FAKE_LVM/$group/$volume")
		echo "$loop" >"$FAKE_LVM/$group/$volume.loop"
		echo "$tag" >"$FAKE_LVM/$group/$volume.tags"
		ln -sfn "$loop" "/dev/$group/$volume"
		echo $size >"$FAKE_LVM/$group/$volume.bytes"
		;;
	lvchange)
		echo "$name ${words[0]}" >>"$FAKE_LVM/.log"
		[ "$(<"$FAKE_LVM/${words[0]}.tags")" != "$tag" ] || : >"$FAKE_LVM/${words[0]}.tags"
		;;
	esac
	SH
	cat >"$TMPDIR/tools/cbtctl" <<-'SH'
	#!/bin/bash
	set -euo pipefail
	[ "$1 $2" = "activate --table" ] || exec "$REAL_CBTCTL" "$@"
	read -r name origin store _ < <(grep "^$4 " "$3")
	dir=$FAKE_KERNEL/$name
	[ ! -e "$dir" ] && [ ! -e "$dir.replica" ] || exit 0
	"$REAL_CBTCTL" store-check "$store" >/dev/null
	mkdir -p "$dir.replica"
	cat /proc/sys/kernel/random/uuid >"$dir.replica/uuid"
	: >"$dir.replica/active" >"$dir.replica/store"
	echo "$origin" >"$dir.replica/origin"
	SH
	chmod +x "$TMPDIR/tools/lvm" "$TMPDIR/tools/cbtctl"
	for name in lvs vgs lvcreate lvchange; do
		ln -s lvm "$TMPDIR/tools/$name"
	done
	REAL_CBTCTL=$(command -v cbtctl)
	export REAL_CBTCTL
	PATH=$TMPDIR/tools:$PATH
}

# make_group <name> <bytes> [<bytes of an extent>]
make_group()
{
	mkdir "$FAKE_LVM/$1"
	echo "$2" >"$FAKE_LVM/$1/.size"
	echo "${3:-$((1 << 20))}" >"$FAKE_LVM/$1/.extent"
	cleanup_fn remove_group "$1"
}

# make_volume <group> <name> <bytes>: as an operator would.
make_volume()
{
	lvcreate --yes --addtag none --size "$3b" --name "$2" "$1"
	: >"$FAKE_LVM/$1/$2.tags"
}

# remove_volume <group> <name>
remove_volume()
{
	losetup --detach "$(<"$FAKE_LVM/$1/$2.loop")"
	rm -f "/dev/$1/$2" "$FAKE_LVM/$1/$2" "$FAKE_LVM/$1/$2".*
}

remove_group()
{
	local file

	for file in "$FAKE_LVM/$1"/*.loop; do
		[ ! -e "$file" ] || remove_volume "$1" "$(basename "$file" .loop)"
	done
	rm -rf "/dev/$1"
}
