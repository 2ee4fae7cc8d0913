# SPDX-License-Identifier: GPL-2.0-or-later
"""A sender and a receiver, and connections between them that are harmed. For transfer_cuts.py."""

import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import transfer
from transfer_world import Wrong

MARK_INTERVAL = 128 << 10
HEADER_BYTES, EXTENT_BYTES = 32, 16
SMALL = 4096  # records up to this size are looked at whole

with open(os.path.join(os.path.dirname(__file__), "../../uapi/cbt-wire.h"), encoding="utf-8") as contract:
    TYPES = {int(number): name for name, number in re.findall(r"^\tCBT_WIRE_(\w+) = (\d+),", contract.read(), re.M)}


# --- the connection between the two, and what happens to it ---

class Stream:
    """What one side says, cut into pieces of records."""

    def __init__(self):
        self.held, self.left = bytearray(), 0

    def take(self, data):
        """Yields (type, length of the record, where in it, bytes); a short record comes in one piece."""
        self.held += data
        while self.held:
            if not self.left:
                if len(self.held) < HEADER_BYTES:
                    return
                kind, nr_extents, body = struct.unpack_from("<4xH4xHI", self.held)
                self.kind, self.length = TYPES[kind], HEADER_BYTES + nr_extents * EXTENT_BYTES + body
                if self.length <= SMALL and len(self.held) < self.length:
                    return
                self.left = self.length
            piece = bytes(self.held[:self.left])
            del self.held[:len(piece)]
            start, self.left = self.length - self.left, self.left - len(piece)
            yield self.kind, self.length, start, piece


class Harm:
    """Something that happens once, at a place of what one side says."""

    def __init__(self, dice, victim, side, kind=None, place=None, nth=0, byte=0):
        self.victim, self.side, self.kind, self.place = victim, side, kind, place
        self.nth, self.byte = nth, byte  # records of that kind, or bytes, to let pass first
        self.fraction = dice.random()
        self.delay = dice.choice([0, 0, dice.random() * 0.003])
        self.alone = dice.random() < 0.5  # of several connections only the one that it happens on

    def __str__(self):
        where = f"{self.place} {self.kind} {self.nth}" if self.kind else f"at byte {self.byte}"
        return f"{self.victim} {where} of {self.side}, {self.delay * 1000:.1f} ms later"

    def due(self, side, kind, length, start, size):
        """After how many bytes of this piece it happens, or None."""
        if side != self.side:
            return None
        if not self.kind:
            self.byte -= size
            return self.byte + size if self.byte < 0 else None
        if kind != self.kind:
            return None
        if self.nth:
            self.nth -= start + size == length
            return None
        at = {"before": 0, "inside": 1 + int(self.fraction * (length - 1)), "behind": length}[self.place] - start
        return at if 0 <= at < size or at == size == length - start else None


class Broken(transfer.Proxy):
    """Both directions between pairs of sockets, record by record; @harms happen one after the other."""

    def __init__(self, pairs, harms, kill, note):
        super().__init__(*pairs[0], None, None)
        for sender, receiver in pairs:
            self.peers |= {sender: receiver, receiver: sender}
        self.pairs, self.senders = pairs, [sender for sender, _ in pairs]
        self.lock = threading.Lock()
        self.harms, self.kill, self.note = list(harms), kill, note
        self.streams = {source: Stream() for source in self.peers}
        self.happened = []

    def run(self, workers):
        """No connection waits for another, whose data the receiver wants first."""
        threads = [threading.Thread(target=self.pump, args=(list(pair), workers)) for pair in self.pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for peer in self.peers:
            peer.close()

    def forward(self, source):
        side = "send" if source in self.senders else "receive"
        data = source.recv(1 << 18)
        if not data:
            self.peers[source].sendall(self.streams[source].held)
            self.peers[source].shutdown(socket.SHUT_WR)
            return False
        return all(self.pass_on(source, side, *piece) for piece in self.streams[source].take(data))

    def pass_on(self, source, side, kind, length, start, piece):
        with self.lock:
            at = self.harms[0].due(side, kind, length, start, len(piece)) if self.harms else None
            harm = None if at is None else self.harms.pop(0)
        # what the sender relies on once it has read it; these come in one piece
        relied_on = side == "receive" and kind in ("MARK", "DURABLE")
        if relied_on and at in (None, length):
            self.note(kind, piece)
        self.peers[source].sendall(piece[:at])
        if at is None:
            return True
        self.happened.append((side, kind))
        time.sleep(harm.delay)
        if harm.victim == "link":
            for end in (source, self.peers[source]) if harm.alone else self.peers:
                end.shutdown(socket.SHUT_RDWR)
            return False
        self.kill(harm.victim)
        if relied_on and at < length:
            self.note(kind, piece)
        self.peers[source].sendall(piece[at:])
        return True


# --- one delta on its way ---

def is_free(path):
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_EXCL)) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def wait_until_free(path):
    """io_uring lets go of the files of a process some time after that was killed."""
    deadline = time.monotonic() + transfer.DEADLINE_S
    while not is_free(path):
        if time.monotonic() > deadline:
            raise Wrong(f"{path} is in use by somebody")
        time.sleep(0.0005)


class Ends:
    """Sender and receiver of one attempt; subclasses start them."""

    def __init__(self, place, note):
        self.place, self.note = place, note
        self.children = {}

    def kill(self, victim):
        name, _, term = victim.partition("-")
        for child in self.children.values() if name == "both" else [self.children[name]]:
            try:
                os.killpg(child.pid, signal.SIGTERM if term else signal.SIGKILL)
            except ProcessLookupError:
                pass

    def end(self):
        """{side: (status, last report)}"""
        results = {}
        for name, child in self.children.items():
            try:
                out, _ = child.communicate(timeout=transfer.DEADLINE_S)
            except subprocess.TimeoutExpired as late:
                self.kill("both")
                raise Wrong(f"{name} does not end") from late
            lines = [line for line in out.splitlines() if line.startswith("{")]
            if child.returncode < 0 and -child.returncode not in (signal.SIGKILL, signal.SIGTERM):
                raise Wrong(f"{name} was ended by signal {-child.returncode}")
            results[name] = child.returncode, json.loads(lines[-1]) if lines and lines[-1].endswith("}") else {"text": out}
        for path in self.place.targets + [self.place.journal]:
            wait_until_free(path)
        return results

    def attempt(self, world, delta, options, harms):
        inner = self.start(world, delta, options)
        proxy = Broken(inner, harms, self.kill, self.note)
        proxy.run(self.children.values())
        return self.end(), proxy.happened


def plan(world, epoch, paths):
    return {"version": 1, "vm": world.vm, "epoch": epoch, "base": world.base,
            "disks": [{"name": f"disk{i}", "size": len(world.now[i]), "path": path} for i, path in enumerate(paths)]}


def receive_plan(world, epoch, place, journal=True):
    journal = {"path": place.journal, "mark_interval": MARK_INTERVAL} if journal else None
    return plan(world, epoch, place.targets) | ({"journal": journal} if journal else {})


class Workers(Ends):
    def start(self, world, delta, options):
        receive = receive_plan(world, delta.epoch, self.place, options["journal"])
        send = plan(world, delta.epoch, self.place.sources)
        send |= {"base": delta.base, "aborted": delta.aborted, "compress": options["compress"]}
        for disk, extents in zip(send["disks"], self.place.extents):
            disk["source"] = {"all": True, "compare": True} if options["compare"] else {"extents": extents}
        nears, senders = zip(*(transfer.connection(True) for _ in range(options["connections"])))
        receivers, fars = zip(*(transfer.connection(True) for _ in range(options["connections"])))
        for name, socks, text in (("send", nears, send), ("receive", fars, receive)):
            with open(self.place.plans[name], "w", encoding="utf-8") as file:
                json.dump(text, file)
            self.children[name] = transfer.start(name, socks, self.place.plans[name], process_group=0)
            for sock in socks:
                sock.close()
        return list(zip(senders, receivers))


class ByHand(Ends):
    """`failback send` and `failback receive`, which first call each other as daemons do."""

    def start(self, world, delta, options):
        at = self.listen(["failback", "receive", self.place.targets[0], "--json"] +
                         (["--journal", self.place.journal] if options["journal"] else []))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(transfer.DEADLINE_S)
            send = ["failback", "send", self.place.sources[0], "--epoch", delta.epoch, "--json",
                    "--to", f"127.0.0.1:{listener.getsockname()[1]}", "--extents", self.place.extents[0]]
            send += ["--compare"] * options["compare"] + ["--compress", "auto" if options["compress"] else "off"]
            self.children["send"] = self.program(send)
            sender, _ = listener.accept()
        return [(sender, socket.create_connection(at))]

    @staticmethod
    def program(command):
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0)

    def listen(self, command):
        """Its address. Somebody else may be faster to take a port that was free."""
        for _ in range(5):
            with socket.create_server(("127.0.0.1", 0)) as listener:
                at = listener.getsockname()
            child = self.children["receive"] = self.program(command + ["--listen", f"{at[0]}:{at[1]}"])
            line = child.stdout.readline()
            if "listening" in line:
                return at
            child.communicate()
        raise Wrong(f"failback receive does not listen: {line}")


class Place:
    """Where everything stands."""

    def __init__(self, directory, targets, journal):
        self.targets, self.journal = targets, journal
        self.sources = [f"{directory}/source{i}" for i in range(len(targets))]
        self.extents = [f"{directory}/extents{i}" for i in range(len(targets))]
        self.plans = {name: f"{directory}/plan-{name}" for name in ("send", "receive")}

    def write_sources(self, delta, dice, released):
        for i, image in enumerate(delta.image):
            if released and delta.mark and i <= delta.mark[0]:
                gone = len(image) if i < delta.mark[0] else delta.mark[1]
                image = dice.randbytes(gone) + image[gone:]
            write_file(self.sources[i], image)
            with open(self.extents[i], "w", encoding="utf-8") as file:
                file.writelines(f"{offset} {length}\n" for offset, length in delta.extents[i])

    def held(self):
        return [read_file(target) for target in self.targets]


def write_file(path, data):
    with open(path, "wb") as file:
        file.write(data)


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def apply_journal(place, plan):
    run = subprocess.run(["failback-receive", "--apply"], input=json.dumps(plan), capture_output=True, text=True, check=False)
    if run.returncode:
        raise Wrong(f"the journal cannot be applied: {run.stdout.strip()} {run.stderr.strip()}")
