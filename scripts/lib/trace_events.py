# SPDX-License-Identifier: BSD-3-Clause
"""The hypervisor's trace: read out of a serial log, and as Chrome's trace events (doc/tracing.md)."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

# Of include/hv/trace.h; tests/scripts/test_trace.py compares.
EXIT, ENTRY, IRQ, UPCALL, IO, RUN, STOP, WAKE, IDLE, TIMER = 0x00, 0x01, 0x10, 0x11, 0x20, 0x30, 0x31, 0x32, 0x33, 0x40
NOBODY = 0xFFFF
VERSION = 1

IO_STATES = {0: "PENDING", 1: "COMPLETE", 2: "PROCESSING", 3: "FREE"}
PENDING, COMPLETE = 0, 1
IO_TYPES = {0: "port", 1: "memory", 2: "PCI", 3: "write-protected"}
INJECTED = {0: "interrupt", 2: "NMI", 3: "exception", 4: "software interrupt", 5: "INT1", 6: "software exception"}

LINE = re.compile(r"@t (.+?) ([0-9a-f]{4})\s*$", re.M)

Chrome = dict[str, Any]


@dataclass(frozen=True)
class Event:
    cpu: int
    seq: int	# of the CPU: 0, 1, 2...
    tsc: int
    id: int
    who: int	# vm << 8 | vcpu, or NOBODY
    arg: int
    a: int
    b: int

    @property
    def io_state(self) -> int:
        return self.arg & 0xF

    @property
    def io_write(self) -> bool:
        return bool(self.arg >> 16 & 1)


@dataclass
class Trace:
    khz: int = 0
    cpus: int = 0
    vms: dict[int, str] = field(default_factory=dict)
    exits: dict[int, str] = field(default_factory=dict)
    lost: dict[int, int] = field(default_factory=dict)	# CPU -> overwritten before the dump
    events: list[Event] = field(default_factory=list)	# by CPU, then by time
    problems: list[str] = field(default_factory=list)	# what is missing or damaged

    def of_cpu(self, cpu: int) -> list[Event]:
        return [event for event in self.events if event.cpu == cpu]

    def name(self, who: int) -> str:
        if who == NOBODY:
            return "hypervisor"
        return f"{self.vms.get(who >> 8, f'VM{who >> 8}')} vCPU {who & 0xFF}"

    def exit_name(self, reason: int) -> str:
        return self.exits.get(reason, f"exit {reason}")

    def us(self, ticks: int) -> float:
        return ticks * 1000 / max(self.khz, 1)

    def what(self, event: Event) -> str:
        """The event in words."""
        who = self.name(event.who)
        if event.id == EXIT:
            return f"{who} leaves the guest: {self.exit_name(event.arg)} at {event.a:#x}"
        if event.id == ENTRY:
            return f"{who} enters the guest at {event.a:#x}" + \
                (f" with {injected(event.arg)}" if event.arg else "")
        if event.id == IO:
            return f"slot of {who}: {IO_STATES.get(event.io_state, '?')}, {io_name(event)}"
        if event.id == WAKE:
            return f"{who} is woken on CPU {event.arg}"
        if event.id == STOP:
            return f"{who} gives CPU {event.cpu} away, " + ("runnable" if event.arg else "blocked")
        return {IRQ: f"interrupt {event.arg:#x} pending for {who}", UPCALL: f"upcall {event.arg:#x} to {who}",
                RUN: f"CPU {event.cpu} runs {who}", TIMER: f"timer on CPU {event.cpu}",
                IDLE: f"CPU {event.cpu} " + ("halts" if event.arg else "goes on")}.get(event.id, f"event {event.id:#x}")


def injected(info: int) -> str:
    return f"{INJECTED.get(info >> 8 & 7, 'event')} {info & 0xFF:#x}"


def io_name(event: Event) -> str:
    kind, size = IO_TYPES.get(event.arg >> 4 & 0xF, "?"), event.arg >> 8 & 0xFF
    value = f", value {event.b:#x}" if event.io_write or event.io_state == COMPLETE else ""
    return f"{kind} {'write' if event.io_write else 'read'} {event.a:#x}, {size} byte{'s' if size > 1 else ''}{value}"


def line_sum(text: str) -> int:
    """The checksum of a line, as hypervisor/debug/trace.c makes it."""
    low, high = 1, 0
    for byte in text.encode("ascii", "replace"):
        low = (low + byte) & 0xFF
        high = (high + low) & 0xFF
    return high << 8 | low


class _Reader:
    """One dump, line by line. A later dump in the same log begins anew: the last one counts."""

    def __init__(self) -> None:
        self.trace = Trace()
        self.lines = 0		# good ones since the beginning
        self.wanted: dict[int, tuple[int, int]] = {}	# CPU -> first event, count
        self.begun = self.ended = False

    def line(self, text: str) -> None:
        words = text.split()
        if words[0] == "begin":
            self.__init__()  # type: ignore[misc]
            self.begun = True
            if int(words[1]) != VERSION:
                self.trace.problems.append(f"the dump has format {words[1]}, this tool reads {VERSION}")
            self.trace.cpus, self.trace.khz = int(words[3]), int(words[5])
        elif words[0] == "exit":
            self.trace.exits[int(words[1])] = " ".join(words[2:])
        elif words[0] == "vm":
            self.trace.vms[int(words[1])] = words[2]
        elif words[0] == "cpu":
            cpu = int(words[1])
            self.wanted[cpu] = (int(words[3], 16), int(words[5]))
            self.trace.lost[cpu] = int(words[7])
        elif words[0] == "end":
            self.ended = True
            if int(words[1]) != self.lines:
                self.trace.problems.append(f"{int(words[1]) - self.lines} of {words[1]} lines are missing or damaged")
            return
        else:
            self.trace.events.append(Event(int(words[0]), *(int(word, 16) for word in words[1:])))
        self.lines += 1

    def done(self) -> Trace:
        trace = self.trace
        if not self.begun:
            trace.problems.append("there is no dump; type `trace dump` on the hypervisor's console")
        elif not self.ended:
            trace.problems.append("the dump has no end: it was cut")
        for cpu, (first, count) in self.wanted.items():
            # The oldest one of a full ring is left out: its CPU could have been overwriting it.
            missing = set(range(first + 1, first + count)) - {event.seq for event in trace.of_cpu(cpu)}
            if missing:
                trace.problems.append(f"CPU {cpu}: {len(missing)} of {count} events are missing")
        return trace


def parse(log: str) -> Trace:
    """
    The last dump in a serial log. Whatever else was printed in between or before it on a line is passed over; a line
    whose checksum is wrong counts as missing, which Trace.problems tells.
    """
    reader = _Reader()
    for match in LINE.finditer(log.replace("\r", "")):
        if line_sum("@t " + match[1]) == int(match[2], 16):
            reader.line(match[1])
    return reader.done()


# ---- Chrome's trace events ----

CPUS_PID = 1
VM_PID = 10		# + id


class _Chrome:
    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.out: list[Chrome] = []
        self.start = min((event.tsc for event in trace.events), default=0)
        self.flows = 0
        self.waking: dict[int, tuple[Event, int]] = {}	# who -> the wake-up, flow id
        self.requests = 0

    def ts(self, tsc: int) -> float:
        return round(self.trace.us(tsc - self.start), 3)

    def add(self, ph: str, name: str, pid: int, tid: int, tsc: int, **more: Any) -> None:
        self.out.append({"ph": ph, "name": name, "pid": pid, "tid": tid, "ts": self.ts(tsc), **more})

    def slice(self, name: str, pid: int, tid: int, begin: int, end: int, **args: Any) -> None:
        self.add("X", name, pid, tid, begin, dur=round(self.ts(end) - self.ts(begin), 3), args=args)

    def instant(self, name: str, pid: int, tid: int, event: Event, **args: Any) -> None:
        self.add("i", name, pid, tid, event.tsc, s="t", args=args)

    def names(self) -> None:
        def meta(what: str, pid: int, tid: int, **args: Any) -> None:
            self.out.append({"ph": "M", "name": what, "pid": pid, "tid": tid, "ts": 0, "args": args})

        meta("process_name", CPUS_PID, 0, name="CPUs")
        for cpu in range(self.trace.cpus):
            meta("thread_name", CPUS_PID, cpu, name=f"CPU {cpu}")
        whos = {event.who for event in self.trace.events if event.who != NOBODY}
        for vm in sorted({who >> 8 for who in whos}):
            meta("process_name", VM_PID + vm, 0, name=self.trace.vms.get(vm, f"VM{vm}"))
        for who in sorted(whos):
            meta("thread_name", VM_PID + (who >> 8), who & 0xFF, name=f"vCPU {who & 0xFF}")

    def cpu(self, cpu: int) -> None:
        """Who had the CPU; wake-ups and timers on it."""
        events = self.trace.of_cpu(cpu)
        begun: Event | None = None
        if self.trace.lost.get(cpu) and events:
            self.instant(f"{self.trace.lost[cpu]} events before are lost", CPUS_PID, cpu, events[0])
        for event in events:
            if event.id == RUN or (event.id == IDLE and event.arg):
                begun = event
            elif event.id in (STOP, IDLE) and begun is not None:
                name = "idle" if begun.id == IDLE else self.trace.name(begun.who)
                self.slice(name, CPUS_PID, cpu, begun.tsc, event.tsc,
                           **({"then": "runnable" if event.arg else "blocked"} if event.id == STOP else {}))
                begun = None
            if event.id == WAKE:
                self.wake(event)
            elif event.id == TIMER:
                self.instant("timer", CPUS_PID, cpu, event, deadline=event.a, function=f"{event.b:#x}")
        if begun is not None and events:
            name = "idle" if begun.id == IDLE else self.trace.name(begun.who)
            self.slice(name, CPUS_PID, cpu, begun.tsc, events[-1].tsc)

    def wake(self, event: Event) -> None:
        self.instant(f"wakes {self.trace.name(event.who)}", CPUS_PID, event.cpu, event)
        run = next((e for e in self.trace.of_cpu(event.arg)
                    if e.id == RUN and e.who == event.who and e.tsc >= event.tsc), None)
        if run is not None:
            self.flows += 1
            self.add("s", "wake-up", CPUS_PID, event.cpu, event.tsc, id=self.flows, cat="sched")
            self.add("f", "wake-up", CPUS_PID, run.cpu, run.tsc, id=self.flows, cat="sched", bp="e")

    def vcpu(self, who: int, events: list[Event]) -> None:
        """In the guest or at an exit; interrupts; requests."""
        pid, tid = VM_PID + (who >> 8), who & 0xFF
        entry: Event | None = None
        left: Event | None = None
        request: Event | None = None
        for event in events:
            if event.id == EXIT:
                if entry is not None:
                    self.slice("guest", pid, tid, entry.tsc, event.tsc, rip=f"{entry.a:#x}")
                entry, left = None, event
            elif event.id in (ENTRY, STOP) and left is not None:
                self.slice(self.trace.exit_name(left.arg), pid, tid, left.tsc, event.tsc, rip=f"{left.a:#x}",
                           qualification=f"{left.b:#x}")
                left = None
            if event.id == ENTRY:
                entry = event
                if event.arg:
                    self.instant(f"inject {injected(event.arg)}", pid, tid, event)
            elif event.id in (IRQ, UPCALL):
                self.instant(f"{'irq' if event.id == IRQ else 'upcall'} {event.arg:#x}", pid, tid, event)
            elif event.id == IO:
                request = self.io(event, request, pid, tid)

    def io(self, event: Event, request: Event | None, pid: int, tid: int) -> Event | None:
        """A request is an asynchronous slice from PENDING to COMPLETE. Returns the one that is under way."""
        if event.io_state == PENDING:
            self.requests += 1
            self.add("b", io_name(event).split(",")[0], pid, tid, event.tsc, id=self.requests, cat="io",
                     args={"request": io_name(event)})
            return event
        if request is None:
            return None
        ph = "e" if event.io_state == COMPLETE else "n"
        self.add(ph, io_name(request).split(",")[0], pid, tid, event.tsc, id=self.requests, cat="io",
                 args={"state": IO_STATES.get(event.io_state, "?"), "request": io_name(event)})
        return None if ph == "e" else request


def to_chrome(trace: Trace) -> Chrome:
    """The trace as Chrome's and Perfetto's JSON: a track for each CPU, and one for each vCPU by VM."""
    chrome = _Chrome(trace)
    chrome.names()
    for cpu in range(trace.cpus):
        chrome.cpu(cpu)
    by_who: dict[int, list[Event]] = defaultdict(list)
    for event in sorted(trace.events, key=lambda e: (e.tsc, e.cpu, e.seq)):
        if event.who != NOBODY:
            by_who[event.who].append(event)
    for who, events in sorted(by_who.items()):
        chrome.vcpu(who, events)
    return {"traceEvents": chrome.out, "displayTimeUnit": "ns",
            "otherData": {"tsc_khz": trace.khz, "problems": trace.problems}}


PHASES = {"X": {"dur"}, "i": {"s"}, "M": {"args"}, "s": {"id", "cat"}, "f": {"id", "cat"}, "b": {"id", "cat"},
          "n": {"id", "cat"}, "e": {"id", "cat"}}


def check_chrome(chrome: Chrome) -> list[str]:
    """What is wrong with it by the format's rules; empty: nothing."""
    wrong: list[str] = []
    named = {(e["name"], e["pid"], e["tid"]) for e in chrome["traceEvents"] if e["ph"] == "M"}
    slices: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    opened: dict[str, set[Any]] = {"s": set(), "b": set()}
    for e in chrome["traceEvents"]:
        lacks = ({"ph", "name", "pid", "tid", "ts"} | PHASES.get(e["ph"], {"no such phase"})) - set(e)
        if lacks:
            wrong.append(f"{e}: lacks {', '.join(sorted(lacks))}")
            continue
        if not isinstance(e["ts"], (int, float)) or e["ts"] < 0 or e.get("dur", 0) < 0:
            wrong.append(f"{e}: negative time")
        if e["ph"] != "M" and (("process_name", e["pid"], 0) not in named or
                               ("thread_name", e["pid"], e["tid"]) not in named):
            wrong.append(f"{e}: its process or thread has no name")
        if e["ph"] == "X":
            slices[e["pid"], e["tid"]].append((e["ts"], e["ts"] + e["dur"]))
        if e["ph"] in opened:
            opened[e["ph"]].add(e["id"])
        if e["ph"] in "fen" and e["id"] not in opened["s" if e["ph"] == "f" else "b"]:
            wrong.append(f"{e}: ends what has not begun")
    for track, spans in slices.items():
        spans.sort()
        for (_, end), (begin, _) in zip(spans, spans[1:]):
            if begin < end - 0.0015:	# both are rounded
                wrong.append(f"track {track}: slices overlap at {begin} us")
    return wrong
