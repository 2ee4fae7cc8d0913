#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Say to failbackd, and to a receive worker, what no peer of theirs would. For tests/e2e/hostile.sh.

    hostile.py calls ADDRESS PORT SECONDS    random and damaged records to the listener
    hostile.py slow ADDRESS PORT NUMBER      connections that say a byte and wait, until stdin ends
    hostile.py deaf ADDRESS PORT NUMBER      connections that ask and never read, until stdin ends
    hostile.py call ADDRESS PORT TEXT        one proper CALL; prints the text of the REPLY
    hostile.py worker PROGRAM SECONDS PLAN... random and damaged deltas to a receive worker, over several connections
    hostile.py bus ADDRESS SECONDS           random and damaged calls of every method, as they come
    hostile.py refusals ADDRESS NUMBER       that many calls that are refused, one after the other
    hostile.py vanish ADDRESS NUMBER         that many calls at once by a caller that does not wait

SEED=N repeats a run; FROM=ADDRESS is where connections come from.
"""

import ctypes
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time

xxhash = ctypes.CDLL("libxxhash.so.0")
xxhash.XXH3_64bits_withSeed.restype = ctypes.c_uint64
xxhash.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]

zstd = ctypes.CDLL("libzstd.so.1")
zstd.ZSTD_compress.restype = ctypes.c_size_t
zstd.ZSTD_compress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]

SEED = int(os.environ.get("SEED", time.time_ns() % 1000000))
dice = random.Random(SEED)

CALL, REPLY, BEGIN, READY, DATA, ZERO, DISCARD, END, DURABLE, FAILED, MARK, COMPARE, HASH, DIFFER = range(1, 15)
MAGIC = 0x31746263
VERSION = 4
PACKED = 1
NUMBERS = [0, 1, -1, 511, 512, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64,
           -2**63, -2**63 - 1, 10**400, 0.5, 1e308, -0.0]


def record(kind, body=b"", sequence=0, extents=(), disk=0, flags=0):
    """A record whose check is right, whatever else is wrong about it."""
    spans = b"".join(struct.pack("<QQ", start & 2**64 - 1, length & 2**64 - 1) for start, length in extents)
    def head(check):
        return struct.pack("<IHHHHIQQ", MAGIC, kind, flags, disk & 0xffff, len(extents), len(body), sequence, check)
    seed = xxhash.XXH3_64bits_withSeed(head(0) + spans, 32 + len(spans), 0)
    return head(xxhash.XXH3_64bits_withSeed(body, len(body), seed)) + spans + body


def damage(data):
    data = bytearray(data)
    for _ in range(dice.randrange(1, 4)):
        what, at = dice.randrange(4), dice.randrange(len(data) or 1)
        if what == 0 and data:
            data[at] = dice.randrange(256)
        elif what == 1:
            del data[at:]
        elif what == 2:
            data[at:at] = dice.randbytes(dice.randrange(64))
        elif data:
            data[at] ^= 1 << dice.randrange(8)
    return bytes(data)


# --- texts ---

TEXTS = ["", "vm1", "disk0", "\x1b[2J\x1b]0;owned\x07", "\0", "a\0b", "\u00e9" * 63, "x" * 70000, "%s%n", "../../etc",
         "\ud800", "11111111-2222-4333-8444-555555555555", "00000000-0000-0000-0000-000000000000"]


def some_value(depth=0):
    """Of a few megabytes at most: more takes sd-bus under the sanitizers, which copies at each part, too long."""
    kind = dice.randrange(8 if depth < 4 else 5)
    if kind == 0:
        return dice.choice(NUMBERS)
    if kind == 1:
        return dice.choice([True, False, None])
    if kind < 5:
        return dice.choice(TEXTS)
    if kind == 5:
        return {dice.choice(TEXTS + ["epoch", "name", "size"]): some_value(depth + 1) for _ in range(dice.randrange(4))}
    return [some_value(depth + 1) for _ in range(dice.choice([0, 1, 2, 300]) if depth == 0 else 1)]


def some_call():
    vm = "11111111-2222-4333-8444-555555555555"
    call = {"call": dice.choice(["reverse-check", "reverse", "receive", "definition"]), "version": 1, "vm": vm,
            "base": "", "epoch": "22222222-2222-4333-8444-555555555555"}
    if call["call"] == "definition":
        size, offset = dice.choice([(3, 0), (6, 0), (6, 3), (1 << 24, 0)])
        call |= {"size": size, "offset": offset, "data": dice.choice(["QUJD", "QUJDREVG", "", "QQ==", "A" * 40000])}
    else:
        call |= {"aborted": [], "disks": [{"name": "disk0", "size": 16 << 20}]}
    for _ in range(dice.randrange(4)):
        call[dice.choice(list(call) + [dice.choice(TEXTS)])] = some_value()
    text = json.dumps(call, ensure_ascii=dice.random() < 0.5).encode(errors="surrogatepass")
    return text[:65536]


def some_text():
    kind = dice.randrange(8)
    if kind == 0:
        return b"[" * dice.choice([10, 10000, 65536])
    if kind == 1:
        return b'{"a":' * 10000
    if kind == 2:
        return dice.randbytes(dice.randrange(2, 300))
    if kind == 3:
        return damage(some_call()) + b"  "
    return some_call()


# --- the listener ---

def connect(address, port):
    s = socket.create_connection((address, int(port)), source_address=(os.environ.get("FROM", ""), 0))
    s.settimeout(5)
    return s


def some_stream():
    records = b""
    for sequence in range(dice.randrange(1, 4)):
        kind = CALL if dice.random() < 0.8 else dice.randrange(0, 14)
        body = some_text()
        if kind == FAILED:
            body = struct.pack("<I", dice.choice([32768, 32779, 0, 2**32 - 1])) + body[:1000]
        extents = [(0, 512)] * dice.randrange(3) if kind in (DATA, ZERO, DISCARD) else ()
        part = record(kind, body, sequence if dice.random() < 0.95 else dice.choice([7, 2**64 - 1]), extents)
        records += damage(part) if dice.random() < 0.3 else part
    return records


def calls(address, port, seconds):
    end, done = time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        with connect(address, port) as s:
            try:
                s.sendall(some_stream())
                if dice.random() < 0.8:
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(65536):
                        pass
            except OSError:
                pass
        done += 1
    print(f"seed={SEED} done={done}")


def wait_for_stdin():
    print("ready", flush=True)
    sys.stdin.read()


def slow(address, port, number):
    kept = []
    for i in range(int(number)):
        kept.append(connect(address, port))
        kept[-1].send(record(CALL, b"{}" * 50)[:1 + i % 90])
    wait_for_stdin()


def deaf(address, port, number):
    kept = []
    for _ in range(int(number)):
        s = connect(address, port)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        s.setblocking(False)
        try:
            for sequence in range(2000):
                s.send(record(CALL, b'{"call": "x", "version": 1}', sequence))
        except (BlockingIOError, ConnectionError):
            pass
        kept.append(s)
    wait_for_stdin()


def read_exactly(s, nr):
    data = b""
    while len(data) < nr:
        got = s.recv(nr - len(data))
        if not got:
            raise EOFError
        data += got
    return data


def call(address, port, text):
    with connect(address, port) as s:
        s.sendall(record(CALL, text.encode()))
        head = read_exactly(s, 32)
        print(read_exactly(s, struct.unpack_from("<I", head, 12)[0]).decode())


# --- a receive worker ---

def raw(text):
    return bytes.fromhex(text.replace("-", "")) if text else bytes(16)


def some_comparison(plan):
    return struct.pack("<II", VERSION, dice.choice([0, 0, 0, 1, 2])) + raw(plan["vm"]) + raw(plan["epoch"]) + \
        bytes(16) + struct.pack("<Q", dice.choice([1 << 20, 16 << 20, 0, 2**64 - 1]))


def right_begin(plan, total):
    disks = b"".join(struct.pack("<Q56s", disk["size"], disk["name"].encode()) for disk in plan["disks"])
    return struct.pack("<II", VERSION, len(plan["disks"])) + raw(plan["vm"]) + raw(plan["epoch"]) + \
        raw(plan.get("base") or "") + struct.pack("<QII", total, 0, 0) + disks


def some_begin(plan):
    return right_begin(plan, dice.choice([1 << 20, 4096, 0, 2**64 - 1]))


def frame(data):
    room = ctypes.create_string_buffer(len(data) + 1024)
    length = zstd.ZSTD_compress(room, len(room), data, len(data), 1)
    return room.raw[:length]


def some_frame(total):
    """Of what the extents ask for, or nearly; whole, or nearly."""
    data = bytes(min(total, 4 << 20) + dice.choice([0, 0, 0, 512, 64 << 20]))
    packed = frame(data[dice.choice([0, 0, 0, 1]):])
    return dice.choice([packed, packed, packed, damage(packed), packed * 2, dice.randbytes(40), b""])[:1 << 20]


def some_delta(plan):
    """Its records, each as (type, bytes)."""
    body = some_begin(plan)
    records, data = [(BEGIN, record(BEGIN, damage(body) if dice.random() < 0.1 else body))], [DATA, ZERO, DISCARD] * 4
    if dice.random() < 0.3:
        records, data = [(COMPARE, record(COMPARE, some_comparison(plan)))], [HASH] * 12 + [BEGIN] * 4
    for sequence in range(1, dice.randrange(2, 8)):
        kind = dice.choice(data + [END, DURABLE, READY, BEGIN, FAILED, CALL, MARK, COMPARE, HASH, DIFFER])
        nr = dice.choice([1, 1, 2, 3, 1024])
        start, extents = dice.choice([0, 0, 512, 4096, 16 << 20, 2**63, 2**64 - 512]), []
        for _ in range(nr):
            length = dice.choice([512, 4096, 4096, 65536, 0, 1, 2**63, 2**64 - 512])
            extents.append((start, length))
            start = start + length + dice.choice([0, 512, -512]) & 2**64 - 1
        total = sum(length for _, length in extents)
        body, flags = b"", 0
        if kind == DATA and dice.random() < 0.3:
            body, flags = some_frame(total), PACKED
        elif kind == DATA:
            body = bytes(total) if total <= 1 << 20 else dice.randbytes(512 * dice.randrange(1, 9))
        elif kind == HASH:
            body = dice.randbytes(16 * (min(total, 1 << 20) // 4096 + dice.choice([0, 0, 0, 1])))
        elif kind == COMPARE:
            body = some_comparison(plan)
        elif kind == DIFFER:
            body = dice.randbytes(dice.choice([1, 32]))
        elif kind == END:
            body = struct.pack("<QQQQQ", *(dice.choice([0, 1, 4096, 2**64 - 1]) for _ in range(5)))
        elif kind == DURABLE:
            body = bytes(24)
        elif kind == FAILED:
            body = struct.pack("<I", 32768) + b"\x1b[2J\xff\xfe " + dice.randbytes(50)
        elif kind == BEGIN:
            body = some_begin(plan)
        part = record(kind, body, sequence, extents if kind in (DATA, ZERO, DISCARD, HASH) else (),
                      dice.choice([0, 0, 0, 1, 255, 65535]) if kind in (DATA, ZERO, DISCARD, HASH) else 0, flags)
        records.append((kind, damage(part) if dice.random() < 0.15 else part))
    return records


def spread(records, nr):
    """What goes over each of @nr connections: by the rule of uapi/cbt-wire.h, or nearly."""
    streams, turn = [b""] * nr, 0
    for kind, part in records:
        streams[turn if dice.random() < 0.9 else dice.randrange(nr)] += part
        turn = (turn + (kind == DATA)) % nr
    if dice.random() < 0.3:
        streams[dice.randrange(nr)] += dice.choice([dice.randbytes(dice.randrange(80)), records[-1][1]])
    return streams


def say_and_leave(s, data):
    try:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def worker(program, seconds, *paths):
    # its system calls are filtered, those too with which a sanitizer looks for leaks
    environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
    end, done = time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        path = dice.choice(paths)
        with open(path, encoding="utf-8") as text:
            plan = json.load(text)
        nears, fars = zip(*(socket.socketpair() for _ in range(dice.choice([1, 1, 2, 3, 8]))))
        fds = [far.fileno() for far in fars]
        with open(path, "rb") as text:
            child = subprocess.Popen([program] + [f"--connection={fd}" for fd in fds], stdin=text, env=environment,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=fds)
        for far in fars:
            far.close()
        threads = [threading.Thread(target=say_and_leave, args=pair)
                   for pair in zip(nears, spread(some_delta(plan), len(nears)))]
        for thread in threads:
            thread.start()
        out, errors = child.communicate(timeout=60)
        for thread in threads:
            thread.join()
        for near in nears:
            near.close()
        done += 1
        last = json.loads(out.splitlines()[-1]) if out.strip() else {}
        if last.get("event") != "failed" or b"\x1b" in out + errors or not 10 <= child.returncode <= 21 \
                or b"Sanitizer" in errors or b"runtime error" in errors:
            print(f"seed={SEED} delta {done}: status {child.returncode}\n{out!r}\n{errors.decode(errors='replace')}")
            sys.exit(1)
    print(f"seed={SEED} done={done}")


# --- the bus ---

class Bus:
    """As much of D-Bus as is needed for calling with whatever body."""

    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(20)
        self.s.connect(path)
        self.serial = 0
        self.s.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        assert self.s.recv(256).startswith(b"OK")
        self.s.sendall(b"BEGIN\r\n")
        self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")
        self.receive()

    @staticmethod
    def marshal(signature, values):
        out = b""
        for kind, value in zip(signature, values):
            if kind in "so":
                raw = value.encode(errors="surrogatepass")
                out += bytes(-len(out) % 4) + struct.pack("<I", len(raw)) + raw + b"\0"
            else:
                size, code = {"u": (4, "I"), "q": (2, "H"), "b": (4, "I"), "t": (8, "Q")}[kind]
                out += bytes(-len(out) % size) + struct.pack("<" + code, value)
        return out

    def call(self, name, path, interface, member, signature="", values=()):
        self.last = member, signature, [str(value)[:300] for value in values]
        body = self.marshal(signature, values)
        fields = b""
        for code, kind, value in ((1, "o", path), (6, "s", name), (2, "s", interface), (3, "s", member),
                                  (8, "g", signature)):
            raw = value.encode()
            fields += bytes(-len(fields) % 8) + bytes([code, 1]) + kind.encode() + b"\0"
            fields += bytes([len(raw)]) + raw + b"\0" if kind == "g" else struct.pack("<I", len(raw)) + raw + b"\0"
        self.serial += 1
        head = struct.pack("<cBBBIII", b"l", 1, 0, 1, len(body), self.serial, len(fields)) + fields
        self.s.sendall(head + bytes(-len(head) % 8) + body)
        return self.serial

    def receive(self):
        """(type, serial answered) of the next message."""
        head = read_exactly(self.s, 16)
        body, _, fields = struct.unpack_from("<III", head, 4)
        rest = read_exactly(self.s, fields + (-fields % 8) + body)
        answered, at = 0, 0
        while at < fields:
            at += -at % 8
            code, kind = rest[at], rest[at + 2:at + 3]
            at += 4
            if kind == b"u":
                if code == 5:
                    answered = struct.unpack_from("<I", rest, at)[0]
                at += 4
            elif kind == b"g":
                at += rest[at] + 2
            else:
                at += struct.unpack_from("<I", rest, at)[0] + 5
        return head[1], answered

    def answer_to(self, serial):
        while True:
            kind, answered = self.receive()
            if answered == serial:
                return kind


METHODS = {"GetComputerSystem": "s", "ReverseReplicationRelationship": "os", "RequestReplicationStateChange": "oq",
           "ApplyRelationships": "s", "AdoptRelationships": "s", "ExportRelationships": "", "GetJobHistory": "u", "NoSuch": "s"}
SETTINGS = ["RecoveryConnectionPoint", "AuthenticationType", "ReplicationInterval", "RecoveryHistory",
            "IncludedDisks", "CompressionEnabled", "InstanceID", "Caption"]


def instance(content):
    return f"<INSTANCE CLASSNAME='Msvm_ReplicationSettingData'>{content}</INSTANCE>"


def bomb():
    entities = '<!ENTITY e0 "' + "A" * 500 + '">'
    for i in range(1, 10):
        entities += f'<!ENTITY e{i} "' + f"&e{i - 1};" * 10 + '">'
    return f"<!DOCTYPE x [{entities}]>" + instance("&e9;")


def some_property():
    kind = dice.choice(["string", "uint16", "boolean", "\u00e9" * 60])
    value = dice.choice([0, 2**16, 2**64, -1, "\u00e9" * 90, "TRUE", "&#27;[2J", "&#x9b;2J", "x" * 5000])
    return f"<PROPERTY NAME='{dice.choice(SETTINGS)}' TYPE='{kind}'><VALUE>{value}</VALUE></PROPERTY>"


def some_settings():
    kind = dice.randrange(8)
    if kind == 0:
        return some_call().decode(errors="surrogateescape").replace("\0", "").encode(errors="replace").decode()
    if kind == 1:
        return bomb()
    if kind == 2:
        return instance("<QUALIFIER>" * dice.choice([3, 100, 100000]))
    if kind == 3:
        encoding = dice.choice(["utf-16", "ebcdic", "utf-7", "x" * 100])
        return f"<?xml version='1.0' encoding='{encoding}'?>" + instance("")
    if kind == 4:
        return instance("".join(some_property() for _ in range(dice.choice([1, 3, 300]))))
    if kind == 5:
        return "{" + "x" * dice.choice([10, 70000, 3000000])
    text = json.dumps({dice.choice(SETTINGS + ["x" + "\u00e9" * 70, "\x1b[2J"]): some_value() for _ in range(3)},
                      ensure_ascii=dice.random() < 0.5)
    return text.replace("\0", "").encode(errors="replace").decode()


def some_argument(kind, longest):
    if kind == "o":
        return dice.choice(["/org/failback1/computersystem/11111111_2222_4333_8444_555555555555",
                            "/org/failback1/computersystem/x", "/", "/a" * 3000])
    if kind == "s":
        return some_settings()[:longest]
    return dice.randrange(2**16)


def attack(bus, longest=None):
    member = dice.choice(list(METHODS))
    signature = METHODS[member] if dice.random() < 0.9 else dice.choice(["", "s", "u", "oq", "ss", "qo", "tt"])
    return bus.call("org.failback1", "/org/failback1/service", "org.failback1.ReplicationService", member,
                    signature, [some_argument(kind, longest) for kind in signature])


def everything_can_be_read(bus):
    serial = bus.call("org.failback1", "/org/failback1", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
    return bus.answer_to(serial) == 2


def bus_fuzz(address, seconds):
    end, done = time.monotonic() + float(seconds), 0
    bus = Bus(address)
    while time.monotonic() < end:
        done += 1
        try:
            bus.answer_to(attack(bus))
        except (ConnectionError, EOFError): # too bad for the bus itself
            bus = Bus(address)
        except TimeoutError:
            sys.exit(f"seed={SEED} call {done} is not answered: {bus.last}")
        if done % 16 == 0 and not everything_can_be_read(bus):
            sys.exit(f"seed={SEED} after call {done}: GetManagedObjects fails")
    print(f"seed={SEED} done={done}")


def answers_in_time(address):
    try:
        return everything_can_be_read(Bus(address))
    except (TimeoutError, ConnectionError, EOFError):
        return False


def vanish(address, number):
    for _ in range(5):
        bus = Bus(address)
        try:
            for _ in range(int(number)):
                attack(bus, 70000)
        except ConnectionError: # the bus has enough of it
            pass
        bus.s.close()
    end = time.monotonic() + 60
    while not answers_in_time(address): # refused by the bus, as long as there is so much to do
        if time.monotonic() > end:
            sys.exit("GetManagedObjects fails")
        time.sleep(0.1)


def refusals(address, number):
    bus = Bus(address)
    for _ in range(int(number)):
        bus.answer_to(bus.call("org.failback1", "/org/failback1/service", "org.failback1.ReplicationService",
                               "ReverseReplicationRelationship", "os", ["/x", ""]))


if __name__ == "__main__":
    {"calls": calls, "slow": slow, "deaf": deaf, "call": call, "worker": worker, "bus": bus_fuzz,
     "vanish": vanish, "refusals": refusals}[sys.argv[1]](*sys.argv[2:])
