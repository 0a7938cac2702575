#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Builds Aril and boots it with Linux in a Service VM and Linux in a User VM.

What is missing is installed through apt first. On a terminal this ends attached to the hypervisor's
console (Ctrl-A x leaves); with --headless, or without a terminal, it prints all consoles until the
User VM has spoken and the machine is off, then a summary, and exits with 0. After a failure it says
at which stage it happened, where the logs are, and exits with 1 (2: it could not be built or begun).
"""

from __future__ import annotations

import argparse
import os
import re
import select
import sys
import termios
import tty
from pathlib import Path

from lib import apt, bochs, build
from lib.common import TOP, ToolError, Waiting, build_dir, main, say
from lib.iso import parse_module
from lib.machine import Machine, MachineConfig, Outcome, Stage, kvm_nested, watch

STAGES = (
    Stage("GRUB", r"GRUB: loading"),
    Stage("GRUB hands over", r"GRUB: starting"),
    Stage("hypervisor has begun", r"^\(aril\)"),
    Stage("Service VM: kernel", r"\[SVM\].*Linux version"),
    Stage("Service VM: user space", r"Service VM: user space is up"),
    Stage("User VM: launched", r"Service VM: launching"),
    Stage("User VM: kernel", r"\[UVM\d*\].*Linux version"),
    Stage("User VM: user space", r"User VM: hello from user space"),
    Stage("User VM: ended", r"Service VM: UVM\d* ended"),
    Stage("Service VM: all done", r"Service VM: all done"),
)
FAILURE = r"^\(aril\).*(PANIC|panic:|assertion failed)|^\(aril\) .*refus|Failed to boot both default"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/run", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", choices=("bochs", "qemu"), default="bochs",
                        help="qemu has VT-x only where /dev/kvm offers it nested")
    parser.add_argument("--simulator", choices=("auto", "fast", "stock"), default="auto",
                        help="which Bochs: our fast build or Debian's package")
    parser.add_argument("--firmware", choices=("bios", "uefi"), default="bios", help="uefi: qemu only")
    parser.add_argument("--cpu-model", default="", help=f"default for Bochs: {bochs.DEFAULT_MODEL}")
    parser.add_argument("--cpus", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--memory", type=int, default=1024, metavar="MIB", help="default: %(default)s")
    parser.add_argument("--scenario", type=Path, default=TOP / "boot" / "scenarios" / "default.xml",
                        metavar="FILE", help="XML or compiled blob")
    parser.add_argument("--module", action="append", default=[], metavar="TAG=FILE",
                        help="a boot module, in place of ours of that tag or one more (repeatable)")
    parser.add_argument("--svm", default="", metavar="WORDS",
                        help="words for the Service VM's command line, such as svm.do=pair")
    parser.add_argument("--cmdline", default="", help="the hypervisor's command line")
    parser.add_argument("--timeout", type=float, default=0,
                        help="seconds for a headless run (default: 300, 1200 with the packaged Bochs)")
    parser.add_argument("--headless", action="store_true", help="don't attach, also on a terminal")
    parser.add_argument("--iso", type=Path, metavar="FILE", help="only build this ISO")
    return parser.parse_args()


def machine_config(args: argparse.Namespace, iso: Path) -> MachineConfig:
    return MachineConfig(iso=iso, kind=args.machine, cpu_model=args.cpu_model, cpus=args.cpus,
                         memory_mb=args.memory, firmware=args.firmware, build=args.simulator)


def check_arguments(args: argparse.Namespace) -> dict[str, Path]:
    """What is wrong with them is said before anything is installed or built. Returns the modules that are given."""
    if not args.scenario.is_file():
        raise ToolError(f"there is no scenario {args.scenario}; those that come with Aril are in boot/scenarios")
    if args.timeout < 0:
        raise ToolError(f"--timeout {args.timeout:g}: seconds, more than 0")
    if not args.iso:
        machine_config(args, Path()).check()
    return {module.tag: module.path for module in map(parse_module, args.module)}


def prepare(args: argparse.Namespace, given: dict[str, Path], interactive: bool) -> Path:
    """Installs, builds, and returns the ISO."""
    groups = ["build", "image"]
    if not args.iso:
        groups.append("bochs" if args.machine == "bochs" else "qemu")
    apt.ensure(*groups)
    if not args.iso and args.machine == "bochs" and args.simulator != "stock":
        build.fast_bochs()
    build.hypervisor()
    words = args.svm or ("svm.do=once,shell" if interactive else "")
    changes: tuple[build.Change, ...] = ()
    if words and args.scenario.suffix == ".xml":
        changes = (build.Change("SVM", "os_config/bootargs", "+" + words),)
    modules = build.scenario_modules(args.scenario, given)
    say("making the ISO")
    return build.hv_iso(build.HvImage(
        name="run", scenario=args.scenario, changes=changes, modules=modules, cmdline=args.cmdline,
        cpus=args.cpus, memory_mb=args.memory, efi=True), args.iso)


def attach(machine: Machine) -> None:
    """Joins the terminal with the serial line until the machine ends or Ctrl-A x is typed."""
    say("attached to the hypervisor's console: Enter for its shell (`help`); Ctrl-A x leaves and ends the machine")
    stdin, stdout = sys.stdin.fileno(), sys.stdout.fileno()
    old = termios.tcgetattr(stdin)
    prefix = False
    try:
        tty.setraw(stdin)
        while machine.running():
            ready = select.select([stdin, machine.fileno()], [], [], 0.5)[0]
            text = machine.poll(0.0)
            os.write(stdout, text.replace("\n", "\r\n").encode("latin-1"))
            if stdin not in ready:
                continue
            for byte in os.read(stdin, 1024):
                if prefix:
                    prefix = False
                    if byte in b"xX":
                        return
                    machine.send(bytes([byte]))
                elif byte == 1:
                    prefix = True
                else:
                    machine.send(bytes([byte]))
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, old)
        print()


def account(text: str) -> None:
    """The hypervisor's own account: "(aril) summary: WORD ..." lines, printed when the last VM has ended."""
    rows = [line.split() for line in re.findall(r"^\(aril\).*?\bsummary: (.*)$", text, re.M)]
    stages = [(r[1], int(r[2])) for r in rows if r[0] == "stage"]
    if stages:
        print("  -- hypervisor: boot stages, in thousands of instructions since its entry")
        last = 0
        for name, ticks in stages:
            print(f"  {name:<26} {ticks:8}    (+{ticks - last})")
            last = ticks
    for _, name, _, exits, _, forwarded in (r for r in rows if r[0] == "vm" and len(r) == 6):
        end = " ".join(next((r[2:] for r in rows if r[:2] == ["stopped", name]), []))
        print(f"  -- {name}: {exits} exits, {forwarded} requests forwarded" + (f", ended by {end}" if end else ""))
        for row in rows:
            if row[:2] == ["exit", name]:
                print(f"  {' '.join(row[2:-1]).replace('_', ' '):<26} {row[-1]:>8}")


def summary(outcome: Outcome, machine: Machine) -> None:
    """Boot stages as seen from outside, then the hypervisor's account."""
    print("\n== Summary")
    last = 0.0
    for name, when in outcome.reached:
        print(f"  {name:<26} {when:8.1f} s  (+{when - last:.1f})")
        last = when
    ticks = machine.instructions()
    print(f"  {'end: ' + outcome.reason:<26} {outcome.seconds:8.1f} s"
          + (f"  {ticks / 1e6:.0f} M instructions simulated" if ticks else ""))
    account(outcome.text)
    print(flush=True)


def headless(machine: Machine, args: argparse.Namespace, stock: bool) -> int:
    timeout = args.timeout or (1200 if stock else 300)
    waiting = Waiting("simulating")
    outcome = watch(machine, timeout=timeout, fail=FAILURE, stages=STAGES,
                    stall=timeout / 3, waiting=waiting, on_line=lambda line: print(line, flush=True))
    machine.stop()
    waiting.clear()
    summary(outcome, machine)
    linux = any("svm-kernel" == tag for tag in build.scenario_tags(args.scenario))
    missing = [name for name, pattern in
               (("the User VM's user space", r"User VM: hello from user space"),
                ("the Service VM's 'all done'", r"Service VM: all done"))
               if linux and not re.search(pattern, outcome.text)]
    if outcome.how == "ended" and outcome.reason == "off" and not missing:
        say("done: everything came up, and the machine is off")
        return 0
    what = {"ended": f"the machine ended ({outcome.reason})", "failed": outcome.reason,
            "timeout": outcome.reason, "stalled": outcome.reason}[outcome.how]
    say(f"FAILED after stage '{outcome.stage}': {what}"
        + (f"; never seen: {', '.join(missing)}" if missing else ""))
    say(f"logs: {machine.workdir}/serial.log and simulator.log")
    return 1


def entry() -> int:
    args = arguments()
    interactive = sys.stdin.isatty() and sys.stdout.isatty() and not args.headless
    iso = prepare(args, check_arguments(args), interactive)
    if args.iso:
        say(f"the ISO is {iso}")
        return 0
    if args.machine == "qemu" and not kvm_nested():
        say("notice: there is no nested VT-x here, so QEMU can show no more than the refusal")
    stock = args.machine == "bochs" and not bochs.find_bochs(args.simulator)[1]
    with Machine(machine_config(args, iso), build_dir() / "run") as machine:
        say(f"booting: {args.machine}{' (packaged, slow)' if stock else ''}, {args.cpus} CPU(s), "
            f"{args.memory} MiB, scenario {args.scenario.name}")
        if not interactive:
            return headless(machine, args, stock)
        attach(machine)
        if not machine.running():
            machine.stop()
            say(f"the machine ended: {machine.end_reason()}")
    return 0


main(entry)
