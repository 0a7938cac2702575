# SPDX-License-Identifier: BSD-3-Clause
"""What exits cost: the figures that the guest `exits` prints, and the budgets that they must keep."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from lib.common import TOP, ToolError

BUDGETS = TOP / "tests" / "bench" / "budgets.toml"
COST = re.compile(r"^(?:\[\w+\] )*INFO: exits: cost (.+): min (\d+) median (\d+)\s*$", re.M)
STAGE = re.compile(r"^\(aril\) summary: stage (\w+) (\d+)\s*$", re.M)


@dataclass(frozen=True)
class Row:
    """One line of the table. `budget` is for the median; None: there is none yet."""
    name: str
    minimum: int
    median: int
    budget: int | None = None
    kvm: str = "-"
    acrn: str = "-"


def load_budgets(path: Path = BUDGETS) -> dict[str, dict[str, dict[str, int | str]]]:
    """Section (a test's name) -> row -> budget, kvm, acrn."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as e:
        raise ToolError(f"{path.name}: {e}") from e


def figures(text: str) -> dict[str, tuple[int, int]]:
    """Row -> (minimum, median), of a serial log. Of two VMs that print the same row, the first one's."""
    found: dict[str, tuple[int, int]] = {}
    for name, minimum, median in COST.findall(text):
        found.setdefault(name, (int(minimum), int(median)))
    stages = {name: int(kticks) * 1000 for name, kticks in STAGE.findall(text)}
    if "boot" in stages and "run" in stages:
        took = stages["run"] - stages["boot"]
        found["boot: entry to the first guest instruction"] = (took, took)
    return found


def rows(section: str, text: str) -> list[Row]:
    """The measured rows in the order in which they were printed, with what the budgets say about them."""
    known = load_budgets().get(section, {})
    result = []
    for name, (minimum, median) in figures(text).items():
        entry = known.get(name, {})
        budget = entry.get("budget")
        result.append(Row(name, minimum, median, budget if isinstance(budget, int) else None,
                          str(entry.get("kvm", "-")), str(entry.get("acrn", "-"))))
    return result


def problems(section: str, text: str) -> list[str]:
    """Budgets that are exceeded, and budgets of rows that nobody measured."""
    measured = rows(section, text)
    said = [f"{row.name}: {row.median} instructions, budget {row.budget}" for row in measured
            if row.budget is not None and row.median > row.budget]
    names = {row.name for row in measured}
    said += [f"{row.name}: has no budget in {BUDGETS.name} [\"{section}\"]" for row in measured if row.budget is None]
    return said + [f"{name}: has a budget, but was not measured" for name in load_budgets().get(section, {})
                   if name not in names]


def table(section: str, text: str) -> str:
    """The rows as text."""
    head = ("", "min", "median", "budget", "KVM", "ACRN")
    lines = [(row.name, str(row.minimum), str(row.median), "-" if row.budget is None else str(row.budget),
              row.kvm, row.acrn) for row in rows(section, text)]
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]

    def show(line: tuple[str, ...]) -> str:
        return "  ".join([line[0].ljust(widths[0]), *(line[i].rjust(widths[i]) for i in range(1, len(head)))])

    return "\n".join([section, show(head), *(show(line) for line in lines)])
