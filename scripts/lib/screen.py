# SPDX-License-Identifier: BSD-3-Clause
"""Reads what is on a QEMU machine's screen: VGA text memory, or pixels with the hypervisor's own font."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

from lib.common import TOP, ToolError
from lib.machine import Machine

WIDTH, HEIGHT = 8, 16		# a character cell


@cache
def _glyphs() -> dict[bytes, str]:
    """Cell picture -> character, from hypervisor/debug/font.c, compiled for this machine."""
    with tempfile.TemporaryDirectory(prefix="aril-font-") as name:
        library = Path(name) / "font.so"
        done = subprocess.run(["gcc", "-shared", "-fPIC", "-O1", f"-I{TOP}/include",
                               "-o", str(library), str(TOP / "hypervisor" / "debug" / "font.c")],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ToolError(f"font.c does not compile for the host:\n{done.stderr[-500:]}")
        row = ctypes.CDLL(str(library)).font_row
        row.argtypes, row.restype = [ctypes.c_char, ctypes.c_uint32], ctypes.c_uint8
        return {bytes(row(bytes([c]), y) for y in range(HEIGHT)): chr(c) for c in range(0x20, 0x7F)}


def _decode(ppm: bytes) -> str:
    """Text of a picture whose characters stand on the grid of cells from its upper left corner."""
    fields = ppm.split(maxsplit=4)
    if fields[0] != b"P6":
        raise ToolError("the screen dump is no binary PPM")
    width, height = int(fields[1]), int(fields[2])
    pixels = ppm[len(ppm) - width * height * 3:]
    glyphs = _glyphs()
    lines = []
    for top in range(0, height - HEIGHT + 1, HEIGHT):
        line = ""
        for left in range(0, width - WIDTH + 1, WIDTH):
            rows = [((top + y) * width + left) * 3 for y in range(HEIGHT)]
            dots = [[pixels[at + 3 * x:at + 3 * x + 3] for x in range(WIDTH)] for at in rows]
            # The background is what most of the cell is; errors have another one.
            counts = Counter(dot for row in dots for dot in row)
            background = counts.most_common(1)[0][0]
            cell = bytes(sum(0x80 >> x for x in range(WIDTH) if row[x] != background) for row in dots)
            line += glyphs.get(cell, "?")
        lines.append(line.rstrip())
    return "\n".join(lines)


def screen_text(machine: Machine) -> str:
    """What can be read on the screen. Only for machines of kind qemu."""
    if machine.config.firmware == "bios":
        return machine.text_screen()
    return _decode(machine.screen_dump().read_bytes())
