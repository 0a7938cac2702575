#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/run and scripts/boot: a wrong argument is one clear sentence, before anything is installed or built."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "scripts"))

from lib.machine import Machine, MachineConfig

# What is typed, and what the answer must have in it.
CASES = [
    (["run", "--cpus", "0"], "1 to 14 CPUs, 0 asked for"),
    (["run", "--cpus", "99"], "1 to 14 CPUs, 99 asked for"),
    (["run", "--memory", "4096"], "1 to 2048 MiB"),
    (["run", "--cpu-model", "i7"], "'i7': use one of"),
    (["run", "--firmware", "uefi"], "use --machine qemu"),
    (["run", "--scenario", "nowhere.xml"], "no scenario nowhere.xml"),
    (["run", "--module", "svm-kernel"], "the form is TAG=FILE"),
    (["run", "--module", "svm-kernel=/nowhere"], "module svm-kernel: there is no file /nowhere"),
    (["run", "--timeout", "-1"], "seconds, more than 0"),
    (["boot", "any.iso", "--cpus", "99"], "1 to 14 CPUs, 99 asked for"),
    (["boot", "any.iso", "--cpu-model", "i7"], "'i7': use one of"),
]


def answer(words: list[str]) -> tuple[int, str]:
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run([TOP / "scripts" / words[0], *words[1:]], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, env=dict(os.environ, O=out), timeout=60)
        return done.returncode, done.stdout + done.stderr


class Ended(Machine):
    """A QEMU that has ended with 1, as after an OUT of 0 to its exit port."""

    def __init__(self, log: str):
        super().__init__(MachineConfig(iso=Path(), kind="qemu"), Path())
        self.log = log
        self._proc = subprocess.Popen(["/bin/false"])
        self._proc.wait()

    def simulator_log(self) -> str:
        return self.log


def main() -> int:
    checks = []
    for words, wanted in CASES:
        code, text = answer(words)
        good = code == 2 and wanted in text and text.startswith("error: ") and "Traceback" not in text
        checks.append((" ".join(words), good, text))
    complaint = "qemu-system-x86_64: no such CPU"
    for log, wanted in (("", "debug-exit 0"), ("qemu-system-x86_64: warning: slow\n", "debug-exit 0"),
                        (complaint + "\n", "crash: qemu exit code 1: " + complaint)):
        reason = Ended(log).end_reason()
        checks.append((f"QEMU's end after {log.strip()!r}", reason == wanted, reason))
    for i, (name, good, text) in enumerate(checks, 1):
        print(f"{'ok' if good else 'not ok'} {i} - {name}")
        if not good:
            print("#   " + text.replace("\n", "\n#   "))
    return 0 if all(good for _, good, _ in checks) else 1


sys.exit(main())
