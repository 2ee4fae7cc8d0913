/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The transfer workers as their parent sees them.
 *
 *   failback-send    --connection FD [--report FD]  < plan
 *   failback-receive --connection FD [--report FD]  < plan
 *
 * One process per transfer. FD of --connection is a connected stream socket, positioned after
 * whatever the parents said to each other on it; the worker owns it from then on. The plan is one
 * JSON object on standard input, read to its end:
 *
 *   {
 *     "version": 1,
 *     "vm": "<uuid>",              the VM, must be equal on both ends
 *     "epoch": "<uuid>",           what the delta brings the target to; must be equal on both ends
 *     "base": "<uuid>" | null,     what the target holds now; must be equal on both ends
 *     "disks": [ {
 *       "name": "disk0",           must be equal, and in the same order, on both ends
 *       "size": 68719476736,       bytes, must be equal on both ends and not above the device's
 *       "path": "/dev/vdb" | "fd": 7,   what to read (send) or write (receive)
 *       "source":                  send only:
 *         {"tracker": "vm1-disk0"}    the frozen map of that tracker, epoch = the plan's
 *       | {"extents": "FILE"}         lines "OFFSET LENGTH" in bytes, ascending
 *       | {"all": true}               the whole disk
 *     } ]
 *   }
 *
 * A member that is not named here is refused, so that a typing error cannot silently mean something
 * else.
 *
 * Reports: one JSON object a line on the report descriptor (standard output when not given):
 *
 *   {"event":"begin","bytes_total":N}
 *   {"event":"progress","bytes_done":N,"bytes_sent":N}      at most ten a second
 *   {"event":"done","bytes_total":N,"bytes_data":N,"bytes_zero":N,"bytes_sent":N,"records":N,
 *    "seconds":S,"engine":"io_uring"|"sync","direct":true|false,"digest":"<16 hex digits>"}
 *   {"event":"failed","code":32777,"text":"..."}
 *
 * bytes_total: of disk that the delta covers (receive: as the sender announced). bytes_sent:
 * payload on the wire.
 *
 * bytes_zero counts discarded bytes too. engine: see lib/ring.h. direct: every disk is read or
 * written past the page cache.
 *
 * The last line is exactly one of done and failed. done on the sending side means that the receiver
 * acknowledged the whole delta as durable; on the receiving side that the disks were flushed and
 * the acknowledgement was sent. Exit status: 0 after done, otherwise as code_exit_status() of the
 * code; 2 for a wrong command line or plan.
 *
 * SIGTERM and SIGINT end the transfer as failed; the peer is told. A receiver that fails may leave
 * disks partly written.
 */
#ifndef FAILBACK_XFER_WORKER_H
#define FAILBACK_XFER_WORKER_H

int send_main(int argc, char **argv);
int receive_main(int argc, char **argv);

#endif
