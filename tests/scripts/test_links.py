#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The documents' links are whole, and scripts/check-links notices when they aren't."""

from __future__ import annotations

import subprocess
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
SCRIPT = TOP / "scripts" / "check-links"

CODE = "/* a */\nint one(void)\n{\n\treturn two();\n}\n\nstatic int two(void)\n{\n\treturn 2;\n}\n"


class Tree:
    """A small tree with one document."""

    def __init__(self, folder: str, text: str):
        self.top = Path(folder)
        (self.top / "doc").mkdir()
        (self.top / "hypervisor").mkdir()
        (self.top / "hypervisor" / "a.c").write_text(CODE)
        (self.top / "doc" / "b.md").write_text("# First part\n\n## `x.c`, and more\n")
        self.page = self.top / "doc" / "page.md"
        self.page.write_text(text)


def check(top: Path, *options: str) -> tuple[int, str]:
    done = subprocess.run([str(SCRIPT), "--top", str(top), *options], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


class Links(unittest.TestCase):
    def verdict(self, text: str, *options: str) -> tuple[int, str, str]:
        with tempfile.TemporaryDirectory() as folder:
            tree = Tree(folder, text)
            code, said = check(tree.top, *options)
            return code, said, tree.page.read_text()

    def test_this_tree(self) -> None:
        code, said = check(TOP)
        self.assertEqual(code, 0, said)

    def test_good(self) -> None:
        code, said, _ = self.verdict("[b](b.md) [b](b.md#first-part) [m](b.md#xc-and-more)\n"
                                     "[`one()`](../hypervisor/a.c#L2) `hypervisor/a.c` [w](https://x.invalid/y)\n"
                                     "```\n[no](link.md) `hypervisor/none.c`\n```\n")
        self.assertEqual((code, said), (0, "5 links and names, 0 wrong\n"))

    def test_bad(self) -> None:
        for text, complaint in (
                ("[x](none.md)", "page.md:1: there is no none.md"),
                ("\n[x](../../../etc)", "page.md:2: there is no ../../../etc"),
                ("[x](b.md#second)", "b.md has no heading #second"),
                ("[x](#here)", "this document has no heading #here"),
                ("[line](../hypervisor/a.c#L2)", "must have a name in backticks"),
                ("[`one`](../hypervisor/a.c#L3)", "line 3 of a.c has no `one`: it is on line 2"),
                ("[`one`](../hypervisor/a.c#L999)", "line 999 of a.c has no `one`: it is on line 2"),
                ("[`three`](../hypervisor/a.c#L2)", "no `three`: it is nowhere"),
                ("[`on`](../hypervisor/a.c#L2)", "no `on`: it is nowhere"),
                ("`hypervisor/b.c`", "there is no hypervisor/b.c"),
                ("see doc/none.md", "there is no doc/none.md")):
            code, said, _ = self.verdict(text)
            self.assertEqual(code, 1, text)
            self.assertIn(complaint, said)

    def test_fix_prefers_definitions(self) -> None:
        code, said, page = self.verdict("[`two()`](../hypervisor/a.c#L3) and [`one`](../hypervisor/a.c#L9)\n", "--fix")
        self.assertEqual(code, 0, said)
        self.assertEqual(page, "[`two()`](../hypervisor/a.c#L7) and [`one`](../hypervisor/a.c#L2)\n")

    def test_fix_keeps_code(self) -> None:
        text = "```\n[`one`](../hypervisor/a.c#L9)\n```\n"
        self.assertEqual(self.verdict(text, "--fix")[2], text)


if __name__ == "__main__":
    unittest.main()
