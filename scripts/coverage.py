#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Which lines and branches the tests run: unit tests, the fuzzers' corpora and guests in the simulator, in one report.

    scripts/coverage                        all three; $O/coverage/html/index.html (O: build)
    scripts/coverage --tests pre svm        these guests (names as scripts/test has them)
    scripts/coverage --tests                no guests

All is built with clang. The hypervisor writes its counters out when a machine ends; machines that are reset or stopped
from outside leave none. It prints a line for each file of the I/O path, then the branches there that nothing has taken,
and ends with 1 when one of these files has less than 95% of its branches.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

from lib import apt
from lib.common import TOP, ToolError, build_dir, main, run_step, say

GUESTS = ("pre", "svm", "uvm", "io", "bad", "enemy", "console", "trace", "linux/2cpu")
FLOOR = 95.0
# The walk of a port access (doc/walk-of-a-port-read.md), of a memory access, and what both stand on.
IO_PATH = (
    "arch/x86/guest/vmexit.c", "arch/x86/guest/vmx_io.c", "arch/x86/guest/mmio.c", "arch/x86/guest/guest_walk.c",
    "arch/x86/guest/instr_decode.c", "arch/x86/guest/instr_emul.c", "arch/x86/guest/instr_emul_alu.c",
    "arch/x86/guest/instr_emul_math.c", "arch/x86/guest/instr_emul_string.c", "arch/x86/guest/instr_emul_wide.c",
    "hypervisor/ioreq.c", "hypervisor/vhm.c", "hypervisor/vcpu_thread.c", "hypervisor/guest_copy.c",
)
COUNTERS = re.compile(r"^coverage: ([0-9a-z]+)$", re.M)
# llvm/ProfileData/InstrProfData.inc, version 8: magic "\xfflprofr\x81", then the header's words.
MAGIC, VERSION = 0xFF6C70726F667281, 8
DATA_RECORD = 48


def section(elf: Path, name: str) -> tuple[int, bytes]:
    """Address and bytes of a section of an ELF64 file."""
    image = elf.read_bytes()
    table, = struct.unpack_from("<Q", image, 0x28)
    entry, count, names = struct.unpack_from("<HHH", image, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", image, table + i * entry) for i in range(count)]
    strings = headers[names][4]
    for name_at, _, _, address, offset, size in headers:
        if image[strings + name_at:].split(b"\0", 1)[0].decode() == name:
            return address, image[offset:offset + size]
    raise ToolError(f"{elf}: no section {name}; was it built with COVERAGE=1 CC=clang?")


def unpack(text: str) -> bytes:
    """What tests/coverage/hv_counters.c has written: two digits a byte, "z" and four digits for a run of zeros."""
    return b"".join(bytes(int(part[1:], 16)) if part[0] == "z" else bytes((int(part, 16),))
                    for part in re.findall(r"z[0-9a-f]{4}|[0-9a-f]{2}", text))


def raw_profile(elf: Path, counters: bytes) -> bytes:
    """A profile as clang's run time would have written it."""
    data_at, data = section(elf, "__llvm_prf_data")
    counters_at, zeros = section(elf, "__llvm_prf_cnts")
    names_at, names = section(elf, "__llvm_prf_names")
    if len(counters) != len(zeros):
        raise ToolError(f"{len(counters)} bytes of counters, {len(zeros)} in the image: of another build?")
    header = struct.pack("<11Q", MAGIC, VERSION, 0, len(data) // DATA_RECORD, 0, len(counters) // 8, 0, len(names),
                         (counters_at - data_at) % 2**64, names_at, 1)
    return header + data + counters + names + bytes(-len(names) % 8)


def host_profiles(out: Path, make: list[str]) -> list[Path]:
    """Unit tests and fuzz targets; the programs, with a .profraw beside each."""
    fuzzers = sorted(p.stem for p in (TOP / "tests" / "fuzz").glob("fuzz_*.c"))
    programs = [out / "unit" / "unit-tests", *(out / "fuzz" / name for name in fuzzers)]
    run_step("building unit tests and fuzz targets", [*make, "UNIT_CC=clang", *programs], out / "host.log", TOP)
    for program in programs:
        corpus = TOP / "tests" / "fuzz" / "corpus" / program.name.removeprefix("fuzz_")
        say(f"running {program.name}")
        done = subprocess.run([program, *(["-runs=0", corpus] if program.name != "unit-tests" else [])], cwd=TOP,
                              env=dict(os.environ, LLVM_PROFILE_FILE=f"{program}.profraw"), capture_output=True)
        if done.returncode != 0:
            raise ToolError(f"{program.name} fails:\n{done.stdout.decode()[-2000:]}{done.stderr.decode()[-2000:]}")
    return programs


def guest_profiles(out: Path, make: list[str], tests: list[str]) -> Path:
    """Runs guests on a hypervisor that counts; its image. The machines' profiles are $O/test/.../*.profraw."""
    elf = out / "aril.elf"
    run_step("building the hypervisor", [*make, elf], out / "hv.log", TOP)
    run_step("building guests and device model", ["make", "-s", f"O={out}", "guests", "dm"], out / "guests.log", TOP)
    done = subprocess.run([TOP / "scripts" / "test", "--no-build", *tests], env=dict(os.environ, O=str(out)))
    if done.returncode != 0:
        say("tests have failed: what they ran counts all the same")
    machines = 0
    for said in (out / "test").rglob("simulator.out"):
        found = COUNTERS.search(said.read_text(encoding="latin-1"))
        if found:
            said.with_suffix(".profraw").write_bytes(raw_profile(elf, unpack(found.group(1))))
            machines += 1
    say(f"{machines} machines have left their counters")
    return elf


def branches_missed(export: dict) -> list[str]:
    """FILE:LINE of each branch of the I/O path of which one way was never taken in any program."""
    missed = []
    for file in export["data"][0]["files"]:
        name = os.path.relpath(file["filename"], TOP)
        if name not in IO_PATH:
            continue
        taken: dict[tuple[int, int], list[int]] = {}
        for line, column, _, _, true, false, *_ in file["branches"]:
            sums = taken.setdefault((line, column), [0, 0])
            sums[0] += true
            sums[1] += false
        missed += [f"  {name}:{line}:{column}: never {'true' if sums[0] == 0 else 'false'}"
                   for (line, column), sums in sorted(taken.items()) if 0 in sums]
    return missed


def report(out: Path, programs: list[Path]) -> bool:
    """HTML, and the table of the I/O path. @return whether each file of it is above the floor"""
    profile = out / "all.profdata"
    raw = sorted(out.rglob("*.profraw"))
    run_step("merging", ["llvm-profdata", "merge", "-sparse", "-o", profile, *raw], out / "merge.log")
    what = [programs[0], *(f"-object={p}" for p in programs[1:]), f"-instr-profile={profile}",
            "-ignore-filename-regex=/tests/"]
    run_step("writing HTML", ["llvm-cov", "show", *what, "-format=html", "-show-branches=count", "-show-line-counts",
                              "-project-title=Aril", f"-output-dir={out / 'html'}"], out / "html.log")
    export = json.loads(subprocess.run(["llvm-cov", "export", *what], capture_output=True, check=True).stdout)
    good = True
    print(f"{'file':40} {'lines':>7} {'branches':>9}")
    for file in sorted(export["data"][0]["files"], key=lambda f: str(f["filename"])):
        name = os.path.relpath(file["filename"], TOP)
        if name in IO_PATH:
            lines, branches = file["summary"]["lines"], file["summary"]["branches"]
            good = good and branches["percent"] >= FLOOR
            print(f"{name:40} {lines['percent']:6.1f}% {branches['percent']:8.1f}%"
                  f"{'' if branches['percent'] >= FLOOR else '   below ' + str(FLOOR)}")
    totals = export["data"][0]["totals"]
    print(f"{'all files':40} {totals['lines']['percent']:6.1f}% {totals['branches']['percent']:8.1f}%")
    print("\n".join(["not taken:", *branches_missed(export)]))
    say(f"{out / 'html' / 'index.html'}")
    return good


def coverage() -> int:
    parser = argparse.ArgumentParser(prog="scripts/coverage", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", nargs="*", default=list(GUESTS), metavar="NAME", help="guests to run")
    args = parser.parse_args()
    apt.ensure("build", "clang", "fuzz", "coverage", *(["image", "bochs"] if args.tests else []))
    out = build_dir() / "coverage"
    out.mkdir(parents=True, exist_ok=True)
    for old in out.rglob("*.profraw"):
        old.unlink()
    make = ["make", "-s", f"-j{os.cpu_count() or 1}", "CC=clang", "COVERAGE=1", f"O={out}"]
    programs = host_profiles(out, make)
    if args.tests:
        programs.append(guest_profiles(out, make, args.tests))
    return 0 if report(out, programs) else 1


if __name__ == "__main__":
    main(coverage)
