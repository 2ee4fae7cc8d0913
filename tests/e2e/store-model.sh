#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The ordering of log, pages, index and superblock, explored: no power cut loses a block, and leaving out
# any of the rules does. See tests/model/store_model.py.
#
# e2e: timeout=200 long=7200
. "$(dirname "$0")/../lib.sh"

model() { python3 "$top/tests/model/store_model.py" "$@"; }

check "one block, written and sent, survives every cut" model --writes 2 --freezes 1
check "two blocks of one region survive every cut" model --blocks 2 --writes 2 --freezes 0
check "work goes on after a cut" model --writes 2 --freezes 0 --crashes 1
if [ -n "${CHECK_LONG:-}" ]; then
	check "... and with more of all" model
	check "... of two blocks" model --blocks 2 --freezes 1
	check "... and after a cut, with an epoch" model --writes 2 --freezes 1 --crashes 1
fi
while read -r rule text; do
	# what it takes: an epoch, or two blocks of one region
	case $rule in
	grace | hot_half) small=(--blocks 2 --writes 2 --freezes 0) ;;
	*) small=(--writes 2 --freezes 2) ;;
	esac
	check_fails "lost unless $text" 1 'lost=yes' model --without "$rule" "${small[@]}"
done < <(model --rules)
