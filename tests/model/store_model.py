#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Does any interleaving and any power cut lose a dirty block? An explicit-state model of the store.

    store_model.py [--without RULE] [--writes N] [--freezes N] [--checkpoints N] [--crashes N] ...
    store_model.py --rules          print the rules

One leaf (a page on the store, and its bit in the index), NB blocks in one region (a log record
covers all of them); writers; a checkpointer; a controller that freezes, sends, and commits or
aborts, also after the receiver has the delta: a lost acknowledgement. A power cut may happen in
every state, and with --crashes N work goes on after it: unflushed or unfinished writes to the store
persist or not, each by itself, and each block of the origin holds any version since its last flush
or in flight. After it every block whose contents may differ from the receiver's must be in the
recovered map: the page, if the index names it and it is live, or a live record of the log.

Other leaves are not modelled but for one thing: they share the index block, which may therefore be
written by a checkpoint that has nothing to do with our leaf.

Exit status: 0 nothing is lost, 1 something is (the steps to it are printed). Leaving out a rule
must lose something. Keep this in step with kmod/log.c, checkpoint.c and epoch.c.
"""

import argparse
from collections import deque, namedtuple

RULES = {
    "origin_flush": "the origin is flushed before a commit is written",
    "epoch_check": "coverage counts only in the epoch that it was written for",
    "hold": "a checkpoint waits until no transaction holds the old half",
    "grace": "a checkpoint waits until who saw a region hot has marked",
    "hot_half": "a region becomes hot only if its record lies in the current half",
    "swap_cold": "a freeze makes all regions cold",
    "capture_union": "a page holds what is dirty in the active map or in the frozen one",
    "mark_after_log": "a block is marked only when its record is durable",
    "flush_pages": "pages are flushed before their half of the log is retired",
    "flush_index": "the index is written before that flush",
    "index_union": "the index names a leaf that is dirty in either map",
    "index_shared": "writing the index for some leaves keeps the names of others that are dirty",
    "index_names": "the index is written for a leaf that gets its first page",
}

# e: running epoch; A, F: active and frozen map (None: nothing is frozen); hot: the region is; half:
# the current one; gate: it is open; log: of each half, the epochs that have a record in it; stale:
# of each half, whether it covers the leaf; page: (tag, bits), index: the leaf's bit, and what was written to
# them but is not durable, or None; c: committed; commit_io: the superblock that says e - 1 is on
# its way; org: of each block, the versions that the medium may hold, the last is what a read returns;
# recv, img: what the receiver and the image hold; writers: (state, block, version, epoch, half);
# k: checkpointer (state, old half); ctl: controller; left: how much may still happen
State = namedtuple("State", "e A F hot half gate log stale page new_page index new_index c commit_io "
                            "org recv img writers k ctl left")
Left = namedtuple("Left", "writes freezes checkpoints version crashes")
IDLE = ("idle", 0, 0, 0, 0)


def put(values, i, value):
    return values[:i] + (value,) + values[i + 1:]


class Model:
    def __init__(self, options):
        self.without, self.blocks, self.nr_writers = options.without, options.blocks, options.writers
        self.start = State(
            e=1, A=0, F=None, hot=False, half=0, gate=True, log=(frozenset(), frozenset()),
            stale=(False, False), page=(0, 0), new_page=None, index=False, new_index=None, c=0,
            commit_io=False, org=((0,),) * self.blocks, recv=(0,) * self.blocks, img=None,
            writers=(IDLE,) * self.nr_writers, k=("idle", 0), ctl="idle",
            left=Left(options.writes, options.freezes, options.checkpoints, 1, options.crashes))

    # --- after a cut ---

    @staticmethod
    def stores(s):
        """Every page, index, committed epoch and log that may be found."""
        logs = {s.log}
        if s.k[0] == "retire":
            logs.add(put(s.log, s.k[1], frozenset()))
        for page in {s.page, s.new_page or s.page}:
            for index in {s.index, s.index if s.new_index is None else s.new_index}:
                for c in {s.c, s.e - 1 if s.commit_io else s.c}:
                    for log in logs:
                        yield page, index, c, log

    def recovered(self, page, index, c, log):
        if any(epoch > c for half in log for epoch in half):
            return (1 << self.blocks) - 1
        return page[1] if index and page[0] > c else 0

    @staticmethod
    def media(s, block):
        return set(s.org[block]) | {w[2] for w in s.writers if w[0] == "data" and w[1] == block}

    def lost(self, s):
        """A sentence about a block that a cut in this state may lose, or None."""
        for found in self.stores(s):
            dirty = self.recovered(*found)
            for b in range(self.blocks):
                for version in self.media(s, b):
                    if not dirty >> b & 1 and version != s.recv[b]:
                        return (f"block {b}: the disk may hold v{version}, the receiver v{s.recv[b]}; "
                                "page {} named {} committed {} log {}".format(
                                    *found[:3], [sorted(half) for half in found[3]]))
        return None

    def origins(self, s, b=0):
        if b == self.blocks:
            yield ()
            return
        for version in self.media(s, b):
            for rest in self.origins(s, b + 1):
                yield ((version,),) + rest

    def cuts(self, s):
        """Each way to start again: maps merged, a new epoch, gates shut until that is durable."""
        for page, index, c, log in self.stores(s):
            dirty = self.recovered(page, index, c, log)
            e = max([s.e, page[0]] + [epoch for half in log for epoch in half]) + 1
            stale = any(epoch > c for half in log for epoch in half)
            for org in self.origins(s):
                yield "POWER CUT", s._replace(
                    e=e, A=dirty, F=None, hot=False, half=0, gate=False, log=log,
                    stale=(False, False), page=page, new_page=(e, dirty) if stale else None,
                    index=index, new_index=True if stale else None, c=c, commit_io=False, org=org,
                    img=None, writers=(IDLE,) * self.nr_writers, k=("idle", 0), ctl="recover pages",
                    left=s.left._replace(crashes=s.left.crashes - 1))

    # --- steps ---

    @staticmethod
    def submit(s, i, b, **changes):
        version = s.left.version
        return s._replace(writers=put(s.writers, i, ("data", b, version, 0, 0)),
                          left=s.left._replace(version=version + 1), **changes)

    def writer(self, s, i):
        state, b, version, epoch, half = s.writers[i]

        def become(*writer, **changes):
            return s._replace(writers=put(s.writers, i, writer), **changes)

        if state == "idle" and s.left.writes:
            for block in range(self.blocks):
                yield f"w{i}: a write of block {block}", become(
                    "gate", block, 0, 0, 0, left=s.left._replace(writes=s.left.writes - 1))
        elif state == "gate" and s.gate:
            if s.A >> b & 1:
                yield f"w{i}: is dirty, submit", self.submit(s, i, b)
            elif s.hot:
                yield f"w{i}: sees the region hot", become("rcu", b, 0, s.e, 0)
            else:
                stale = put(s.stale, s.half, True)
                yield f"w{i}: write the log, epoch {s.e} half {s.half}", become(
                    "log", b, 0, s.e, s.half, stale=stale)
                if self.without == "mark_after_log":
                    yield f"w{i}: mark, submit", self.submit(s, i, b, A=s.A | 1 << b, stale=stale)
        elif state == "rcu":
            yield f"w{i}: mark, submit", self.submit(s, i, b, A=s.A | 1 << b)
        elif state == "log":
            # when nothing holds the half it may have been retired: the record is dead there
            dead = self.without == "hold" and half != s.half and s.k[0] == "idle"
            log = s.log if dead else put(s.log, half, s.log[half] | {epoch})
            yield f"w{i}: the log is durable", become("logged", b, 0, epoch, half, log=log)
        elif state == "logged" and s.gate:
            if epoch != s.e and self.without != "epoch_check":
                yield f"w{i}: overtaken by a freeze, again", become("gate", b, 0, 0, 0)
            else:
                hot = s.hot or half == s.half or self.without == "hot_half"
                yield f"w{i}: mark, submit", self.submit(s, i, b, A=s.A | 1 << b, hot=hot)
        elif state == "data":
            org = put(s.org, b, s.org[b] + (version,))
            yield f"w{i}: v{version} is written", become(*IDLE, org=org)

    def recovery(self, s):
        if s.ctl == "recover pages":
            yield "recovery: pages and index are flushed", s._replace(
                page=s.new_page or s.page, new_page=None,
                index=s.index if s.new_index is None else s.new_index, new_index=None,
                ctl="recover log")
        else:
            yield "recovery: the log is empty", s._replace(
                log=(frozenset(), frozenset()), gate=True, ctl="idle")

    def index_values(self, s, old):
        """What a checkpoint may write into the index for our leaf; None: it is not written."""
        dirty = bool(s.A if self.without == "index_union" else s.A | (s.F or 0))
        if s.stale[old]:
            return (None,) if self.without == "index_names" and not s.index else (dirty,)
        return None, dirty and self.without != "index_shared"

    def checkpoint(self, s):
        state, old = s.k
        if state == "idle" and s.left.checkpoints:
            yield "checkpoint: switch halves, all cold", s._replace(
                k=("wait", s.half), half=s.half ^ 1, hot=False,
                left=s.left._replace(checkpoints=s.left.checkpoints - 1))
        elif state == "wait":
            grace = any(w[0] == "rcu" for w in s.writers) and self.without != "grace"
            held = any(w[0] in ("log", "logged") and w[4] == old for w in s.writers) and \
                self.without != "hold"
            if not grace and not held:
                page = s.new_page
                if s.stale[old] and s.A | (s.F or 0):
                    page = (s.e, s.A if self.without == "capture_union" else s.A | (s.F or 0))
                yield f"checkpoint: write page {page}", s._replace(new_page=page, k=("index", old))
        elif state == "index":
            for value in self.index_values(s, old):
                yield f"checkpoint: write index {value}", s._replace(
                    new_index=s.new_index if value is None else value, k=("flush", old))
        elif state == "flush":
            done = {"stale": put(s.stale, old, False)}
            if self.without != "flush_pages":
                done.update(page=s.new_page or s.page, new_page=None)
            if self.without not in ("flush_index", "flush_pages"):
                done.update(index=s.index if s.new_index is None else s.new_index, new_index=None)
            yield "checkpoint: flush", s._replace(k=("retire", old), **done)
        elif state == "retire":
            yield "checkpoint: the half is retired", s._replace(
                log=put(s.log, old, frozenset()), k=("idle", 0))

    def controller(self, s):
        if s.ctl == "idle" and s.left.freezes:
            yield "freeze: close the gate", s._replace(
                gate=False, ctl="drain", left=s.left._replace(freezes=s.left.freezes - 1))
        elif s.ctl == "drain":
            if not any(w[0] in ("data", "rcu") for w in s.writers):
                yield "freeze: swap, open", s._replace(
                    F=s.A, A=0, hot=s.hot and self.without == "swap_cold", e=s.e + 1, gate=True,
                    ctl="frozen", img=tuple(versions[-1] for versions in s.org))
        elif s.ctl in ("frozen", "received"):
            if s.ctl == "frozen":
                yield "the receiver has all", s._replace(
                    recv=tuple(s.img[b] if s.F >> b & 1 else s.recv[b] for b in range(self.blocks)),
                    ctl="received")
            else:
                org = s.org if self.without == "origin_flush" else tuple(v[-1:] for v in s.org)
                yield "commit: flush the origin, write the superblock", s._replace(
                    org=org, commit_io=True, ctl="commit")
            yield "abort", s._replace(A=s.A | s.F, F=None, ctl="idle")
        elif s.ctl == "commit":
            # excess in the page is to be cleaned some time
            stale = put(s.stale, s.half, True) if s.F else s.stale
            yield "commit: the superblock is durable", s._replace(
                c=s.e - 1, commit_io=False, F=None, stale=stale, ctl="idle")

    def steps(self, s):
        if s.left.crashes and not s.ctl.startswith("recover"):
            yield from self.cuts(s)
        if s.ctl.startswith("recover"):
            yield from self.recovery(s)
            return
        for i in range(self.nr_writers):
            yield from self.writer(s, i)
        yield from self.checkpoint(s)
        yield from self.controller(s)

    def explore(self):
        """Number of states, and None or the steps to a loss and what it is."""
        seen, queue = {self.start: None}, deque([self.start])
        while queue:
            s = queue.popleft()
            loss = self.lost(s)
            if loss:
                trace = [loss]
                while seen[s]:
                    s, step = seen[s]
                    trace.append(step)
                return len(seen), trace[::-1]
            for step, then in self.steps(s):
                if then not in seen:
                    seen[then] = (s, step)
                    queue.append(then)
        return len(seen), None


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", action="store_true")
    parser.add_argument("--without", choices=RULES, metavar="RULE")
    for name, default in (("writes", 3), ("freezes", 2), ("checkpoints", 2), ("writers", 2),
                          ("blocks", 1), ("crashes", 0)):
        parser.add_argument("--" + name, type=int, default=default, metavar="N")
    options = parser.parse_args()
    if options.rules:
        print("\n".join(f"{rule} {text}" for rule, text in RULES.items()))
        return 0
    states, loss = Model(options).explore()
    if loss:
        print("\n".join(loss))
    print(f"states={states} lost={'yes' if loss else 'no'} without={options.without or 'nothing'}")
    return 1 if loss else 0


if __name__ == "__main__":
    raise SystemExit(main())
