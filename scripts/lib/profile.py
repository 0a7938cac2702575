# SPDX-License-Identifier: BSD-3-Clause
"""Where the instructions of a row of scripts/bench go: what the profiling Bochs writes, by function."""

from __future__ import annotations

import bisect
import subprocess
from collections import Counter
from pathlib import Path

HYPERVISOR = 0xFFFF800000000000	# what lies below is a guest's
ROUNDS = 1001


def functions(elf: Path) -> tuple[list[int], list[str]]:
    """Addresses and names of the text symbols, sorted."""
    out = subprocess.run(["nm", "-n", elf], capture_output=True, text=True, check=True).stdout
    found = [(int(f[0], 16), f[2]) for f in (line.split() for line in out.splitlines())
             if len(f) == 3 and f[1] in "tTwW"]
    return [address for address, _ in found], [name for _, name in found]


def by_function(profile: Path, elf: Path, number: int) -> Counter[str]:
    """Function -> instructions per round of row `number`; all guests' are one."""
    addresses, names = functions(elf)
    total: Counter[str] = Counter()
    for line in profile.read_text().splitlines():
        row, _, rip, times = line.split()
        if int(row) == number:
            at = int(rip, 16)
            name = names[max(bisect.bisect_right(addresses, at) - 1, 0)] if at >= HYPERVISOR else "(guests)"
            total[name] += int(times)
    return Counter({name: round(times / ROUNDS) for name, times in total.items() if times >= ROUNDS // 2})


def table(profile: Path, elf: Path, number: int) -> str:
    """The functions, the most expensive one first."""
    counts = by_function(profile, elf, number)
    lines = [f"{times:7}  {name}" for name, times in counts.most_common()]
    return "\n".join([*lines, f"{counts.total():7}  in a round, the two looks at the counters among them"])
