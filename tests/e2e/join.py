#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A peer that offers a delta over several connections, and joins it as no peer should; and an old one. For tests/e2e/*connections.sh.

    join.py hand ADDRESS:PORT BYTES TRIAL...     to `failback receive`, a disk of BYTES
    join.py peer ADDRESS:PORT FROM VM NAME BYTES TRIAL...   to failbackd, from the address FROM, disk NAME of VM
        offers a delta over three connections; each trial is one more connection, of which what comes of it is printed:
            one, two     joins as that number, rightly
            zero, three  joins as a number that there is not
            wrong        with another token
            none         without a token
            other        rightly, from another address
            key          rightly, with the key OTHER
            garbage      says what is no record
            mute         says nothing, until the other side closes
            half         begins a record, and says nothing more, until the other side closes
            silent       says nothing, and goes on with the next trial
            leave        closes all that there is
        and at last waits, for a second, for what the first connection says
    join.py old ADDRESS:PORT TO:PORT [FROM]      forwards transfers by hand, or of failbackd, from the address FROM, as a host of
        an earlier version would answer them: it knows nothing of several connections; prints "refused" for each call that speaks of them
    join.py faces AT:PORT TO:PORT FIRST FURTHER [FROM]      forwards what is said before a transfer, as `old` does, over TLS with the key
        FIRST; the first of the further connections finds the key FURTHER: prints "silent" when nothing is said on it, and ends

In the environment, IDENTITY is the key that is shown where it connects: without it there is no TLS. A key is the start of two
names, KEY.pem and KEY.key.
"""

import json
import os
import select
import socket
import ssl
import struct
import sys
import uuid

from hostile import CALL, REPLY, read_exactly, record

WAIT_S = 20
IDENTITY = os.environ.get("IDENTITY")
WELCOME = b"W"


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def read_record(s):
    """(type, sequence, body) of one without extents; None at the end."""
    try:
        head = read_exactly(s, 32)
        kind, length, sequence = struct.unpack_from("<4xH6xIQ", head)
        return kind, sequence, read_exactly(s, length)
    except (EOFError, ConnectionError):
        return None


def tls(kind, key):
    """Whom it meets does not matter to it."""
    context = ssl.SSLContext(kind)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(key + ".pem", key + ".key")
    return context


def connect(to, source, key=IDENTITY):
    s = socket.create_connection(to, WAIT_S, (source, 0) if source else None)
    if key:
        s = tls(ssl.PROTOCOL_TLS_CLIENT, key).wrap_socket(s)
        if read_exactly(s, 1) != WELCOME:
            raise ConnectionError("no welcome")
    return s


class Peer:
    def __init__(self, to, source, vm, disk, size):
        self.to, self.source, self.vm = to, source, vm
        self.disks = [{"name": disk, "size": size}]
        self.first = connect(to, source)
        self.others, self.sequence = [], 0

    def call(self, s, sequence, **members):
        s.sendall(record(CALL, json.dumps({"version": 4, "vm": self.vm} | members).encode(), sequence))
        answer = read_record(s)
        return json.loads(answer[2]) if answer else None

    def offer(self, epoch, base):
        reply = self.call(self.first, self.sequence, call="receive", epoch=epoch, base=base, disks=self.disks, bytes=4096,
                          connections=3)
        print("offer:", reply["code"], reply.get("connections"), reply["text"], flush=True)
        self.token = reply.get("token")

    def look(self):
        self.sequence = 1
        return self.call(self.first, 0, call="look", disks=self.disks)["base"]

    def attempt(self, trial):
        if trial == "leave":
            for s in self.others + [self.first]:
                s.close()
            return "left"
        s = connect(self.to, "127.0.0.9" if trial == "other" else self.source,
                    os.environ["OTHER"] if trial == "key" else IDENTITY)
        self.others.append(s)
        if trial == "garbage":
            s.sendall(b"GET / HTTP/1.0\r\n\r\n" + bytes(200))
        if trial == "half":
            s.sendall(record(CALL, b"{}")[:5])
        if trial == "silent":
            return "open"
        if trial in ("garbage", "mute", "half"):
            return "closed" if read_record(s) is None else "answered"
        number = {"zero": 0, "two": 2, "three": 3}.get(trial, 1)
        token = {"token": str(uuid.uuid4()) if trial == "wrong" else self.token} if trial != "none" else {}
        reply = self.call(s, 0, call="join", connection=number, **token)
        return f"{reply['code']} {reply['text']}" if reply else "closed"

    def run(self, trials):
        for trial in trials:
            try:
                print(f"{trial}:", self.attempt(trial), flush=True)
            except OSError as error:
                print(f"{trial}:", error, flush=True)
        if "leave" in trials:
            return
        self.first.settimeout(1)
        try:
            said = read_record(self.first)
            print("first:", "closed" if said is None else said[2][4:].decode(errors="replace"))
        except TimeoutError:
            print("first: open")


def hand(to, size, *trials):
    epoch = str(uuid.uuid4())
    peer = Peer(address(to), None, epoch, "disk0", int(size))
    peer.offer(epoch, "00000000-0000-0000-0000-000000000000")
    peer.run(trials)


def peer(to, source, vm, disk, size, *trials):
    peer = Peer(address(to), source, vm, disk, int(size))
    peer.offer(str(uuid.uuid4()), peer.look())
    peer.run(trials)


# --- an old host ---

REFUSAL = {"code": 32773, "text": 'the message of the peer has an unknown member "connections".'}


def converse(near, far, several=False):
    """Calls and replies, until one says that the workers follow. The numbers of records are those of each side."""
    answered = forwarded = 0
    while True:
        call = read_record(near)
        if not call:
            return False
        if not several and "connections" in json.loads(call[2]):
            print("refused", flush=True)
            near.sendall(record(REPLY, json.dumps(REFUSAL).encode(), answered))
            answered += 1
            continue
        far.sendall(record(CALL, call[2], forwarded))
        forwarded += 1
        reply = read_record(far)
        if not reply:
            return False
        reply = json.loads(reply[2])
        if not several:
            reply.pop("connections", None)
        near.sendall(record(REPLY, json.dumps(reply).encode(), answered))
        answered += 1
        if reply["code"] == 4096:
            return True


def forward(near, far):
    peers = {near: far, far: near}
    while peers:
        for source in select.select(list(peers), [], [])[0]:
            try:
                data = source.recv(65536)
                if data:
                    peers[source].sendall(data)
                    continue
                peers[source].shutdown(socket.SHUT_WR)
            except OSError:
                pass
            del peers[source]


def old(at, to, source=None):
    with socket.create_server(address(at)) as listener:
        print("ready", flush=True)
        while True:
            near, _ = listener.accept()
            with near, connect(address(to), source) as far:
                far.settimeout(None)
                if converse(near, far):
                    forward(near, far)


def welcome(listener, key):
    near = tls(ssl.PROTOCOL_TLS_SERVER, key).wrap_socket(listener.accept()[0], server_side=True)
    near.settimeout(WAIT_S)
    near.sendall(WELCOME)
    return near


def faces(at, to, first, further, source=None):
    with socket.create_server(address(at)) as listener:
        print("ready", flush=True)
        begun = False
        while not begun:
            near, far = welcome(listener, first), connect(address(to), source)
            begun = converse(near, far, True)
        said = read_record(welcome(listener, further))
        print("spoken to" if said else "silent", flush=True)


if __name__ == "__main__":
    {"hand": hand, "peer": peer, "old": old, "faces": faces}[sys.argv[1]](*sys.argv[2:])
