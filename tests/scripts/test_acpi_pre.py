#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A pre-launched VM's ACPI tables, read by ACPICA: iasl takes each apart and puts it together again, the same."""

from __future__ import annotations

import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path[:0] = [str(TOP / "scripts")]

from lib.common import build_dir

BASE = 0xF0000
MAKER = """
#include <hv/vm_acpi_pre.h>
#include <stdio.h>

int main(void)
{
	static uint8_t area[VM_ACPI_PRE_SIZE];
	const struct vm_acpi_pre_input in = {.apic_id = {0, 1, 2, 300}, .cpu_count = 4, .has_com1 = true};

	return (vm_acpi_pre_make(&in, area) != 0) || (fwrite(area, 1, sizeof(area), stdout) != sizeof(area));
}
"""


def make_area(folder: Path) -> bytes:
    """The tables as the guest sees them from BASE on."""
    source = folder / "maker.c"
    source.write_text(MAKER)
    subprocess.run(["gcc", "-std=gnu17", "-I", TOP / "tests/fake/include", "-I", TOP / "include",
                    "-I", build_dir() / "include", "-o", folder / "maker", source, TOP / "hypervisor/vm_acpi_pre.c",
                    TOP / "hypervisor/lib/acpi_table.c"], check=True)
    return subprocess.run([folder / "maker"], check=True, capture_output=True).stdout


def tables(area: bytes) -> dict[str, bytes]:
    """All tables by signature: what the roots name, and what the FADT names."""
    def table(address: int) -> tuple[str, bytes]:
        at = address - BASE
        size, = struct.unpack_from("<I", area, at + 4)
        return area[at:at + 4].decode(), area[at:at + size]

    rsdt, = struct.unpack_from("<I", area, 16)
    xsdt, = struct.unpack_from("<Q", area, 24)
    found = dict([table(rsdt), table(xsdt)])
    found |= dict(table(address) for address, in struct.iter_unpack("<Q", found["XSDT"][36:]))
    fadt = found["FACP"]
    found |= dict(table(address) for address in struct.unpack_from("<II", fadt, 36))
    return found


def contents(data: bytes) -> bytes:
    """Without checksum and the compiler's name, which iasl puts in."""
    return data[:9] + data[10:28] + data[36:]


class AcpiPreTest(unittest.TestCase):
    def test_iasl_reads_them_back(self) -> None:
        with tempfile.TemporaryDirectory(prefix="aril-acpi-") as name:
            folder = Path(name)
            found = tables(make_area(folder))
            self.assertLessEqual({"RSDT", "XSDT", "FACP", "APIC", "DSDT", "FACS"}, set(found))
            for signature, data in found.items():
                with self.subTest(signature):
                    (folder / f"{signature}.aml").write_bytes(data)
                    for argv in (["iasl", "-d", f"{signature}.aml"], ["iasl", "-oa", "-we", f"{signature}.dsl"]):
                        done = subprocess.run(argv, capture_output=True, text=True, cwd=folder, check=False)
                        said = done.stdout + done.stderr
                        self.assertEqual(done.returncode, 0, said)
                        self.assertNotRegex(said, r"(?m)^(Error|Warning)|Invalid|[1-9]\d* (Errors|Warnings)")
                    again = (folder / f"{signature}.aml").read_bytes()
                    self.assertEqual(contents(again), contents(data))


if __name__ == "__main__":
    unittest.main()
