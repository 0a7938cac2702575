# SPDX-License-Identifier: BSD-3-Clause
"""The flat blob of include/public/scenario_blob.h: from the model, and back."""

from __future__ import annotations

import struct
import zlib

from scenario_model import (COM_PORTS, Connection, CONNECTION_HV, CONNECTION_TYPES, CONSOLE_VM_NONE, CONSOLES,
                           HYPERVISOR, KERN_TYPES, LOAD_ORDERS, Module, PCI_POLICIES, PORT_POLICIES, PortRange,
                           Problem, Scenario, ScenarioError, SCHEDULERS, Vm, Vuart)

MAGIC = 0x4C495241  # "ARIL"
VERSION = 3
MAX_VCPUS, MAX_PORTS, MAX_PCI, MAX_MODULES = 16, 16, 8, 8

HEADER = struct.Struct("<IHHIIHHHHIIIIIHHHBBBBB9x")
VM = struct.Struct("<I11BxIIIhBBQQQ6I16H32H8H32I16B32x")
VUART = struct.Struct("<II4BI")
CONNECTION = struct.Struct("<II4BI")
CRC_AT = 12
assert (HEADER.size, VM.size, VUART.size, CONNECTION.size) == (64, 368, 16, 16)

FLAGS = ["own_pcpu", "cpu_auto", "mem_hpa", "io_polling", "debug_exit", "autostart", "dynamic", "kern_addr",
         "service_vm_control"]


class _Strings:
    """The string table; equal strings are stored once."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.known: dict[bytes, int] = {}

    def add(self, text: str) -> tuple[int, int]:
        raw = text.encode("ascii")
        if not raw:
            return 0, 0
        if raw not in self.known:
            self.known[raw] = len(self.data)
            self.data += raw
        return self.known[raw], len(raw)

    def padded(self) -> bytes:
        return bytes(self.data) + bytes(-len(self.data) % 8)


def _fill(values: list[int], count: int) -> list[int]:
    return values + [0] * (count - len(values))


def _pack_vm(vm: Vm, strings: _Strings) -> bytes:
    on = {"own_pcpu": vm.own_pcpu, "cpu_auto": not vm.pcpus, "mem_hpa": vm.mem_hpa is not None,
          "io_polling": vm.io_polling, "debug_exit": vm.debug_exit, "autostart": vm.autostart,
          "dynamic": vm.dynamic, "kern_addr": vm.kern_load_addr is not None,
          "service_vm_control": vm.service_vm_control}
    ports = [number for rng in sorted(vm.ports) for number in (rng.first, rng.last)]
    modules = [word for mod in vm.modules for word in (*strings.add(mod.tag), *strings.add(mod.string))]
    return VM.pack(
        sum(1 << bit for bit, name in enumerate(FLAGS) if on[name]),
        LOAD_ORDERS[vm.load_order], KERN_TYPES[vm.kern_type], CONSOLES[vm.console_vuart],
        PORT_POLICIES[vm.unhandled_port], PCI_POLICIES[vm.pci_policy], vm.bvt_weight, vm.slots,
        len(vm.pcpus) or vm.vcpu_num, len(vm.modules), len(vm.ports), len(vm.pci),
        *strings.add(vm.name), vm.mem_mb, vm.bvt_warp_value, vm.bvt_warp_limit, vm.bvt_unwarp_period, vm.mem_hpa or 0,
        vm.kern_load_addr or 0, vm.kern_entry_addr or 0,
        *strings.add(vm.kern_mod), *strings.add(vm.ramdisk_mod), *strings.add(vm.bootargs),
        *_fill(vm.pcpus, MAX_VCPUS), *_fill(ports, 2 * MAX_PORTS), *_fill(sorted(vm.pci), MAX_PCI),
        *_fill(modules, 4 * MAX_MODULES), *_fill([1 + rng.vcpu for rng in sorted(vm.ports)], MAX_PORTS))


def pack(scn: Scenario) -> bytes:
    """The blob of a scenario that has passed scenario_rules.check()."""
    strings = _Strings()
    name = strings.add(scn.name)
    vms = b"".join(_pack_vm(vm, strings) for vm in scn.vms)
    ids = {vm.name: index for index, vm in enumerate(scn.vms) if not vm.dynamic}
    coms = {port: com for com, port in COM_PORTS.items()}
    vuarts = b"".join(
        VUART.pack(*strings.add(conn.name), *(ids[vm] for vm, _ in conn.ends),
                   *(coms[port] for _, port in conn.ends), 0)
        for conn in scn.vuarts)
    connections = b"".join(
        CONNECTION.pack(*strings.add(conn.name), *(ids.get(vm, CONNECTION_HV) for vm, _ in conn.ends),
                        sum(1 << side for side, (_, emits) in enumerate(conn.ends) if emits),
                        CONNECTION_TYPES[conn.type], conn.size_kb)
        for conn in scn.connections)
    table = strings.padded()
    body = vms + vuarts + connections + table
    header = HEADER.pack(
        MAGIC, VERSION, HEADER.size, HEADER.size + len(body), 0, len(scn.vms), VM.size, len(scn.vuarts), VUART.size,
        len(table), *name, scn.slice_us, scn.console_baud, scn.console_port,
        ids[scn.console_vm] if scn.console_vm else CONSOLE_VM_NONE, scn.max_pcpus, SCHEDULERS[scn.scheduler],
        scn.console_loglevel, scn.mem_loglevel, len(scn.connections), CONNECTION.size)
    return seal(header + body)


def seal(blob: bytes) -> bytes:
    """The blob with its checksum made right."""
    zeroed = blob[:CRC_AT] + bytes(4) + blob[CRC_AT + 4:]
    return zeroed[:CRC_AT] + struct.pack("<I", zlib.crc32(zeroed)) + zeroed[CRC_AT + 4:]


def is_blob(data: bytes) -> bool:
    return data[:4] == struct.pack("<I", MAGIC)


def _name_of(table: dict[str, int], value: int) -> str:
    for name, number in table.items():
        if number == value:
            return name
    raise ValueError(f"value {value} is none of {', '.join(table)}")


def _unpack_vm(raw: bytes, index: int, text: bytes) -> Vm:
    (flags, order, kern, console, policy, pci_policy, weight, slots, vcpus, mods, ports, pcis, *rest) = VM.unpack(raw)
    on = {name: bool(flags >> bit & 1) for bit, name in enumerate(FLAGS)}

    def string(offset: int, length: int) -> str:
        return text[offset:offset + length].decode("ascii")

    (name_at, name_len, mem_mb, warp, limit, unwarp, hpa, load, entry, *rest) = rest
    kern_mod, ramdisk, args = (string(*rest[i:i + 2]) for i in (0, 2, 4))
    cpu, port, pci, mod, port_vcpu = rest[6:22], rest[22:54], rest[54:62], rest[62:94], rest[94:]
    return Vm(
        index, string(name_at, name_len), _name_of(LOAD_ORDERS, order), on["dynamic"], slots, on["autostart"],
        on["own_pcpu"], [] if on["cpu_auto"] else list(cpu[:vcpus]), vcpus if on["cpu_auto"] else 0, weight, warp,
        limit, unwarp, mem_mb, hpa if on["mem_hpa"] else None, _name_of(CONSOLES, console), on["io_polling"],
        on["debug_exit"], _name_of(PORT_POLICIES, policy),
        [PortRange(port[2 * i], port[2 * i + 1], port_vcpu[i] - 1) for i in range(ports)],
        _name_of(PCI_POLICIES, pci_policy), list(pci[:pcis]), kern != 0, _name_of(KERN_TYPES, kern), kern_mod, ramdisk,
        args, load if on["kern_addr"] else None, entry if on["kern_addr"] else None,
        [Module(string(*mod[4 * i:4 * i + 2]), string(*mod[4 * i + 2:4 * i + 4])) for i in range(mods)],
        service_vm_control=on["service_vm_control"])


def _unpack_connection(raw: bytes, vms: list[Vm], text: bytes) -> Connection:
    at, length, vm_a, vm_b, emits, kind, size = CONNECTION.unpack_from(raw)
    names = [HYPERVISOR if vm == CONNECTION_HV else vms[vm].name for vm in (vm_a, vm_b)]
    return Connection(text[at:at + length].decode("ascii"), _name_of(CONNECTION_TYPES, kind), size,
                      [(name, bool(emits >> side & 1)) for side, name in enumerate(names)])


def unpack(data: bytes, file: str = "blob") -> Scenario:
    """The scenario in a blob. For people who look at one; the hypervisor's reader is the judge of what is valid."""
    def bad(text: str) -> ScenarioError:
        return ScenarioError([Problem(file, 0, text)])

    if len(data) < HEADER.size or not is_blob(data):
        raise bad("not a scenario blob; compile one with scripts/scenario compile")
    (_, version, _, total, _, vm_count, vm_size, vuart_count, vuart_size, str_size, name_at, name_len, slice_us, baud,
     port, console_vm, max_pcpus, sched, con_level, mem_level, conn_count, conn_size) = HEADER.unpack_from(data)
    if version != VERSION:
        raise bad(f"version {version}, this tool reads {VERSION}; compile it again")
    sizes = (vm_size, vuart_size, conn_size)
    parts = HEADER.size + vm_count * VM.size + vuart_count * VUART.size + conn_count * CONNECTION.size
    if total != len(data) or sizes != (VM.size, VUART.size, CONNECTION.size) or parts + str_size != total:
        raise bad("sizes don't add up, the file was cut; compile it again")
    if seal(data) != data:
        raise bad("checksum is wrong, the file is damaged; compile it again")
    text = data[parts:]
    try:
        vms = [_unpack_vm(data[HEADER.size + i * VM.size:HEADER.size + (i + 1) * VM.size], i, text)
               for i in range(vm_count)]
        vuarts = []
        for i in range(vuart_count):
            at, length, vm_a, vm_b, com_a, com_b, _ = VUART.unpack_from(
                data, HEADER.size + vm_count * VM.size + i * VUART.size)
            vuarts.append(Vuart(text[at:at + length].decode("ascii"),
                                [(vms[vm_a].name, COM_PORTS[com_a]), (vms[vm_b].name, COM_PORTS[com_b])]))
        connections = [_unpack_connection(data[parts - (conn_count - i) * CONNECTION.size:], vms, text)
                       for i in range(conn_count)]
        return Scenario(text[name_at:name_at + name_len].decode("ascii"), vms, vuarts, _name_of(SCHEDULERS, sched),
                        slice_us, port, baud, con_level, mem_level,
                        "" if console_vm == CONSOLE_VM_NONE else vms[console_vm].name, max_pcpus,
                        connections=connections)
    except (ValueError, IndexError, KeyError, UnicodeDecodeError) as err:
        raise bad(f"a field has no meaning ({err}); compile it again") from None
