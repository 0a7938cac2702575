# SPDX-License-Identifier: BSD-3-Clause
"""One machine (Bochs or QEMU) booting an ISO, its serial line read live.

    with Machine(MachineConfig(iso=path, cpus=2), workdir) as m:
        outcome = watch(m, timeout=60, until=r"all done")

COM1 is a pseudo terminal in both, so the same code serves tests and an attached user. The simulator
is killed when the script that started it dies, however it dies.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import select
import signal
import socket
import subprocess
import time
import tty
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lib import bochs
from lib.common import ToolError, Waiting

OVMF_CODE = Path("/usr/share/OVMF/OVMF_CODE.fd")
OVMF_VARS = Path("/usr/share/OVMF/OVMF_VARS.fd")


@dataclass(frozen=True)
class MachineConfig:
    iso: Path
    kind: str = "bochs"			# bochs | qemu
    cpu_model: str = ""			# "" = the kind's default
    cpus: int = 1
    memory_mb: int = 512
    firmware: str = "bios"		# bios | uefi (qemu only)
    build: str = "auto"			# bochs only: auto | fast | stock
    ips: int = bochs.DEFAULT_IPS	# bochs only
    ignore_bad_msrs: bool = True	# bochs only
    quantum: int = 16			# bochs only: instructions per CPU and turn
    com: int = 1			# bochs only: which serial port is read
    exit_port: bool = True		# qemu only: isa-debug-exit at 0xF4

    def check(self) -> None:
        """Raises ToolError for a machine that the simulator cannot be."""
        if self.kind != "bochs":
            return
        if self.firmware != "bios":
            raise ToolError("Bochs 2.7 and 3.0 can't boot UEFI; use --machine qemu")
        bochs.check_machine(self.cpu_model or bochs.DEFAULT_MODEL, self.cpus, self.memory_mb)


def kvm_nested() -> bool:
    """Whether /dev/kvm can be used and gives its guests VT-x."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    with contextlib.suppress(OSError):
        value = Path("/sys/module/kvm_intel/parameters/nested").read_text().strip()
        return value in ("1", "Y")
    return False


def _prepare_child() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    # Bochs logs its speed from its SIGALRM handler: when the signal comes while it is writing the log, it
    # waits for its own log lock for ever.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})


class Machine:
    """A simulator process and its serial line. `workdir` receives serial.log and simulator.log."""

    def __init__(self, config: MachineConfig, workdir: Path):
        self.config = config
        self.workdir = workdir
        self.text = ""			# all serial output so far
        self.exit_code: int | None = None
        self.started = 0.0
        self._proc: subprocess.Popen[bytes] | None = None
        self._master = -1
        self._slave = -1
        self._files: list[object] = []

    # -- life -------------------------------------------------------------------------------------

    def __enter__(self) -> Machine:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self.workdir.mkdir(parents=True, exist_ok=True)
        for name in ("serial.log", "simulator.log", "simulator.out"):
            (self.workdir / name).unlink(missing_ok=True)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._serial = (self.workdir / "serial.log").open("wb")
        out = (self.workdir / "simulator.out").open("wb")
        argv = self._bochs() if self.config.kind == "bochs" else self._qemu()
        (self.workdir / "command.txt").write_text(" ".join(argv) + "\n")
        try:
            self._proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=subprocess.STDOUT, cwd=self.workdir,
                                          start_new_session=True, preexec_fn=_prepare_child)
        except FileNotFoundError:
            raise ToolError(f"{argv[0]} is not installed") from None
        finally:
            out.close()
        self.started = time.monotonic()

    def stop(self) -> None:
        """Ends the simulator if it still runs, and closes the line. May be called twice."""
        if self._proc is not None and self._proc.poll() is None:
            self._proc.terminate()
            try:
                self._proc.wait(timeout=3)
            except subprocess.TimeoutExpired:
                self._proc.kill()
                self._proc.wait()
        if self._proc is not None:
            self._drain()
            self.exit_code = self._proc.returncode
        for fd in (self._master, self._slave):
            if fd >= 0:
                os.close(fd)
        self._master = self._slave = -1
        if self._proc is not None:
            self._serial.close()

    def running(self) -> bool:
        return self._proc is not None and self._proc.poll() is None

    def seconds(self) -> float:
        return time.monotonic() - self.started

    # -- serial line ------------------------------------------------------------------------------

    def fileno(self) -> int:
        return self._master

    def send(self, data: bytes | str) -> None:
        """Types into the serial line; a full line loses nothing, it waits."""
        view = memoryview(data.encode() if isinstance(data, str) else data)
        while view and self.running():
            select.select([], [self._master], [], 1.0)
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(self._master, view):]

    def poll(self, timeout: float = 0.1) -> str:
        """New serial output, waiting at most `timeout` seconds for some."""
        select.select([self._master], [], [], timeout)
        return self._drain()

    def _drain(self) -> str:
        new = b""
        while self._master >= 0:
            try:
                block = os.read(self._master, 65536)
            except (BlockingIOError, OSError):
                break
            if not block:
                break
            new += block
        if not new:
            return ""
        self._serial.write(new)
        self._serial.flush()
        text = new.decode("latin-1").replace("\r", "")
        self.text += text
        return text

    # -- what the simulator says ------------------------------------------------------------------

    def simulator_log(self) -> str:
        path = self.workdir / "simulator.log"
        out = self.workdir / "simulator.out"
        return "".join(p.read_text(errors="replace") for p in (path, out) if p.exists())

    def end_reason(self) -> str:
        """Why the simulator ended: off, triple-fault, debug-exit, or crash (with its last words)."""
        if self.config.kind == "qemu":
            code = self._proc.returncode if self._proc else None
            if code == 0:
                return "off"
            # What QEMU itself complains of ends it with 1, as a guest's debug exit with 0 does.
            complaint = re.findall(r"^qemu-system-x86_64: (?!warning).*$", self.simulator_log(), re.M)
            if code is not None and code & 1 and self.config.exit_port and not complaint:
                return f"debug-exit {code >> 1}"
            return f"crash: qemu exit code {code}: {' '.join(complaint) or self.simulator_log()[-300:]}"
        log = self.simulator_log()
        if re.search(r"shutdown requested|ACPI.*soft power off|Shutdown port", log, re.I):
            return "off"
        if "exception with no resolution" in log:
            return "triple-fault"
        panics = re.findall(r"^.*(?:p\[|>>PANIC<<).*$", log, re.M)
        return "crash: " + (panics[-1].strip() if panics else log[-300:].strip())

    def instructions(self) -> int | None:
        """Simulated ticks (instructions) at the end of a Bochs run."""
        found = re.findall(r"^(\d{11,})[a-z]\[", self.simulator_log(), re.M)
        return max(map(int, found)) if found else None

    # -- command lines ----------------------------------------------------------------------------

    def _bochs(self) -> list[str]:
        c = self.config
        c.check()
        binary, fast = bochs.find_bochs(c.build)
        rc = self.workdir / "bochsrc"
        rc.write_text(bochs.bochsrc(
            iso=c.iso.resolve(), fast=fast, model=c.cpu_model or bochs.DEFAULT_MODEL, cpus=c.cpus,
            memory_mb=c.memory_mb, serial=os.ttyname(self._slave),
            log=self.workdir.resolve() / "simulator.log", ips=c.ips,
            ignore_bad_msrs=c.ignore_bad_msrs, quantum=c.quantum, com=c.com))
        if fast:
            return [str(binary), "-q", "-f", str(rc)]
        # The packaged build has the debugger in it, which waits for a command: c, continue.
        commands = self.workdir / "debugger.rc"
        commands.write_text("c\nq\n")
        return [str(binary), "-q", "-f", str(rc), "-rc", str(commands)]

    def _qemu(self) -> list[str]:
        c = self.config
        kvm = kvm_nested() and c.cpu_model in ("", "host")
        argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
                "-machine", "q35,accel=kvm" if kvm else "q35,accel=tcg",
                "-cpu", "host,+vmx" if kvm else (c.cpu_model or "qemu64"),
                "-smp", str(c.cpus), "-m", str(c.memory_mb), "-no-reboot", "-vga", "std",
                "-chardev", f"serial,id=com1,path={os.ttyname(self._slave)}",
                "-serial", "chardev:com1",
                "-monitor", f"unix:{self.workdir.resolve()}/monitor,server=on,wait=off",
                "-cdrom", str(c.iso.resolve()), "-boot", "d"]
        if c.exit_port:
            argv += ["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
        if c.firmware == "uefi":
            variables = self.workdir / "vars.fd"
            variables.write_bytes(OVMF_VARS.read_bytes())
            argv += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF_CODE}",
                     "-drive", f"if=pflash,format=raw,unit=1,file={variables}"]
        return argv

    # -- QEMU's monitor ---------------------------------------------------------------------------

    def monitor(self, command: str, seconds: float = 2.0) -> str:
        """Sends one command to QEMU's monitor and returns what it printed."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(seconds)
            s.connect(str(self.workdir.resolve() / "monitor"))
            said = b""
            with contextlib.suppress(TimeoutError):
                while not said.endswith(b"(qemu) "):
                    said += s.recv(65536)
                s.sendall(command.encode() + b"\n")
                said = b""
                while not said.endswith(b"(qemu) "):
                    said += s.recv(65536)
            return said.decode(errors="replace")

    def text_screen(self) -> str:
        """The VGA text screen (QEMU, BIOS)."""
        path = self.workdir.resolve() / "screen.bin"
        self.monitor(f'pmemsave 0xb8000 4000 "{path}"')
        cells = path.read_bytes()[::2].decode("cp437", errors="replace")
        return "\n".join(cells[i:i + 80].rstrip() for i in range(0, len(cells), 80))

    def screen_dump(self) -> Path:
        """A picture of the screen (QEMU): a PPM file."""
        path = self.workdir.resolve() / "screen.ppm"
        self.monitor(f'screendump "{path}"')
        return path


@dataclass(frozen=True)
class Stage:
    """A place on the way, recognised by a line of output."""
    name: str
    pattern: str


@dataclass
class Outcome:
    how: str				# ended | matched | failed | timeout | stalled
    reason: str				# end_reason() when ended; the matched line when matched/failed
    seconds: float
    text: str
    reached: list[tuple[str, float]] = field(default_factory=list)

    @property
    def stage(self) -> str:
        return self.reached[-1][0] if self.reached else "before the first stage"


def watch(machine: Machine, *, timeout: float, until: str = "", fail: str = "",
          stages: tuple[Stage, ...] = (), stall: float = 0.0, waiting: Waiting | None = None,
          on_line: Callable[[str], None] | None = None) -> Outcome:
    """Reads the serial line until the simulator ends, a line matches `until` or `fail`, `timeout`
    seconds are over, or nothing was printed for `stall` seconds. The machine is not stopped by it.
    """
    end_re = re.compile(until) if until else None
    fail_re = re.compile(fail) if fail else None
    left = [(s.name, re.compile(s.pattern)) for s in stages]
    reached: list[tuple[str, float]] = []
    partial = ""
    last_output = time.monotonic()

    def outcome(how: str, reason: str) -> Outcome:
        return Outcome(how, reason, machine.seconds(), machine.text, reached)

    while True:
        alive = machine.running()
        new = machine.poll(0.0 if not alive else 0.2)
        if new:
            last_output = time.monotonic()
        *lines, partial = (partial + new).split("\n")
        if not alive and not new and partial:
            lines, partial = [partial], ""
        for line in lines:
            for i, (name, pattern) in enumerate(left):
                if pattern.search(line):
                    # Stages are in order: reaching a later one passes the earlier ones.
                    reached.append((name, machine.seconds()))
                    del left[:i + 1]
                    break
            if on_line is not None:
                if waiting is not None:
                    waiting.clear()
                on_line(line)
            if fail_re is not None and fail_re.search(line):
                return outcome("failed", line.strip())
            if end_re is not None and end_re.search(line):
                return outcome("matched", line.strip())
        if not alive and not new:
            machine.stop()
            return outcome("ended", machine.end_reason())
        if machine.seconds() > timeout:
            return outcome("timeout", f"{timeout:.0f} s were over")
        if stall and time.monotonic() - last_output > stall:
            return outcome("stalled", f"no output for {stall:.0f} s")
        if waiting is not None:
            waiting.tick(f"next: {left[0][0]}" if left else "")
