// SPDX-License-Identifier: GPL-2.0-or-later
#include "xfer/incoming.h"

#include <errno.h>
#include <string.h>

void incoming_init(struct incoming *in, struct ring *ring, unsigned int file)
{
	*in = (struct incoming){ .ring = ring, .file = file };
}

void incoming_start(struct incoming *in, uint8_t *head, uint8_t *body, size_t body_room)
{
	in->has_header = false;
	in->head = head;
	in->body = body;
	in->body_room = body_room;
	in->op = (struct ring_op){
		.kind = RING_RECV,
		.file = in->file,
		.iov = { { head, WIRE_HEADER_BYTES } },
		.nr_iov = 1,
		.owner = in,
	};
	ring_submit(in->ring, &in->op);
}

static int header_step(struct incoming *in, struct failure *f)
{
	enum wire_fault fault = wire_header_decode(in->head, &in->header);
	struct iovec *iov = in->op.iov;
	unsigned int nr_iov = 0;

	if (fault)
		return failure_set(f, CODE_FAILED, -EPROTO, "record %llu of the peer %s",
				   (unsigned long long)in->nr_records, wire_fault_text(fault));
	if (in->header.flags & CBT_WIRE_PACKED && in->packed)
		in->body = in->packed;
	else if (in->header.body_len > in->body_room)
		return failure_set(f, CODE_FAILED, -EPROTO,
				   "the peer sent %s, which must not come here",
				   wire_type_name(in->header.type));
	in->has_header = true;
	if (in->header.nr_extents)
		iov[nr_iov++] = (struct iovec){ in->head + WIRE_HEADER_BYTES,
						in->header.nr_extents * WIRE_EXTENT_BYTES };
	if (in->header.body_len)
		iov[nr_iov++] = (struct iovec){ in->body, in->header.body_len };
	if (!nr_iov)
		return 1;
	in->op.nr_iov = nr_iov;
	ring_submit(in->ring, &in->op);
	return 0;
}

int incoming_step(struct incoming *in, struct failure *f)
{
	int rc = in->op.result;

	if (rc == -ECONNRESET)
		return failure_set(f, CODE_NOT_AVAILABLE, rc,
				   "the peer closed the connection before the delta was whole");
	if (rc)
		return failure_set(f, code_of_errno(rc), rc, "the connection failed: %s",
				   strerror(-rc));
	rc = in->has_header ? 1 : header_step(in, f);
	if (rc == 1)
		in->nr_records++;
	return rc;
}
