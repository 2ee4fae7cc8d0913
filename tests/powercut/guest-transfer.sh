#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The guest's half of tests/e2e/transfer-cuts.sh: deltas that are broken off, and arrive in the end.
#
#	guest-transfer.sh <number of deltas> <seed>
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/powercut.bash"

powercut_attach
"$top/tests/e2e/transfer_cuts.py" record --seed "$2" --rounds "$1" "$(powercut_device control)" \
	"$(powercut_device target0)" "$(powercut_device target1)" "$(powercut_device journal)" "$TMPDIR"
powercut_mark cut
