#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/trace: the dump among other output, damaged and cut; Chrome's JSON by the format's rules; the picture."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path[:0] = [str(TOP / "scripts")]

from lib import trace_events, trace_svg

SVM, UVM = 0x0000, 0x0100

# A forwarded read of port 0x500 by UVM1 on CPU 1; the Service VM on CPU 0. (cpu, tsc, id, who, arg, a, b)
RUN_OF_A_READ = [
    (0, 1000, 0x33, 0xFFFF, 1, 0, 0),
    (0, 2300, 0x33, 0xFFFF, 0, 0, 0),
    (0, 2310, 0x30, SVM, 0, 0, 0),
    (0, 2400, 0x01, SVM, 0x800000F3, 0x400000, 0),
    (0, 2900, 0x00, SVM, 18, 0x400100, 0),
    (0, 2950, 0x32, UVM, 1, 0, 0),
    (0, 3000, 0x01, SVM, 0, 0x400103, 0),
    (1, 900, 0x30, UVM, 0, 0, 0),
    (1, 950, 0x01, UVM, 0, 0x8000, 0),
    (1, 2000, 0x00, UVM, 30, 0x8010, 0x5000008),
    (1, 2050, 0x20, UVM, 0x100, 0x500, 0),
    (1, 2060, 0x11, SVM, 0xF3, 0, 0),
    (1, 2070, 0x32, SVM, 0, 0, 0),
    (1, 2080, 0x10, SVM, 0xF3, 0, 0),
    (1, 2100, 0x31, UVM, 0, 0, 0),
    (1, 2110, 0x33, 0xFFFF, 1, 0, 0),
    (1, 3100, 0x33, 0xFFFF, 0, 0, 0),
    (1, 3110, 0x40, 0xFFFF, 0, 3000, 0xFFFFFFFF80012345),
    (1, 3120, 0x30, UVM, 0, 0, 0),
    (1, 3150, 0x20, UVM, 0x101, 0x500, 0xAB),
    (1, 3200, 0x01, UVM, 0, 0x8011, 0),
]


def sealed(text: str) -> str:
    return f"@t {text} {trace_events.line_sum('@t ' + text):04x}"


def dump(lost: int = 0) -> list[str]:
    lines = ["begin 1 cpus 2 khz 1000000", "exit 18 VMCALL", "exit 30 I/O instruction", "vm 0 SVM", "vm 1 UVM1"]
    for cpu in (0, 1):
        events = [event for event in RUN_OF_A_READ if event[0] == cpu]
        lines.append(f"cpu {cpu} first {lost:x} count {len(events)} lost {lost}")
        lines += [f"{cpu} {n:x} {tsc:x} {id_:x} {who:04x} {arg:x} {a:x} {b:x}"
                  for n, (_, tsc, id_, who, arg, a, b) in enumerate(events, lost)]
    lines.append(f"end {len(lines)}")
    return [sealed(line) for line in lines]


class Parse(unittest.TestCase):
    def test_whole(self) -> None:
        trace = trace_events.parse("\n".join(dump()))
        self.assertEqual(trace.problems, [])
        self.assertEqual((trace.cpus, trace.khz, len(trace.events)), (2, 1000000, len(RUN_OF_A_READ)))
        self.assertEqual(trace.name(UVM), "UVM1 vCPU 0")
        self.assertEqual(trace.exit_name(30), "I/O instruction")
        self.assertEqual(trace.events[-1].a, 0x8011)

    def test_among_other_output(self) -> None:
        lines = []
        for n, line in enumerate(dump()):
            lines += [f"[SVM] PASS: svm: check {n}", ("[UVM1] half a li" if n % 3 == 0 else "") + line + "\r",
                      "(aril) info: something @t", "@t 0 1 2 garbage"]
        trace = trace_events.parse("\n".join(lines))
        self.assertEqual(trace.problems, [])
        self.assertEqual(len(trace.events), len(RUN_OF_A_READ))

    def test_damaged_missing_cut(self) -> None:
        lines = dump()
        torn = lines[8][:20] + "[SVM] hello\n" + lines[8][20:]
        for bad, said in ((lines[:8] + [torn] + lines[9:], "1 of 28 lines"),
                          (lines[:8] + lines[9:], "CPU 0: 1 of 7 events are missing"),
                          ([*lines[:8], lines[8].replace(" 30 ", " 31 "), *lines[9:]], "1 of 28 lines"),
                          (lines[:-1], "has no end"), ([], "there is no dump")):
            self.assertIn(said, "; ".join(trace_events.parse("\n".join(bad)).problems))

    def test_last_dump_counts(self) -> None:
        trace = trace_events.parse("\n".join(dump()[:9] + dump()))
        self.assertEqual((trace.problems, len(trace.events)), ([], len(RUN_OF_A_READ)))

    def test_lost(self) -> None:
        lines = dump(lost=500)
        trace = trace_events.parse("\n".join(lines))
        self.assertEqual(trace.lost, {0: 500, 1: 500})

    def test_numbers_are_those_of_the_header(self) -> None:
        header = (TOP / "include" / "hv" / "trace.h").read_text()
        found = {name: int(value, 16) for name, value in re.findall(r"^#define TRACE_(\w+)\s+(0x\w\w)U /\*", header,
                                                                    re.M)}
        found.pop("ALL")
        self.assertEqual(found, {name: getattr(trace_events, name) for name in found})
        self.assertGreater(len(found), 9)


class ToChrome(unittest.TestCase):
    def setUp(self) -> None:
        self.chrome = json.loads(json.dumps(trace_events.to_chrome(trace_events.parse("\n".join(dump())))))

    def one(self, **wanted: object) -> dict[str, object]:
        found = [e for e in self.chrome["traceEvents"] if all(e.get(key) == value for key, value in wanted.items())]
        self.assertEqual(len(found), 1, f"{wanted}: {found}")
        return found[0]

    def test_by_the_rules(self) -> None:
        self.assertEqual(trace_events.check_chrome(self.chrome), [])

    def test_names_of_tracks(self) -> None:
        self.assertEqual(self.one(ph="M", name="process_name", pid=11)["args"], {"name": "UVM1"})
        self.assertEqual(self.one(ph="M", name="thread_name", pid=11, tid=0)["args"], {"name": "vCPU 0"})
        self.assertEqual(self.one(ph="M", name="thread_name", pid=1, tid=1)["args"], {"name": "CPU 1"})

    def test_slices(self) -> None:
        """A tick is a nanosecond here, the first event is at 0."""
        guest = self.one(ph="X", name="guest", pid=11)
        self.assertEqual((guest["ts"], guest["dur"]), (0.05, 1.05))
        handled = self.one(ph="X", name="I/O instruction", pid=11, tid=0)
        self.assertEqual((handled["ts"], handled["dur"]), (1.1, 0.1))
        on_cpu = [e for e in self.chrome["traceEvents"] if e["ph"] == "X" and (e["pid"], e["tid"]) == (1, 1)]
        self.assertEqual([e["name"] for e in on_cpu], ["UVM1 vCPU 0", "idle", "UVM1 vCPU 0"])

    def test_request(self) -> None:
        begin, end = self.one(ph="b", cat="io"), self.one(ph="e", cat="io")
        self.assertEqual((begin["name"], begin["id"]), (end["name"], end["id"]))
        self.assertEqual((begin["ts"], end["ts"]), (1.15, 2.25))
        self.assertIn("value 0xab", str(end["args"]))

    def test_wake_ups_lead_to_who_runs(self) -> None:
        flows = [e for e in self.chrome["traceEvents"] if e["ph"] in "sf"]
        self.assertEqual([(e["ph"], e["tid"], e["ts"]) for e in flows if e["id"] == 2],
                         [("s", 1, 1.17), ("f", 0, 1.41)])

    def test_the_check_finds_faults(self) -> None:
        good = self.chrome["traceEvents"]
        piece = {"ph": "X", "name": "a", "pid": 11, "tid": 0, "ts": 0.1, "dur": 0.5, "args": {}}
        for bad, said in (({**piece, "dur": -1}, "negative"), ({**piece, "pid": 99}, "no name"), (piece, "overlap"),
                          ({"ph": "X", "name": "a"}, "lacks dur, pid, tid, ts"),
                          ({**piece, "ph": "?"}, "no such phase"),
                          ({**piece, "ph": "e", "id": 77, "cat": "io"}, "not begun")):
            self.assertIn(said, "; ".join(trace_events.check_chrome({"traceEvents": [*good, bad]})))


class Picture(unittest.TestCase):
    def test_request(self) -> None:
        trace = trace_events.parse("\n".join(dump()))
        parts = trace_svg.requests(trace)
        self.assertEqual([(part.begin, part.end) for part in parts], [(2000, 3200)])
        svg = trace_svg.draw(trace, parts[0], "ticks")
        root = ElementTree.fromstring(svg)
        text = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
        self.assertIn("port read 0x500 by UVM1 vCPU 0", text)
        self.assertIn("slot of UVM1 vCPU 0: COMPLETE, port read 0x500, 1 byte, value 0xab", text)

    def test_command(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            log = Path(name) / "serial.log"
            log.write_text("\n".join(dump()))
            out = Path(name) / "out.json"
            done = subprocess.run([TOP / "scripts" / "trace", log, "-o", out, "--text"], capture_output=True, text=True,
                                  check=True)
            self.assertEqual(len(done.stdout.splitlines()), len(RUN_OF_A_READ))
            self.assertEqual(trace_events.check_chrome(json.loads(out.read_text())), [])
            log.write_text("nothing")
            self.assertEqual(subprocess.run([TOP / "scripts" / "trace", log], capture_output=True,
                                            check=False).returncode, 1)


if __name__ == "__main__":
    unittest.main()
