# SPDX-License-Identifier: BSD-3-Clause
"""What a scenario is, independent of its form (XML, blob), and the limits both ends agree on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

LOAD_ORDERS = {"PRE_LAUNCHED_VM": 1, "SERVICE_VM": 2, "POST_LAUNCHED_VM": 3}
KERN_TYPES = {"": 0, "KERNEL_BZIMAGE": 1, "KERNEL_ELF": 2, "KERNEL_RAWIMAGE": 3}
CONSOLES = {"None": 0, "COM Port 1": 1, "COM Port 2": 2}
PORT_POLICIES = {"IGNORE": 1, "LOG": 2, "STOP": 3, "FORWARD": 4, "PASSTHROUGH": 5}
PCI_POLICIES = {"NONE": 1, "ALL": 2, "LISTED": 3}
SCHEDULERS = {"SCHED_IORR": 0, "SCHED_BVT": 1, "SCHED_NOOP": 2}

COM_PORTS = {1: 0x3F8, 2: 0x2F8}
TTYS_PORTS = {"ttyS0": 0x3F8, "ttyS1": 0x2F8, "ttyS2": 0x3E8, "ttyS3": 0x2E8}
DEBUG_EXIT_PORT = 0xF4
EMULATED_PORTS = [(0x20, 0x21), (0xA0, 0xA1), (0x4D0, 0x4D1), (0xCF8, 0xCFF)]
CONSOLE_VM_NONE = 0xFFFF
HYPERVISOR = "HYPERVISOR"  # as an end of a connection
CONNECTION_HV = 0xFF
CONNECTION_TYPES = {"crossvm": 1, "ivshmem": 2}
MEM_MAX_MB = 0x1000000

PRE, SERVICE, POST = "PRE_LAUNCHED_VM", "SERVICE_VM", "POST_LAUNCHED_VM"
ALL_VCPUS = -1


class PortRange(NamedTuple):
    """Ports of the machine that a VM has itself."""

    first: int
    last: int
    vcpu: int = ALL_VCPUS


@dataclass(frozen=True)
class Limits:
    """The Kconfig limits of the hypervisor that is to read the blob."""

    max_vms: int = 8
    max_vcpus: int = 16
    max_pcpus: int = 64

    @staticmethod
    def from_config(path: Path) -> "Limits":
        """Reads them from a generated config.h; a limit that isn't there keeps its default."""
        found = dict(re.findall(r"^#define CONFIG_(\w+)\s+(\d+)U?\s*$", path.read_text(), re.M))
        return Limits(
            int(found.get("MAX_VM_NUM", Limits.max_vms)),
            min(16, int(found.get("MAX_VCPUS_PER_VM", Limits.max_vcpus))),
            int(found.get("MAX_PCPU_NUM", Limits.max_pcpus)),
        )


@dataclass(frozen=True)
class Problem:
    """One finding, printed as `file:line: what is wrong; how to mend it`."""

    file: str
    line: int
    text: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {'warning: ' if self.warning else ''}{self.text}"


class ScenarioError(Exception):
    """A scenario that can't be used, with everything found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass
class Module:
    tag: str
    string: str = ""


@dataclass
class Vm:
    """One <vm>, or <dynamic_vms> (dynamic true, name empty). `lines` maps element names to source lines."""

    id: int
    name: str
    load_order: str
    dynamic: bool = False
    slots: int = 1
    autostart: bool = False
    own_pcpu: bool = False
    pcpus: list[int] = field(default_factory=list)  # empty: placed at boot
    vcpu_num: int = 0  # only without pcpus; 0: one per CPU
    bvt_weight: int = 1
    bvt_warp_value: int = 0  # virtual ms
    bvt_warp_limit: int = 0  # ms; 0: none
    bvt_unwarp_period: int = 0  # ms
    mem_mb: int = 0
    mem_hpa: int | None = None
    console_vuart: str = "None"
    io_polling: bool = False
    debug_exit: bool = False
    unhandled_port: str = "IGNORE"
    ports: list[PortRange] = field(default_factory=list)
    pci_policy: str = "NONE"
    pci: list[int] = field(default_factory=list)  # bus << 8 | device << 3 | function
    has_os: bool = False
    kern_type: str = ""
    kern_mod: str = ""
    ramdisk_mod: str = ""
    bootargs: str = ""
    kern_load_addr: int | None = None
    kern_entry_addr: int | None = None
    modules: list[Module] = field(default_factory=list)
    service_vm_control: bool = False  # pre-launched: the Service VM may start, pause, reset and destroy it
    lines: dict[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return "dynamic slots" if self.dynamic else self.name

    def line(self, *elements: str) -> int:
        """The source line of the first of these elements that was written, else of the VM."""
        for element in (*elements, "vm"):
            if element in self.lines:
                return self.lines[element]
        return 0


@dataclass
class Vuart:
    name: str
    ends: list[tuple[str, int]]  # VM name, I/O port
    line: int = 0
    end_lines: tuple[int, ...] = (0, 0)


@dataclass
class Connection:
    """Shared memory and events between two VMs, or a VM and the hypervisor."""

    name: str
    type: str
    size_kb: int
    ends: list[tuple[str, bool]]  # VM name or HYPERVISOR; can it send events
    line: int = 0
    end_lines: tuple[int, ...] = (0, 0)


@dataclass
class Scenario:
    name: str
    vms: list[Vm]
    vuarts: list[Vuart] = field(default_factory=list)
    scheduler: str = "SCHED_IORR"
    slice_us: int = 5000
    console_port: int = 0x3F8  # 0: none
    console_baud: int = 115200
    console_loglevel: int = 4
    mem_loglevel: int = 5
    console_vm: str = ""  # "": the hypervisor's own console
    max_pcpus: int = 0  # 0: no limit
    lines: dict[str, int] = field(default_factory=dict)
    connections: list[Connection] = field(default_factory=list)

    @property
    def slot_count(self) -> int:
        return sum(vm.slots for vm in self.vms)

    def find(self, name: str) -> Vm | None:
        return next((vm for vm in self.vms if not vm.dynamic and vm.name == name), None)


def bdf_text(bdf: int) -> str:
    return f"{bdf >> 8:02x}:{bdf >> 3 & 31:02x}.{bdf & 7}"


def bdf_value(text: str) -> int:
    """`text` as lspci prints it, bus:device.function, checked by the schema."""
    bus, dev, fun = re.match(r"(..):(..)\.(.)", text).groups()  # type: ignore[union-attr]
    return int(bus, 16) << 8 | int(dev, 16) << 3 | int(fun)


def overlap(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Do two inclusive ranges share a number?"""
    return a[0] <= b[1] and b[0] <= a[1]
