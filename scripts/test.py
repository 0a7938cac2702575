#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Installs what is missing, builds, and runs the tests: all of them, or those that are named.

A NAME is a test (svm/pio), a group (svm), or a pattern ('model/*/pio'). Lines are TAP; the last one is
"N passed, N failed". Logs are kept in the build directory under test/NAME/.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "tests" / "integration"))

from lib import apt, bochs, build
from lib.common import ToolError, elapsed, main, say
from runner import Runner
from tests import DEBIAN_LINUX, OUR_LINUX, Boot, Command, Test, all_tests


def select(tests: list[Test], names: list[str]) -> list[Test]:
    if not names:
        return [t for t in tests if not t.alone]
    chosen = []
    for name in names:
        found = [t for t in tests if t.name == name or t.name.startswith(name + "/")
                 or fnmatch.fnmatch(t.name, name)]
        if not found:
            raise ToolError(f"no test matches '{name}'; scripts/test --list shows all")
        chosen += [t for t in found if t not in chosen
                   and (not t.alone or t.name == name)]
    return chosen


def entry() -> int:
    parser = argparse.ArgumentParser(prog="scripts/test", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help="which tests (default: all but those that run by name only)")
    parser.add_argument("--list", action="store_true", help="only list the tests")
    parser.add_argument("--quick", action="store_true", help="leave out the slow ones")
    parser.add_argument("--no-linux", action="store_true", help="leave out what needs the Linux kernel")
    parser.add_argument("--simulator", choices=("auto", "fast", "stock"), default="auto",
                        help="which Bochs: our fast build or Debian's package")
    parser.add_argument("--jobs", type=int, default=2, help="machines at the same time (default 2)")
    parser.add_argument("--vary", type=int, default=0, metavar="N",
                        help="Bochs at a speed up to 0.4 %% off, chosen by N and the test's name: moves each timer "
                             "against the code, to find tests that pass by chance")
    parser.add_argument("--no-build", action="store_true", help="take what the build directory holds")
    parser.add_argument("--verbose", action="store_true", help="show every guest's PASS lines too")
    args = parser.parse_args()

    tests = select(all_tests(), args.names)
    if args.quick:
        tests = [t for t in tests if isinstance(t, Command) or not t.slow]
    if args.no_linux:
        tests = [t for t in tests if isinstance(t, Command) or t.kind not in (*OUR_LINUX, *DEBIAN_LINUX)]
    if args.list:
        for test in tests:
            print(test.name)
        return 0
    boots = [t for t in tests if isinstance(t, Boot)]
    linux = any(t.kind in OUR_LINUX for t in boots)

    groups = ["build"]
    if boots:
        groups += ["image", "bochs"]
    if any(t.machine == "qemu" for t in boots):
        groups.append("qemu")
    if any(t.kind in (*OUR_LINUX, *DEBIAN_LINUX) for t in boots):
        groups.append("initrd")
    groups += [g for t in tests if isinstance(t, Command) for g in t.packages.split()]
    apt.ensure(*groups)
    if args.simulator != "auto":
        os.environ["ARIL_BOCHS"] = args.simulator
    if boots and args.simulator != "stock":
        build.fast_bochs()
    # The guests' kernel takes minutes when it isn't cached: it is made while the other tests run.
    kernel_builder = None
    if linux and build.cached_kernel() is None:
        say("the guests' Linux kernel is not cached: building it while the first tests run")
        apt.ensure("kernel")
        kernel_builder = subprocess.Popen(
            ["nice", "-n", "10", sys.executable, str(Path(__file__).with_name("kernel-build"))],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        if boots and not args.no_build:
            if any(t.kind not in ("bare", "debian-bare") for t in boots):
                build.hypervisor()
                build.make("dm-guests", what="building the bare-metal Service VMs")
            build.make("guests", what="building the test guests")
            if linux or any(t.kind == "debian-pair" for t in boots):
                build.make("dm", what="building the device model")
        if boots:
            binary, fast = bochs.find_bochs()
            say(f"simulator: {binary} ({'fast build' if fast else 'packaged'})")
        runner = Runner(tests, jobs=args.jobs, verbose=args.verbose, vary=args.vary, kernel_builder=kernel_builder)
        passed, failed, skipped = runner.run()
    finally:
        if kernel_builder is not None and kernel_builder.poll() is None:
            kernel_builder.terminate()
            kernel_builder.wait()
    print(f"# {elapsed():.0f} s" + (f", {skipped} skipped" if skipped else ""))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


main(entry)
