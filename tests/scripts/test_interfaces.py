#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/check-interfaces finds what is missing in doc/interfaces.md."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import unittest
from pathlib import Path
from types import ModuleType

TOP = Path(__file__).resolve().parents[2]
DOCUMENT = TOP / "doc" / "interfaces.md"
RAM_TOUCH = "`unit:ram_touch_goes_over_pages_and_regions`, `test:pre/map_test`"	# all that one row has


def script() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("check_interfaces", str(TOP / "scripts" / "check-interfaces"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


class Interfaces(unittest.TestCase):
    checker = script()

    def verdict(self, old: str = "", new: str = "") -> list[str]:
        text = DOCUMENT.read_text(encoding="utf-8")
        self.assertIn(old, text)
        problems: list[str] = self.checker.check(text.replace(old, new), self.checker.unit_tests(),
                                                 self.checker.system_tests(), self.checker.our_headers())
        return problems

    def test_the_document_is_whole(self) -> None:
        self.assertEqual(self.verdict(), [])

    def test_a_missing_name(self) -> None:
        self.assertIn("section 4 does not say where vmm_vspace is", self.verdict("vmm_vspace", "other"))

    def test_a_missing_unit_test(self) -> None:
        self.assertEqual(self.verdict("unit:vcpu_start_only_once", "unit:vcpu_start_twice"),
                         ["there is no unit test vcpu_start_twice"])

    def test_a_missing_system_test(self) -> None:
        self.assertEqual(self.verdict("test:svm/pio`", "test:svm/oip`"), ["scripts/test has no svm/oip"])

    def test_a_missing_function_and_structure(self) -> None:
        self.assertIn("no header declares vm_ram_pat()", "\n".join(self.verdict("vm_ram_touch()", "vm_ram_pat()")))
        self.assertIn("no header has struct vm_men", "\n".join(self.verdict("struct vm_mem`", "struct vm_men`")))

    def test_a_row_without_a_test(self) -> None:
        self.assertIn("no test shows it", "\n".join(self.verdict(RAM_TOUCH, "")))


if __name__ == "__main__":
    unittest.main()
