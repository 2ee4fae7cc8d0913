#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Cuts the power at random moments of a recorded transfer (recorder.c) and has failback-receive --apply clean up.

After a cut, writes that a flush covers are there; of each other one any of its sectors may be. Then the disk must be that of
the epoch before or of the one after, byte for byte, and after DURABLE was sent it must be the one after.
"""

import argparse
import random
import struct
import subprocess
import sys

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


def disk_after(dice, disk, file, events):
    last = max((i for i, event in enumerate(events) if event[0] == "F" and event[1] == file), default=-1)
    for i, (kind, where, offset, length, data) in enumerate(events):
        if where != file or kind not in "WZ":
            continue
        data = data or bytes(length)
        if i < last:
            disk[offset:offset + length] = data
        else:
            torn(dice, disk, offset, data)
    return disk


def main():
    parser = argparse.ArgumentParser()
    for name in ("log", "journal", "target", "before", "after", "plan"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("seed", "rounds"):
        parser.add_argument(f"--{name}", required=True, type=int)
    args = parser.parse_args()
    dice = random.Random(args.seed)
    events = read_log(args.log)
    contents = {}
    for name in ("before", "after", "journal"):
        with open(getattr(args, name), "rb") as file:
            contents[name] = file.read()
    outcomes = {"before": 0, "after": 0}
    done = 0
    for done in range(args.rounds):
        cut = dice.randrange(len(events) + 1)
        past = events[:cut]
        acknowledged = any(event[0] == "A" for event in past)
        for name, start, file in (("journal", bytes(len(contents["journal"])), 0), ("target", contents["before"], 1)):
            with open(getattr(args, name), "wb") as out:
                out.write(disk_after(dice, bytearray(start), file, past))
        with open(args.plan, encoding="utf-8") as plan:
            run = subprocess.run(["failback-receive", "--apply"], stdin=plan, capture_output=True, text=True, check=False)
        with open(args.target, "rb") as file:
            target = file.read()
        which = next((name for name in outcomes if contents[name] == target), None)
        if run.returncode or not which or (acknowledged and which != "after"):
            print(f"seed={args.seed} round={done}: cut before event {cut} of {len(events)}, acknowledged={acknowledged}: "
                  f"the disk is {which}, exit status {run.returncode}: {run.stdout.strip()}")
            sys.exit(1)
        outcomes[which] += 1
    print(f"# seed={args.seed} done={done + 1}/required={args.rounds} {outcomes}")
    if not all(outcomes.values()) and args.rounds >= 100:
        sys.exit("the cuts do not reach both epochs")


if __name__ == "__main__":
    main()
