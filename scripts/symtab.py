#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The table of function names that the hypervisor's backtraces use.

  symtab.py nm-output out.S    the table of the functions in `nm -n` output ("-": an empty table)

The image is linked twice: the table follows the text, so its size moves no function.
"""
import sys
from pathlib import Path

IMAGE_BASE = 0xFFFFFFFF80000000


def functions(nm: str) -> list[tuple[int, str]]:
    """(offset from the image's base, name) of every text symbol, sorted, one name for each address."""
    found: dict[int, str] = {}
    for line in nm.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] in "tTwW" and int(fields[0], 16) >= IMAGE_BASE:
            found.setdefault(int(fields[0], 16) - IMAGE_BASE, fields[2])
    return sorted(found.items())


def assembly(table: list[tuple[int, str]]) -> str:
    """The table as assembly source."""
    lines = ["/* SPDX-License-Identifier: BSD-3-Clause */", '\t.section .symtab_blob, "a"',
             "\t.globl symtab_count, symtab_addr, symtab_name, symtab_strings", "\t.balign 4",
             f"symtab_count:\n\t.long {len(table)}", "symtab_addr:"]
    lines += [f"\t.long {offset:#x}" for offset, _ in table]
    lines.append("symtab_name:")
    at = 0
    for _, name in table:
        lines.append(f"\t.long {at}")
        at += len(name) + 1
    lines.append("symtab_strings:")
    lines += [f'\t.asciz "{name}"' for _, name in table]
    lines += ["\t.byte 0", '\t.section .note.GNU-stack, "", @progbits', ""]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Entry point; returns the exit status."""
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    source, target = arguments
    table = [] if source == "-" else functions(Path(source).read_text())
    Path(target).write_text(assembly(table))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
