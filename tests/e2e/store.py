#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Write blocks of a store by uapi/cbt-disk.h, or damage them: store.py STORE VERB NUMBER...

    range START NR | region START NR    a record in the next block of the log
    page NUMBER BIT...                  a page of the map, and the index that names it
    torn POSITION                       half a block of the log
    damage-super SLOT | damage-page NUMBER
"""

import struct
import sys

BLOCK = 4096


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def signed(block):
    """With the CRC in its place, which is the second word of all but superblocks."""
    block = block.ljust(BLOCK, b"\0")
    return block[:4] + struct.pack("<I", crc32c(block[:4] + bytes(4) + block[8:])) + block[8:]


class Store:
    def __init__(self, path):
        self.file = open(path, "r+b")
        super_block = self.read(0)
        if super_block[:8] != b"DMCBT-S1":
            super_block = self.read(8)
        self.uuid = super_block[16:32]
        (self.generation, self.lineage, self.sequence, self.size, _, _, self.blocks, self.half,
         self.index, _, self.map) = struct.unpack_from("<QQQQIIQQQQQ", super_block, 32)

    def read(self, number):
        self.file.seek(number * BLOCK)
        return self.file.read(BLOCK)

    def write(self, number, block):
        self.file.seek(number * BLOCK)
        self.file.write(block)

    def log(self, start, count):
        """In half 1, whose sequence is 1."""
        position = 0
        while self.read(16 + self.half + position)[:4] != bytes(4):
            position += 1
        block = struct.pack("<II16sQQQII8x", 0x6c746263, 0, self.uuid, self.lineage, 1, 1,
                            position, 1) + struct.pack("<QQ", start, count)
        self.write(16 + self.half + position, signed(block))

    def bits(self, magic, number, bits):
        words = bytearray(2048)
        for bit in bits:
            words[bit // 8] |= 1 << bit % 8
        return signed(struct.pack("<II16sQQQ16x", magic, 0, self.uuid, self.lineage, 1, number)
                      + words)

    def page(self, number, *bits):
        self.write(self.index, self.bits(0x69746263, 0, [number // 2]))
        self.write(self.map + number, self.bits(0x6d746263, number, bits))

    def damage(self, number):
        block = bytearray(self.read(number))
        block[100] ^= 1
        self.write(number, block)


def main(path, verb, *numbers):
    numbers = [int(number) for number in numbers]
    store = Store(path)
    if verb == "range":
        store.log(*numbers)
    elif verb == "region":
        store.log(numbers[0], numbers[1] | 1 << 63)
    elif verb == "page":
        store.page(*numbers)
    elif verb == "torn":
        store.write(16 + numbers[0], b"\x63\x62\x74\x6c".ljust(2048, b"\x5a").ljust(BLOCK, b"\0"))
    elif verb == "damage-super":
        store.damage(8 * numbers[0])
    elif verb == "damage-page":
        store.damage(store.map + numbers[0])
    else:
        raise SystemExit(__doc__)


main(*sys.argv[1:])
