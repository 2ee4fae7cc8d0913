#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Connect a send and a receive worker, and harm them on request. For tests/e2e/transfer*.sh.

    transfer.py SENDER-PLAN RECEIVER-PLAN [--unix] [--flip BYTE] [--cut BYTE] [--stall BYTE]
                [--lose-durable] [--cut-mark BYTE] [--cut-when FILE] [--kill send|receive|send-term|receive-term --at BYTE [--when FILE]]
                [--connections NUMBER [--on CONNECTION] [--swap]] [--inherit DESCRIPTOR]

Runs both over loopback TCP, or a socket pair with --unix; over several with --connections, of which --on is harmed (0), or the last two
are swapped on one side (--swap). With --flip, --cut, --stall or --at a proxy stands between them and
acts at that byte of what the sender sends: flips a bit, closes both connections, forwards nothing more, kills (with --when as soon as
that file is there, and forwards nothing of the sender's until then); with
--lose-durable it closes both instead of forwarding DURABLE, with --cut-mark when the receiver answers a MARK, and forwards no more
than that many bytes until then; with --cut-when as soon as somebody has written to that file. The receiver runs with LD_PRELOAD=$RECORDER_PRELOAD,
and has the descriptor of --inherit.
Prints one line a worker:

    send STATUS LAST-REPORT
    receive STATUS LAST-REPORT
"""

import argparse
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time

DEADLINE_S = 90


def connection(unix):
    if unix:
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    return near, far


class Proxy:
    """Both directions between two sockets; acts once when the sender's stream reaches a byte."""

    DURABLE, MARK = (struct.pack("<IH", 0x31746263, kind) for kind in (9, 11))

    def __init__(self, sender, receiver, at, act):
        self.peers = {sender: receiver, receiver: sender}
        self.sender, self.at, self.act = sender, at, act
        self.passed, self.stalled = 0, False
        self.cut_when = None  # a file
        self.due = None  # asked again and again until it says that it is done; meanwhile the sender's stream stands

    def forward(self, source):
        data = bytearray(source.recv(65536))
        if source is self.sender and data:
            start, self.passed = self.passed, self.passed + len(data)
            self.stalled = self.stalled or (self.act is cut_mark and self.passed > self.at)
            if self.act not in (lose, cut_mark) and start <= self.at < self.passed and not self.act(self, data, self.at - start):
                return False
        else:
            if (self.act is lose and self.DURABLE in data) or (self.act is cut_mark and self.MARK in data):
                return cut(self, data, 0)
        if not data:
            try:
                self.peers[source].shutdown(socket.SHUT_WR)
            except OSError:
                pass
            return False
        if not self.stalled and not (self.due and source is self.sender):
            self.peers[source].sendall(data)
        return True

    def forward_safely(self, source):
        try:
            return self.forward(source)
        except OSError:
            # one end is dead; the other learns it as from a host that resets its connections
            for peer in self.peers:
                try:
                    peer.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            return False

    def run(self, workers):
        self.pump(list(self.peers), workers)
        for peer in self.peers:
            peer.close()

    def pump(self, sources, workers):
        deadline = time.monotonic() + DEADLINE_S
        while sources and time.monotonic() < deadline:
            if all(worker.poll() is not None for worker in workers):
                break
            if self.due and self.due():
                self.due = None
            if self.cut_when and os.path.getsize(self.cut_when):
                self.cut_when = None
                cut(self, None, 0)
            for source in select.select(sources, [], [], 0.1)[0]:
                if not self.forward_safely(source):
                    sources.remove(source)


def start(name, socks, plan, inherited=(), **options):
    env = dict(os.environ)
    if name == "receive" and "RECORDER_PRELOAD" in env:
        env["LD_PRELOAD"] = env["RECORDER_PRELOAD"]
    with open(plan, encoding="utf-8") as text:
        fds = [sock.fileno() for sock in socks]
        return subprocess.Popen([f"failback-{name}"] + [f"--connection={fd}" for fd in fds], stdin=text,
                                stdout=subprocess.PIPE, pass_fds=fds + list(inherited), text=True, env=env, **options)


def flip(proxy, data, at):
    data[at] ^= 0x10
    return True


def cut(proxy, data, at):
    for peer in proxy.peers:
        peer.shutdown(socket.SHUT_RDWR)
    return False


def lose(proxy, data, at):
    return True


def cut_mark(proxy, data, at):
    return True


def stall(proxy, data, at):
    proxy.stalled = True
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("plans", nargs=2)
    parser.add_argument("--unix", action="store_true")
    parser.add_argument("--kill", choices=["send", "receive", "send-term", "receive-term"])
    parser.add_argument("--when", metavar="FILE")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--on", type=int, default=0)
    parser.add_argument("--swap", action="store_true")
    parser.add_argument("--lose-durable", action="store_true")
    parser.add_argument("--cut-when", metavar="FILE")
    parser.add_argument("--inherit", type=int, action="append", default=[])
    for name in ("flip", "cut", "cut-mark", "stall", "at"):
        parser.add_argument(f"--{name}", type=int)
    args = parser.parse_args()

    workers = {}

    def kill(proxy, data, at):
        def kill_when_due():
            if args.when and not os.path.exists(args.when):
                return False
            name, _, term = args.kill.partition("-")
            workers[name].send_signal(signal.SIGTERM if term else signal.SIGKILL)
            return True

        if not kill_when_due():
            proxy.due = kill_when_due
        return True

    acts = [(getattr(args, name), act)
            for name, act in (("flip", flip), ("cut", cut), ("cut_mark", cut_mark), ("stall", stall), ("at", kill))
            if getattr(args, name) is not None]
    if args.lose_durable:
        acts = [(None, lose)]
    if args.cut_when:
        acts = [(-1, cut)]
    pairs = [connection(args.unix) for _ in range(args.connections)]
    nears, fars = (list(side) for side in zip(*pairs))
    if acts:
        inner_near, inner_far = connection(args.unix)
        proxy = Proxy(fars[args.on], inner_near, *acts[0])
        proxy.cut_when = args.cut_when
        fars[args.on] = inner_far
    if args.swap:
        fars[-2:] = fars[:-3:-1]
    workers["send"] = start("send", nears, args.plans[0])
    workers["receive"] = start("receive", fars, args.plans[1], args.inherit)
    for sock in nears + fars:
        sock.close()
    if acts:
        proxy.run(workers.values())
    for name in ("send", "receive"):
        try:
            out, _ = workers[name].communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            workers[name].kill()
            out = workers[name].communicate()[0] + "\nhung"
        lines = out.splitlines()
        for line in lines:
            json.loads(line)
        print(name, workers[name].returncode, lines[-1] if lines else "-")


if __name__ == "__main__":
    main()
