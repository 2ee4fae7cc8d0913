// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * metrics: printed, or as the answer to one HTTP request on standard input, which a socket unit of
 * systemd passes on (failback-metrics.socket). There is no server: nothing runs while nobody asks.
 *
 * Which Host the request names is not looked at, as usual with exporters of Prometheus: monitoring asks by names that
 * only it knows, and proxies pass on those that they were asked by. So a page in a browser on this host could have a
 * name lead here and read what every user of this host may read; there is nothing here that it could change.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/command.h"
#include "cli/metrics.h"
#include "lib/output.h"

#define REQUEST_MAX	8192
#define REQUEST_TIME_MS 5000
#define GATHER_TIME_MS	4000 /* whoever asks waits for 10 s, usually */
#define UNREADABLE	17 /* ReplicationState of a VM whose record cannot be read */

/* --- gathering --- */

static int get_vms(struct client *client, struct metrics *m)
{
	int rc = client_list_vms(client, &m->vms, &m->nr_vms, NULL);

	if (rc)
		return rc;
	m->statistics = calloc(m->nr_vms + 1, sizeof(*m->statistics));
	if (!m->statistics) {
		m->nr_vms = 0;
		return -ENOMEM;
	}
	/* Those that do not come in time are left out. */
	for (size_t i = 0; i < m->nr_vms; i++) {
		if (m->vms[i].state != UNREADABLE)
			(void)client_statistics(client, m->vms[i].path, &m->statistics[i], NULL);
	}
	return 0;
}

static int get_trackers(struct nl *nl, struct metrics *m)
{
	cleanup_free struct tracker_info *infos = NULL;
	size_t nr = 0;
	int rc = nl_tracker_list(nl, &infos, &nr, NULL);

	if (rc)
		return rc;
	m->trackers = calloc(nr + 1, sizeof(*m->trackers));
	if (!m->trackers)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		struct metrics_tracker *tracker = &m->trackers[m->nr_trackers];

		tracker->info = infos[i];
		/* It may have gone meanwhile, or be on its way. */
		if (infos[i].name[0] && !nl_stats_get(nl, infos[i].name, &tracker->stats, NULL))
			m->nr_trackers++;
	}
	return 0;
}

/* Whatever does not answer is said not to. */
static void gather(const struct options *o, struct metrics *m)
{
	_cleanup_(client_close_at) struct client *client = NULL;
	_cleanup_(nl_close_at) struct nl *nl = NULL;

	m->tracking = !nl_open(&nl, NULL) && !get_trackers(nl, m);
	if (client_open(o->bus_address, &client, NULL))
		return;
	client_set_deadline(client, deadline_in_ms(GATHER_TIME_MS));
	m->up = !get_vms(client, m);
}

/* --- one request of HTTP --- */

/* Its head, up to the empty line; negative when it does not come whole, or in time. */
static int read_head(char head[REQUEST_MAX])
{
	uint64_t deadline = deadline_in_ms(REQUEST_TIME_MS);
	struct pollfd pollfd = { .fd = STDIN_FILENO, .events = POLLIN };
	size_t size = 0;

	for (;;) {
		ssize_t got;

		if (size + 1 == REQUEST_MAX)
			return -EMSGSIZE;
		if (poll(&pollfd, 1, deadline_left_ms(deadline)) <= 0)
			return -ETIMEDOUT;
		got = read(STDIN_FILENO, head + size, REQUEST_MAX - 1 - size);
		if (got <= 0)
			return -ECONNRESET;
		size += (size_t)got;
		head[size] = '\0';
		if (strstr(head, "\r\n\r\n") || strstr(head, "\n\n"))
			return 0;
	}
}

static const char *status_of(const char *head)
{
	const char *path = strchr(head, ' ');

	if (strncmp(head, "GET ", 4) != 0 && strncmp(head, "HEAD ", 5) != 0)
		return "405 Method Not Allowed";
	if (strncmp(path, " /metrics ", 10) != 0 && strncmp(path, " /metrics?", 10) != 0)
		return "404 Not Found";
	return "200 OK";
}

static void put_answer(const char *status, const char *type, bool with_body, const char *body)
{
	(void)printf("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
		     status, type, strlen(body), with_body ? body : "");
}

/* --- all --- */

static int collect(const struct options *o, char **ret, struct failure *f)
{
	_cleanup_(metrics_free) struct metrics m = { 0 };
	size_t size;
	FILE *out = open_memstream(ret, &size);

	if (!out)
		return failure_no_memory(f);
	gather(o, &m);
	metrics_print(out, &m);
	return fclose(out) ? failure_no_memory(f) : 0;
}

static int answer(const struct options *o, struct failure *f)
{
	cleanup_free char *text = NULL;
	char head[REQUEST_MAX] = "";
	const char *status = read_head(head) ? "400 Bad Request" : status_of(head);
	bool with_body = strncmp(head, "HEAD ", 5) != 0;

	if (status[0] != '2')
		put_answer(status, "text/plain", with_body, "The metrics of failback are at /metrics.\n");
	else if (collect(o, &text, f))
		put_answer("503 Service Unavailable", "text/plain", with_body, "Out of memory.\n");
	else
		put_answer(status, METRICS_TYPE, with_body, text);
	return output_flush(f);
}

int command_metrics(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_free char *text = NULL;
	int rc;

	(void)client;
	if (o->http)
		return answer(o, f);
	rc = collect(o, &text, f);
	if (rc)
		return rc;
	(void)fputs(text, stdout);
	return output_flush(f);
}
