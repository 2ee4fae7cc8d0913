# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced by the scripts that prepare or look up cached things: where the cache
# is. Everything below $FAILBACK_CACHE can be deleted at any time; scripts/setup
# makes it again. HOME may be unset (continuous integration).

if [ -z "${FAILBACK_CACHE:-}" ]; then
	if [ -z "${XDG_CACHE_HOME:-}" ]; then
		: "${HOME:=$(getent passwd "$(id -u)" | cut -d: -f6)}"
		XDG_CACHE_HOME=${HOME:-/var}/.cache
	fi
	FAILBACK_CACHE=$XDG_CACHE_HOME/failback
fi
export FAILBACK_CACHE
