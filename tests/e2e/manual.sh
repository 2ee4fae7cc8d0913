#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every program, command, option and setting stands in the manual, and the pages are well-formed.
#
# e2e: timeout=120
. "$(dirname "$0")/../lib.sh"
requires mandoc man

pages=("$top"/build/man/*.[1-8])
check_equal "every page of user/man is made" "$(basename -a "${pages[@]}" | sort)" \
	"$(cd "$top/user/man" && printf '%s\n' *.in | sed 's/\.in$//' | sort)"
check_equal "mandoc has nothing to say of them" "$(mandoc -T lint -W warning "${pages[@]}" 2>&1)" ""
export MANWIDTH=120
# groff's man warns of what its own macros cannot do
check_equal "groff neither" "$(for page in "${pages[@]}"; do man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null; done)" ""

# text <page>: without hyphenation or emphasis.
text() { mandoc -T utf8 -O width=120 "$top/build/man/$1" | col -bx; }

named()
{
	local page

	for page in "${pages[@]}"; do
		sed -nE 's/^\.Nm ([a-z][a-z.@-]+)( ,)?$/\1/p' "$page"
	done | sort -u
}
for path in "$top"/build/bin/* "$top"/user/libexec/* "$top"/user/systemd/*.service.in; do
	name=${path##*/}
	echo "${name%.in}"
done | sort >"$TMPDIR/programs"
check_equal "every program and unit has a page with its name" "$(comm -23 "$TMPDIR/programs" <(named))" ""

# missing <page> <words on standard input>: those that no paragraph of the page begins with.
missing()
{
	local word
	text "$1" >"$TMPDIR/text"
	while read -r word; do
		grep -qE -- "^ +$word( |\$)" "$TMPDIR/text" || echo "$word"
	done
}
# --help and --version stand in the synopsis
options() { grep -oE '^  --[a-z-]+' | tr -d ' ' | grep -vE -- '^--(help|version)$'; }
check_equal "every command of failback stands in failback(1)" \
	"$(failback --help | sed -nE 's/^  ([a-z-]+) .*/\1/p' | missing failback.1)" ""
check_equal "and every option" "$(failback --help | options | missing failback.1)" ""
check_equal "every command of cbtctl in cbtctl(8)" \
	"$(cbtctl --help | sed -nE 's/^  ([a-z-]+) .*/\1/p' | missing cbtctl.8)" ""
check_equal "and every option of each" "$(for command in $(cbtctl --help | sed -nE 's/^  ([a-z-]+) .*/\1/p'); do
	cbtctl "$command" --help | options
done | sort -u | missing cbtctl.8)" ""
check_equal "every setting of failbackd in failbackd.conf(5)" \
	"$(failbackd --help | options | sed 's/^--//' | missing failbackd.conf.5)" ""
for page in "${pages[@]}"; do
	sed -nE 's/^\.Xr ((failback|cbt|dm-cbt)[a-z.-]*) ([0-9]).*/\1.\3/p' "$page"
done | sort -u >"$TMPDIR/references"
check_equal "pages refer only to pages that exist" \
	"$(while read -r page; do [ -e "$top/build/man/$page" ] || echo "$page"; done <"$TMPDIR/references")" ""

# shellcheck source=user/completion/failback
. "$top/user/completion/failback"
COMP_WORDS=(failback re) COMP_CWORD=1
_failback failback
check_equal "completion knows the commands" "${COMPREPLY[*]}" "resume resync remove revert reverse receive ready"
COMP_WORDS=(failback host "") COMP_CWORD=2
_failback failback
check_equal "and what follows a command of two words" "${COMPREPLY[*]}" "init show pair"
COMP_WORDS=(failback ho) COMP_CWORD=1
_failback failback
check_equal "whose first word stands there once" "${COMPREPLY[*]}" "host"
COMP_WORDS=(cbtctl map --to) COMP_CWORD=2
_failback cbtctl
check_equal "and the options of a command of cbtctl" "${COMPREPLY[*]}" "--totals"
COMP_WORDS=(failback reverse --con) COMP_CWORD=2
_failback failback
check_equal "and those of failback" "${COMPREPLY[*]}" "--consent --config --connections"
