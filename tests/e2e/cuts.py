#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Cuts the power at random moments of a recorded transfer (recorder.c) and has failback-receive --apply clean up.

After a cut, writes that a flush covers are there; of each other one any of its sectors may be. A file whose directory was not
flushed may be gone; one that was made longer, and not flushed by fsync(), may end behind what was flushed of it. Then the disk
must be that of the epoch before or of the one after, byte for byte, and after DURABLE was sent it must be the one after; the same
transfer again must make it that. Without --journal the disk was written in place, and only the last two are asked.
"""

import argparse
import os
import random
import struct
import subprocess
import sys

import transfer

SECTOR = 512


def read_log(path):
    events = []
    with open(path, "rb") as log:
        while head := log.read(24):
            kind, file, offset, length = struct.unpack("<cB6xQQ", head)
            events.append((kind.decode(), file, offset, length, log.read(length) if kind == b"W" else b""))
    return events


def torn(dice, disk, offset, data):
    """Any of the sectors: all, none, a start, an end, a random set."""
    way = dice.randrange(5)
    sectors = range(0, len(data), SECTOR)
    cut = dice.choice(sectors)
    for at in sectors:
        if way == 0 or (way == 2 and at < cut) or (way == 3 and at >= cut) or (way == 4 and dice.random() < 0.5):
            disk[offset + at:offset + at + SECTOR] = data[at:at + SECTOR]


def last_of(kinds, file, events):
    return max((i for i, event in enumerate(events) if event[0] in kinds and event[1] == file), default=-1)


def size_after(dice, file, events, size):
    """Of a file that was made during the run; None: it is not there."""
    if last_of("N", file, events) < last_of("C", file, events) and dice.random() < 0.5:
        return None
    made = max((event[2] + event[3] for event in events if event[:2] == ("S", file)), default=0)
    flushed = max((event[2] + event[3] for event in events[:last_of("FY", file, events) + 1] if event[:2] == ("W", file)), default=0)
    if last_of("Y", file, events) < last_of("S", file, events) and dice.random() < 0.5:
        return flushed
    return min(max(made, flushed), size)


def disk_after(dice, disk, file, events):
    last = last_of("FY", file, events)
    for i, (kind, where, offset, length, data) in enumerate(events):
        if where != file or kind not in "WZ":
            continue
        data = data or bytes(length)
        if i < last:
            disk[offset:offset + length] = data
        else:
            torn(dice, disk, offset, data)
    return disk


def go_on(args):
    """(status, output) of the sender and the receiver."""
    ends = zip(("send", "receive"), transfer.connection(True))
    workers = []
    for name, sock in ends:
        workers.append(transfer.start(name, [sock], getattr(args, name)))
        sock.close()
    outputs = [worker.communicate(timeout=transfer.DEADLINE_S)[0] for worker in workers]
    return [(worker.returncode, output) for worker, output in zip(workers, outputs)]


class Cuts:
    def __init__(self, args):
        self.args, self.dice = args, random.Random(args.seed)
        self.events = read_log(args.log)
        self.recorded = [args.journal, args.target] if args.journal else [args.target]
        self.contents = {name: read_file(getattr(args, name)) for name in ("before", "after")}
        self.first = {args.target: self.contents["before"]}
        if args.journal:
            self.first[args.journal] = bytes(os.path.getsize(args.journal))
        self.outcomes = {"before": 0, "after": 0}

    def make_disks(self, past):
        for file, path in enumerate(self.recorded):
            first = self.first[path]
            size = size_after(self.dice, file, past, len(first)) if path == self.args.journal else len(first)
            if size is None:
                os.unlink(path)
                continue
            with open(path, "wb") as out:
                out.write(disk_after(self.dice, bytearray(first), file, past)[:size])

    def which(self):
        target = read_file(self.args.target)
        return next((name for name in self.outcomes if self.contents[name] == target), None)

    def wrong(self, past):
        """What is wrong after a cut behind these events, or None."""
        acknowledged = any(event[0] == "A" for event in past)
        self.make_disks(past)
        if self.args.journal:
            with open(self.args.receive, encoding="utf-8") as plan:
                run = subprocess.run(["failback-receive", "--apply"], stdin=plan, capture_output=True, text=True, check=False)
            if run.returncode:
                return f"the journal cannot be applied: {run.stdout.strip()}"
        which = self.which()
        if acknowledged and which != "after":
            return f"the delta was acknowledged, and the disk is {which}"
        if self.args.journal and not which:
            return "the disk is of neither epoch"
        self.outcomes[which or "before"] += 1
        again = go_on(self.args)
        if any(status for status, _ in again) or self.which() != "after":
            return f"the same transfer again makes the disk {self.which()}: {again}"
        return None


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def main():
    parser = argparse.ArgumentParser()
    for name in ("log", "target", "before", "after", "send", "receive"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("seed", "rounds"):
        parser.add_argument(f"--{name}", required=True, type=int)
    parser.add_argument("--journal")
    args = parser.parse_args()
    cuts = Cuts(args)
    done = 0
    for done in range(args.rounds):
        cut = cuts.dice.randrange(len(cuts.events) + 1)
        wrong = cuts.wrong(cuts.events[:cut])
        if wrong:
            print(f"seed={args.seed} round={done}: cut before event {cut} of {len(cuts.events)}: {wrong}")
            sys.exit(1)
    print(f"# seed={args.seed} done={done + 1}/required={args.rounds} {cuts.outcomes}")
    if not all(cuts.outcomes.values()) and args.rounds >= 100:
        sys.exit("the cuts do not reach both epochs")


if __name__ == "__main__":
    main()
