# SPDX-License-Identifier: GPL-2.0-or-later
"""The disks of a VM as deltas go from them to a replica, and what must be on that one. For transfer_cuts.py."""

import random
import re
import uuid

SECTOR = 512
SIZES = [2 << 20, 1 << 20]


class Wrong(Exception):
    pass


def runs(dirty):
    """(offset, length) of what is set in a bytearray with a byte for each sector."""
    return [(m.start() * SECTOR, (m.end() - m.start()) * SECTOR) for m in re.finditer(b"\1+", dirty)]


class Delta:
    def __init__(self, world, epoch):
        self.epoch, self.base, self.aborted = epoch, world.base, list(world.aborted)
        self.image = [bytes(disk) for disk in world.now]
        self.extents = [runs(dirty) for dirty in world.dirty]
        self.arrived = False
        self.mark = None  # (disk, offset) below which all is with the receiver for good


class World:
    """The disks of a VM and their replica's, as a sequence of verbs tells it; the same seed and verbs give the same disks."""

    def __init__(self, seed, sizes):
        self.seed, self.verbs = seed, 0
        dice = self.dice()
        self.vm, self.base = self.some_uuid(dice), self.some_uuid(dice)
        self.now = [bytearray(dice.randbytes(size)) for size in sizes]
        self.dirty = [bytearray(size // SECTOR) for size in sizes]
        self.possible = [[bytes(disk) for disk in self.now]]  # what the target may hold
        self.loose = [[] for _ in sizes]  # extents of it that are just being written
        self.aborted = []
        self.mixed = False  # an attempt without a journal has broken off: each sector is of some epoch
        self.compares = False  # ... so that the sender does, and releases nothing, until the delta has arrived
        self.delta = self.given_up = self.settled = None

    def dice(self):
        self.verbs += 1
        return random.Random(f"{self.seed} {self.verbs}")

    @staticmethod
    def some_uuid(dice):
        return str(uuid.UUID(bytes=dice.randbytes(16), version=4))

    def take(self, text):
        verb, *numbers = text.split()
        getattr(self, "do_" + verb.replace("-", "_"))(*map(int, numbers))

    def do_freeze(self):
        """The VM has written here and there; what it wrote is the delta."""
        dice = self.dice()
        for _ in range(dice.randrange(4, 20)):
            disk = dice.randrange(len(self.now))
            sectors = dice.choice([1, 8, 8, 64, 256, 512])
            start = dice.randrange(len(self.dirty[disk]) - sectors)
            start -= start % min(sectors, 8)
            kind = dice.randrange(4)
            data = bytes(sectors * SECTOR) if kind == 0 else dice.randbytes(SECTOR) * sectors if kind == 1 else \
                dice.randbytes(sectors * SECTOR)
            self.now[disk][start * SECTOR:(start + sectors) * SECTOR] = data
            self.dirty[disk][start:start + sectors] = b"\1" * sectors
        self.delta = Delta(self, self.some_uuid(dice))
        self.possible.append(self.delta.image)

    def do_marked(self, disk, offset):
        self.delta.mark = disk, offset

    def do_in_place(self):
        self.mixed = self.compares = True

    def do_arrived(self):
        self.delta.arrived = True
        self.mixed = False
        self.possible = [self.delta.image]

    def do_acknowledged(self):
        self.base, self.aborted, self.given_up = self.delta.epoch, [], None
        self.dirty = [bytearray(len(dirty)) for dirty in self.dirty]
        self.settled, self.delta, self.compares = self.delta, None, False

    def do_give_up(self):
        """The sender's epoch has ended without DURABLE: the next one covers its blocks."""
        self.aborted.append(self.delta.epoch)
        self.given_up, self.delta = self.delta, None

    def stray(self):
        """(disk, offset, data): what is written to the replica after its delta is in place, over what that wrote."""
        dice = random.Random(f"{self.seed} {self.verbs} stray")
        disk, (offset, length) = dice.choice([(disk, extent) for disk, extents in enumerate(self.settled.extents)
                                              for extent in extents])
        return disk, offset, dice.randbytes(min(length, 4096))

    def do_stray(self):
        disk, offset, data = self.stray()
        self.loose[disk] = [(offset, len(data))]
        self.dirty[disk][offset // SECTOR:(offset + len(data)) // SECTOR] = b"\1" * (len(data) // SECTOR)

    def do_strayed(self):
        disk, offset, data = self.stray()
        held = bytearray(self.possible[0][disk])
        held[offset:offset + len(data)] = data
        self.possible[0] = self.possible[0][:disk] + [bytes(held)] + self.possible[0][disk + 1:]
        self.loose[disk] = []


# --- what must hold ---

def same(held, image, loose):
    for disk, contents in enumerate(held):
        if contents != image[disk]:
            contents, expected = bytearray(contents), bytearray(image[disk])
            for offset, length in loose[disk]:
                contents[offset:offset + length] = expected[offset:offset + length] = bytes(length)
            if contents != expected:
                return False
    return True


def check_possible(world, held):
    if world.mixed:
        check_mixed(world, held)
        return
    if any(same(held, image, world.loose) for image in world.possible):
        return
    delta = world.delta or world.settled
    names = {"first": world.possible[0]} | ({"delta": delta.image} if delta else {})
    counts = {name: sum(disk[i:i + SECTOR] != image[d][i:i + SECTOR] for d, disk in enumerate(held)
                        for i in range(0, len(disk), SECTOR)) for name, image in names.items()}
    raise Wrong(f"the target holds none of {len(world.possible)} epochs that it may hold: sectors that differ: {counts}")


def check_mixed(world, held):
    """Without a journal: each sector as in one of the epochs."""
    for disk, contents in enumerate(held):
        for at in range(0, len(contents), SECTOR):
            if not any(contents[at:at + SECTOR] == image[disk][at:at + SECTOR] for image in world.possible):
                raise Wrong(f"disk {disk} holds at byte {at} what no epoch has")


def check_equal(delta, held):
    if held != delta.image:
        raise Wrong("the target differs from the frozen image that it acknowledged")
