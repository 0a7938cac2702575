#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks tests/proof/slot.pml with SPIN: the model as it is has no error, and each rule that is broken has one.

    tests/proof/run.py [NAME...]	NAME: a BREAK_ of the model, or "whole"; default: all. Output is TAP.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODEL = Path(__file__).resolve().parent / "slot.pml"
MODES = ("skip", "polling=true", "looks=true")	# notification, polling, notification with upcall_off
EVENTS = ("NONE", "WAKE", "KILL", "DEAD")
# Where a broken rule shows, if not in notification mode without events.
HOME = {"LOOK_EARLY": ("looks=true", "NONE"), "SECOND_LOOK": ("looks=true", "NONE"), "ORPHAN": ("skip", "DEAD"),
        "STOP_KICK": ("skip", "DEAD"), "POLLING_SLEEPS": ("polling=true", "NONE"), "WAKE_RETIRED": ("skip", "WAKE")}
MEMORY_MB = 3000
TIMEOUT = 60


def check(mode: str, event: str, broken: str, folder: Path) -> tuple[str, int]:
    """One run over all interleavings. Returns SPIN's error, or "", and the number of states."""
    flags = [f"-DMODE={mode}", f"-DEVENT_{event}", *([f"-DBREAK_{broken}"] if broken else [])]
    for argv in (["spin", *flags, "-a", str(MODEL)],
                 ["gcc", "-O1", "-w", "-DSAFETY", "-DNOREDUCE", f"-DMEMLIM={MEMORY_MB}", "-o", "pan", "pan.c"]):
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{argv[0]} failed:\n{done.stdout}{done.stderr}")
    out = subprocess.run(["./pan", "-m100000", "-w22"], cwd=folder, capture_output=True, text=True,
                         timeout=TIMEOUT).stdout
    states = re.search(r"^ *([\d.e+]+) states, stored", out, re.M)
    errors = re.search(r"errors: (\d+)", out)
    # A search that was cut short (memory, depth) proves nothing.
    if not states or not errors or "Search not completed" in out and errors.group(1) == "0" or "too small" in out:
        sys.exit(f"{mode} {event} {broken}: the search is not complete\n{out}")
    found = re.search(r"^pan:\d+: (.*) \(at depth", out, re.M)
    if errors.group(1) != "0" and not found:
        sys.exit(f"{mode} {event} {broken}: an error without a name\n{out}")
    return (found.group(1) if found else ""), int(float(states.group(1)))


def whole(folder: Path) -> tuple[bool, str]:
    total = 0
    for mode in MODES:
        for event in EVENTS:
            error, states = check(mode, event, "", folder)
            if error:
                return False, f"{mode}, {event}: {error}"
            total += states
    return True, f"{total} states"


def broken(name: str, folder: Path) -> tuple[bool, str]:
    error, _ = check(*HOME.get(name, ("skip", "NONE")), name, folder)
    return error != "", error or "nothing noticed it"


def main() -> int:
    for program in ("spin", "gcc"):
        if shutil.which(program) is None:
            print(f"1..0 # SKIP {program} is not installed")
            return 0
    rules = sorted(set(re.findall(r"\bBREAK_(\w+)", MODEL.read_text(encoding="utf-8"))) - {"x"})
    names = sys.argv[1:] or ["whole", *rules]
    bad = 0
    print(f"1..{len(names)}")
    for number, name in enumerate(names, 1):
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            good, text = whole(Path(folder)) if name == "whole" else broken(name, Path(folder))
        bad += not good
        what = "no error in any interleaving" if name == "whole" else f"broken rule is found: {name}"
        print(f"{'ok' if good else 'not ok'} {number} - {what} # {text}, {time.monotonic() - begin:.1f} s", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
