#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The judge of scripts/test must not take a run for good in which the guest never ran."""

from __future__ import annotations

import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path[:0] = [str(TOP / "scripts"), str(TOP / "tests" / "integration")]

from lib.machine import Outcome
from runner import Result, Runner
from tests import Boot

SVM = "[SVM] PASS: svm: UVM1 launched\n[SVM] SUMMARY: 4 passed, 0 failed, 0 skipped\n"
UVM = "[SVM] [UVM1] PASS: pio: a\n[SVM] [UVM1] SUMMARY: 1 passed, 0 failed, 0 skipped\n"
FAULT = "(aril) warning: VM1 'UVM1' has stopped: vCPU0: VM entry failed: entry failed: guest state\n"

CASES: list[tuple[str, bool, Boot, str, str, str]] = [
    ("guest and Service VM report", True, Boot("t", "uvm"), "ended", "off", UVM + SVM),
    ("only the Service VM reports", False, Boot("t", "uvm"), "ended", "off", SVM),
    ("the guest never ran", False, Boot("t", "uvm"), "ended", "off", FAULT + SVM),
    ("both report, but a VM was stopped", False, Boot("t", "uvm"), "ended", "off", UVM + FAULT + SVM),
    ("an expected crash", True, Boot("t", "uvm", guest_words="expect=crash"), "ended", "off", FAULT + SVM),
    ("a FAIL line", False, Boot("t", "uvm"), "ended", "off", "[SVM] [UVM1] FAIL: pio: b\n" + UVM + SVM),
    ("nothing was checked", False, Boot("t", "bare"), "ended", "off", "SUMMARY: 0 passed, 0 failed\n"),
    ("bare, good", True, Boot("t", "bare"), "ended", "off", "PASS: a\nSUMMARY: 1 passed, 0 failed\n"),
    ("failures counted only in SUMMARY", False, Boot("t", "bare"), "ended", "off",
     "PASS: a\nSUMMARY: 1 passed, 1 failed\n"),
    ("no output", False, Boot("t", "bare"), "ended", "off", ""),
    ("hung after its summary", False, Boot("t", "bare"), "timeout", "60 s", "PASS: a\nSUMMARY: 1 passed, 0 failed\n"),
    ("triple fault after its summary", False, Boot("t", "bare"), "ended", "triple-fault",
     "PASS: a\nSUMMARY: 1 passed, 0 failed\n"),
    ("a line that must be there is missing", False, Boot("t", "linux", guest_report=False, must=("hello",)),
     "ended", "off", "x\n"),
    ("a line that must not be there", False, Boot("t", "linux", guest_report=False, must_not=("FAILED",)),
     "ended", "off", "x FAILED\n"),
]


def main() -> int:
    runner = Runner([], jobs=1, verbose=False, vary=0, kernel_builder=None)
    failed = 0
    for i, (name, good, test, how, reason, text) in enumerate(CASES, 1):
        result = Result()
        runner._judge(test, Outcome(how, reason, 1.0, text), "", result)
        right = good == (not result.problems)
        failed += not right
        print(f"{'ok' if right else 'not ok'} {i} - {name}")
        if not right:
            print(f"#   judged {result.problems or 'good'}")
    return 1 if failed else 0


sys.exit(main())
