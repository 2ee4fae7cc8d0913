#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Read OpenMetrics text, strictly, and print its samples as "NAME{LABELS} VALUE", sorted.

    openmetrics.py [--rules FILE] <TEXT

--rules: also that every metric an expression there names is one. Exit status 1, with a line, at
the first breach: of the grammar, of the order (a family in one piece, after its TYPE), of a
histogram's sums, of a name that does not fit its type.
"""
import re
import sys

SUFFIXES = {"gauge": [""], "counter": ["_total"], "info": ["_info"],
            "histogram": ["_bucket", "_count", "_sum"]}
SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[n"\\])*",?)+)\})? (-?[0-9.e+-]+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\[n"\\])*)"')


def breach(number, text):
    sys.exit(f"line {number}: {text}")


def labels_of(text):
    return dict(LABEL.findall(text or ""))


def check_buckets(buckets, counts):
    for key, pairs in buckets.items():
        bounds = [float(bound) for bound, _ in pairs]
        values = [value for _, value in pairs]
        if bounds != sorted(set(bounds)) or bounds[-1] != float("inf") or values != sorted(values):
            sys.exit(f"histogram {key} is not cumulative up to +Inf")
        if counts.get(key) != values[-1]:
            sys.exit(f"histogram {key} counts {counts.get(key)}, not {values[-1]}")


def read(lines):
    families, samples, buckets, counts = {}, {}, {}, {}
    family = None
    if not lines or lines[-1] != "# EOF":
        sys.exit("does not end with # EOF")
    for number, line in enumerate(lines[:-1], 1):
        word = line.split(" ", 3)
        if word[0] == "#":
            if word[1] == "TYPE":
                family = word[2]
                if family in families:
                    breach(number, f"{family} comes twice")
                families[family] = word[3]
            elif word[1] != "HELP" or word[2] != family:
                breach(number, line)
            continue
        match = SAMPLE.match(line)
        if not match:
            breach(number, line)
        name, labels, value = match[1], labels_of(match[2]), float(match[3])
        suffixes = SUFFIXES[families[family]]
        if name not in [family + suffix for suffix in suffixes]:
            breach(number, f"{name} is no sample of {family}, a {families[family]}")
        if line.rsplit(" ", 1)[0] in samples:
            breach(number, f"{line} comes twice")
        samples[line.rsplit(" ", 1)[0]] = match[3]
        bound = labels.pop("le", None)
        key = (family, tuple(sorted(labels.items())))
        if name.endswith("_bucket"):
            buckets.setdefault(key, []).append((bound, value))
        elif name.endswith("_count"):
            counts[key] = value
    check_buckets(buckets, counts)
    return families, samples


def check_rules(path, families):
    names = {family + suffix for family, kind in families.items() for suffix in SUFFIXES[kind]}
    with open(path, encoding="utf-8") as file:
        for expr in re.findall(r"expr: (.*)", file.read()):
            for name in re.findall(r"failback_[a-z_]+", expr):
                if name not in names:
                    sys.exit(f"{path}: there is no metric {name}")


def main():
    families, samples = read(sys.stdin.read().split("\n")[:-1])
    if sys.argv[1:2] == ["--rules"]:
        check_rules(sys.argv[2], families)
    for name, value in sorted(samples.items()):
        print(name, value)


main()
