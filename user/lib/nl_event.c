// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Events, on a socket that has joined the family's group. The kernel drops what a full socket does
 * not take, so there is room for a burst. When the module goes, so does the group, without a word: the
 * family controller's group tells of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "base/cleanup.h"
#include "lib/nl_control.h"
#include "lib/nl_decode.h"
#include "lib/nl_exchange.h"

#define RECEIVE_BYTES (1024 * 1024)

struct nl_listener {
	struct nl_sock *socket;
	nl_event_fn fn;
	void *context;
	int error; /* negative errno, of decoding or of @fn */
};

static const struct nl_subject about = { .verb = "listen to events" };

/* The family controller told: was it of the end of ours? */
static bool is_the_end(struct nlmsghdr *hdr)
{
	struct genlmsghdr *genl = nlmsg_data(hdr);
	struct nlattr *name;

	if (genl->cmd != CTRL_CMD_DELFAMILY)
		return false;
	name = nla_find(genlmsg_attrdata(genl, 0), genlmsg_attrlen(genl, 0), CTRL_ATTR_FAMILY_NAME);
	return name && nla_strcmp(name, CBT_GENL_NAME) == 0;
}

static int on_event(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *hdr = nlmsg_hdr(msg);
	struct nl_listener *l = arg;
	struct tracker_event event;

	if (genlmsg_valid_hdr(hdr, 0) && hdr->nlmsg_type == GENL_ID_CTRL) {
		l->error = is_the_end(hdr) ? -EPIPE : 0;
		return l->error ? NL_STOP : NL_OK;
	}
	if (!genlmsg_valid_hdr(hdr, 0) ||
	    ((struct genlmsghdr *)nlmsg_data(hdr))->cmd != CBT_CMD_EVENT)
		return NL_OK;
	l->error = nl_decode_event(genlmsg_attrdata(nlmsg_data(hdr), 0),
				   genlmsg_attrlen(nlmsg_data(hdr), 0), &event);
	if (!l->error)
		l->error = l->fn(l->context, &event);
	return l->error ? NL_STOP : NL_OK;
}

static int join(struct nl_listener *l)
{
	int ends;
	int events;
	int err = nl_may_be_there() ? genl_connect(l->socket) : -NLE_OBJ_NOTFOUND;

	if (!err)
		err = nl_socket_set_buffer_size(l->socket, RECEIVE_BYTES, 0);
	if (err)
		return err;
	/* ORDER: both first, since what a group sends would mix with the answers. */
	ends = genl_ctrl_resolve_grp(l->socket, "nlctrl", "notify");
	if (ends < 0)
		return ends;
	events = genl_ctrl_resolve_grp(l->socket, CBT_GENL_NAME, CBT_GENL_EVENTS);
	nl_note_missing(events == -NLE_OBJ_NOTFOUND);
	return events < 0 ? events : nl_socket_add_memberships(l->socket, ends, events, 0);
}

int nl_listen(struct nl_listener **ret, struct failure *f)
{
	_cleanup_(nl_listener_free_at) struct nl_listener *l = calloc(1, sizeof(*l));
	int err;

	if (l)
		l->socket = nl_socket_alloc();
	if (!l || !l->socket)
		return nl_explain(f, -ENOMEM, &about, "");
	err = join(l);
	if (err == -NLE_OBJ_NOTFOUND)
		return failure_set(f, CODE_NOT_AVAILABLE, -ENOPROTOOPT,
				   "dm-cbt is not loaded: modprobe dm-cbt as root");
	if (err == -NLE_PERM || err == -NLE_NOACCESS)
		return nl_explain(f, -EPERM, &about, "");
	if (err < 0)
		return nl_explain(f, -EIO, &about, nl_geterror(err));
	nl_socket_disable_seq_check(l->socket);
	(void)nl_socket_modify_cb(l->socket, NL_CB_VALID, NL_CB_CUSTOM, on_event, l);
	*ret = steal_ptr(l);
	return 0;
}

void nl_listener_free_at(struct nl_listener **listener)
{
	if (*listener)
		nl_socket_free((*listener)->socket);
	free(*listener);
	*listener = NULL;
}

int nl_listener_fd(const struct nl_listener *listener)
{
	return nl_socket_get_fd(listener->socket);
}

int nl_listener_take(struct nl_listener *l, nl_event_fn fn, void *context, struct failure *f)
{
	int err;

	l->fn = fn;
	l->context = context;
	l->error = 0;
	err = nl_recvmsgs_default(l->socket);
	if (l->error)
		return nl_explain(f, l->error, &about, "");
	/* ENOBUFS comes as this, too. */
	if (err == -NLE_NOMEM)
		return nl_explain(f, -ENOBUFS, &about, "some were lost");
	return err < 0 ? nl_explain(f, -EIO, &about, nl_geterror(err)) : 0;
}
