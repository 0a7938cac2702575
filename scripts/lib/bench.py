# SPDX-License-Identifier: BSD-3-Clause
"""What exits cost: the figures that the guests `exits` and `exits_smp` print, and the budgets that they must keep."""

from __future__ import annotations

import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from lib.common import TOP, ToolError, build_dir

BUDGETS = TOP / "tests" / "bench" / "budgets.toml"
COST = re.compile(r"^(?:\[\w+\] )*INFO: \w+: cost (.+): min (\d+) median (\d+)"
                  r"(?: reads (\d+) writes (\d+) exits (\d+))?\s*$", re.M)
STAGE = re.compile(r"^\(aril\) summary: stage (\w+) (\d+)\s*$", re.M)
MEMORY = re.compile(r"^\(aril\) summary: memory (\S+) (\d+) KiB\s*$", re.M)
ROOM = {"timer to": 5, "boot:": 5, "another CPU": 15, "memory:": 10, "image:": 20}	# percent
IMAGE_SECTION = "bench/svm"
BOOT = "boot: entry to the first guest instruction"


@dataclass(frozen=True)
class Figures:
    """One row as measured, medians of a round. Accesses to the VMCS and exits: None when nobody counted."""
    name: str
    minimum: int
    median: int
    reads: int | None = None
    writes: int | None = None
    exits: int | None = None

    def counts(self) -> list[int]:
        """What a budget is for: instructions and, when counted, VMREADs and VMWRITEs."""
        return [n for n in (self.median, self.reads, self.writes) if n is not None]


@dataclass(frozen=True)
class Budgets:
    """tests/bench/budgets.toml. sections: test -> row -> [instructions, VMREADs, VMWRITEs]; peers: row -> text."""
    sections: dict[str, dict[str, list[int]]]
    peers: dict[str, dict[str, str]]


def load_budgets(path: Path = BUDGETS) -> Budgets:
    """Reads the file."""
    try:
        with path.open("rb") as file:
            tables = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as e:
        raise ToolError(f"{path.name}: {e}") from e
    return Budgets({name: rows for name, rows in tables.items() if name != "peers"}, tables.get("peers", {}))


def _number(text: str) -> int | None:
    return int(text) if text else None


def image_figures(elf: Path) -> list[Figures]:
    """The hypervisor's image: code, and all that it takes in memory."""
    said = subprocess.run(["size", elf], capture_output=True, text=True, check=True).stdout.splitlines()[1].split()
    text, total = int(said[0]), int(said[3])
    return [Figures("image: bytes of code and constants", text, text), Figures("image: bytes in all", total, total)]


def figures(text: str, one_cpu: bool = True) -> list[Figures]:
    """The rows of a serial log, in their order. Of two VMs that print the same row, the first one's.

    The boot's cost is a difference of TSCs, which are instructions with one CPU only.
    """
    found: dict[str, Figures] = {}
    for name, minimum, median, *counted in COST.findall(text):
        found.setdefault(name, Figures(name, int(minimum), int(median), *(_number(n) for n in counted)))
    stages = {name: int(kticks) * 1000 for name, kticks in STAGE.findall(text)}
    if one_cpu and "boot" in stages and "run" in stages:
        took = stages["run"] - stages["boot"]
        found[BOOT] = Figures(BOOT, took, took)
    for owner, kib in MEMORY.findall(text):
        name = f"memory: KiB of pages for {'itself' if owner == 'hypervisor' else owner}"
        found[name] = Figures(name, int(kib), int(kib))
    return list(found.values())


def measured(section: str, text: str, one_cpu: bool) -> list[Figures]:
    """All rows of a test: its serial log's, and once the image's."""
    return figures(text, one_cpu) + (image_figures(build_dir() / "aril.elf") if section == IMAGE_SECTION else [])


def problems(section: str, rows: list[Figures]) -> list[str]:
    """Budgets that are exceeded, rows without one, and budgets of rows that nobody measured."""
    known = load_budgets().sections.get(section, {})
    said = []
    for row in rows:
        if row.name not in known:
            said.append(f"{row.name}: has no budget in {BUDGETS.name} [\"{section}\"]")
            continue
        for what, have, allowed in zip(("instructions", "VMREADs", "VMWRITEs"), row.counts(), known[row.name]):
            if have > allowed:
                said.append(f"{row.name}: {have} {what}, budget {allowed}")
    names = {row.name for row in rows}
    return said + [f"{name}: has a budget, but was not measured" for name in known if name not in names]


def _accesses(reads: int | None, writes: int | None) -> str:
    return "" if reads is None else f"{reads}/{writes}"


def table(section: str, rows: list[Figures]) -> list[list[str]]:
    """Head and rows, the budget and the peers beside what was measured."""
    budgets = load_budgets()
    lines = [[section, "min", "median", "budget", "r/w", "exits", "KVM", "ACRN", "r/w"]]
    for row in rows:
        allowed = budgets.sections.get(section, {}).get(row.name, [])
        peers = budgets.peers.get(row.name, {})
        lines.append([row.name, str(row.minimum), str(row.median), str(allowed[0]) if allowed else "-",
                      _accesses(row.reads, row.writes), "" if row.exits is None else str(row.exits),
                      peers.get("kvm", "-"), peers.get("acrn", "-"), peers.get("acrn_rw", "")])
    return lines


def as_text(lines: list[list[str]]) -> str:
    """A table for a terminal."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join([line[0].ljust(widths[0]), *(line[i].rjust(widths[i]) for i in range(1, len(line)))])
                     for line in lines)


def as_markdown(tables: list[list[list[str]]]) -> str:
    """The same for doc/exit-costs.md; a row that a table before has with nearly the same median is left out."""
    shown: dict[str, int] = {}
    text = []
    for head, *lines in tables:
        new = [line for line in lines if abs(shown.get(line[0], -1) - int(line[2])) * 20 > int(line[2])]
        shown.update((line[0], int(line[2])) for line in new)
        rows = [head, ["---", *("---:" for _ in head[1:])], *new]
        text.append("\n".join("| " + " | ".join(row) + " |" for row in rows))
    return "\n\n".join(text)


def _budget_of(row: Figures) -> list[int]:
    """Two percent of room for other compilers; more for timers, and for what each feature adds to."""
    percent = next((room for word, room in ROOM.items() if word in row.name), 2)
    return [row.median + max(row.median * percent // 100, 4), *row.counts()[1:]]


def set_budgets(tables: dict[str, list[Figures]], path: Path = BUDGETS) -> None:
    """Replaces the sections in `tables` by what was measured and a little room; the rest of the file stays."""
    text = path.read_text()
    for section, rows in tables.items():
        lines = [f'["{section}"]', *(f'"{row.name}" = {_budget_of(row)}' for row in rows)]
        found = re.search(rf'^\["{re.escape(section)}"\]\n(?:(?!\[).*\n?)*', text, re.M)
        new = "\n".join(lines) + "\n"
        if found:
            more = "\n" if text[found.end():] else ""
            text = text[:found.start()] + new + more + text[found.end():]
        else:
            text = text.rstrip("\n") + "\n\n" + new
    path.write_text(text)
