#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The fuzz targets of what comes from outside: inputs that were kept are replayed; in check-long,
# libFuzzer looks for others, ten minutes a target.
#
# e2e: timeout=120 long=5400
. "$(dirname "$0")/../lib.sh"

for target in wire session journal pack store_label settings calls definition; do
	check "the kept inputs of $target are taken or refused, and nothing else" \
		"$top/build/tests/fuzz/$target" "$top/tests/fuzz/corpus/$target"/*
	if [ -n "${CHECK_LONG:-}" ]; then
		make -s -C "$top" "build/fuzz/$target"
		mkdir "$TMPDIR/$target"
		check "ten minutes of other inputs find nothing in $target" \
			"$top/build/fuzz/$target" -max_total_time=600 -max_len=65536 -print_final_stats=1 \
			"$TMPDIR/$target" "$top/tests/fuzz/corpus/$target"
	fi
done
