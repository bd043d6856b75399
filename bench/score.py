"""Score rows that come on standard input as binary COPY, every column in a fixed width, and print the sum of the scores.

The argument is the model's rules as JSON. numpy's searchsorted finds the points of a whole column of a block at once.
"""
import json
import sys

import numpy

BLOCK = 65536
HEADER = 19  # signature, flags, length of the extension, which is empty

rules = json.loads(sys.argv[1])
names = [f"c{i}" for i in range(len(rules["characteristics"]))]
row = [("columns", ">i2")]
for name, rule in zip(names, rules["characteristics"]):
    row += [(name + "_length", ">i4"), (name, "S16" if rule["text"] else ">f8")]
row = numpy.dtype(row)


def of_words(rule, column):
    """Points of the values of a set."""
    kind = "S16" if rule["text"] else "f8"
    pairs = sorted((w.ljust(16).encode() if rule["text"] else float(w), p) for w, p in rule["words"].items())
    words = numpy.array([w for w, _ in pairs], kind)
    points = numpy.array([p for _, p in pairs], "i8")
    at = numpy.minimum(numpy.searchsorted(words, column), len(words) - 1)
    return numpy.where(words[at] == column, points[at], rule["other"] or 0)


def of_intervals(rule, column):
    """Points of numbers; NaN is a missing one."""
    points = numpy.array(rule["points"], "i8")
    found = points[numpy.searchsorted(numpy.array(rule["edges"], "f8"), column, side="right")]
    return found if rule["missing"] is None else numpy.where(numpy.isnan(column), rule["missing"], found)


source = sys.stdin.buffer
source.read(HEADER)
total = 0
while True:
    block = source.read(BLOCK * row.itemsize)
    rows = numpy.frombuffer(block, row, len(block) // row.itemsize)
    scores = numpy.full(len(rows), rules["initial"], "i8")
    for name, rule in zip(names, rules["characteristics"]):
        column = rows[name] if rule["text"] else rows[name].astype("f8")
        scores += of_words(rule, column) if rule["words"] else of_intervals(rule, column)
    total += int(scores.sum())
    if len(block) < BLOCK * row.itemsize:  # two bytes are left, the end of the copy
        break
print(total)
