# SPDX-License-Identifier: BSD-3-Clause
"""A picture of a part of a trace: who was on which CPU, and what happened, in numbered steps."""

from __future__ import annotations

from dataclasses import dataclass

from lib.svg import COLORS, Canvas, INK, LEFT, LINE, MARGIN, PAPER, SOFT, WIDTH, text_width
from lib.trace_events import (COMPLETE, ENTRY, EXIT, IDLE, IO, NOBODY, PENDING, RUN, STOP, Event, Trace, io_name)

ROW = 44
HYPERVISOR, IDLE_COLOR = "#39424e", "#e8ebf0"
MOST_STEPS = 40


@dataclass(frozen=True)
class Part:
    """What is drawn: from one time to another, both TSC."""
    begin: int
    end: int
    title: str


def requests(trace: Trace) -> list[Part]:
    """The forwarded requests that the trace holds whole, from the exit to the guest's next entry, on all CPUs."""
    found = []
    covered = max((events[0].tsc for cpu in range(trace.cpus) if (events := trace.of_cpu(cpu))), default=0)
    for cpu in range(trace.cpus):
        left: dict[int, Event] = {}
        asked: dict[int, Event] = {}
        done: dict[int, Event] = {}
        for event in trace.of_cpu(cpu):
            if event.id == EXIT:
                left[event.who] = event
            elif event.id == IO and event.io_state == PENDING:
                asked[event.who] = event
            elif event.id == IO and event.io_state == COMPLETE:
                done[event.who] = event
            elif event.id == ENTRY and event.who in done and event.who in left and event.who in asked:
                found.append(Part(left[event.who].tsc, event.tsc,
                                  f"{io_name(asked.pop(event.who)).split(',')[0]} by {trace.name(event.who)}"))
                done.pop(event.who)
    return sorted((part for part in found if part.begin >= covered), key=lambda part: part.begin)


def _spans(trace: Trace, cpu: int, part: Part) -> list[tuple[int, int, str, int]]:
    """(begin, end, "guest" | "hv" | "idle", who) of a CPU, without gaps, cut to the part."""
    spans: list[tuple[int, int, str, int]] = []
    state, who, since = "hv", NOBODY, part.begin
    for event in trace.of_cpu(cpu):
        now = {ENTRY: ("guest", event.who), EXIT: ("hv", event.who), RUN: ("hv", event.who),
               STOP: ("hv", NOBODY), IDLE: ("idle" if event.arg else "hv", NOBODY)}.get(event.id)
        if now is None or now == (state, who):
            continue
        if event.tsc > part.begin:
            spans.append((max(since, part.begin), min(event.tsc, part.end), state, who))
        (state, who), since = now, event.tsc
        if event.tsc >= part.end:
            break
    else:
        spans.append((max(since, part.begin), part.end, state, who))
    return [span for span in spans if span[1] > span[0]]


def _legend(out: Canvas, trace: Trace, colors: dict[int, str]) -> None:
    x = float(LEFT)
    for vm, color in colors.items():
        x = out.chip(x, out.y, f"{trace.vms.get(vm, vm)}: in the guest", color, True)
    x = out.chip(x, out.y, "hypervisor", HYPERVISOR, True)
    out.rect(x, out.y, text_width("halted", 12) + 18, 24, IDLE_COLOR, rx="12")
    out.text(x + 9, out.y + 16.5, "halted", 12)
    out.y += 40


def draw(trace: Trace, part: Part, unit: str) -> str:
    """The picture as SVG. `unit`: what a tick is called."""
    out = Canvas()
    scale = (WIDTH - MARGIN - LEFT) / max(part.end - part.begin, 1)

    def x_of(tsc: int) -> float:
        return LEFT + (tsc - part.begin) * scale

    out.text(MARGIN, out.y + 18, part.title, 20, bold=True)
    out.text(MARGIN, out.y + 38, f"from a real run; {part.end - part.begin} {unit} from the first to the last step", 13,
             SOFT)
    out.y += 62
    inside = [e for e in trace.events if part.begin <= e.tsc <= part.end]
    inside.sort(key=lambda e: (e.tsc, e.cpu, e.seq))
    inside = inside[:MOST_STEPS]
    vms = sorted({e.who >> 8 for e in inside if e.who != NOBODY})
    colors = {vm: COLORS[i % len(COLORS)] for i, vm in enumerate(vms)}
    _legend(out, trace, colors)
    for cpu in range(trace.cpus):
        out.text(MARGIN, out.y + 27, f"CPU {cpu}", 14, bold=True)
        for begin, end, state, who in _spans(trace, cpu, part):
            color = {"guest": colors.get(who >> 8, SOFT), "hv": HYPERVISOR, "idle": IDLE_COLOR}[state]
            out.rect(x_of(begin), out.y + 10, x_of(end) - x_of(begin), 24, color)
        _numbers(out, [(n, e) for n, e in enumerate(inside, 1) if e.cpu == cpu], x_of)
        out.y += ROW + 22
    out.line(LEFT, out.y, WIDTH - MARGIN, out.y)
    for i in range(5):
        tick = (part.end - part.begin) * i // 4
        out.line(x_of(part.begin + tick), out.y, x_of(part.begin + tick), out.y + 5, SOFT)
        out.text(x_of(part.begin + tick), out.y + 18, f"{tick}", 11, SOFT, "end" if i == 4 else "middle")
    out.y += 40
    for n, event in enumerate(inside, 1):
        out.text(MARGIN + 22, out.y, str(n), 12, INK, "end", True)
        out.text(MARGIN + 90, out.y, f"+{event.tsc - part.begin}", 12, SOFT, "end")
        out.text(MARGIN + 108, out.y, f"CPU {event.cpu}", 12, SOFT)
        out.text(MARGIN + 164, out.y, trace.what(event), 12)
        out.y += 19
    out.y -= 8
    return out.done(part.title)


def _numbers(out: Canvas, steps: list[tuple[int, Event]], x_of: object) -> None:
    """The steps' numbers, above and below the bar by turns where they would touch."""
    assert callable(x_of)
    last = {True: -100.0, False: -100.0}
    for n, event in steps:
        x = float(x_of(event.tsc))
        above = x - last[True] >= 15 or x - last[True] >= x - last[False]
        at = max(x, last[above] + 15)
        last[above] = at
        out.line(x, out.y + 10, x, out.y + 34, PAPER)
        out.line(at, out.y + (7 if above else 37), x, out.y + (10 if above else 34), LINE)
        out.text(at, out.y + (5 if above else 48), str(n), 11, INK, "middle")
