#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""differing.py A B: the blocks of 4 KiB in which two disks of one size differ, one number a line."""

import sys

CHUNK, BLOCK = 1 << 20, 4096

with open(sys.argv[1], "rb") as a, open(sys.argv[2], "rb") as b:
    first = 0
    while x := a.read(CHUNK):
        y = b.read(CHUNK)
        if x != y:
            for i in range(0, len(x), BLOCK):
                if x[i:i + BLOCK] != y[i:i + BLOCK]:
                    print(first + i // BLOCK)
        first += len(x) // BLOCK
