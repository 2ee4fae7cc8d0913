#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The same as two-hosts.sh, but of the old primary only the disk and the store come back: its root, and with it
# the database and its key, is lost.
#
# e2e: timeout=900 long=1800
. "$(dirname "$0")/../lib.sh"
[ -n "${CHECK_LONG:-}" ] || skip_all "only make check-long has the time"
root=lost
. "$(dirname "$0")/two-hosts.sh"
