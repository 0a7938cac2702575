#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measures what exits cost, in instructions from guest to guest, and prints a table for each kind of VM.

It runs the tests bench/* of scripts/test, which fail when a budget of tests/bench/budgets.toml is exceeded.
Minimum and median are of 1001 rounds in the simulator; r/w are VMREADs and VMWRITEs; KVM's and ACRN's figures are from
the same simulator too (doc/exit-costs.md). It ends with 1 when a test has failed.

  scripts/bench                                   all tables
  scripts/bench svm uvm-polling                   these
  scripts/bench --profile "IOAPIC read" svm       the hypervisor's functions that the row's instructions go to
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "tests" / "integration"))

from lib import bench, profile
from lib.common import TOP, ToolError, build_dir, main
from tests import Boot, bench_tests


def measured(test: Boot) -> list[bench.Figures]:
    """The rows of the test's last run."""
    log = build_dir() / "test" / test.name / "serial.log"
    return bench.measured(test.name, log.read_text(errors="replace"), test.cpus == 1)


def show_profile(row: str, test: Boot, words: list[str]) -> int:
    """Runs one test in the profiling simulator and tells where the instructions of `row` go."""
    subprocess.run([TOP / "scripts" / "bochs-build", "--profile"], check=True, stdout=subprocess.DEVNULL)
    counts = build_dir() / "profile.txt"
    env = dict(os.environ, ARIL_BOCHS="profile", ARIL_PROFILE=str(counts))
    subprocess.run([TOP / "scripts" / "test", *words, test.name], env=env, check=False, stdout=subprocess.DEVNULL)
    names = [figures.name for figures in measured(test)]
    number = next((i for i, name in enumerate(names, 1) if name.startswith(row)), None)
    if number is None:
        raise ToolError(f"{test.name} has no row '{row}'; it has: " + "; ".join(names))
    print(f"{test.name}, {names[number - 1]}: instructions of a round")
    print(profile.table(counts, build_dir() / "aril.elf", number))
    return 0


def entry() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="which tests: svm, pre, ... (all)")
    parser.add_argument("--no-build", action="store_true", help="take what the build directory holds")
    parser.add_argument("--profile", metavar="ROW", help="where this row's instructions go, in the first test named")
    parser.add_argument("--markdown", action="store_true", help="tables for doc/exit-costs.md, each row once")
    parser.add_argument("--set-budgets", action="store_true", help="what is measured becomes the budget")
    args = parser.parse_args()
    known = {test.name.removeprefix("bench/"): test for test in bench_tests()}
    if not known.keys() >= set(args.names):
        raise ToolError("no such test; there are: " + " ".join(known))
    tests = [known[name] for name in args.names or known]
    words = ["--no-build"] if args.no_build else []
    if args.profile:
        return show_profile(args.profile, tests[0], words)
    done = subprocess.run([TOP / "scripts" / "test", *words, *(test.name for test in tests)], check=False)
    if args.set_budgets:
        bench.set_budgets({test.name: measured(test) for test in tests})
    tables = [bench.table(test.name, measured(test)) for test in tests]
    print("\n" + (bench.as_markdown(tables) if args.markdown else "\n\n".join(bench.as_text(t) for t in tables)))
    return 0 if args.set_budgets else done.returncode


main(entry)
