// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/session.c: the conversation of one delta, and every way to leave its path. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macro.h"
#include "lib/session.h"

#include "kselftest_harness.h"

#define DISK_BYTES ((uint64_t)1 << 20)

/* One record, as it would lie in a reader's buffers. */
struct record {
	struct wire_header header;
	uint8_t head[WIRE_HEAD_MAX];
	uint8_t body[CBT_WIRE_TEXT_MAX];
};

/* Two disks of 1 MiB, a delta of 8192 bytes, and the two sides of it. */
FIXTURE(delta)
{
	struct wire_begin begin;
	struct wire_begin plan;
	struct send_session *sender;
	struct receive_session *receiver;
	struct record record;
	struct extent extents[CBT_WIRE_EXTENTS_MAX];
	struct failure f;
};

FIXTURE_SETUP(delta)
{
	memset(self, 0, sizeof(*self));
	self->begin = (struct wire_begin){ .bytes_total = 8192, .nr_disks = 2 };
	memset(&self->begin.vm, 1, sizeof(self->begin.vm));
	memset(&self->begin.epoch, 2, sizeof(self->begin.epoch));
	memset(&self->begin.base, 3, sizeof(self->begin.base));
	self->begin.disks[0] = (struct wire_disk){ DISK_BYTES, "disk0" };
	self->begin.disks[1] = (struct wire_disk){ DISK_BYTES, "disk1" };
	self->plan = self->begin;
	self->plan.bytes_total = 0;
	self->sender = aligned_alloc(64, round_up_to(sizeof(*self->sender), (size_t)64));
	self->receiver = aligned_alloc(64, round_up_to(sizeof(*self->receiver), (size_t)64));
	send_session_init(self->sender, &self->begin);
	receive_session_init(self->receiver, &self->plan, false);
}

FIXTURE_TEARDOWN(delta)
{
	free(self->sender);
	free(self->receiver);
}

typedef FIXTURE_DATA(delta) delta_data;

/* Seal what stands in the record's body. */
static void seal(delta_data *d, unsigned int type, size_t len, uint64_t sequence)
{
	d->record.header = (struct wire_header){
		.type = (uint16_t)type,
		.body_len = (uint32_t)len,
		.sequence = sequence,
	};
	wire_seal(&d->record.header, NULL, d->record.body, d->record.head);
}

static int receive(delta_data *d)
{
	return receive_session_step(d->receiver, &d->record.header, d->record.head, d->record.body,
				    d->extents, &d->f);
}

static int send_back(delta_data *d)
{
	return send_session_step(d->sender, &d->record.header, d->record.head, d->record.body,
				 &d->f);
}

static int do_begin(delta_data *d)
{
	uint64_t sequence = d->sender->sequence_out;

	seal(d, CBT_WIRE_BEGIN, send_session_begin(d->sender, d->record.body), sequence);
	return receive(d);
}

static int do_ready_at(delta_data *d, uint64_t interval, struct wire_mark mark)
{
	struct wire_ready ready = { interval, mark };

	seal(d, CBT_WIRE_READY, receive_session_ready(d->receiver, &ready, d->record.body), 0);
	return send_back(d);
}

static int do_ready(delta_data *d)
{
	return do_ready_at(d, 0, (struct wire_mark){ 0 });
}

/* A MARK of the sender's, as it stands on the wire. */
static int do_mark(delta_data *d, struct wire_mark mark)
{
	uint8_t record[SESSION_MARK_BYTES];

	send_session_mark(d->sender, &mark, record);
	memcpy(d->record.head, record, WIRE_HEADER_BYTES);
	memcpy(d->record.body, record + WIRE_HEADER_BYTES, sizeof(struct cbt_wire_mark));
	if (wire_header_decode(record, &d->record.header))
		return -EBADMSG;
	return receive(d);
}

static int do_answer(delta_data *d, struct wire_mark mark, uint64_t sequence)
{
	seal(d, CBT_WIRE_MARK, wire_mark_encode(&mark, d->record.body), sequence);
	return send_back(d);
}

static void make_extents(delta_data *d, unsigned int type, unsigned int disk, uint64_t offset,
			 uint64_t length)
{
	struct extent extent = { offset, length };

	d->record.header = (struct wire_header){
		.type = (uint16_t)type,
		.disk = (uint16_t)disk,
		.nr_extents = 1,
		.body_len = type == CBT_WIRE_DATA ? (uint32_t)length : 0,
	};
	send_session_record(d->sender, &d->record.header, &extent, d->record.body, d->record.head);
}

static int do_extents(delta_data *d, unsigned int type, unsigned int disk, uint64_t offset,
		      uint64_t length)
{
	make_extents(d, type, disk, offset, length);
	return receive(d);
}

static int do_end(delta_data *d)
{
	uint64_t sequence = d->sender->sequence_out;

	seal(d, CBT_WIRE_END, send_session_end(d->sender, d->record.body), sequence);
	return receive(d);
}

static int do_durable(delta_data *d)
{
	struct wire_durable durable = receive_session_durable(d->receiver);

	seal(d, CBT_WIRE_DURABLE, wire_durable_encode(&durable, d->record.body), 1);
	return send_back(d);
}

static void do_stream(struct __test_metadata *_metadata, delta_data *d)
{
	ASSERT_EQ(SESSION_BEGIN, do_begin(d));
	ASSERT_EQ(SESSION_READY, do_ready(d));
	ASSERT_EQ(SESSION_DATA, do_extents(d, CBT_WIRE_DATA, 1, 4096, 4096));
	ASSERT_EQ(SESSION_ZERO, do_extents(d, CBT_WIRE_ZERO, 0, 0, 2048));
	ASSERT_EQ(SESSION_DISCARD, do_extents(d, CBT_WIRE_DISCARD, 0, 4096, 2048));
}

TEST_F(delta, walks_from_begin_to_durable)
{
	do_stream(_metadata, self);
	EXPECT_EQ(4096, self->extents[0].offset);
	EXPECT_EQ(2048, self->extents[0].length);
	EXPECT_EQ(SESSION_END, do_end(self));
	EXPECT_EQ(SESSION_DURABLE, do_durable(self));
	EXPECT_EQ(4096, self->receiver->tally.bytes_data);
	EXPECT_EQ(2048, self->receiver->tally.bytes_zero);
	EXPECT_EQ(2048, self->receiver->tally.bytes_discard);
	EXPECT_EQ(3, self->receiver->tally.nr_records);
}

TEST_F(delta, is_marked_and_the_marks_are_answered)
{
	ASSERT_EQ(SESSION_BEGIN, do_begin(self));
	ASSERT_EQ(SESSION_READY, do_ready_at(self, 4096, (struct wire_mark){ 0 }));
	EXPECT_EQ(4096, self->sender->mark_interval);
	ASSERT_EQ(SESSION_DATA, do_extents(self, CBT_WIRE_DATA, 0, 4096, 4096));
	ASSERT_EQ(SESSION_MARK, do_mark(self, (struct wire_mark){ 0, 8192, 4096 }));
	ASSERT_EQ(SESSION_DATA, do_extents(self, CBT_WIRE_DATA, 1, 0, 4096));
	EXPECT_EQ(SESSION_MARK, do_answer(self, (struct wire_mark){ 0, 8192, 4096 }, 1));
	EXPECT_EQ(8192, self->sender->mark.offset);
	EXPECT_EQ(SESSION_END, do_end(self));
}

TEST_F(delta, goes_on_from_a_mark)
{
	ASSERT_EQ(SESSION_BEGIN, do_begin(self));
	ASSERT_EQ(SESSION_READY, do_ready_at(self, 4096, (struct wire_mark){ 0, 8192, 4096 }));
	EXPECT_EQ(4096, self->sender->mark.bytes);
	ASSERT_EQ(SESSION_DATA, do_extents(self, CBT_WIRE_DATA, 1, 0, 4096));
	EXPECT_EQ(SESSION_END, do_end(self));
	EXPECT_EQ(SESSION_DURABLE, do_durable(self));
}

TEST_F(delta, that_goes_on_from_a_mark_and_sends_all_again_is_refused)
{
	ASSERT_EQ(SESSION_BEGIN, do_begin(self));
	ASSERT_EQ(SESSION_READY, do_ready_at(self, 4096, (struct wire_mark){ 0, 8192, 4096 }));
	ASSERT_EQ(SESSION_DATA, do_extents(self, CBT_WIRE_DATA, 1, 0, 4096));
	EXPECT_EQ(-EPROTO, do_extents(self, CBT_WIRE_DATA, 1, 4096, 4096));
	EXPECT_STREQ("the sender sent more bytes than it announced", self->f.text);
}

TEST_F(delta, with_a_mark_that_its_records_have_not_reached_is_refused)
{
	static const struct wire_mark wrong[] = {
		{ 0, 8192, 8192 }, { 0, 8192, 0 }, { 2, 8192, 4096 }, { 0, DISK_BYTES + 512, 4096 }
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		send_session_init(self->sender, &self->begin);
		receive_session_init(self->receiver, &self->plan, false);
		ASSERT_EQ(SESSION_BEGIN, do_begin(self));
		ASSERT_EQ(SESSION_READY, do_ready_at(self, 4096, (struct wire_mark){ 0 }));
		ASSERT_EQ(SESSION_DATA, do_extents(self, CBT_WIRE_DATA, 0, 4096, 4096));
		EXPECT_EQ(-EPROTO, do_mark(self, wrong[i]));
	}
}

TEST_F(delta, with_marks_that_nobody_asked_for_is_refused)
{
	ASSERT_EQ(SESSION_BEGIN, do_begin(self));
	ASSERT_EQ(SESSION_READY, do_ready(self));
	ASSERT_EQ(SESSION_DATA, do_extents(self, CBT_WIRE_DATA, 0, 4096, 4096));
	EXPECT_EQ(-EPROTO, do_mark(self, (struct wire_mark){ 0, 8192, 4096 }));
}

TEST_F(delta, an_answer_to_a_mark_that_was_not_sent_is_refused)
{
	ASSERT_EQ(SESSION_BEGIN, do_begin(self));
	ASSERT_EQ(SESSION_READY, do_ready_at(self, 4096, (struct wire_mark){ 0 }));
	ASSERT_EQ(SESSION_DATA, do_extents(self, CBT_WIRE_DATA, 0, 4096, 4096));
	ASSERT_EQ(SESSION_MARK, do_mark(self, (struct wire_mark){ 0, 8192, 4096 }));
	EXPECT_EQ(-EPROTO, do_answer(self, (struct wire_mark){ 0, 8704, 4608 }, 1));
	EXPECT_STREQ("the peer answered a mark that it was not given", self->f.text);
}

TEST_F(delta, is_taken_on_top_of_an_epoch_that_was_aborted_into_it)
{
	self->begin.nr_aborted = 2;
	memset(&self->begin.aborted[1], 9, sizeof(self->begin.aborted[1]));
	memset(&self->plan.base, 9, sizeof(self->plan.base));
	EXPECT_EQ(SESSION_BEGIN, do_begin(self));
}

TEST_F(delta, of_another_vm_epoch_or_base_is_refused)
{
	static const char *const sentences[] = {
		"the sender's virtual machine is 00010101-0101-0101-0101-010101010101, the receiver expects ",
		"the sender's epoch is 00020202-0202-0202-0202-020202020202, the receiver expects ",
		"the sender's base is 00030303-0303-0303-0303-030303030303, the receiver expects ",
	};
	struct uuid *const fields[] = { &self->begin.vm, &self->begin.epoch, &self->begin.base };

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		uint8_t before = fields[i]->b[0];

		send_session_init(self->sender, &self->begin);
		receive_session_init(self->receiver, &self->plan, false);
		fields[i]->b[0] = 0;
		EXPECT_EQ(-ESTALE, do_begin(self));
		EXPECT_EQ(CODE_INVALID_STATE, self->f.code);
		EXPECT_EQ(0, strncmp(self->f.text, sentences[i], strlen(sentences[i]))) {
			TH_LOG("%s", self->f.text);
		}
		fields[i]->b[0] = before;
	}
}

TEST_F(delta, with_a_base_where_none_is_expected_is_refused)
{
	memset(&self->plan.base, 0, sizeof(self->plan.base));
	EXPECT_EQ(-ESTALE, do_begin(self));
	EXPECT_NE(NULL, strstr(self->f.text, "the receiver expects none"));
}

TEST_F(delta, with_other_disks_is_refused)
{
	self->plan.nr_disks = 1;
	EXPECT_EQ(-ESTALE, do_begin(self));
	EXPECT_STREQ("the sender has 2 disks, the receiver expects 1", self->f.text);
}

TEST_F(delta, with_another_disk_name_is_refused)
{
	memcpy(self->begin.disks[1].name, "d\nsk1", 5);
	EXPECT_EQ(-ESTALE, do_begin(self));
	EXPECT_STREQ("disk 1 of the sender is d?sk1, the receiver expects disk1", self->f.text);
}

TEST_F(delta, with_another_disk_size_is_refused)
{
	self->begin.disks[0].size_bytes += 512;
	EXPECT_EQ(-ESTALE, do_begin(self));
	EXPECT_STREQ("the sender's disk disk0 has 1049088 bytes, the receiver expects 1048576",
		     self->f.text);
}

TEST_F(delta, that_announces_more_than_its_disks_hold_is_refused)
{
	self->begin.bytes_total = 2 * DISK_BYTES + 1;
	EXPECT_EQ(-EPROTO, do_begin(self));
}

TEST_F(delta, a_damaged_record_is_refused_and_ends_the_session)
{
	ASSERT_EQ(SESSION_BEGIN, do_begin(self));
	make_extents(self, CBT_WIRE_DATA, 0, 0, 4096);
	self->record.body[100] ^= 0x10;
	EXPECT_EQ(-EPROTO, receive(self));
	EXPECT_STREQ("record 1 of the peer (DATA) was damaged on the way: its check does not match",
		     self->f.text);
	self->record.body[100] ^= 0x10;
	EXPECT_EQ(-EPROTO, receive(self));
}

TEST_F(delta, a_lost_repeated_or_reordered_record_is_refused)
{
	ASSERT_EQ(SESSION_BEGIN, do_begin(self));
	self->sender->sequence_out++;
	EXPECT_EQ(-EPROTO, do_extents(self, CBT_WIRE_ZERO, 0, 0, 512));
	EXPECT_STREQ("the peer sent record 2 where 1 is due", self->f.text);
}

TEST_F(delta, a_repeated_record_is_refused)
{
	ASSERT_EQ(SESSION_BEGIN, do_begin(self));
	ASSERT_EQ(SESSION_READY, do_ready(self));
	ASSERT_EQ(SESSION_ZERO, do_extents(self, CBT_WIRE_ZERO, 0, 0, 512));
	EXPECT_EQ(-EPROTO, receive(self));
}

TEST_F(delta, a_disk_that_was_not_announced_is_refused)
{
	ASSERT_EQ(SESSION_BEGIN, do_begin(self));
	EXPECT_EQ(-EPROTO, do_extents(self, CBT_WIRE_ZERO, 2, 0, 512));
}

TEST_F(delta, an_extent_beyond_the_disk_is_refused)
{
	ASSERT_EQ(SESSION_BEGIN, do_begin(self));
	ASSERT_EQ(SESSION_READY, do_ready(self));
	ASSERT_EQ(SESSION_ZERO, do_extents(self, CBT_WIRE_ZERO, 0, DISK_BYTES - 512, 512));
	EXPECT_EQ(-EPROTO, do_extents(self, CBT_WIRE_ZERO, 1, DISK_BYTES - 512, 1024));
	EXPECT_STREQ("record 2 of the peer (ZERO) reaches beyond disk disk1", self->f.text);
}

TEST_F(delta, more_bytes_than_announced_are_refused)
{
	ASSERT_EQ(SESSION_BEGIN, do_begin(self));
	ASSERT_EQ(SESSION_READY, do_ready(self));
	ASSERT_EQ(SESSION_DATA, do_extents(self, CBT_WIRE_DATA, 0, 0, 8192));
	EXPECT_EQ(-EPROTO, do_extents(self, CBT_WIRE_ZERO, 0, 8192, 512));
	EXPECT_STREQ("the sender sent more bytes than it announced", self->f.text);
}

TEST_F(delta, fewer_bytes_than_announced_are_refused)
{
	ASSERT_EQ(SESSION_BEGIN, do_begin(self));
	ASSERT_EQ(SESSION_READY, do_ready(self));
	ASSERT_EQ(SESSION_DATA, do_extents(self, CBT_WIRE_DATA, 0, 0, 4096));
	EXPECT_EQ(-EPROTO, do_end(self));
	EXPECT_STREQ("the sender sent fewer bytes than it announced", self->f.text);
}

TEST_F(delta, each_wrong_count_at_the_end_is_refused)
{
	for (size_t i = 0; i < 5; i++) {
		uint64_t sequence;

		send_session_init(self->sender, &self->begin);
		receive_session_init(self->receiver, &self->plan, false);
		do_stream(_metadata, self);
		sequence = self->sender->sequence_out;
		(void)send_session_end(self->sender, self->record.body);
		self->record.body[8 * i] ^= 1;
		seal(self, CBT_WIRE_END, sizeof(struct cbt_wire_end), sequence);
		EXPECT_EQ(-EPROTO, receive(self));
		EXPECT_NE(NULL, strstr(self->f.text, i < 4 ? "counts" : "digest")) {
			TH_LOG("%s", self->f.text);
		}
	}
}

TEST_F(delta, nothing_is_taken_after_end)
{
	do_stream(_metadata, self);
	ASSERT_EQ(SESSION_END, do_end(self));
	EXPECT_EQ(-EPROTO, do_extents(self, CBT_WIRE_ZERO, 0, 0, 512));
	EXPECT_STREQ("the peer sent ZERO where nothing is due", self->f.text);
}

TEST_F(delta, the_receiver_takes_each_type_only_when_it_is_due)
{
	static const struct {
		unsigned int type;
		size_t len;
	} records[] = {
		{ CBT_WIRE_CALL, 2 },	 { CBT_WIRE_REPLY, 2 }, { CBT_WIRE_READY, 32 },
		{ CBT_WIRE_BEGIN, 200 }, { CBT_WIRE_END, 40 },	{ CBT_WIRE_DURABLE, 24 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
		memset(self->record.body, 0, 256);
		receive_session_init(self->receiver, &self->plan, false);
		seal(self, records[i].type, records[i].len, 0);
		EXPECT_EQ(-EPROTO, receive(self));

		send_session_init(self->sender, &self->begin);
		receive_session_init(self->receiver, &self->plan, false);
		ASSERT_EQ(SESSION_BEGIN, do_begin(self));
		ASSERT_EQ(SESSION_READY, do_ready(self));
		memset(self->record.body, 0, 256);
		seal(self, records[i].type, records[i].len, 1);
		EXPECT_EQ(-EPROTO, receive(self));
	}
	receive_session_init(self->receiver, &self->plan, false);
	send_session_init(self->sender, &self->begin);
	EXPECT_EQ(-EPROTO, do_extents(self, CBT_WIRE_ZERO, 0, 0, 512));
	EXPECT_STREQ("the peer sent ZERO where COMPARE or BEGIN is due", self->f.text);
}

TEST_F(delta, the_sender_takes_each_type_only_when_it_is_due)
{
	ASSERT_EQ(SESSION_BEGIN, do_begin(self));
	EXPECT_EQ(-EPROTO, do_durable(self)); /* its sequence number is 1 */
	send_session_init(self->sender, &self->begin);
	receive_session_init(self->receiver, &self->plan, false);
	EXPECT_EQ(-EPROTO, do_ready(self)); /* before BEGIN */
	send_session_init(self->sender, &self->begin);
	(void)send_session_begin(self->sender, self->record.body);
	EXPECT_EQ(SESSION_READY, do_ready(self));
	memset(self->record.body, 0, sizeof(struct cbt_wire_ready));
	seal(self, CBT_WIRE_READY, sizeof(struct cbt_wire_ready), 1);
	EXPECT_EQ(-EPROTO, send_back(self));
	EXPECT_STREQ("the peer sent READY where MARK is due", self->f.text);
}

TEST_F(delta, an_acknowledgement_of_another_delta_is_refused)
{
	struct wire_durable durable;

	for (size_t i = 0; i < 2; i++) {
		send_session_init(self->sender, &self->begin);
		receive_session_init(self->receiver, &self->plan, false);
		do_stream(_metadata, self);
		ASSERT_EQ(SESSION_END, do_end(self));
		durable = receive_session_durable(self->receiver);
		if (i)
			durable.digest++;
		else
			durable.epoch.b[3]++;
		seal(self, CBT_WIRE_DURABLE, wire_durable_encode(&durable, self->record.body), 1);
		EXPECT_EQ(-EPROTO, send_back(self));
		EXPECT_STREQ("the peer acknowledged another delta than this one", self->f.text);
	}
}

TEST_F(delta, failed_is_taken_at_any_time_by_both)
{
	struct failure why = { .code = CODE_IN_USE, .text = "disk0 is mounted" };
	size_t len = wire_failed_encode(&why, self->record.body);

	seal(self, CBT_WIRE_FAILED, len, 0);
	EXPECT_EQ(-EREMOTEIO, receive(self));
	EXPECT_EQ(CODE_IN_USE, self->f.code);
	EXPECT_STREQ("the peer: disk0 is mounted", self->f.text);
	EXPECT_EQ(-EREMOTEIO, send_back(self));

	receive_session_init(self->receiver, &self->plan, false);
	send_session_init(self->sender, &self->begin);
	do_stream(_metadata, self);
	len = wire_failed_encode(&why, self->record.body);
	seal(self, CBT_WIRE_FAILED, len, self->sender->sequence_out);
	EXPECT_EQ(-EREMOTEIO, receive(self));
}

/* --- comparison --- */

static struct wire_compare comparison_of(const delta_data *d, bool only)
{
	return (struct wire_compare){
		.only = only,
		.vm = d->begin.vm,
		.epoch = d->begin.epoch,
		.bytes_total = 2 * DISK_BYTES,
	};
}

static int do_compare(delta_data *d, bool only)
{
	uint64_t sequence = d->sender->sequence_out;
	struct wire_compare compare = comparison_of(d, only);

	seal(d, CBT_WIRE_COMPARE, send_session_compare(d->sender, &compare, d->record.body), sequence);
	return receive(d);
}

static int do_hash(delta_data *d, unsigned int disk, uint64_t offset, uint64_t length)
{
	struct extent extent = { offset, length };

	d->record.header = (struct wire_header){
		.type = CBT_WIRE_HASH,
		.disk = (uint16_t)disk,
		.nr_extents = 1,
		.body_len = (uint32_t)(wire_nr_pieces(&extent) * CBT_WIRE_MAC_BYTES),
	};
	send_session_hash(d->sender, &d->record.header, &extent, d->record.body, d->record.head);
	return receive(d);
}

static int do_differ(delta_data *d, size_t len, uint8_t last, uint64_t sequence)
{
	memset(d->record.body, 0xff, len);
	d->record.body[len - 1] = last;
	seal(d, CBT_WIRE_DIFFER, len, sequence);
	receive_session_differ(d->receiver);
	return send_back(d);
}

TEST_F(delta, comes_after_a_comparison)
{
	ASSERT_EQ(SESSION_COMPARE, do_compare(self, false));
	EXPECT_EQ(2 * DISK_BYTES, self->receiver->compare.bytes_total);
	ASSERT_EQ(SESSION_HASH, do_hash(self, 0, 0, DISK_BYTES));
	EXPECT_EQ(DISK_BYTES, self->extents[0].length);
	ASSERT_EQ(SESSION_HASH, do_hash(self, 1, 4096, 3 * 4096));
	EXPECT_FALSE(send_session_compared(self->sender));
	ASSERT_EQ(SESSION_DIFFER, do_differ(self, 32, 0x80, 0));
	ASSERT_EQ(SESSION_DIFFER, do_differ(self, 1, 0x5, 1));
	EXPECT_TRUE(send_session_compared(self->sender));
	ASSERT_EQ(SESSION_BEGIN, do_begin(self));
	seal(self, CBT_WIRE_READY,
	     receive_session_ready(self->receiver, &(struct wire_ready){ 0 }, self->record.body), 2);
	EXPECT_EQ(SESSION_READY, send_back(self));
}

TEST_F(delta, comparison_that_is_all_there_is_ends_with_nothing_sent)
{
	receive_session_init(self->receiver, &self->plan, true);
	ASSERT_EQ(SESSION_COMPARE, do_compare(self, true));
	ASSERT_EQ(SESSION_HASH, do_hash(self, 0, 0, 4096));
	ASSERT_EQ(SESSION_DIFFER, do_differ(self, 1, 1, 0));
	EXPECT_EQ(SESSION_END, do_end(self));
	EXPECT_EQ(SESSION_DURABLE, do_durable(self));
}

TEST_F(delta, is_not_taken_where_only_a_comparison_is_expected)
{
	receive_session_init(self->receiver, &self->plan, true);
	EXPECT_EQ(-EPROTO, do_begin(self));
	EXPECT_STREQ("the peer sent BEGIN where COMPARE is due", self->f.text);
	receive_session_init(self->receiver, &self->plan, true);
	send_session_init(self->sender, &self->begin);
	EXPECT_EQ(-ESTALE, do_compare(self, false));
	EXPECT_STREQ("the sender wants to send, the receiver expects to be verified", self->f.text);
	receive_session_init(self->receiver, &self->plan, true);
	send_session_init(self->sender, &self->begin);
	ASSERT_EQ(SESSION_COMPARE, do_compare(self, true));
	EXPECT_EQ(-EPROTO, do_begin(self));
	EXPECT_STREQ("the peer sent BEGIN where HASH or END is due", self->f.text);
}

TEST_F(delta, comparison_of_another_epoch_or_of_more_than_there_is_is_refused)
{
	struct wire_compare compare = comparison_of(self, false);

	compare.epoch.b[0]++;
	seal(self, CBT_WIRE_COMPARE, wire_compare_encode(&compare, self->record.body), 0);
	EXPECT_EQ(-ESTALE, receive(self));
	receive_session_init(self->receiver, &self->plan, false);
	compare = comparison_of(self, false);
	compare.bytes_total += 512;
	seal(self, CBT_WIRE_COMPARE, wire_compare_encode(&compare, self->record.body), 0);
	EXPECT_EQ(-EPROTO, receive(self));
	receive_session_init(self->receiver, &self->plan, false);
	EXPECT_EQ(-ESTALE, do_compare(self, true));
}

TEST_F(delta, hashes_are_bounded_ascending_and_answered)
{
	ASSERT_EQ(SESSION_COMPARE, do_compare(self, false));
	ASSERT_EQ(SESSION_HASH, do_hash(self, 1, 4096, 4096));
	EXPECT_EQ(-EPROTO, do_hash(self, 1, 4096, 4096));
	EXPECT_STREQ("the sender hashes a place twice, or out of order", self->f.text);

	receive_session_init(self->receiver, &self->plan, false);
	send_session_init(self->sender, &self->begin);
	ASSERT_EQ(SESSION_COMPARE, do_compare(self, false));
	ASSERT_EQ(SESSION_HASH, do_hash(self, 1, 4096, 4096));
	EXPECT_EQ(-EPROTO, do_hash(self, 0, 8192, 4096));

	receive_session_init(self->receiver, &self->plan, false);
	send_session_init(self->sender, &self->begin);
	ASSERT_EQ(SESSION_COMPARE, do_compare(self, false));
	EXPECT_EQ(-EPROTO, do_hash(self, 1, DISK_BYTES - 4096, 8192));

	receive_session_init(self->receiver, &self->plan, false);
	send_session_init(self->sender, &self->begin);
	ASSERT_EQ(SESSION_COMPARE, do_compare(self, false));
	self->receiver->compare.bytes_total = 4096;
	EXPECT_EQ(-EPROTO, do_hash(self, 0, 0, 8192));
	EXPECT_STREQ("the sender hashes more bytes than it announced", self->f.text);

	receive_session_init(self->receiver, &self->plan, false);
	send_session_init(self->sender, &self->begin);
	ASSERT_EQ(SESSION_COMPARE, do_compare(self, false));
	ASSERT_EQ(SESSION_HASH, do_hash(self, 0, 0, 4096));
	EXPECT_EQ(-EPROTO, do_begin(self));
	EXPECT_STREQ("the sender begins before its hashes are answered", self->f.text);
}

TEST_F(delta, no_more_hashes_are_in_flight_than_agreed)
{
	ASSERT_EQ(SESSION_COMPARE, do_compare(self, false));
	for (unsigned int i = 0; i < SESSION_HASHES_MAX; i++) {
		ASSERT_TRUE(send_session_may_hash(self->sender));
		ASSERT_EQ(SESSION_HASH, do_hash(self, 0, i * 512, 512));
	}
	EXPECT_FALSE(send_session_may_hash(self->sender));
	EXPECT_EQ(-EPROTO, do_hash(self, 0, DISK_BYTES / 2, 512));
	EXPECT_STREQ("the sender does not wait for its hashes to be answered", self->f.text);
}

TEST_F(delta, answers_that_are_not_of_the_hash_are_refused)
{
	static const struct {
		size_t len;
		uint8_t last;
	} wrong[] = { { 2, 0 }, { 1, 0x08 } };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		receive_session_init(self->receiver, &self->plan, false);
		send_session_init(self->sender, &self->begin);
		ASSERT_EQ(SESSION_COMPARE, do_compare(self, false));
		ASSERT_EQ(SESSION_HASH, do_hash(self, 0, 0, 3 * 4096));
		EXPECT_EQ(-EPROTO, do_differ(self, wrong[i].len, wrong[i].last, 0));
		EXPECT_STREQ("the peer compared another number of pieces than it was given",
			     self->f.text);
	}
	receive_session_init(self->receiver, &self->plan, false);
	send_session_init(self->sender, &self->begin);
	ASSERT_EQ(SESSION_COMPARE, do_compare(self, false));
	EXPECT_EQ(-EPROTO, do_differ(self, 1, 0, 0));
	EXPECT_STREQ("the peer sent DIFFER where nothing is due", self->f.text);
}

TEST_F(delta, at_random_only_the_records_that_were_sent_in_order_end_well)
{
	unsigned int seed = getenv("SEED") ? (unsigned int)atoi(getenv("SEED"))
					   : (unsigned int)time(NULL);
	const int rounds = 500;
	int done;

	srand(seed);
	for (done = 0; done < rounds; done++) {
		unsigned int nr = (unsigned int)rand() % 20, lost = (unsigned int)rand() % 40;
		int rc = 0;

		self->begin.bytes_total = nr * 512;
		send_session_init(self->sender, &self->begin);
		receive_session_init(self->receiver, &self->plan, false);
		ASSERT_EQ(SESSION_BEGIN, do_begin(self));
		ASSERT_EQ(SESSION_READY, do_ready(self));
		for (unsigned int i = 0; i < nr && rc >= 0; i++) {
			unsigned int type = CBT_WIRE_DATA + (unsigned int)rand() % 3;

			make_extents(self, type, (unsigned int)rand() % 2, i * 1024, 512);
			if (i != lost)
				rc = receive(self);
		}
		if (rc >= 0)
			rc = do_end(self);
		ASSERT_EQ(lost < nr ? -EPROTO : SESSION_END, rc) {
			TH_LOG("seed %u round %d", seed, done);
		}
	}
	printf("# seed=%u done=%d/required=%d\n", seed, done, rounds);
}

TEST_HARNESS_MAIN
