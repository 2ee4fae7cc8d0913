// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An exchange is a request, then answers until the kernel's acknowledgement, its refusal or the end
 * of the dump. The family's number is looked up again for each: a reloaded module gets another one,
 * and a look-up makes the kernel load a module that is installed.
 *
 * After a failed exchange the socket is closed, so that answers still on their way cannot be taken
 * for those of the next call, which opens another.
 *
 * libnl turns the kernel's errno into its own, coarser numbers. The callbacks below therefore read
 * errno and extended ack from the message; what libnl returns counts only where no message came.
 */
#include "lib/nl_exchange.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "base/clock.h"
#include "base/text.h"

/*
 * The kernel fills the messages of a dump up to 32 KiB for a reader with that much room; the answer
 * about CBT_TRACKERS_MAX trackers is one message of up to 100 KiB, and the acknowledgement must
 * find room beside it in the socket's queue.
 */
#define RECEIVE_BYTES (192 * 1024)
#define LOOK_AGAIN_NS (60 * NS_PER_S)

struct nl {
	struct nl_sock *socket; /* NULL after a failed exchange */
};

/* ---- failures ---- */

static const struct reason {
	int error;
	enum code code;
	const char *text; /* where the kernel gives none */
	const char *advice; /* which the kernel's sentences do not give */
} reasons[] = {
	{ EPERM, CODE_ACCESS_DENIED, "not permitted", "run it as root" },
	{ ENODEV, CODE_INVALID_PARAMETER, "no such tracker", "`cbtctl list` shows what is there" },
	{ ENOENT, CODE_INVALID_STATE, "no such epoch is frozen", "`cbtctl show` tells which is" },
	{ EBUSY, CODE_IN_USE, "another epoch is frozen: commit or abort it first", NULL },
	{ EEXIST, CODE_INVALID_STATE, "the epoch's UUID was used before: choose a new one", NULL },
	{ ECANCELED, CODE_INVALID_STATE, "the epoch was aborted", NULL },
	{ EALREADY, CODE_INVALID_STATE, "the epoch was committed already", NULL },
	{ ESTALE, CODE_INVALID_STATE, "it changed meanwhile: start again", NULL },
	{ EPIPE, CODE_NOT_AVAILABLE, "dm-cbt was unloaded", NULL },
	{ ETIMEDOUT, CODE_TIMEOUT, "writes in flight did not end in time: try again", NULL },
	{ EINPROGRESS, CODE_TIMEOUT, "the store is slow: it is not durable yet", "ask again" },
	{ ERANGE, CODE_INVALID_PARAMETER, "a range is not inside the disk", NULL },
	{ ENOMEM, CODE_OUT_OF_MEMORY, "out of memory", "make some free on this host, and repeat it" },
	{ EOPNOTSUPP, CODE_NOT_SUPPORTED, "the loaded module does not know the command",
	  "load the dm-cbt that belongs to this program" },
	{ EBADMSG, CODE_FAILED, "the loaded module's answer cannot be understood",
	  "load the dm-cbt that belongs to this program" },
};

static const struct reason *reason_of(int error)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].error == -error)
			return &reasons[i];
	return NULL;
}

static void name_subject(const struct nl_subject *about, char *buf, size_t size)
{
	if (!about->nr)
		(void)snprintf(buf, size, "%s", about->verb);
	else if (about->nr == 1)
		(void)snprintf(buf, size, "%s %.127s", about->verb, about->trackers[0]);
	else
		(void)snprintf(buf, size, "%s %.127s and %zu other%s", about->verb,
			       about->trackers[0], about->nr - 1, about->nr > 2 ? "s" : "");
}

int nl_explain(struct failure *f, int error, const struct nl_subject *about, const char *said)
{
	const struct reason *r = reason_of(error);
	char subject[192];

	name_subject(about, subject, sizeof(subject));
	if (!*said)
		said = r ? r->text : strerror(-error);
	if (r && r->advice)
		return failure_set(f, r->code, error, "cannot %s: %s; %s", subject, said,
				   r->advice);
	return failure_set(f, r ? r->code : code_of_errno(error), error, "cannot %s: %s", subject,
			   said);
}

static int explain_libnl(struct failure *f, int nl_error, const struct nl_subject *about)
{
	return nl_explain(f, nl_error == -NLE_NOMEM ? -ENOMEM : -EIO, about, nl_geterror(nl_error));
}

/* Secure Boot is the usual reason for a module that cannot be loaded. */
static bool locked_down(void)
{
	char line[128] = "";
	FILE *file = fopen("/sys/kernel/security/lockdown", "re");

	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	(void)fclose(file);
	return *line && !strstr(line, "[none]");
}

static int not_loaded(struct failure *f)
{
	return failure_set(f, CODE_NOT_AVAILABLE, -ENOPROTOOPT,
			   "dm-cbt is not loaded: modprobe dm-cbt as root%s",
			   locked_down() ? " (this kernel is locked down, as with Secure Boot, and "
					   "takes signed modules only)" :
					   "");
}

/* ---- connecting ---- */

static void hang_up(struct nl *nl)
{
	nl_socket_free(nl->socket);
	nl->socket = NULL;
}

static int dial(struct nl *nl, struct failure *f)
{
	static const struct nl_subject about = { .verb = "open a netlink socket" };
	struct nl_sock *socket = nl_socket_alloc();
	int on = 1;
	int err;

	if (!socket)
		return nl_explain(f, -ENOMEM, &about, "");
	nl_socket_disable_msg_peek(socket);
	err = genl_connect(socket);
	if (!err)
		err = nl_socket_set_buffer_size(socket, RECEIVE_BYTES, RECEIVE_BYTES);
	if (!err)
		err = nl_socket_set_msg_buf_size(socket, RECEIVE_BYTES);
	if (err < 0) {
		nl_socket_free(socket);
		return explain_libnl(f, err, &about);
	}
	/* Where it fails, refusals only lack their sentence. */
	(void)setsockopt(nl_socket_get_fd(socket), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	nl->socket = socket;
	return 0;
}

/*
 * A look-up of a module that is missing, or refused, has the kernel run modprobe each time: a daemon does not ask
 * for that more often than once a minute, unless somebody has loaded it.
 */
static uint64_t missed_ns; /* 0: it was not */

bool nl_may_be_there(void)
{
	return !missed_ns || clock_ns() - missed_ns >= LOOK_AGAIN_NS || access("/sys/module/dm_cbt", F_OK) == 0;
}

void nl_note_missing(bool missing)
{
	missed_ns = missing ? clock_ns() : 0;
}

static int find_family(struct nl *nl, int *ret, struct failure *f)
{
	static const struct nl_subject about = { .verb = "find dm-cbt" };
	int family;
	int err;

	if (!nl_may_be_there())
		return not_loaded(f);
	if (!nl->socket) {
		err = dial(nl, f);
		if (err < 0)
			return err;
	}
	family = genl_ctrl_resolve(nl->socket, CBT_GENL_NAME);
	nl_note_missing(family == -NLE_OBJ_NOTFOUND);
	if (family >= 0) {
		*ret = family;
		return 0;
	}
	hang_up(nl);
	if (family == -NLE_OBJ_NOTFOUND)
		return not_loaded(f);
	return explain_libnl(f, family, &about);
}

int nl_open(struct nl **ret, struct failure *f)
{
	static const struct nl_subject about = { .verb = "reach dm-cbt" };
	_cleanup_(nl_close_at) struct nl *nl = calloc(1, sizeof(*nl));
	int family;
	int err;

	if (!nl)
		return nl_explain(f, -ENOMEM, &about, "");
	err = find_family(nl, &family, f);
	if (err < 0)
		return err;
	*ret = steal_ptr(nl);
	return 0;
}

void nl_close_at(struct nl **nl)
{
	if (*nl)
		nl_socket_free((*nl)->socket);
	free(*nl);
	*nl = NULL;
}

/* ---- an exchange ---- */

struct exchange {
	const struct nl_subject *about;
	struct nl_msg *request;
	nl_answer_fn fn;
	void *context;
	bool done;
	int error; /* negative errno: the kernel's, or @fn's */
	char said[384]; /* by the kernel, with its error */
};

/*
 * The kernel says "this tracker" and points at its selector in the request. "" when only one
 * tracker was named: the subject of the sentence names it.
 */
static const char *name_of_culprit(const struct exchange *x, uint32_t offset)
{
	struct nlmsghdr *hdr = nlmsg_hdr(x->request);
	struct nlattr *attr;
	size_t i = 0;
	int left;

	nlmsg_for_each_attr(attr, hdr, GENL_HDRLEN, left) {
		size_t start = (size_t)((char *)attr - (char *)hdr);

		if (nla_type(attr) != CBT_A_TRACKER)
			continue;
		if (offset >= start && offset - start < attr->nla_len && x->about->nr > 1)
			return x->about->trackers[i];
		i++;
	}
	return "";
}

static void keep_sentence(struct exchange *x, const struct nlattr *text,
			  const struct nlattr *offset)
{
	char said[256];
	const char *culprit = "";
	uint32_t bytes;

	if (offset && nla_len(offset) == sizeof(bytes)) {
		memcpy(&bytes, nla_data(offset), sizeof(bytes));
		culprit = name_of_culprit(x, bytes);
	}
	text_make_printable(nla_data(text), strnlen(nla_data(text), (size_t)nla_len(text)), said,
			    sizeof(said));
	(void)snprintf(x->said, sizeof(x->said), "%.127s%s%s", culprit, *culprit ? ": " : "", said);
}

/* The attributes start @at bytes into the payload of a refusal or of the end of a dump. */
static void read_extended_ack(struct exchange *x, struct nlmsghdr *hdr, size_t at)
{
	size_t bytes = (size_t)nlmsg_datalen(hdr);
	struct nlattr *attrs;
	struct nlattr *text;

	at = NLMSG_ALIGN(at);
	if (!(hdr->nlmsg_flags & NLM_F_ACK_TLVS) || at >= bytes)
		return;
	attrs = (struct nlattr *)((char *)nlmsg_data(hdr) + at);
	bytes -= at;
	text = nla_find(attrs, (int)bytes, NLMSGERR_ATTR_MSG);
	if (text)
		keep_sentence(x, text, nla_find(attrs, (int)bytes, NLMSGERR_ATTR_OFFS));
}

static int on_answer(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *hdr = nlmsg_hdr(msg);
	struct exchange *x = arg;

	if (genlmsg_valid_hdr(hdr, 0))
		x->error = x->fn(genlmsg_attrdata(nlmsg_data(hdr), 0),
				 genlmsg_attrlen(nlmsg_data(hdr), 0), x->context);
	else
		x->error = -EBADMSG;
	return x->error ? NL_STOP : NL_OK;
}

static int on_acknowledged(struct nl_msg *msg, void *arg)
{
	struct exchange *x = arg;

	(void)msg;
	x->done = true;
	return NL_STOP;
}

static int on_refused(struct sockaddr_nl *from, struct nlmsgerr *refusal, void *arg)
{
	struct nlmsghdr *hdr = (struct nlmsghdr *)((char *)refusal - NLMSG_HDRLEN);
	struct exchange *x = arg;
	size_t echoed = 0;

	(void)from;
	if (!(hdr->nlmsg_flags & NLM_F_CAPPED) && refusal->msg.nlmsg_len > NLMSG_HDRLEN)
		echoed = refusal->msg.nlmsg_len - NLMSG_HDRLEN;
	read_extended_ack(x, hdr, sizeof(*refusal) + echoed);
	x->error = refusal->error < 0 ? refusal->error : -EBADMSG;
	return NL_STOP;
}

static int on_dump_end(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *hdr = nlmsg_hdr(msg);
	struct exchange *x = arg;
	int error = 0;

	if (nlmsg_datalen(hdr) >= (int)sizeof(error))
		memcpy(&error, nlmsg_data(hdr), sizeof(error));
	if (error < 0) {
		read_extended_ack(x, hdr, sizeof(error));
		x->error = error;
	}
	x->done = true;
	return NL_STOP;
}

static int on_dump_interrupted(struct nl_msg *msg, void *arg)
{
	struct exchange *x = arg;

	(void)msg;
	x->error = -ESTALE;
	return NL_STOP;
}

static void free_callbacks(struct nl_cb **cb)
{
	nl_cb_put(*cb);
}

static int receive(struct nl *nl, struct exchange *x, struct failure *f)
{
	_cleanup_(free_callbacks) struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);

	if (!cb)
		return nl_explain(f, -ENOMEM, x->about, "");
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_answer, x);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_acknowledged, x);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_dump_end, x);
	nl_cb_set(cb, NL_CB_DUMP_INTR, NL_CB_CUSTOM, on_dump_interrupted, x);
	nl_cb_err(cb, NL_CB_CUSTOM, on_refused, x);
	while (!x->done && !x->error) {
		int err = nl_recvmsgs(nl->socket, cb);

		if (err < 0 && !x->error)
			return explain_libnl(f, err, x->about);
	}
	return x->error ? nl_explain(f, x->error, x->about, x->said) : 0;
}

int nl_request_new(struct nl *nl, uint8_t command, int flags, size_t room,
		   const struct nl_subject *about, struct nl_msg **ret, struct failure *f)
{
	cleanup_request struct nl_msg *msg = NULL;
	int family;
	int err;

	err = find_family(nl, &family, f);
	if (err < 0)
		return err;
	msg = nlmsg_alloc_size(NLMSG_HDRLEN + GENL_HDRLEN + room);
	if (!msg || !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, flags, command,
				 CBT_GENL_VERSION))
		return nl_explain(f, -ENOMEM, about, "");
	*ret = steal_ptr(msg);
	return 0;
}

int nl_exchange(struct nl *nl, struct nl_msg *request, nl_answer_fn fn, void *context,
		const struct nl_subject *about, struct failure *f)
{
	struct exchange x = { .about = about, .request = request, .fn = fn, .context = context };
	int err = nl_send_auto(nl->socket, request);

	err = err < 0 ? explain_libnl(f, err, about) : receive(nl, &x, f);
	if (err < 0)
		hang_up(nl);
	return err;
}
