#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/check-style complains about each thing it is for, and about nothing else."""

from __future__ import annotations

import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check-style"
LICENCE = "/* SPDX-License-Identifier: BSD-3-Clause */\n"
GUARD = "#ifndef HV_A_H\n#define HV_A_H\n\n#endif\n"


def complaints(name: str, text: str) -> list[str]:
    """What it says about a tree with this one file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        out = subprocess.run([str(SCRIPT), "--top", folder], capture_output=True, text=True, check=False).stdout
    return [line for line in out.splitlines() if line.startswith(name)]


class Style(unittest.TestCase):
    def test_good(self) -> None:
        self.assertEqual(complaints("hypervisor/a.c", LICENCE + "int a;\n"), [])
        self.assertEqual(complaints("include/hv/a.h", LICENCE + GUARD), [])
        self.assertEqual(complaints("hypervisor/a.c", LICENCE + "\t" * 14 + "1234567;\n"), [])

    def test_bad(self) -> None:
        function = "int f(int a,\n\tint b)\n{\n" + "\ta++;\n" * 80 + "}\n"
        for name, text, what in (
                ("hypervisor/a.c", "int a;\n", "first line"),
                ("hypervisor/a.c", LICENCE + "int a; \n", "blanks"),
                ("hypervisor/a.c", LICENCE + "int a;", "newline"),
                ("hypervisor/a.c", LICENCE + "\t" * 14 + "123456789;\n", "122 columns"),
                ("hypervisor/a.c", LICENCE + '"' + "/ho" + 'me/somebody"\n', "path"),
                ("hypervisor/a.c", LICENCE + "int a;\n" * 800, "801 lines"),
                ("hypervisor/a.c", LICENCE + function, "f has 84 lines"),
                ("include/hv/a.h", LICENCE + "int a;\n", "no include guard"),
                ("include/hv/a.h", LICENCE + GUARD.replace("A_H", "B_H"), "HV_A_H")):
            said = complaints(name, text)
            self.assertEqual(len(said), 1, (what, said))
            self.assertIn(what, said[0])


if __name__ == "__main__":
    unittest.main()
