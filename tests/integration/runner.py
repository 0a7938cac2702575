# SPDX-License-Identifier: BSD-3-Clause
"""Runs the tests of tests.py, two machines at a time, and judges what they said."""

from __future__ import annotations

import json
import random
import re
import subprocess
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lib import bench, bochs, build, trace_events, trace_svg
from lib.build import Change, HvImage
from lib.common import TOP, ToolError, Waiting, build_dir
from lib.initrd import service_initrd, user_initrd
from lib.iso import BootModule, ImageConfig, make_iso
from lib.kernel import DEBIAN_MODULES
from lib.machine import Machine, MachineConfig, Outcome, watch
from lib.screen import screen_text
from tests import (DEBIAN_LINUX, ENDS_DM, ENDS_LINUX, ENDS_SERVICE, ENDS_USER, HV_BROKEN, OUR_LINUX, PRE_LINUX,
                   PRE_LOAD, TEST_PRE, TEST_SVM, Boot, Command, Test)

# The packaged simulator is about ten times as slow in code that runs, not in waiting.
STOCK_FACTOR = 6.0
GUEST_LINE = re.compile(r"^((?:\[\w+\] )*)(PASS|FAIL|SKIP|XFAIL): (.*)$", re.M)
GUEST_SUMMARY = re.compile(r"^((?:\[\w+\] )*)SUMMARY: (\d+) passed, (\d+) failed", re.M)
# Whose SUMMARY there must be, one each: a Service VM that reports well says nothing about a guest below it
# that never ran. The prefix is the VM's place, as printed.
SPEAKERS = {"bare": ("",), "svm": ("[SVM] ",), "enemy": ("[SVM] ",), "uvm": ("[SVM] ", "[SVM] [UVM1] "),
            "pre": ("[PRE1] ", "[PRE2] "), "pre-bad": ("[PRE2] ",), "load": ("[PRE1] ",),
            "ends": ("[SVM] ", "[PRE1] ")}
# The hypervisor stopped a VM for a fault. Only tests that expect a crash may hold it.
VM_FAULT = re.compile(r"^\(aril\) .*(?:VM entry failed|entry failed: |has stopped: vCPU).*$", re.M)


# A whole line of the console's JSON; a VM's line begins with a bracket too.
JSON_LINE = re.compile(r'^(\[[{"\]]|\{").*$', re.M)

PAGES_FREE = re.compile(r"^\(aril\) .*destroyed: (\d+) pages free", re.M)


class Skip(Exception):
    """The test can't run here; the text says why."""


@dataclass
class Result:
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)
    skipped: str = ""
    seconds: float = 0.0
    logs: Path | None = None


def _typist(machine: Machine, test: Boot) -> Callable[[str], None]:
    """Types what the test wants typed, each when its line has come."""
    todo = list(test.typed)
    if test.json:
        answer = JSON_LINE.pattern
        todo += list(zip([todo[-1][0]] + [answer] * len(test.json), [*(c + "\r" for c in test.json), "poweroff\r"]))
        todo = [(todo[0][0], todo[0][1] + todo[1][1]), *todo[2:]]

    def on_line(line: str) -> None:
        if todo and re.search(todo[0][0], line):
            machine.send(todo.pop(0)[1])

    return on_line


def _without_entry64(kernel: Path) -> Path:
    """The same bzImage, its header without XLF_KERNEL_64 (bit 0 of xloadflags at 0x236)."""
    data = bytearray(kernel.read_bytes())
    data[0x236] &= 0xFE
    return build.write_if_changed(build_dir() / "system" / "bzImage-entry32", bytes(data))


def _judge_json(test: Boot, text: str) -> list[str]:
    """Each command's answer is JSON, not empty, and no error."""
    answers = [found.group(0) for found in JSON_LINE.finditer(text)]
    problems = [] if len(answers) == len(test.json) else [f"{len(test.json)} commands, {len(answers)} answers of JSON"]
    for command, answer in zip(test.json, answers):
        try:
            if not (value := json.loads(answer)) or "error" in value:
                problems.append(f"{command}: {answer}")
        except ValueError as e:
            problems.append(f"{command}: {e}: {answer[:200]}")
    return problems


def _bad_image(good: Path, how: str) -> Path | None:
    """An image that no VM can be given: cut off, or none at all."""
    if how == "missing":
        return None
    data = good.read_bytes()[:0x2800] if how == "cut" else b"not a kernel\n" * 1000
    return build.write_if_changed(build_dir() / "system" / f"bad-{how}", data)


def _load_modules(words: str) -> list[BootModule]:
    """The modules that tests/guests/load.c and flat.c know; "env=N" is the environment NR_CPUS=N."""
    cpus = words.removeprefix("env=")
    files = {"pre-env": f"NR_CPUS={cpus}\nMEMSIZE=64\n".encode(),
             "pre-mod": bytes((7 * i + 3) & 255 for i in range(10000)), "pre-small": b"Z"}
    return [BootModule(tag, build.write_if_changed(build_dir() / "system" / f"{tag}-{cpus}", data))
            for tag, data in files.items()]


class Runner:
    def __init__(self, tests: list[Test], jobs: int, verbose: bool, vary: int,
                 kernel_builder: subprocess.Popen[bytes] | None):
        self.tests = tests
        self.jobs = jobs
        self.verbose = verbose
        self.vary = vary
        self._kernel_builder = kernel_builder
        self._locks: dict[str, threading.Lock] = {}
        self._isos: dict[str, Path] = {}
        self._lock = threading.Lock()

    # -- all tests --------------------------------------------------------------------------------

    def run(self) -> tuple[int, int, int]:
        """Runs all; returns how many passed, failed, were skipped."""
        print("TAP version 13", f"1..{len(self.tests)}", sep="\n", flush=True)
        counts = {"passed": 0, "failed": 0, "skipped": 0}
        # Commands use both CPUs by themselves: first, one after the other.
        number = 0
        for test in self.tests:
            if isinstance(test, Command) and not test.last:
                number += 1
                self._print(number, test, self._guarded(test), counts)
        with ThreadPoolExecutor(self.jobs) as pool:
            pending: dict[Future[Result], Test] = {
                pool.submit(self._guarded, t): t for t in self.tests if isinstance(t, Boot)}
            try:
                number = self._collect(pending, number, counts)
            except BaseException:
                for future in pending:
                    future.cancel()
                raise
        for test in self.tests:
            if isinstance(test, Command) and test.last:
                number += 1
                self._print(number, test, self._guarded(test), counts)
        return counts["passed"], counts["failed"], counts["skipped"]

    def _collect(self, pending: dict[Future[Result], Test], number: int,
                 counts: dict[str, int]) -> int:
        waiting = Waiting("running tests", every=60)
        while pending:
            done = [f for f in pending if f.done()]
            for future in done:
                number += 1
                waiting.clear()
                self._print(number, pending.pop(future), future.result(), counts)
            if not done:
                waiting.tick(f"{len(pending)} to go, e.g. {next(iter(pending.values())).name}")
                time.sleep(0.1)
        waiting.clear()
        return number

    def _guarded(self, test: Test) -> Result:
        begin = time.monotonic()
        try:
            result = self._command(test) if isinstance(test, Command) else self._boot(test)
        except Skip as e:
            result = Result(skipped=str(e))
        except ToolError as e:
            result = Result(problems=str(e).splitlines())
        except Exception as e:			# a fault of the runner must not stop the rest
            result = Result(problems=[f"the test runner failed: {type(e).__name__}: {e}"])
        result.seconds = time.monotonic() - begin
        return result

    def _print(self, number: int, test: Test, result: Result, counts: dict[str, int]) -> None:
        if result.skipped:
            counts["skipped"] += 1
            print(f"ok {number} - {test.name} # SKIP {result.skipped}", flush=True)
            return
        good = not result.problems
        counts["passed" if good else "failed"] += 1
        print(f"{'ok' if good else 'not ok'} {number} - {test.name} # {result.seconds:.1f} s")
        for note in result.notes:
            print(f"# {note}")
        for problem in result.problems:
            print(f"#   {problem}")
        if not good:
            for line in result.tail:
                print(f"#     | {line}")
            if result.logs:
                print(f"#   logs: {result.logs}")
        print(end="", flush=True)

    # -- commands ---------------------------------------------------------------------------------

    def _command(self, test: Command) -> Result:
        argv = [word.replace("$O", str(build_dir())) for word in test.argv]
        if argv[0] == "make":
            argv[1:1] = ["-C", str(TOP), f"O={build_dir()}", f"-j{self.jobs}"]
        folder = build_dir() / "test" / test.name
        folder.mkdir(parents=True, exist_ok=True)
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=test.timeout * 5,
                                  check=False, cwd=TOP)
        except subprocess.TimeoutExpired:
            return Result(problems=[f"not done after {test.timeout * 5:.0f} s"])
        text = done.stdout + done.stderr
        (folder / "output.log").write_text(text)
        result = Result(logs=folder)
        bad = re.findall(r"^\s*(?:not ok|FAIL:).*$", text, re.M)
        good = len(re.findall(r"^\s*(?:ok \d|PASS:)", text, re.M))
        if good:
            result.notes.append(f"{good} single checks")
        result.problems += bad[:20]
        if done.returncode != 0:
            result.problems.append(f"exit code {done.returncode}: {' '.join(test.argv)}")
            result.tail = text.splitlines()[-25:]
        return result

    # -- images -----------------------------------------------------------------------------------

    def _guest_elf(self, name: str) -> Path:
        path = build_dir() / "guests" / f"{name}.elf"
        if not path.exists():
            raise ToolError(f"there is no {path.name}: make guests dm-guests")
        return path

    def _iso(self, test: Boot) -> Path:
        """The test's ISO; equal ones are made once."""
        key = repr((test.kind, test.guest, test.scenario, test.changes, test.words, test.guest_words,
                    test.hv_words, test.cpus, test.memory_mb, test.firmware == "uefi"))
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._isos:
                self._isos[key] = self._make_iso(test)
            return self._isos[key]

    def _make_iso(self, test: Boot) -> Path:
        name = test.name.replace("/", "-")
        output = build_dir() / "iso" / f"{name}.iso"
        if test.kind == "bare":
            return make_iso(ImageConfig(self._guest_elf(test.guest), protocol="multiboot1"), output, efi=False)
        scenario, changes = test.scenario or TEST_SVM, list(test.changes)
        modules: list[BootModule] = []
        if test.kind == "svm":
            modules = [BootModule("svm-elf", self._guest_elf(test.guest))]
        elif test.kind == "pre":
            scenario = test.scenario or TEST_PRE
            modules = [BootModule("pre-elf", self._guest_elf(test.guest))]
        elif test.kind == "ends":
            guest = self._guest_elf(test.guest)
            modules = [BootModule("pre-elf", guest)]
            if scenario == ENDS_SERVICE:
                modules.append(BootModule("svm-elf", guest))
            else:
                modules += [BootModule("svm-elf", self._guest_elf("svm")), BootModule("uvm-elf", guest)]
                changes.append(Change("SVM", "os_config/modules/module[@tag=uvm-elf]",
                                      f"name=UVM1 {test.guest_words}".strip()))
        elif test.kind == "pre-bad":
            scenario = TEST_PRE
            modules = [BootModule("pre-elf", self._guest_elf(test.guest))]
            changes.append(Change("PRE1", "os_config/kern_mod", "pre-bad"))
            if (bad := _bad_image(self._guest_elf(test.guest), test.words)) is not None:
                modules.append(BootModule("pre-bad", bad))
        elif test.kind == "load":
            scenario = PRE_LOAD
            modules = [BootModule("pre-image", build_dir() / "guests" / test.guest), *_load_modules(test.words)]
        elif test.kind == "uvm":
            modules = [BootModule("svm-elf", self._guest_elf("svm")),
                       BootModule("uvm-elf", self._guest_elf(test.guest))]
            changes.append(Change("SVM", "os_config/modules/module[@tag=uvm-elf]",
                                  f"name=UVM1 {test.guest_words}".strip()))
        elif test.kind == "enemy":
            modules = [BootModule("svm-elf", self._guest_elf("enemy")),
                       BootModule("uvm-elf", self._guest_elf("hello"))]
            changes.append(Change("SVM", "os_config/modules/module[@tag=uvm-elf]", "name=UVM1"))
        elif test.kind == "linux":
            files = build.linux_files(build_dir() / "aril-dm")
            modules = [BootModule("svm-kernel", files.kernel), BootModule("svm-initrd", files.service)]
        elif test.kind == "pre-linux":
            scenario = PRE_LINUX
            files = build.linux_files(build_dir() / "aril-dm")
            kernel = _without_entry64(files.kernel) if test.words == "entry32" else files.kernel
            modules = [BootModule("pre-kernel", kernel), BootModule("pre-initrd", files.user)]
        elif test.kind in DEBIAN_LINUX:
            kernel = build.debian_kernel(test.guest)
            initrd = build.write_if_changed(build_dir() / "system" / "user-initrd", user_initrd())
            if test.kind == "debian-bare":
                return make_iso(ImageConfig(kernel, (BootModule("initrd", initrd),), test.words, "linux"), output,
                                efi=False)
            if test.kind == "debian-pair":
                ends = TOP / "tests" / "linux"
                extra = {"bin/uio-end": ends / "uio-end", "bin/ivshmem-end": ends / "ivshmem-end",
                         "lib/text": ends / "text",
                         "lib/ivshmem_irq.ko": build.debian_module(test.guest, ends / "ivshmem_irq.c"),
                         **{f"lib/{name}": kernel.parent / name for name in DEBIAN_MODULES}}
                initrd = build.write_if_changed(build_dir() / "system" / "pair-initrd", user_initrd(extra))
                modules = [BootModule("pre-kernel", kernel), BootModule("pre-initrd", initrd)]
                if scenario == ENDS_DM:
                    service = service_initrd(kernel, initrd, build_dir() / "aril-dm")
                    modules += [BootModule("svm-kernel", build.kernel()),
                                BootModule("svm-initrd", build.write_if_changed(
                                    build_dir() / "system" / "pair-service-initrd", service))]
                elif scenario == ENDS_LINUX:
                    modules += [BootModule("svm-kernel", kernel), BootModule("svm-initrd", initrd)]
                return build.hv_iso(HvImage(name=name, scenario=scenario, changes=tuple(changes),
                                            modules=tuple(modules), cpus=test.cpus, memory_mb=test.memory_mb), output)
            modules = [BootModule("pre-kernel", kernel), BootModule("pre-initrd", initrd)]
            if test.scenario is None:
                scenario = PRE_LINUX
                changes = [Change("PRE1", "os_config/bootargs", test.words), Change("PRE1", "memory/size", "512"),
                           *changes]
            else:
                modules.append(BootModule("pre-dom0", build.debian_kernel("cloud-amd64")))
        elif test.kind == "hv":
            return self._hv_iso(test, name, output)
        if test.words and test.kind not in ("pre-linux", "load", "pre-bad", *DEBIAN_LINUX):
            changes.append(Change("SVM", "os_config/bootargs", "+" + test.words))
        image = HvImage(name=name, scenario=scenario, changes=tuple(changes), modules=tuple(modules),
                        cmdline=test.hv_words, cpus=test.cpus, memory_mb=test.memory_mb)
        return build.hv_iso(image, output)

    def _hv_iso(self, test: Boot, name: str, output: Path) -> Path:
        """The hypervisor alone, or with a scenario blob in which one byte is wrong."""
        modules: tuple[BootModule, ...] = ()
        if test.scenario is not None:
            blob = build.scenario_blob(test.scenario, build_dir() / "scenarios" / f"{name}.blob",
                                       test.cpus, test.memory_mb)
            if "corrupt" in test.words:
                data = bytearray(blob.read_bytes())
                data[len(data) // 2] ^= 0x40
                blob.write_bytes(data)
            modules = (BootModule("scenario", blob),)
        return build.hv_iso(HvImage(name=name, modules=modules, cpus=test.cpus,
                                    memory_mb=test.memory_mb, efi=test.firmware == "uefi"), output)

    # -- machines ---------------------------------------------------------------------------------

    def _check_possible(self, test: Boot) -> None:
        if test.machine == "bochs" and test.cpu_model in bochs.FAST_ONLY_MODELS \
                and not bochs.find_bochs()[1]:
            raise Skip(f"the packaged Bochs has no CPU model {test.cpu_model}")
        if test.not_packaged and test.machine == "bochs" and not bochs.find_bochs()[1]:
            raise Skip(test.not_packaged)
        if test.kind in OUR_LINUX and self._kernel_builder is not None:
            self._kernel_builder.wait()

    def _ips(self, test: Boot) -> int:
        """How many instructions a second of the simulator has: as always, or a little off (--vary)."""
        if not self.vary:
            return bochs.DEFAULT_IPS
        return int(bochs.DEFAULT_IPS * random.Random(f"{self.vary} {test.name}").uniform(0.996, 1.004))

    def _boot(self, test: Boot) -> Result:
        self._check_possible(test)
        iso = self._iso(test)
        stock = test.machine == "bochs" and not bochs.find_bochs()[1]
        config = MachineConfig(iso=iso, kind=test.machine, cpu_model=test.cpu_model, cpus=test.cpus,
                               memory_mb=test.memory_mb, firmware=test.firmware, ips=self._ips(test),
                               ignore_bad_msrs=not test.strict_msrs, quantum=test.quantum, com=test.com)
        folder = build_dir() / "test" / test.name
        timeout = test.timeout * (STOCK_FACTOR if stock else 1.0)
        screen = ""
        with Machine(config, folder) as machine:
            outcome = watch(machine, timeout=timeout, until=test.until,
                            fail="" if test.allow_panic else "|".join(HV_BROKEN),
                            stall=max(30.0, timeout / 2), on_line=_typist(machine, test))
            if outcome.how in ("failed", "matched"):
                # What follows belongs to it: a panic's dump, the rest of a sentence.
                end = time.monotonic() + 1.5
                while time.monotonic() < end and machine.running():
                    machine.poll(0.1)
                outcome.text = machine.text
            if test.screen and machine.running():
                screen = screen_text(machine)
        result = Result(logs=folder)
        self._judge(test, outcome, screen, result)
        if result.problems:
            result.tail = [line for line in outcome.text.splitlines() if line.strip()][-20:]
        return result

    def _judge(self, test: Boot, outcome: Outcome, screen: str, result: Result) -> None:
        text, problems = outcome.text, result.problems
        if outcome.how in ("timeout", "stalled"):
            problems.append(f"hung: {outcome.reason}")
        elif outcome.how == "failed":
            problems.append(f"the hypervisor failed: {outcome.reason}")
        elif outcome.how == "ended" and outcome.reason not in test.end:
            problems.append(f"the machine ended by {outcome.reason}, not by "
                            + (" or ".join(test.end) or f"the line {test.until}"))
        for pattern in test.must:
            if not re.search(pattern, text, re.M):
                problems.append(f"never said: {pattern}")
        if test.json:
            problems += _judge_json(test, text)
        if test.no_leak:
            self._judge_pages(text, problems)
        for pattern in test.must_not:
            if found := re.search(pattern, text, re.M):
                problems.append(f"said: {found.group(0)}")
        if test.trace:
            problems += self._judge_trace(text)
        if test.budgets:
            problems += bench.problems(test.name, bench.measured(test.name, text, test.cpus == 1))
        if test.screen and test.screen not in screen:
            problems.append(f"not readable on the screen: {test.screen}")
            problems += [f"screen | {line}" for line in screen.splitlines() if line.strip()][-6:]
        crash = "expect=crash" in test.guest_words
        if test.kind in ("svm", "uvm") and not crash and (found := VM_FAULT.search(text)):
            problems.append(f"a VM was stopped: {found.group(0)}")
        if test.guest_report:
            speakers = SPEAKERS[test.kind]
            if test.scenario == ENDS_USER:
                speakers += SPEAKERS["uvm"][1:]
            # A guest that is to crash or to hang can't sum up, nor can one that the batteries end at any moment.
            cut = crash or "expect=hang" in test.guest_words or "test=" in test.words
            self._judge_guest(text, speakers[:1] if cut else speakers, result)

    def _judge_pages(self, text: str, problems: list[str]) -> None:
        free = [int(n) for n in PAGES_FREE.findall(text)]
        if len(free) < 2:
            problems.append("no two VMs were destroyed: nothing to compare")
        elif len(set(free)) > 1:
            problems.append(f"pages leak: free after each VM's end {sorted(set(free), reverse=True)[:10]}")

    @staticmethod
    def _judge_trace(text: str) -> list[str]:
        trace = trace_events.parse(text)
        problems = trace.problems + trace_events.check_chrome(trace_events.to_chrome(trace))
        if not trace_svg.requests(trace):
            problems.append("the trace holds no forwarded request")
        return problems[:10]

    def _judge_guest(self, text: str, speakers: tuple[str, ...], result: Result) -> None:
        lines = GUEST_LINE.findall(text)
        result.problems += [f"FAIL: {who}{what}" for who, kind, what in lines if kind == "FAIL"][:20]
        shown = ("PASS", "SKIP", "XFAIL") if self.verbose else ("SKIP", "XFAIL")
        result.notes += [f"{kind}: {what}" for _, kind, what in lines if kind in shown]
        sums = {who: (int(p), int(f)) for who, p, f in GUEST_SUMMARY.findall(text)}
        for who in speakers:
            name = who.split()[-1] if who else "the guest"
            if who not in sums:
                result.problems.append(f"no SUMMARY line of {name}: it did not come to its end")
            elif sums[who][0] == 0:
                result.problems.append(f"{name} checked nothing")
        if any(f for _, f in sums.values()) and not any(kind == "FAIL" for _, kind, _ in lines):
            result.problems.append("SUMMARY counts failures, but no FAIL line was seen")
