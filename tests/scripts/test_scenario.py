#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tests of scripts/scenario: each rule with the line and words of its message, round trips, pictures, and that the
hypervisor's own reader (built for the host when a compiler is there) is of the same opinion.

Run: python3 tests/scripts/test_scenario.py
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "scripts" / "scenario"
SHIPPED = sorted((ROOT / "boot" / "scenarios").glob("*.xml"))
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "scripts" / "lib"))

import scenario_blob  # noqa: E402
import scenario_rules  # noqa: E402
import scenario_xml  # noqa: E402
from scenario_model import Limits, Problem, ScenarioError  # noqa: E402

# One element per line, so that a message's line can be told.
SAMPLE = """<aril-config scenario="sample">
  <hv>
    <FEATURES><SCHEDULER>SCHED_BVT</SCHEDULER></FEATURES>
    <DEBUG_OPTIONS>
      <SERIAL_CONSOLE>ttyS0</SERIAL_CONSOLE>
      <SERIAL_BAUD>115200</SERIAL_BAUD>
      <CONSOLE_VM>SVM</CONSOLE_VM>
    </DEBUG_OPTIONS>
    <CAPACITIES><MAX_PCPU_NUM>8</MAX_PCPU_NUM></CAPACITIES>
    <vuart_connections>
      <vuart_connection>
        <name>wire</name>
        <endpoint><vm_name>PRE</vm_name><io_port>0x2F8</io_port></endpoint>
        <endpoint><vm_name>RAW</vm_name><io_port>0x3F8</io_port></endpoint>
      </vuart_connection>
    </vuart_connections>
    <connections>
      <connection><name>share</name><type>crossvm</type><dataport_size>64</dataport_size>
        <endpoint><vm_name>PRE</vm_name><emits>n</emits></endpoint>
        <endpoint><vm_name>RAW</vm_name></endpoint>
      </connection>
      <connection><name>echo</name><type>ivshmem</type><dataport_size>4</dataport_size>
        <endpoint><vm_name>HYPERVISOR</vm_name></endpoint>
        <endpoint><vm_name>PRE</vm_name></endpoint>
      </connection>
    </connections>
  </hv>
  <vm id="0">
    <load_order>PRE_LAUNCHED_VM</load_order>
    <name>PRE</name>
    <own_pcpu>y</own_pcpu>
    <cpu_affinity>
      <pcpu><pcpu_id>3</pcpu_id></pcpu>
      <pcpu><pcpu_id>3</pcpu_id></pcpu>
    </cpu_affinity>
    <memory>
      <hpa_region>
        <start_hpa>0x10000000</start_hpa>
        <size_hpa>64</size_hpa>
      </hpa_region>
    </memory>
    <debug_exit>y</debug_exit>
    <os_config>
      <kern_type>KERNEL_ELF</kern_type>
      <kern_mod>pre</kern_mod>
      <bootargs>a=1 b=2</bootargs>
      <modules><module tag="env">X=1</module></modules>
    </os_config>
    <pci_devs><pci_dev>00:1f.2 SATA</pci_dev></pci_devs>
  </vm>
  <vm id="1">
    <load_order>PRE_LAUNCHED_VM</load_order>
    <name>RAW</name>
    <vcpu_num>2</vcpu_num>
    <memory><hpa_region>
      <start_hpa>0x14000000</start_hpa>
      <size_hpa>16</size_hpa>
    </hpa_region></memory>
    <os_config>
      <kern_type>KERNEL_RAWIMAGE</kern_type>
      <kern_mod>raw</kern_mod>
      <kern_load_addr>0x1000</kern_load_addr>
      <kern_entry_addr>0x1004</kern_entry_addr>
    </os_config>
    <passthrough_ports>
      <port_range><first>0x300</first><last>0x31f</last></port_range>
      <port_range vcpu="1"><first>0x80</first><last>0x80</last></port_range>
    </passthrough_ports>
  </vm>
  <vm id="2">
    <load_order>SERVICE_VM</load_order>
    <name>SVM</name>
    <console_vuart>COM Port 1</console_vuart>
    <os_config>
      <kern_type>KERNEL_BZIMAGE</kern_type>
      <kern_mod>svm</kern_mod>
    </os_config>
  </vm>
  <vm id="3">
    <load_order>POST_LAUNCHED_VM</load_order>
    <name>UVM</name>
    <memory><size>128</size></memory>
  </vm>
  <dynamic_vms>
    <slots>2</slots>
  </dynamic_vms>
</aril-config>
"""

# (text in SAMPLE, its replacement, words in the message before and after the ';'[, text in whose line it is reported])
STRUCTURE = [
    ("<name>UVM</name>", "<nmae>UVM</nmae>", "<nmae> is unknown", "did you mean <name>"),
    ("<name>UVM</name>", "<name>U VM</name>", "'U VM'", "use 1..15 of"),
    ("<name>UVM</name>", "<name>Sixteen_letters_</name>", "Sixteen", "use 1..15 of"),
    ("    <name>UVM</name>\n", "", "<vm> lacks an element", "add <name>", "<vm id=\"3\">"),
    ("<slots>2", "<slots>two", "<slots> has the value 'two'", ""),
    ("<vm id=\"3\">", "<vm>", "lacks the attribute id", "add it"),
    ("<vm id=\"3\">", "<vm id=\"3\" x=\"1\">", "no attribute x", "take it out"),
    ("KERNEL_ELF", "KERNEL_COFF", "KERNEL_COFF", "use one of KERNEL_BZIMAGE, KERNEL_ELF"),
    ("0x1004", "4100", "'4100'", "0x and hexadecimal"),
    ("0x31f", "0x10000", "'0x10000'", "up to 4 hexadecimal"),
    ("ttyS0", "COM1", "'COM1'", "ttyS0..ttyS3"),
    ("<pcpu_id>3</pcpu_id></pcpu>\n    </cpu", "<pcpu_id>1-3</pcpu_id></pcpu>\n    </cpu", "'1-3'", "one decimal"),
    ("00:1f.2 SATA", "1f.2", "'1f.2'", "as lspci prints it"),
    ("<own_pcpu>y", "<own_pcpu>yes", "'yes'", "use one of y, n"),
    ("</aril-config>", "", "not well-formed XML", "mend the markup"),
    ("<vcpu_num>2</vcpu_num>", "<vcpu_num>2</vcpu_num><bvt_warp_value>9000</bvt_warp_value>",
     "<bvt_warp_value> has the value '9000'", "-8192..8192"),
    ("<slots>2</slots>", "<slots>2</slots><slots>1</slots>", "given twice", "take it out"),
]
MEANING = [
    ('<vm id="3">', '<vm id="7">', "id 7 of 'UVM' is out of order", "write 3"),
    ("<name>UVM</name>", "<name>PRE</name>", "'PRE' is taken by the VM in line 30", "rename"),
    ("<load_order>POST_LAUNCHED_VM", "<load_order>SERVICE_VM", "second Service VM", "make it"),
    ("<load_order>POST_LAUNCHED_VM", "<load_order>PRE_LAUNCHED_VM", "stands after SERVICE_VM", "order them"),
    ("<slots>2", "<slots>5", "9 VMs and dynamic slots", "take some out"),
    ("<slots>2", "<slots>0", "0 slots", "at least 1"),
    ("<CONSOLE_VM>SVM", "<CONSOLE_VM>SWM", "'SWM' is no VM", "PRE, RAW, SVM, UVM"),
    ("<SERIAL_BAUD>115200", "<SERIAL_BAUD>100000", "100000 can't be set", "divisor"),
    ("<MAX_PCPU_NUM>8", "<MAX_PCPU_NUM>65", "65 is above", "up to 64"),
    ("<MAX_PCPU_NUM>8", "<MAX_PCPU_NUM>3", "pCPU 3, ids go up to 2", "raise MAX_PCPU_NUM", "<pcpu><pcpu_id>3"),
    ("<vcpu_num>2</vcpu_num>", "<cpu_affinity><pcpu><pcpu_id>3</pcpu_id></pcpu></cpu_affinity>",
     "pCPU 3, which 'PRE' owns", "own_pcpu to n"),
    ("<vcpu_num>2</vcpu_num>", "<own_pcpu>y</own_pcpu>", "doesn't name them", "add cpu_affinity"),
    ("<name>SVM</name>", "<name>SVM</name><cpu_affinity><pcpu><pcpu_id>1</pcpu_id></pcpu><pcpu><pcpu_id>1</pcpu_id>"
     "</pcpu></cpu_affinity>", "names a pCPU twice", "name each once"),
    ("SCHED_BVT", "SCHED_NOOP", "with SCHED_NOOP each has one vCPU", "SCHED_IORR", "<cpu_affinity>"),
    ("    <own_pcpu>y</own_pcpu>\n", "<vcpu_num>2</vcpu_num>\n", "vcpu_num and cpu_affinity", "take vcpu_num out"),
    ("<size_hpa>16", "<size_hpa>15", "15 MB", "even number"),
    ("<memory><size>128", "<memory><size>127", "127 MB", "even number"),
    ("0x14000000", "0x13e00000", "overlaps that of 'PRE'", "move one", "<memory><hpa_region>"),
    ("0x14000000", "0x14100000", "no multiple of 2 MiB", "move it"),
    ("<memory><size>128</size></memory>", "<memory><hpa_region><start_hpa>0x20000000</start_hpa><size_hpa>2</size_hpa>"
     "</hpa_region></memory>", "only a pre-launched VM", "take it out"),
    ("<size_hpa>16</size_hpa>\n    </hpa_region>", "<size_hpa>16</size_hpa>\n    </hpa_region><size>32</size>",
     "size is 32 MB but size_hpa is 16", "the same",
     "<memory><hpa_region>"),
    ("<memory><size>128</size></memory>",
     "<os_config><kern_type>KERNEL_ELF</kern_type><kern_mod>x</kern_mod></os_config>", "device model loads it",
     "take os_config out"),
    ("      <kern_load_addr>0x1000</kern_load_addr>\n", "", "needs kern_load_addr", "add both",
     "<kern_type>KERNEL_RAW"),
    ("KERNEL_RAWIMAGE", "KERNEL_ELF", "says itself where", "take kern_load_addr", "<kern_load_addr>"),
    ("0x1004", "0xfff", "below kern_load_addr", "inside the image"),
    ("0x1004", "0x1000000", "outside the 16 MB", "more memory"),
    ("a=1 b=2", "a=1 b=\u00e4", "printable ASCII", "take it out"),
    ("<first>0x300</first><last>0x31f", "<first>0x31f</first><last>0x300", "reversed", "swap"),
    ("<first>0x300</first><last>0x31f", "<first>0xcf8</first><last>0xcff", "the hypervisor emulates", "leave"),
    ("<first>0x300</first><last>0x31f", "<first>0x3f0</first><last>0x3f8", "console at 0x3f8", "SERIAL_CONSOLE"),
    ("</port_range>", "</port_range><port_range><first>0x310</first><last>0x310</last></port_range>",
     "overlaps another of its own", "join"),
    ("<debug_exit>y</debug_exit>", "<debug_exit>y</debug_exit><passthrough_ports><port_range><first>0xf0</first>"
     "<last>0xff</last></port_range></passthrough_ports>", "debug-exit port 0xf4", "debug_exit to n"),
    ("<debug_exit>y</debug_exit>", "<passthrough_ports><port_range><first>0x31f</first><last>0x31f</last>"
     "</port_range></passthrough_ports>", "given to 'PRE' too", "one owner", "<port_range><first>0x300"),
    ("<port_range>", '<port_range vcpu="2">', "vCPU 2 of 'RAW', which has 2", "from 0 to 1", "<port_range"),
    ("<console_vuart>COM Port 1</console_vuart>", '<passthrough_ports><port_range vcpu="0"><first>0x400</first>'
     "<last>0x400</last></port_range></passthrough_ports>", "every vCPU has them", "IGNORE"),
    ("<memory><size>128</size></memory>", "<unhandled_port>PASSTHROUGH</unhandled_port>", "SERVICE_VM only",
     "use IGNORE"),
    ("<debug_exit>y</debug_exit>", "<unhandled_port>FORWARD</unhandled_port>", "POST_LAUNCHED_VM only", "use IGNORE"),
    ("<memory><size>128</size></memory>", "<pci_devs><pci_dev>00:02.0</pci_dev></pci_devs>", "Service VM hands", "out"),
    ("<console_vuart>COM Port 1</console_vuart>", "<pci_devs><pci_dev>00:1F.2</pci_dev></pci_devs>",
     "00:1f.2 is given to 'PRE' too", "take one out"),
    ("00:1f.2 SATA</pci_dev>", "00:1f.2</pci_dev><pci_dev>00:1f.2</pci_dev>", "listed twice", "take one out"),
    ("<pci_devs>", "<pci_devs policy=\"ALL\">", "for the Service VM", "list the functions"),
    ("<pci_devs>", "<pci_devs policy=\"NONE\">", "doesn't fit 1 listed", "LISTED goes with"),
    ("<vm_name>RAW", "<vm_name>RAV", "'RAV' is no VM", "write one of"),
    ("<vm_name>RAW</vm_name><io_port>0x3F8", "<vm_name>RAW</vm_name><io_port>0x3E8", "no COM port", "use 0x3F8"),
    ("<vm_name>RAW", "<vm_name>SVM", "is its console_vuart", "other COM port"),
    ("<vm_name>RAW</vm_name><io_port>0x3F8", "<vm_name>PRE</vm_name><io_port>0x2F8", "already", "other COM port"),
    ("<name>echo", "<name>share", "is taken by the connection", "rename one"),
    ("<dataport_size>64", "<dataport_size>48", "no power of two", "write 64"),
    ("<endpoint><vm_name>PRE</vm_name></endpoint>", "<endpoint><vm_name>HYPERVISOR</vm_name></endpoint>",
     "both ends are the hypervisor", "name a VM"),
    ("<endpoint><vm_name>RAW</vm_name></endpoint>", "<endpoint><vm_name>RAV</vm_name></endpoint>", "'RAV' is no VM",
     "write one of"),
]


def run(*args: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, TOOL, *args], capture_output=True, text=True, check=False)


class ScenarioTest(unittest.TestCase):
    judge: Path | None = None  # the hypervisor's reader as a host program

    @classmethod
    def setUpClass(cls) -> None:
        cls.dir = Path(tempfile.mkdtemp())
        compiler = shutil.which("gcc") or shutil.which("clang")
        if compiler:
            cls.judge = cls.dir / "judge"
            subprocess.run([compiler, "-std=gnu17", "-g", "-DFUZZ_STANDALONE", "-fsanitize=address,undefined",
                            "-Iinclude", "-Iarch/x86/include", "-Itests/fake/include", "tests/fuzz/fuzz_scenario.c",
                            "hypervisor/scenario.c", "hypervisor/scenario_links.c", "hypervisor/scenario_machine.c",
                            "-o", cls.judge],
                           check=True, cwd=ROOT)

    @classmethod
    def tearDownClass(cls) -> None:
        shutil.rmtree(cls.dir)

    def sample(self, old: str = "", new: str = "") -> Path:
        self.assertIn(old, SAMPLE)
        path = self.dir / "sample.xml"
        path.write_text(SAMPLE.replace(old, new, 1) if old else SAMPLE, encoding="utf-8")
        return path

    def verdict(self, blob: bytes) -> str:
        """What the hypervisor says to a blob."""
        if self.judge is None:
            self.skipTest("no C compiler")
        path = self.dir / "judged.bin"
        path.write_bytes(blob)
        done = subprocess.run([self.judge, path], capture_output=True, text=True, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return done.stdout.strip()

    def compiled(self, path: Path) -> bytes:
        out = self.dir / "out.bin"
        done = run("compile", path, "-o", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        return out.read_bytes()

    def problems(self, path: Path) -> list[Problem]:
        """What `check` finds, without starting a program each time."""
        try:
            scn, found = scenario_xml.read_xml(str(path))
            return found + scenario_rules.check(scn, str(path), Limits())
        except ScenarioError as err:
            return err.problems

    def expect_message(self, case: tuple[str, ...]) -> None:
        old, new, what, mend, *marker = case
        path = self.sample(old, new)
        text = path.read_text(encoding="utf-8")
        start = text.index(marker[0]) if marker else SAMPLE.index(old)
        start += len(text[start:]) - len(text[start:].lstrip())
        line = text.count("\n", 0, start) + 1
        found = [str(problem) for problem in self.problems(path)]
        self.assertTrue(found, f"{new} passed")
        for message in found:
            self.assertRegex(message, r"^\S+:\d+: .+; .+", "not file:line: what; how to mend it")
        here = [message for message in found if message.startswith(f"{path}:{line}: ") and what in message]
        self.assertTrue(here, f"no message in line {line} with '{what}':\n" + "\n".join(found))
        self.assertIn(mend, here[0].split("; ", 1)[1])

    def test_shipped_are_good(self) -> None:
        self.assertGreaterEqual(len(SHIPPED), 4)
        for path in SHIPPED:
            with self.subTest(path.name):
                self.assertEqual(run("check", path).stderr, "")
                self.assertEqual(self.verdict(self.compiled(path)).split(":")[0], path.stem)

    def test_shipped_fit_xmllint(self) -> None:
        if not shutil.which("xmllint"):
            self.skipTest("no xmllint")
        for path in SHIPPED:
            done = subprocess.run(["xmllint", "--noout", "--schema", SHIPPED[0].parent / "aril-scenario.xsd", path],
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_sample_is_good(self) -> None:
        done = run("check", self.sample())
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"\A[^\n]*warning: pci_devs of 'PRE' has no effect yet[^\n]*\n\Z")
        self.assertEqual(self.verdict(self.compiled(self.sample())), "sample: good, 6 VMs")

    def test_structure_messages(self) -> None:
        for case in STRUCTURE:
            with self.subTest(case[1]):
                self.expect_message(case)

    def test_another_root(self) -> None:
        path = self.dir / "acrn.xml"
        path.write_text(SAMPLE.replace("aril-config", "acrn-config"), encoding="utf-8")
        self.assertIn(f"{path}:1: the document is an <acrn-config>; it must be an <aril-config",
                      run("check", path).stderr)

    def test_meaning_messages(self) -> None:
        for case in MEANING:
            with self.subTest(case[1]):
                self.expect_message(case)

    def test_hypervisor_agrees(self) -> None:
        """What the rules refuse and a blob can say, the hypervisor refuses by itself."""
        # Not in the blob: ids, a double size, half a pair of addresses, vcpu_num beside a list, names of nobody.
        # The limits of the two differ or the packer sorts it away.
        unsayable = ("id 7", "size is 32", "needs kern_load_addr", "vcpu_num and cpu_affinity", "is no VM",
                     "no COM port", "65 is above", "printable ASCII", "device model loads it")
        for old, new, what, *_ in MEANING:
            if any(word in what for word in unsayable):
                continue
            with self.subTest(new):
                scn, _ = scenario_xml.read_xml(str(self.sample(old, new)))
                self.assertTrue(scenario_rules.check(scn, "x", Limits()))
                self.assertRegex(self.verdict(scenario_blob.pack(scn)), "^refused: ")

    def test_round_trip(self) -> None:
        for path in [*SHIPPED, self.sample()]:
            with self.subTest(path.name):
                blob = self.compiled(path)
                (self.dir / "in.bin").write_bytes(blob)
                back = self.dir / "back.xml"
                self.assertEqual(run("decompile", self.dir / "in.bin", "-o", back).returncode, 0)
                self.assertEqual(self.compiled(back), blob)
                self.assertEqual(run("show", back).stdout, run("show", self.dir / "in.bin").stdout)

    def test_damaged_blob(self) -> None:
        blob = self.compiled(self.sample())
        for bad, word in [(blob[:-8], "cut"), (blob[:100] + b"\x55" + blob[101:], "damaged"),
                          (blob[:20], "not a scenario")]:
            (self.dir / "bad.bin").write_bytes(bad)
            done = run("show", self.dir / "bad.bin")
            self.assertEqual(done.returncode, 1)
            self.assertIn(word, done.stderr)

    def test_limits_and_machine(self) -> None:
        config = self.dir / "config.h"
        config.write_text("#define CONFIG_MAX_VM_NUM 4\n#define CONFIG_MAX_PCPU_NUM 64U\n")
        self.assertIn("CONFIG_MAX_VM_NUM is 4", run("check", self.sample(), "--config", config).stderr)
        self.assertIn("machine has 0..1", run("check", self.sample(), "--cpus", "2").stderr)
        self.assertIn("VMs need 80 MB", run("check", self.sample(), "--memory", "79").stderr)
        self.assertEqual(run("check", self.sample(), "--memory", "80", "--cpus", "4").returncode, 0)

    def test_warning_is_no_error(self) -> None:
        path = self.sample("SCHED_BVT", "SCHED_IORR")
        path.write_text(path.read_text().replace("<vcpu_num>2", "<bvt_weight>3</bvt_weight><vcpu_num>2"))
        done = run("check", path)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"sample.xml:54: warning: bvt_weight")

    def test_no_half_written_blob(self) -> None:
        out = self.dir / "never.bin"
        self.assertEqual(run("compile", self.sample("<slots>2", "<slots>0"), "-o", out).returncode, 1)
        self.assertFalse(out.exists())
        self.assertIn("/nowhere/x.bin: No such file", run("compile", self.sample(), "-o", "/nowhere/x.bin").stderr)

    def test_entities_are_not_read(self) -> None:
        path = self.dir / "xxe.xml"
        path.write_text('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>\n' +
                        SAMPLE.replace("<name>UVM</name>", "<name>&x;</name>"))
        self.assertEqual(run("check", path).returncode, 1)

    def test_pictures(self) -> None:
        for path in [*SHIPPED, self.sample()]:
            with self.subTest(path.name):
                done = run("show", path, "--svg", "-")
                root = ElementTree.fromstring(done.stdout)
                text = " ".join(root.itertext())
                for name in re.findall(r"<name>(\w+)</name>\s*\n\s*<(?!endpoint)", path.read_text()):
                    self.assertIn(name, text)
                self.inside(root)

    def inside(self, root: ElementTree.Element) -> None:
        """Every box lies on the sheet."""
        width, height = float(root.get("width", "0")), float(root.get("height", "0"))
        for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
            x, y, w, h = (float(rect.get(key, "0")) for key in ("x", "y", "width", "height"))
            self.assertTrue(x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= width and y + h <= height)


if __name__ == "__main__":
    unittest.main()
