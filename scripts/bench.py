#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measures what exits cost, in instructions from guest to guest, and prints a table for each kind of VM.

It runs the tests bench/* of scripts/test, which fail when a budget of tests/bench/budgets.toml is exceeded.
Minimum and median are of 1001 rounds in the simulator with one CPU; KVM's and ACRN's figures are from there too.
It ends with 1 when a test has failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "tests" / "integration"))

from lib import bench
from lib.common import TOP, build_dir, main
from tests import bench_tests


def image_size(elf: Path) -> str:
    """What `size` says: text, data and bss of the hypervisor, in bytes."""
    fields = subprocess.run(["size", elf], capture_output=True, text=True, check=True).stdout.splitlines()[1].split()
    return f"hypervisor image: text {fields[0]}, data {fields[1]}, bss {fields[2]} bytes"


def entry() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-build", action="store_true", help="take what the build directory holds")
    args = parser.parse_args()
    words = ["--no-build"] if args.no_build else []
    done = subprocess.run([TOP / "scripts" / "test", *words, "bench"], check=False)
    for test in bench_tests():
        log = build_dir() / "test" / test.name / "serial.log"
        print(f"\n{bench.table(test.name, log.read_text(errors='replace'))}")
    print(f"\n{image_size(build_dir() / 'aril.elf')}")
    return done.returncode


main(entry)
