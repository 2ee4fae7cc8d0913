#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Metrics: well-formed, true, and served over HTTP to whoever asks properly. Those of trackers: vm/stats.
#
# e2e: timeout=120
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"

truncate -s 16M "$TMPDIR/disk"
start_bus a
metrics() { on a failback metrics | "$top/tests/openmetrics.py" --rules "$top/docs/alerts.yml" >"$TMPDIR/samples"; }
sample() { sed -n "s/^$1 //p" "$TMPDIR/samples"; }

check "without failbackd they are well-formed, and have what the rules of docs/ name" metrics
check_equal "... and say that it does not answer" "$(sample failback_up)" 0
start_daemon a
check "without a VM they are well-formed" metrics
check_equal "... and say that failbackd answers" "$(sample failback_up)" 1

relationship 1 3 b "$(disk disk0 $((16 << 20)) "$TMPDIR/disk" "")" >"$TMPDIR/apply.json"
on a failback apply "$TMPDIR/apply.json" >/dev/null
stop_daemon a
# as it could be before there was a rule for names
python3 -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute(sys.argv[2])' \
	"$TMPDIR/a.state/failback.db" "UPDATE relationships SET name = 'a \"quoted\\ name'"
start_daemon a
wait_for 20 eval '[ "$(vm_property a ReplicationHealth)" = 3 ]' # its disk has no tracker
check "with a VM of a strange name they are well-formed" metrics
name='{vm="a \\"quoted\\\\ name",uuid="'$vm'"'
check_equal "they have its mode" "$(sample "failback_mode$name}")" 1
check_equal "... state" "$(sample "failback_state$name}")" 3
check_equal "... health" "$(sample "failback_health$name}")" 3
check_equal "... and peer" "$(sample "failback_relationship_info$name,peer=\"${address[b]}:$port\"}")" 1
check_equal "deltas are counted by result" "$(grep -c '^failback_deltas{' "$TMPDIR/samples")" 4
check_equal "what is not known is left out" "$(grep -c '^failback_lag_seconds' "$TMPDIR/samples")" 0

# --- HTTP ---

# request <text as of printf>: $status, $body, and headers in a file
request()
{
	# shellcheck disable=SC2059 # it is a format
	printf "$1" | on a failback metrics --http | tr -d '\r' >"$TMPDIR/reply"
	status=$(sed -n '1s/^HTTP\/1.1 //p' "$TMPDIR/reply")
	body=$(sed '1,/^$/d' "$TMPDIR/reply")
}

request 'GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n'
check_equal "a request for them is answered" "$status" "200 OK"
check "... in the type of OpenMetrics" grep -qx 'Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8' "$TMPDIR/reply"
check "... with them" "$top/tests/openmetrics.py" <<<"$body"
check_equal "... and their length" "$(sed -n 's/^Content-Length: //p' "$TMPDIR/reply")" "$(wc -c <<<"$body")"
request 'HEAD /metrics HTTP/1.1\r\n\r\n'
check_equal "HEAD is answered without them" "$status/$body" "200 OK/"
request 'GET /metrics?x=1 HTTP/1.0\n\n'
check_equal "a query does not matter, nor bare line ends" "$status" "200 OK"
request 'GET /etc/passwd HTTP/1.1\r\n\r\n'
check_equal "another path is not found" "$status" "404 Not Found"
request 'POST /metrics HTTP/1.1\r\n\r\n'
check_equal "another method is refused" "$status" "405 Method Not Allowed"
request 'GET\r\n\r\n'
check_equal "half a request line is refused" "$status" "405 Method Not Allowed"
request 'GET /metrics HTTP/1.1\r\nHost'
check_equal "a request that does not end is bad" "$status" "400 Bad Request"
request "GET /metrics HTTP/1.1\r\nX: $(printf 'x%.0s' {1..9000})\r\n\r\n"
check_equal "one that is too long is bad" "$status" "400 Bad Request"
printf '\0\0\0\xff GET \0\r\n\r\n' | on a failback metrics --http >"$TMPDIR/reply"
check "zeroes are refused" grep -q '^HTTP/1.1 4' "$TMPDIR/reply"
kill -STOP "${daemon_pid[a]}"
request 'GET /metrics HTTP/1.1\r\n\r\n'
kill -CONT "${daemon_pid[a]}"
check "a failbackd that hangs is one that does not answer" grep -qx 'failback_up 0' <<<"$body"

mkfifo "$TMPDIR/silent"
exec 9<>"$TMPDIR/silent"
begin=$SECONDS
timeout 30 failback metrics --http <&9 >"$TMPDIR/reply" || true
check "who says nothing is refused after a while" grep -q '400 Bad Request' "$TMPDIR/reply"
check "... not at once" test $((SECONDS - begin)) -ge 4
