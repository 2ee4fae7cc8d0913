#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Deltas that are broken off in every way, and what must be on the target then. For tests/e2e/transfer-cuts.sh.

    transfer_cuts.py kill --seed S [--rounds N] [--first N] DIRECTORY
        N rounds with workers, or programs, that are killed; --first: from that round of the seed on
    transfer_cuts.py begin --seed S DIRECTORY
        writes what the targets of the next hold at first, as target0 and target1
    transfer_cuts.py record --seed S --rounds N CONTROL TARGET TARGET JOURNAL DIRECTORY
        in a guest: N deltas between disks of tests/powercut/server.c, with marks that tell what must hold from then on
    transfer_cuts.py cut --seed S DIRECTORY
        checks the disks that `powercut check` made of that run, by its marks

A delta goes from a frozen image to a target that holds its base. Whoever dies and whatever is lost, the target, once its journal
is applied, holds the base or a whole epoch (without a journal: each sector is of one of them), and not the base any more once the
sender has read DURABLE; the same command again makes it equal to the image. Of that image what the receiver has acknowledged with
a MARK is overwritten before, as a tracker may do after RELEASE.
"""

import argparse
import mmap
import os
import random
import shutil
import struct
import sys

from transfer_ends import HEADER_BYTES, TYPES, ByHand, Harm, Place, Workers, apply_journal, receive_plan, write_file
from transfer_world import SECTOR, SIZES, World, Wrong, check_equal, check_mixed, check_possible

FROM_SENDER = {"CALL", "COMPARE", "HASH", "BEGIN", "DATA", "ZERO", "MARK", "END", "FAILED"}
FROM_RECEIVER = {"REPLY", "DIFFER", "READY", "MARK", "DURABLE", "FAILED"}
NEVER_SENT = {"DISCARD"}  # by our own sender
RECORDS = [("send", kind) for kind in sorted(FROM_SENDER)] + [("receive", kind) for kind in sorted(FROM_RECEIVER)]
NEED_HAND = {"CALL", "REPLY"}
NEED_COMPARE = {"COMPARE", "HASH", "DIFFER"}
NEED_JOURNAL = {"MARK"}  # and its own interval between marks
EVERYWHERE = [record for record in RECORDS if record[1] not in NEED_HAND | NEED_COMPARE]
PLACES = ["before", "inside", "behind"]
VICTIMS = ["link", "send", "receive", "both"]


# --- who is harmed, and where ---

class Fate:
    """What happens to the attempts of one delta."""

    def __init__(self, dice):
        self.dice = dice

    def at_record(self, side, kind, place, victim):
        harms = []
        if kind == "FAILED":  # who is told to end says it
            harms.append(Harm(self.dice, side + "-term", "send", byte=self.dice.randrange(200, 200000)))
        nth = self.dice.choice([0, 0, 0, 1, 2]) if kind in ("DATA", "MARK", "HASH", "DIFFER") else 0
        return harms + [Harm(self.dice, victim, side, kind, place, nth)]

    def anywhere(self, delta, without_record=0.6):
        victim = self.dice.choice(VICTIMS)
        if self.dice.random() < without_record:
            total = sum(length for extents in delta.extents for _, length in extents)
            return [Harm(self.dice, victim, "send", byte=self.dice.randrange(total + 4000))]
        return self.at_record(*self.dice.choice(EVERYWHERE), self.dice.choice(PLACES), victim)


# --- deltas, one after the other ---

class Run:
    """Brings deltas from @world to @place; what is noted stands in @marks too, where there are any."""

    def __init__(self, world, place, ends, options, dice, marks=None):
        self.world, self.place, self.ends, self.options, self.dice = world, place, ends, options, dice
        self.marks = marks
        self.happened = []
        self.told = []  # for whoever reads a failure

    def take(self, text):
        if self.marks:
            self.marks(text)
        self.world.take(text)

    def note(self, kind, record):
        if kind == "DURABLE":
            self.take("arrived")
        else:
            disk, _, offset = struct.unpack_from("<IIQ", record, HEADER_BYTES)
            self.take(f"marked {disk} {offset}")

    def attempt(self, delta, harms, released=True):
        """((status, report) of the sender, of the receiver)"""
        if self.dice.random() < 0.25:
            os.environ["FAILBACK_NO_IO_URING"] = "1"
        else:
            os.environ.pop("FAILBACK_NO_IO_URING", None)
        self.options["compress"] = self.dice.random() < 0.3
        self.options["connections"] = self.dice.choice([1, 1, 2, 3, 8])  # an attempt goes on where another number broke off
        self.told.append("; ".join(map(str, harms)) or "unharmed")
        self.place.write_sources(delta, self.dice, released and self.options["journal"] and not self.options["compare"])
        ends = self.ends(self.place, self.note)
        results, happened = ends.attempt(self.world, delta, self.options, harms)
        self.happened += happened
        self.told[-1] += f": {results}"
        return results["send"], results["receive"]

    def write_in_place(self, harms):
        """An attempt without a journal; what it has written, the next ones find when they compare. True: it was not harmed."""
        self.take("in-place")
        self.options |= {"journal": False, "compare": False}
        send, receive = self.attempt(self.world.delta, harms)
        self.options |= {"journal": True, "compare": True}
        return send[0] == 0 and receive[0] == 0

    def must_arrive(self, delta, released=True):
        send, receive = self.attempt(delta, [], released)
        if send[0] or receive[0]:
            raise Wrong(f"nobody harms this transfer, and it fails: {send} {receive}")

    def deliver(self, fates, gives_up, check):
        """The delta that is frozen, or one that covers it; @gives_up: how probably, when it fails. False: the sender has done,
        and the receiver was killed before it had applied it."""
        for harms in fates:
            send, receive = self.attempt(self.world.delta, harms)
            check()
            if send[0] == 0:
                if not self.world.delta.arrived:
                    raise Wrong("the sender says done, and nobody told it so")
                return receive[0] == 0
            if self.dice.random() < gives_up:
                self.take("give-up")
                self.take("freeze")
        self.must_arrive(self.world.delta)
        return True


# --- verbs of the command line ---

class KillRound:
    def __init__(self, seed, number, directory):
        self.dice = dice = random.Random(f"{seed} round {number}")
        records = [(*record, place, victim) for record in RECORDS for place in PLACES for victim in VICTIMS]
        random.Random(seed).shuffle(records)
        self.record = records[number % len(records)]
        kind = self.record[1]
        self.by_hand = kind in NEED_HAND or (kind not in NEED_JOURNAL | NEED_COMPARE and dice.random() < 0.1)
        sizes = SIZES[:1] if self.by_hand else SIZES
        self.world = World(f"{seed} {number}", sizes)
        self.place = Place(directory, [f"{directory}/target{i}" for i in range(len(sizes))], f"{directory}/journal")
        self.copy = Place(directory, [f"{directory}/copy{i}" for i in range(len(sizes))], f"{directory}/journal-copy")
        self.options = {"journal": kind in NEED_JOURNAL or dice.random() < 0.75, "compare": False}
        self.run = Run(self.world, self.place, ByHand if self.by_hand else Workers, self.options, dice)

    def check(self):
        if not self.options["journal"]:
            check_mixed(self.world, self.place.held())
            return
        if os.path.exists(self.place.journal):
            self.apply_copy()
        else:
            check_possible(self.world, self.place.held())

    def apply_copy(self):
        for original, copy in zip(self.place.targets + [self.place.journal], self.copy.targets + [self.copy.journal]):
            shutil.copyfile(original, copy)
        self.apply(self.copy)
        check_possible(self.world, self.copy.held())

    def apply(self, place):
        epoch = self.world.delta.epoch
        by_hand = {"vm": epoch, "base": None} if self.by_hand else {}
        apply_journal(place, receive_plan(self.world, epoch, place) | by_hand)

    def deliver(self, first, last):
        fate, delta = Fate(self.dice), self.world.delta
        self.options["compare"] = (first and self.record[1] in NEED_COMPARE) or self.dice.random() < 0.15
        fates = [fate.at_record(*self.record) if first else fate.anywhere(delta)]
        fates += [fate.anywhere(delta) for _ in range(self.dice.choice([0, 0, 1, 2]))]
        done = self.run.deliver(fates, 0 if self.by_hand else 0.25, self.check)
        if not done and self.options["journal"]:
            if self.by_hand:
                self.run.must_arrive(self.world.delta)
            elif last or self.dice.random() < 0.5:
                self.apply(self.place)
            else:
                return  # the next delta's receiver does it
        check_equal(self.world.delta, self.place.held())

    def go(self):
        for target, contents in zip(self.place.targets, self.world.now):
            write_file(target, contents)
        if os.path.exists(self.place.journal):
            os.unlink(self.place.journal)
        nr_deltas = 1 if self.by_hand else self.dice.choice([1, 1, 2])
        for number in range(nr_deltas):
            self.world.take("freeze")
            self.deliver(number == 0, number == nr_deltas - 1)
            self.world.take("acknowledged")


def kill(args):
    happened, done = {record: 0 for record in RECORDS}, 0
    if set(TYPES.values()) != FROM_SENDER | FROM_RECEIVER | NEVER_SENT:
        sys.exit("uapi/cbt-wire.h has other types of records than this test")
    for number in range(args.first, args.first + args.rounds):
        this = KillRound(args.seed, number, args.directory)
        try:
            this.go()
        except Wrong as wrong:
            print(f"round {number} of seed {args.seed} ({this.options}): {wrong}", *this.run.told, sep="\n  ")
            print(f"again: transfer_cuts.py kill --seed {args.seed} --first {number} --rounds 1 DIRECTORY")
            sys.exit(1)
        for record in this.run.happened:
            happened[record] += 1
        done += 1
    print("harmed at:", *(f"{side}:{kind}={number}" for (side, kind), number in happened.items()))
    print(f"seed={args.seed} done={done}/required={args.rounds}")
    if args.rounds >= 100 and not all(happened.values()):
        sys.exit("not every type of record was reached")


def begin(args):
    for number, contents in enumerate(World(args.seed, SIZES).now):
        write_file(f"{args.directory}/target{number}", contents)


def record(args):
    world = World(args.seed, SIZES)
    control = os.open(args.control, os.O_WRONLY | os.O_DIRECT)
    page = mmap.mmap(-1, SECTOR)

    def marks(text):
        page[:] = text.encode().ljust(SECTOR, b"\0")
        os.writev(control, [page])

    dice = random.Random(f"{args.seed} run")
    place = Place(args.directory, args.targets, args.journal)
    run = Run(world, place, Workers, {"journal": True, "compare": False}, dice, marks)
    marks("begin")
    done = True
    for _ in range(args.rounds):
        run.take("freeze")
        run.options["compare"] = False
        # where the journal holds nothing, for who settles that first leaves it empty
        in_place = done and dice.random() < 0.4 and run.write_in_place(Fate(dice).anywhere(world.delta, 1))
        if not in_place:
            fates = [Fate(dice).anywhere(world.delta, 0.4) for _ in range(dice.choice([0, 1, 1, 2, 3]))]
            done = run.deliver(fates, 0.6, lambda: None)
        run.take("acknowledged")
        if done and dice.random() < 0.5:
            run.take("stray")
            disk, offset, data = world.stray()
            write_and_flush(place.targets[disk], offset, data)
            run.take("strayed")
    print(f"deltas={args.rounds} attempts={len(run.told)}")


def write_and_flush(path, offset, data):
    fd = os.open(path, os.O_WRONLY)
    os.pwrite(fd, data, offset)
    os.fsync(fd)
    os.close(fd)


def cut(args):
    """The replica's host is up again, and replication goes on."""
    directory = os.environ["POWERCUT_DIR"]
    dice = random.Random(f"{args.seed} cut {os.environ['POWERCUT_SEED']}")
    world = World(args.seed, SIZES)
    with open(f"{directory}/marks", encoding="utf-8") as marks:
        for line in marks.read().splitlines()[1:]:  # but for "begin"
            world.take(line)
    place = Place(args.directory, [f"{directory}/target{i}" for i in range(len(SIZES))], f"{directory}/journal")
    run = Run(world, place, Workers, {"journal": True, "compare": world.compares}, dice)
    if dice.random() < 0.6:
        apply_journal(place, receive_plan(world, world.base, place))
        check_possible(world, place.held())
    if not world.delta:
        world.take("freeze")
    delta, other = world.delta, world.given_up
    released = True
    if other and not delta.arrived and not world.mixed and dice.random() < 0.5:
        # the sender has gone back to what it had begun to send before
        released = False
        send, receive = run.attempt(other, [], False)
        if send[0] == 0 and receive[0] == 0:
            check_equal(other, place.held())
        elif receive[1].get("code") != 32775:
            raise Wrong(f"an older delta is neither taken nor refused: {send} {receive}")
    run.must_arrive(delta, released)
    check_equal(delta, place.held())


def main():
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in (kill, begin, record, cut):
        sub = verbs.add_parser(verb.__name__)
        sub.set_defaults(run=verb)
        sub.add_argument("--seed", type=int, required=True)
        if verb in (kill, record):
            sub.add_argument("--rounds", type=int, default=1)
        if verb is kill:
            sub.add_argument("--first", type=int, default=0)
        if verb is record:
            sub.add_argument("control")
            sub.add_argument("targets", nargs=len(SIZES))
            sub.add_argument("journal")
        sub.add_argument("directory")
    args = parser.parse_args()
    try:
        args.run(args)
    except Wrong as wrong:
        sys.exit(str(wrong))


if __name__ == "__main__":
    main()
