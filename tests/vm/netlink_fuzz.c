// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The netlink family, spoken to by somebody who does not keep to its manual. Every refusal is an
 * errno and a sentence, and the next proper request is served.
 *
 * It runs for ten minutes in check-long and on the debug kernel. CHECK_SEED=N repeats a run.
 *
 * vm: disk=64M disk=64M disk=64M disk=64M disk=64M timeout=180 long=1800
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <linux/capability.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "../count.h"
#include "tracked.h"

#include "kselftest_harness.h"

#define NR_TRACKERS 3
#define MESSAGE_MAX 32768

static const char *const names[NR_TRACKERS + 1] = { "fuzz-a", "fuzz-b", "fuzz-c", "fuzz-gone" };

/* --- random numbers: a thread has its own, so that one thread's run can be repeated --- */

/* Five minutes for each of two where that is claimed: in check-long, and where more is seen. */
static unsigned int seconds_of_run(void)
{
	return getenv("CHECK_LONG") || getenv("CHECK_SHORT") ? 300 : 3;
}

struct dice {
	uint64_t state;
};

static uint32_t roll(struct dice *d, uint32_t below)
{
	d->state = d->state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((d->state >> 33) % below);
}

static bool chance(struct dice *d, uint32_t one_in)
{
	return roll(d, one_in) == 0;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- messages --- */

struct message {
	size_t len;
	char buf[MESSAGE_MAX] __attribute__((aligned(4)));
};

static struct nlmsghdr *header_of(struct message *m)
{
	return (struct nlmsghdr *)m->buf;
}

static struct genlmsghdr *genl_of(struct message *m)
{
	return (struct genlmsghdr *)(m->buf + NLMSG_HDRLEN);
}

static void message_init(struct message *m, int family, int command, int flags)
{
	memset(m->buf, 0, NLMSG_HDRLEN + GENL_HDRLEN);
	m->len = NLMSG_HDRLEN + GENL_HDRLEN;
	*header_of(m) = (struct nlmsghdr){
		.nlmsg_type = (uint16_t)family,
		.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags),
	};
	genl_of(m)->cmd = (uint8_t)command;
	genl_of(m)->version = CBT_GENL_VERSION;
}

static struct nlattr *put(struct message *m, int type, const void *data, size_t len)
{
	struct nlattr *attr = (struct nlattr *)(m->buf + m->len);

	if (len > sizeof(m->buf) || m->len + NLA_HDRLEN + NLA_ALIGN(len) > sizeof(m->buf))
		return NULL;
	memset(attr, 0, NLA_HDRLEN + NLA_ALIGN(len));
	attr->nla_type = (uint16_t)type;
	attr->nla_len = (uint16_t)(NLA_HDRLEN + len);
	if (len)
		memcpy((char *)attr + NLA_HDRLEN, data, len);
	m->len += NLA_HDRLEN + NLA_ALIGN(len);
	return attr;
}

static void put_name(struct message *m, const char *name)
{
	size_t begin = m->len;
	struct nlattr *nest = put(m, CBT_A_TRACKER | NLA_F_NESTED, NULL, 0);

	if (!nest)
		return;
	(void)put(m, CBT_TRACKER_A_NAME, name, strlen(name) + 1);
	nest->nla_len = (uint16_t)(m->len - begin);
}

static void put_u32(struct message *m, int type, uint32_t value)
{
	(void)put(m, type, &value, sizeof(value));
}

static void put_u64(struct message *m, int type, uint64_t value)
{
	(void)put(m, type, &value, sizeof(value));
}

/* --- a socket --- */

struct talk {
	int fd;
	int family;
	uint32_t sequence;
};

/* What the kernel said to one message. */
struct answer {
	int error; /* 0 or an errno; -1: nothing at all */
	bool has_text;
	unsigned int nr_data;
	char text[160];
};

static int open_raw(void)
{
	struct timeval wait = { .tv_sec = 5 };
	int one = 1;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);

	if (fd < 0)
		err(1, "socket");
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return fd;
}

static void take_text(const struct nlmsghdr *h, size_t fixed, struct answer *a)
{
	const char *at = (const char *)h + NLMSG_HDRLEN + fixed;
	const char *end = (const char *)h + h->nlmsg_len;

	while (at + NLA_HDRLEN <= end) {
		const struct nlattr *attr = (const struct nlattr *)at;

		if (attr->nla_len < NLA_HDRLEN || at + attr->nla_len > end)
			return;
		if (attr->nla_type == NLMSGERR_ATTR_MSG) {
			a->has_text = true;
			(void)snprintf(a->text, sizeof(a->text), "%s", at + NLA_HDRLEN);
		}
		at += NLA_ALIGN(attr->nla_len);
	}
}

/* One datagram; true when it ends the answer to message @sequence. */
static bool take_datagram(const char *buf, ssize_t got, uint32_t sequence, struct answer *a)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;
	size_t left = (size_t)got;

	for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_seq != sequence)
			continue;
		if (h->nlmsg_type != NLMSG_ERROR && h->nlmsg_type != NLMSG_DONE) {
			a->nr_data++;
			continue;
		}
		a->error = h->nlmsg_len >= NLMSG_LENGTH(sizeof(int)) ? -*(const int *)NLMSG_DATA(h)
								     : 0;
		if (h->nlmsg_flags & NLM_F_ACK_TLVS)
			take_text(h,
				  h->nlmsg_type == NLMSG_DONE ? sizeof(int)
							      : sizeof(struct nlmsgerr),
				  a);
		return true;
	}
	return false;
}

static bool send_message(struct talk *t, struct message *m)
{
	header_of(m)->nlmsg_len = (uint32_t)m->len;
	header_of(m)->nlmsg_seq = ++t->sequence;
	return send(t->fd, m->buf, m->len, 0) == (ssize_t)m->len;
}

static struct answer receive_answer(const struct talk *t)
{
	static __thread char buf[192 * 1024] __attribute__((aligned(8)));
	struct answer a = { .error = -1 };

	for (;;) {
		ssize_t got = recv(t->fd, buf, sizeof(buf), 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == ENOBUFS)
			continue;
		if (got <= 0 || take_datagram(buf, got, t->sequence, &a))
			return a;
	}
}

static struct answer ask(struct talk *t, struct message *m)
{
	if (!send_message(t, m))
		return (struct answer){ .error = errno };
	return receive_answer(t);
}

/* The number of the family; 0 when there is none. */
static int find_family(int fd)
{
	static __thread char buf[8192] __attribute__((aligned(8)));
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;
	struct talk t = { .fd = fd };
	struct message m;
	ssize_t got;

	message_init(&m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
	header_of(&m)->nlmsg_flags = NLM_F_REQUEST;
	(void)put(&m, CTRL_ATTR_FAMILY_NAME, CBT_GENL_NAME, sizeof(CBT_GENL_NAME));
	if (!send_message(&t, &m))
		return 0;
	got = recv(fd, buf, sizeof(buf), 0);
	if (got < (ssize_t)NLMSG_LENGTH(GENL_HDRLEN) || h->nlmsg_type == NLMSG_ERROR)
		return 0;
	for (const char *at = buf + NLMSG_HDRLEN + GENL_HDRLEN; at + NLA_HDRLEN <= buf + got;) {
		const struct nlattr *attr = (const struct nlattr *)at;

		if (attr->nla_type == CTRL_ATTR_FAMILY_ID)
			return *(const uint16_t *)(at + NLA_HDRLEN);
		at += NLA_ALIGN(attr->nla_len);
	}
	return 0;
}

static struct talk open_talk(void)
{
	struct talk t = { .fd = open_raw() };

	t.family = find_family(t.fd);
	if (!t.family)
		errx(1, "no family " CBT_GENL_NAME);
	return t;
}

/* --- proper requests --- */

static struct answer ask_epoch(struct talk *t, int command, const char *const *which,
			       unsigned int nr, const struct uuid *epoch)
{
	struct message m;

	message_init(&m, t->family, command, 0);
	(void)put(&m, CBT_A_EPOCH_UUID, epoch->b, sizeof(epoch->b));
	for (unsigned int i = 0; i < nr; i++)
		put_name(&m, which[i]);
	return ask(t, &m);
}

static bool takes_epoch(int command)
{
	return command == CBT_CMD_FREEZE || command == CBT_CMD_COMMIT ||
	       command == CBT_CMD_ABORT || command == CBT_CMD_RELEASE;
}

static struct answer ask_tracker(struct talk *t, int command, const char *name)
{
	struct message m;

	message_init(&m, t->family, command, 0);
	put_name(&m, name);
	return ask(t, &m);
}

static struct answer ask_map(struct talk *t, const char *name, uint32_t which)
{
	struct message m;

	message_init(&m, t->family, CBT_CMD_MAP_GET, NLM_F_DUMP);
	put_name(&m, name);
	put_u32(&m, CBT_A_WHICH, which);
	return ask(t, &m);
}

/* --- improper ones --- */

/* UUIDs of which some are known to the trackers. */
static struct uuid some_epoch(struct dice *d)
{
	struct uuid u = { { 0 } };

	if (!chance(d, 8))
		memset(u.b, 1 + (int)roll(d, 6), sizeof(u.b));
	return u;
}

static const char *some_name(struct dice *d)
{
	static const char *const odd[] = { "",	   "no-such", "\xff\xfe",
					   "%s%n", "../x",    "a name with spaces" };

	return chance(d, 6) ? odd[roll(d, ARRAY_SIZE(odd))] : names[roll(d, ARRAY_SIZE(names))];
}

static void put_some_selector(struct message *m, struct dice *d)
{
	char bytes[300];
	size_t begin = m->len;
	struct nlattr *nest;

	if (!chance(d, 4)) {
		put_name(m, some_name(d));
		return;
	}
	nest = put(m, CBT_A_TRACKER | (chance(d, 4) ? 0 : NLA_F_NESTED), NULL, 0);
	if (!nest)
		return;
	for (unsigned int nr = roll(d, 4); nr; nr--) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)roll(d, 256);
		(void)put(m, (int)roll(d, CBT_TRACKER_A_MAX + 4), bytes,
			  chance(d, 2) ? 16 : roll(d, sizeof(bytes)));
	}
	nest->nla_len = (uint16_t)(m->len - begin);
}

/* Ranges of which some are inside the disk, now and then of a wrong length. */
static void put_some_ranges(struct message *m, struct dice *d)
{
	struct cbt_blocks ranges[200];
	size_t nr = 1 + (chance(d, 10) ? roll(d, 199) : roll(d, 4));

	for (size_t i = 0; i < nr; i++) {
		ranges[i].start = chance(d, 20) ? UINT64_MAX - roll(d, 3) : roll(d, 17000);
		ranges[i].nr = chance(d, 20) ? UINT64_MAX >> roll(d, 64) : roll(d, 40);
	}
	(void)put(m, CBT_A_RANGES, ranges, nr * sizeof(*ranges) - (chance(d, 20) ? roll(d, 16) : 0));
}

static void put_some_attribute(struct message *m, struct dice *d)
{
	static const uint64_t extremes[] = { 0,		1,	    INT32_MAX,		UINT32_MAX,
					     INT64_MAX, UINT64_MAX, UINT64_MAX - 32767, 1ULL << 63,
					     65535 };
	struct uuid u = some_epoch(d);
	char bytes[64];
	char label[600];

	switch (roll(d, 8)) {
	case 0:
		(void)put(m, CBT_A_EPOCH_UUID, u.b, chance(d, 8) ? roll(d, 17) : sizeof(u.b));
		break;
	case 1:
		put_u32(m, CBT_A_WHICH, chance(d, 4) ? roll(d, UINT32_MAX) : roll(d, 5));
		break;
	case 2:
		put_u64(m, CBT_A_START, extremes[roll(d, ARRAY_SIZE(extremes))]);
		break;
	case 3:
		memset(bytes, (int)roll(d, 256), sizeof(bytes));
		(void)put(m, (int)roll(d, chance(d, 2) ? 65536 : CBT_A_MAX + 4), bytes,
			  roll(d, sizeof(bytes)));
		break;
	case 4:
		put_some_ranges(m, d);
		break;
	case 5:
		memset(label, (int)roll(d, 256), sizeof(label));
		(void)put(m, CBT_A_LABEL, label, chance(d, 4) ? roll(d, 600) : CBT_LABEL_LEN);
		break;
	default:
		put_some_selector(m, d);
	}
}

static void make_message(struct message *m, struct dice *d, int family)
{
	int command = (int)roll(d, chance(d, 16) ? 256 : CBT_CMD_MAX + 2);
	bool dump = command == CBT_CMD_MAP_GET || chance(d, 6);
	bool one = command >= CBT_CMD_MAP_GET && !chance(d, 8);
	unsigned int nr_selectors = chance(d, 40) ? roll(d, 700) : one ? 1 : roll(d, 4);
	struct uuid u = some_epoch(d);

	message_init(m, family, command, dump ? NLM_F_DUMP : 0);
	if (takes_epoch(command) ? !chance(d, 8) : chance(d, 16))
		(void)put(m, CBT_A_EPOCH_UUID, u.b, sizeof(u.b));
	if (command == CBT_CMD_RELEASE || command == CBT_CMD_MARK)
		put_some_ranges(m, d);
	if (command == CBT_CMD_MAP_GET)
		put_u32(m, CBT_A_WHICH, 1 + roll(d, 3));
	while (nr_selectors--)
		put_some_selector(m, d);
	while (chance(d, 3))
		put_some_attribute(m, d);
}

/* Damage behind the netlink header: what is in there nobody would answer. */
static void damage(struct message *m, struct dice *d)
{
	size_t first = NLMSG_HDRLEN;
	size_t nr, at;

	if (m->len <= first)
		return;
	at = first + roll(d, (uint32_t)(m->len - first));
	switch (roll(d, 6)) {
	case 0:
		m->buf[at] = (char)roll(d, 256);
		break;
	case 1:
		m->buf[at] ^= (char)(1 << roll(d, 8));
		break;
	case 2: /* the length of what may be an attribute */
		at &= ~(size_t)3;
		*(uint16_t *)(m->buf + at) =
			(uint16_t)(chance(d, 2) ? roll(d, 65536) : roll(d, 24));
		break;
	case 3: /* shorter */
		m->len = at;
		break;
	case 4: /* longer */
		nr = roll(d, 64);
		for (size_t i = 0; i < nr && m->len < sizeof(m->buf); i++)
			m->buf[m->len++] = (char)roll(d, 256);
		break;
	default: /* a piece twice */
		nr = roll(d, (uint32_t)(m->len - at) + 1);
		if (m->len + nr <= sizeof(m->buf)) {
			memcpy(m->buf + m->len, m->buf + at, nr);
			m->len += nr;
		}
	}
}

/* What the manual and the layers above the family may answer. */
static bool may_answer(int error)
{
	static const int errors[] = { 0,      EINVAL, ENODEV,	  ENOENT,    EBUSY,
				      EEXIST, E2BIG,  ETIMEDOUT,  ECANCELED, EALREADY,
				      ESTALE, ERANGE, EOPNOTSUPP, EMSGSIZE, EINPROGRESS,
				      EIO };

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (errors[i] == error)
			return true;
	return false;
}

/* The layers above say nothing about a command that is none, nor about a message without one. */
static bool must_explain(struct message *m, int error)
{
	return error && error != EOPNOTSUPP && m->len >= NLMSG_HDRLEN + GENL_HDRLEN;
}

/* --- the trackers under attack --- */

FIXTURE(fuzz)
{
	unsigned int seed;
	struct dice dice;
	struct talk talk;
	struct nl *nl;
	char *buffer;
};

FIXTURE_SETUP(fuzz)
{
	self->seed = (unsigned int)new_seed();
	self->dice.state = self->seed;
	TH_LOG("seed=%u", self->seed);
	/* One process for all: starting one is the slowest that is done here. */
	ASSERT_EQ(0, run("$(dirname $(readlink /proc/$PPID/exe))/../../bin/cbtctl format --force "
			 "/dev/vda /dev/vde >/dev/null"));
	ASSERT_EQ(0, run("s=$(blockdev --getsz /dev/vda); dmsetup create --concise \""
			 "fuzz-a,,,rw,0 $s cbt /dev/vda /dev/vde;fuzz-b,,,rw,0 $s cbt /dev/vdb -;"
			 "fuzz-c,,,rw,0 $s cbt /dev/vdc -\" && dmsetup mknodes"));
	self->buffer = new_buffer(1 << 20);
	for (unsigned int i = 0; i < NR_TRACKERS; i++) {
		int fd = open_device(names[i], O_RDWR | O_DIRECT);

		/* every second block of a leaf, so that a map takes several messages */
		for (off_t at = 0; at < 64; at++)
			ASSERT_EQ(BLOCK, pwrite(fd, self->buffer, BLOCK, at * 2 * BLOCK));
		close(fd);
	}
	self->talk = open_talk();
	self->nl = open_netlink();
}

FIXTURE_TEARDOWN(fuzz)
{
	close(self->talk.fd);
	free(self->buffer);
	nl_close_at(&self->nl);
	EXPECT_EQ(0, run("dmsetup remove --retry fuzz-a fuzz-b fuzz-c"));
}

/*
 * Leaves no tracker frozen; true when a freeze, a dump and an abort work. The first tracker, which
 * has a store, may have been bypassed: then it is not frozen any more.
 */
static bool serves(struct talk *t, struct nl *nl)
{
	struct uuid fresh = new_epoch();
	struct tracker_info info;
	struct failure f;
	unsigned int first = 0;

	for (unsigned int i = 0; i < NR_TRACKERS; i++) {
		if (nl_tracker_get(nl, names[i], &info, &f) < 0)
			return false;
		if (info.state == CBT_STATE_BYPASSED)
			first = i + 1;
		if (info.has_frozen &&
		    ask_epoch(t, CBT_CMD_ABORT, &names[i], 1, &info.frozen_uuid).error)
			return false;
	}
	return first < NR_TRACKERS &&
	       !ask_epoch(t, CBT_CMD_FREEZE, names + first, NR_TRACKERS - first, &fresh).error &&
	       !ask_map(t, names[0], CBT_MAP_BOTH).error &&
	       !ask_epoch(t, CBT_CMD_ABORT, names + first, NR_TRACKERS - first, &fresh).error;
}

TEST_F_TIMEOUT(fuzz, random_and_damaged_messages_are_refused_with_a_sentence, 900)
{
	uint64_t end = now_ms() + 1000 * seconds_of_run();
	unsigned int done = 0, refused = 0;

	while (now_ms() < end) {
		struct message m;
		struct answer a;

		make_message(&m, &self->dice, self->talk.family);
		while (chance(&self->dice, 2))
			damage(&m, &self->dice);
		a = ask(&self->talk, &m);
		done++;
		refused += a.error != 0;
		if (!may_answer(a.error) || (must_explain(&m, a.error) && !a.has_text)) {
			TH_LOG("seed=%u message %u command %u length %zu: error %d \"%s\"",
			       self->seed, done, genl_of(&m)->cmd, m.len, a.error, a.text);
			for (size_t i = 0; i < m.len && i < 256; i += 16)
				TH_LOG("%08x %08x %08x %08x", *(uint32_t *)(m.buf + i),
				       *(uint32_t *)(m.buf + i + 4), *(uint32_t *)(m.buf + i + 8),
				       *(uint32_t *)(m.buf + i + 12));
			ASSERT_TRUE(false);
		}
		if (done % 512 == 0)
			ASSERT_TRUE(serves(&self->talk, self->nl))
			TH_LOG("seed=%u after %u", self->seed, done);
	}
	ASSERT_TRUE(serves(&self->talk, self->nl));
	TH_LOG("seed=%u done=%u refused=%u", self->seed, done, refused);
	ASSERT_LT(200U, done);
}

TEST_F(fuzz, a_wrong_length_in_the_netlink_header_disturbs_nobody)
{
	static const uint32_t lengths[] = { 0, 1, 15, 17, 19, 65535, INT32_MAX, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct message m;

		message_init(&m, self->talk.family, CBT_CMD_FREEZE, 0);
		put_name(&m, names[0]);
		header_of(&m)->nlmsg_len = lengths[i];
		(void)!send(self->talk.fd, m.buf, m.len, 0);
		while (recv(self->talk.fd, m.buf, sizeof(m.buf), MSG_DONTWAIT) > 0)
			;
		ASSERT_TRUE(serves(&self->talk, self->nl));
	}
}

TEST_F(fuzz, more_trackers_than_the_limit_are_refused_and_nothing_is_frozen)
{
	struct uuid epoch = new_epoch();
	struct message m;
	struct answer a;

	message_init(&m, self->talk.family, CBT_CMD_FREEZE, 0);
	(void)put(&m, CBT_A_EPOCH_UUID, epoch.b, sizeof(epoch.b));
	for (unsigned int i = 0; i < CBT_TRACKERS_MAX + 1; i++)
		put_name(&m, names[i % NR_TRACKERS]);
	a = ask(&self->talk, &m);
	EXPECT_EQ(E2BIG, a.error);
	EXPECT_TRUE(a.has_text);
	a = ask_epoch(&self->talk, CBT_CMD_COMMIT, names, 1, &epoch);
	EXPECT_EQ(ENOENT, a.error);
}

/* --- who may not ask; no tracker is needed for being refused --- */

/* 0 when every command is refused with EPERM and a sentence, else the command. */
static int refused_commands(void)
{
	struct talk t = open_talk();
	struct uuid epoch = new_epoch();

	for (int command = CBT_CMD_TRACKER_GET; command < CBT_CMD_EVENT; command++) {
		struct answer a = takes_epoch(command) ? ask_epoch(&t, command, names, 1, &epoch)
				  : command == CBT_CMD_MAP_GET
					  ? ask_map(&t, names[0], CBT_MAP_ACTIVE)
					  : ask_tracker(&t, command, names[0]);
		struct message m;

		if (a.error != EPERM || !a.has_text || a.nr_data)
			return command;
		if (command != CBT_CMD_TRACKER_GET && command != CBT_CMD_STATS_GET)
			continue;
		message_init(&m, t.family, command, NLM_F_DUMP);
		a = ask(&t, &m);
		if (a.error != EPERM || !a.has_text || a.nr_data)
			return 100 + command;
	}
	return 0;
}

static int in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(fn());
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status)
									       : 255;
}

static int as_nobody(void)
{
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 254;
	return refused_commands();
}

static int as_root_without_the_capability(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];

	if (syscall(SYS_capget, &h, caps))
		return 254;
	for (int i = 0; i < 2; i++)
		caps[i].inheritable = 0;
	caps[0].effective &= ~(1U << CAP_SYS_ADMIN);
	caps[0].permitted &= ~(1U << CAP_SYS_ADMIN);
	if (syscall(SYS_capset, &h, caps))
		return 254;
	return refused_commands();
}

static int as_root_of_another_user_namespace(void)
{
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 254;
	if (unshare(CLONE_NEWUSER))
		return errno == ENOSPC || errno == EPERM ? 0 : 253;
	return refused_commands();
}

/* The number of the family is known there, too. */
static int known_family;

static int in_another_network_namespace(void)
{
	struct talk t;
	struct answer a;

	if (unshare(CLONE_NEWNET))
		return 254;
	t = (struct talk){ .fd = open_raw() };
	if (find_family(t.fd))
		return 1;
	t.family = known_family;
	a = ask_tracker(&t, CBT_CMD_TRACKER_GET, names[0]);
	return a.error == ENOENT && !a.nr_data ? 0 : 2;
}

TEST(an_unprivileged_user_is_refused_everything)
{
	EXPECT_EQ(0, in_child(as_nobody));
}

TEST(root_without_cap_sys_admin_is_refused_everything)
{
	EXPECT_EQ(0, in_child(as_root_without_the_capability));
}

TEST(root_of_another_user_namespace_is_refused_everything)
{
	EXPECT_EQ(0, in_child(as_root_of_another_user_namespace));
}

TEST(another_network_namespace_does_not_see_the_family)
{
	struct talk t = open_talk();

	known_family = t.family;
	close(t.fd);
	EXPECT_EQ(0, in_child(in_another_network_namespace));
}

/* --- many at once --- */

struct attacker {
	pthread_t thread;
	struct dice dice;
	uint64_t end;
	unsigned int done;
	int unexpected; /* an errno that nobody may see, or -1 */
};

/* Asks for a dump, reads a part of it or nothing, and goes. */
static int abandon_dump(struct dice *d)
{
	struct talk t = open_talk();
	struct message m;
	char buf[512];
	bool sent;

	message_init(&m, t.family, chance(d, 2) ? CBT_CMD_MAP_GET : CBT_CMD_TRACKER_GET,
		     NLM_F_DUMP);
	if (genl_of(&m)->cmd == CBT_CMD_MAP_GET) {
		put_name(&m, names[roll(d, ARRAY_SIZE(names))]);
		put_u32(&m, CBT_A_WHICH, 1 + 2 * roll(d, 2));
	}
	sent = send_message(&t, &m);
	if (chance(d, 2))
		(void)!recv(t.fd, buf, sizeof(buf), 0);
	close(t.fd);
	return sent ? 0 : EIO;
}

static int one_attack(struct talk *t, struct dice *d)
{
	static const int commands[] = { CBT_CMD_FREEZE, CBT_CMD_COMMIT, CBT_CMD_ABORT };
	static const int plain[] = { CBT_CMD_CHECKPOINT, CBT_CMD_LOST_ACK, CBT_CMD_LABEL_GET,
				     CBT_CMD_STATS_GET };
	struct uuid u = some_epoch(d);
	struct message m;

	switch (roll(d, 8)) {
	case 0:
		return abandon_dump(d);
	case 1:
		return ask_map(t, names[roll(d, ARRAY_SIZE(names))], 1 + roll(d, 3)).error;
	case 2:
		message_init(&m, t->family, CBT_CMD_TRACKER_GET, NLM_F_DUMP);
		return ask(t, &m).error;
	case 3:
		make_message(&m, d, t->family);
		return ask(t, &m).error;
	case 4:
		message_init(&m, t->family, chance(d, 2) ? CBT_CMD_MARK : CBT_CMD_RELEASE, 0);
		put_name(&m, names[roll(d, ARRAY_SIZE(names))]);
		put_some_ranges(&m, d);
		return ask(t, &m).error;
	case 5:
		return ask_tracker(t, plain[roll(d, ARRAY_SIZE(plain))],
				   names[roll(d, ARRAY_SIZE(names))])
			.error;
	default:
		return ask_epoch(t, commands[roll(d, 3)], names, 1 + roll(d, ARRAY_SIZE(names)), &u)
			.error;
	}
}

static void *attack(void *context)
{
	struct attacker *a = context;
	struct talk t = open_talk();

	while (now_ms() < a->end && !a->unexpected) {
		int error = one_attack(&t, &a->dice);

		if (!may_answer(error))
			a->unexpected = error;
		a->done++;
	}
	close(t.fd);
	return NULL;
}

static void *come_and_go(void *context)
{
	struct attacker *a = context;

	while (now_ms() < a->end) {
		track_device(names[NR_TRACKERS], "/dev/vdd", "");
		unmap_device(names[NR_TRACKERS]);
		a->done++;
	}
	return NULL;
}

static void *write_always(void *context)
{
	struct attacker *a = context;
	char *buffer = new_buffer(64 << 10);
	int fd = open_device(names[0], O_RDWR | O_DIRECT);

	while (now_ms() < a->end && !a->unexpected) {
		if (pwrite(fd, buffer, 64 << 10, (off_t)roll(&a->dice, 400) * (64 << 10)) < 0)
			a->unexpected = errno;
		a->done++;
	}
	close(fd);
	free(buffer);
	return NULL;
}

TEST_F_TIMEOUT(fuzz, many_sockets_race_with_epochs_writes_and_devices_that_come_and_go, 900)
{
	void *(*const work[])(
		void *) = { attack, attack, attack, attack, come_and_go, write_always };
	struct attacker a[ARRAY_SIZE(work)] = { 0 };
	uint64_t end = now_ms() + 1000 * seconds_of_run();
	unsigned int done = 0;

	for (size_t i = 0; i < ARRAY_SIZE(a); i++) {
		a[i].dice.state = self->seed + i;
		a[i].end = end;
		ASSERT_EQ(0, pthread_create(&a[i].thread, NULL, work[i], &a[i]));
	}
	for (size_t i = 0; i < ARRAY_SIZE(a); i++) {
		(void)pthread_join(a[i].thread, NULL);
		EXPECT_EQ(0, a[i].unexpected);
		EXPECT_LT(0U, a[i].done);
		done += a[i].done;
	}
	EXPECT_TRUE(serves(&self->talk, self->nl));
	TH_LOG("seed=%u done=%u, %u devices came and went", self->seed, done, a[4].done);
}

TEST_F(fuzz, a_reader_that_never_reads_keeps_its_dump_and_nobody_else_waits)
{
	struct talk lazy[32];
	struct message m;

	for (size_t i = 0; i < ARRAY_SIZE(lazy); i++) {
		lazy[i] = open_talk();
		message_init(&m, lazy[i].family, CBT_CMD_MAP_GET, NLM_F_DUMP);
		put_name(&m, names[0]);
		put_u32(&m, CBT_A_WHICH, CBT_MAP_ACTIVE);
		ASSERT_TRUE(send_message(&lazy[i], &m));
	}
	EXPECT_TRUE(serves(&self->talk, self->nl));
	for (size_t i = 0; i < ARRAY_SIZE(lazy); i++)
		close(lazy[i].fd);
}

TEST_HARNESS_MAIN
