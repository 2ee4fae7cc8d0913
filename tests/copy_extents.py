#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""copy_extents.py FROM TO: the extents that stdin names, as `cbtctl map` prints them, of blocks of 4 KiB."""

import mmap
import os
import sys

CHUNK, BLOCK = 1 << 20, 4096

source = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
target = os.open(sys.argv[2], os.O_WRONLY | os.O_DIRECT)
buffer = memoryview(mmap.mmap(-1, CHUNK))
for line in sys.stdin:
    if not line[0].isdigit():
        continue
    first, number = (int(word) * BLOCK for word in line.split())
    for start in range(first, first + number, CHUNK):
        part = buffer[:min(CHUNK, first + number - start)]
        if os.preadv(source, [part], start) != len(part) or os.pwritev(target, [part], start) != len(part):
            sys.exit(f"copy_extents: not all of the {len(part)} bytes at {start} were copied")
