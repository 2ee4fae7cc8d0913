/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The transfer workers as their parent sees them.
 *
 *   failback-send    --connection FD ... [--report FD]  < plan
 *   failback-receive --connection FD ... [--report FD]  < plan
 *   failback-receive --apply [--report FD]  < plan
 *
 * One process per transfer. The receiver gives up its rights once it has opened what the plan names
 * (lib/sandbox.h). FD of --connection is a connected stream socket, positioned after
 * whatever the parents said to each other on it; the worker owns it from then on. Given several times, it is
 * the connections that they agreed on, in the order of their numbers. The plan is one
 * JSON object on standard input, read to its end:
 *
 *   {
 *     "version": 1,
 *     "vm": "<uuid>",              the VM, must be equal on both ends
 *     "epoch": "<uuid>",           what the delta brings the target to; must be equal on both ends
 *     "base": "<uuid>" | null,     what the target holds now; must be equal on both ends, or the
 *                                  receiver's be among the sender's aborted
 *     "aborted": ["<uuid>", ...],  send only, may be missing: epochs whose blocks the delta covers too
 *     "journal": {                 receive only; missing: direct mode, the disks are written in place
 *       "path": "/var/..." | "fd": 8,   a file (by path made and grown as needed) or a block device
 *       "mark_interval": 67108864  bytes of the delta from one durable mark to the next; may be missing
 *     },
 *     "covered_fd": 9,             receive only, may be missing: a file of lib/covered.h, for the plan's
 *                                  disks; says what the delta speaks for once the worker has ended well
 *     "compress": true,            send only, may be missing: records are packed where that pays. Who writes to a
 *                                  disk of the VM and sees how much travels may learn what else is on it
 *     "rate": 1048576,             send only, may be missing: bytes per second at most, from 65536 on
 *     "verify": true,              compare the disks with the peer's, write and send nothing; may be
 *                                  missing, must be equal on both ends; not with "journal"
 *     "disks": [ {
 *       "name": "disk0",           must be equal, and in the same order, on both ends
 *       "size": 68719476736,       bytes, must be equal on both ends and not above the device's
 *       "path": "/dev/vdb" | "fd": 7,   what to read (send) or write (receive)
 *       "source":                  send only:
 *         {"tracker": "vm1-disk0"}    the frozen map of that tracker, epoch = the plan's; it is told what
 *                                     the receiver's journal holds for good, unless something is compared;
 *                                     may have "guessed": [OFFSET, LENGTH, ...], ascending bytes
 *       | {"extents": "FILE"}         lines "OFFSET LENGTH" in bytes, ascending
 *       | {"all": true}               the whole disk
 *         each with "compare": true      of that, only what the receiver's disk does not hold; always so
 *                                        for what a tracker has only by guess after a crash, and for
 *                                        what lies within "guessed"
 *     } ]
 *   }
 *
 * A member that is not named here is refused, so that a typing error cannot silently mean something
 * else.
 *
 * Reports: one JSON object a line on the report descriptor (standard output when not given):
 *
 *   {"event":"compare","bytes_total":N}     where something is compared: first
 *   {"event":"comparing","bytes_done":N,"bytes_sent":N}     at most ten a second
 *   {"event":"begin","bytes_total":N}
 *   {"event":"progress","bytes_done":N,"bytes_sent":N}      at most ten a second
 *   {"event":"durable"}     receive with a journal: acknowledged, and about to be applied
 *   {"event":"done","bytes_total":N,"bytes_data":N,"bytes_zero":N,"bytes_sent":N,
 *    "bytes_compared":N,"bytes_hashes":N,"records":N,
 *    "seconds":S,"engine":"io_uring"|"threads","direct":true|false,"digest":"<16 hex digits>"}
 *   {"event":"differ","disk":"disk0","offset":N,"length":N}     send with "verify": before done
 *   {"event":"failed","code":32777,"text":"..."}
 *
 * bytes_total: of disk that the delta covers (receive: as the sender announced). bytes_sent:
 * payload on the wire; less than bytes_data where it is packed.
 *
 * bytes_compared: of disk; bytes_hashes: of hashes on the wire. With "verify" bytes_total is, on the
 * sending side, what differs. bytes_zero counts discarded bytes too. engine: see lib/ring.h. direct: every disk is read or
 * written past the page cache.
 *
 * The last line is exactly one of done and failed. done on the sending side means that the receiver
 * acknowledged the whole delta as durable; on the receiving side that the disks were flushed and
 * the acknowledgement was sent. Exit status: 0 after done, otherwise as code_exit_status() of the
 * code; 2 for a wrong command line or plan.
 *
 * SIGINT ends the transfer as failed, with code 32768; SIGTERM, which a process gets when its service or host
 * stops, with 32777: it can be gone on with. The peer is told. A receiver that fails in direct
 * mode may leave disks partly written.
 *
 * With a journal the disks are not touched before the whole delta is durable in it. A transfer that
 * broke is gone on with when the same plan (epoch, base, disks, extents) is started again; an
 * incomplete delta of another plan is dropped. A receiver that ends between "durable" and "done"
 * leaves the disks between two epochs until --apply, or the next delta's receiver, has ended well:
 * both do it first, and a "base" in the plan that is older than what the journal brought the disks
 * to is taken for that. --apply ends with {"event":"done","epoch":"<uuid>"|null}: what the disks hold
 * then, as far as the journal knows.
 */
#ifndef FAILBACK_XFER_WORKER_H
#define FAILBACK_XFER_WORKER_H

int send_main(int argc, char **argv);
int receive_main(int argc, char **argv);

#endif
