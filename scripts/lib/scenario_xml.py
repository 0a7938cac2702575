# SPDX-License-Identifier: BSD-3-Clause
"""Scenario XML: structure against the XSD with readable messages, then into the model; and back to XML."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from scenario_model import (ALL_VCPUS, bdf_text, bdf_value, Connection, Module, PortRange, POST, PRE, Problem,
                           Scenario, ScenarioError, SERVICE, TTYS_PORTS, Vm, Vuart)

SCHEMA = Path(__file__).resolve().parents[2] / "boot" / "scenarios" / "aril-scenario.xsd"

# How to mend a bad value, by the element or attribute it is in.
HINTS = {
    "name": "use 1..15 of A-Z a-z 0-9 _ -",
    "scenario": "use 1..15 of A-Z a-z 0-9 _ -",
    "vm_name": "write the name of a <vm>",
    "CONSOLE_VM": "write the name of a <vm>",
    "kern_mod": "use one word of 1..31 characters: the first word of the module's string in GRUB",
    "ramdisk_mod": "use one word of 1..31 characters: the first word of the module's string in GRUB",
    "tag": "use one word of 1..31 characters: the first word of the module's string in GRUB",
    "bootargs": "shorten it to 2047 characters",
    "module": "shorten it to 127 characters",
    "size": "write MB as a decimal number",
    "size_hpa": "write MB as a decimal number",
    "start_hpa": "write it as 0x and hexadecimal digits",
    "kern_load_addr": "write it as 0x and hexadecimal digits",
    "kern_entry_addr": "write it as 0x and hexadecimal digits",
    "io_port": "write it as 0x and up to 4 hexadecimal digits",
    "first": "write it as 0x and up to 4 hexadecimal digits",
    "last": "write it as 0x and up to 4 hexadecimal digits",
    "pcpu_id": "write one decimal number; each vCPU has a <pcpu> of its own",
    "SERIAL_CONSOLE": "write None, ttyS0..ttyS3 or a port such as 0x3F8",
    "SERIAL_BAUD": "write 115200 or a divisor of it",
    "SLICE_US": "write 100..1000000 microseconds",
    "bvt_weight": "write 1..128",
    "bvt_warp_value": "write -8192..8192",
    "bvt_warp_limit": "write 0..10",
    "bvt_unwarp_period": "write 0..10",
    "vcpu_num": "write 1..16",
    "pci_dev": "write bus:device.function as lspci prints it, for example 00:1f.2",
    "slots": "write a number of 1..255",
    "id": "write a number: 0 for the first <vm>, then 1, 2...",
    "MAX_PCPU_NUM": "write a number, 0 for no limit",
    "MEM_LOGLEVEL": "write 0 (none), 1 critical, 2 error, 3 warning, 4 info or 5 (debug)",
    "CONSOLE_LOGLEVEL": "write 0 (none), 1 critical, 2 error, 3 warning, 4 info or 5 (debug)",
}


# What has to be there: libxml2 lists all that might come next.
REQUIRED = {"load_order", "name", "kern_type", "kern_mod", "slots", "vm_name", "io_port", "endpoint", "first", "last",
            "start_hpa", "size_hpa", "pcpu", "pcpu_id", "vm"}


def _names(text: str) -> list[str]:
    return [name for name in re.findall(r"[\w\-]+", text) if not name.startswith("##")]


def _content_message(element: str, detail: str) -> str:
    expected = re.search(r"Expected is(?: one of)? \( (.*) \)", detail)
    names = _names(expected.group(1)) if expected else []
    wanted = f"one of {', '.join(names)}" if len(names) > 1 else "".join(names)
    if "Missing child" in detail:
        lacks = [name for name in names if name in REQUIRED] or names
        return f"<{element}> lacks an element; add {' and '.join(f'<{name}>' for name in lacks)}"
    if not names:
        return f"<{element}> is one too many here, or given twice; take it out"
    close = difflib.get_close_matches(element, names, 1, 0.7)
    if close:
        return f"<{element}> is unknown here; did you mean <{close[0]}>?"
    return f"<{element}> is unknown here, given twice or out of place; expected is {wanted}"


def _schema_message(error: "etree._LogEntry") -> str | None:
    """One libxml2 message in our words; None for those that only repeat another."""
    text = error.message
    match = re.match(r"Element '([^']*)'(?:, attribute '([^']*)')?: (?:\[facet '(\w+)'\] )?(.*)", text, re.S)
    if match is None:
        return text
    element, attribute, facet, detail = match.groups()
    where = f"{attribute} of <{element}>" if attribute else f"<{element}>"
    if facet:
        value = re.search(r"The value '(.*?)' (?:has|is|must)", detail, re.S)
        shown = f" '{value.group(1)[:60]}'" if value else ""
        allowed = re.search(r"of the set \{(.*)\}", detail, re.S)
        hint = HINTS.get(attribute or element)
        if allowed:
            hint = "use one of " + allowed.group(1).replace("'", "")
        return f"{where} has the value{shown}, which isn't allowed; {hint or detail.strip()}"
    if "is not a valid value of the atomic type" in detail or "not a valid value of the local atomic" in detail:
        value = re.search(r"^'(.*?)' is not a valid", detail, re.S)
        shown = value.group(1)[:60] if value else ""
        return f"{where} has the value '{shown}', which isn't allowed; {HINTS.get(attribute or element, detail)}"
    if "is not expected" in detail or "Missing child" in detail:
        return _content_message(element, detail)
    if "is not allowed" in detail and attribute:
        return f"<{element}> has no attribute {attribute}; take it out"
    if "required but missing" in detail:
        missing = re.search(r"attribute '([^']*)'", detail)
        return f"<{element}> lacks the attribute {missing.group(1) if missing else attribute}; add it"
    if "No matching global declaration" in detail:
        return f"the document is an <{element}>; it must be an <aril-config scenario=\"NAME\">, see doc/scenario.md"
    return f"<{element}>: {detail.strip()}"


def _validate(tree: "etree._ElementTree", file: str) -> list[Problem]:
    schema = etree.XMLSchema(etree.parse(str(SCHEMA)))
    if schema.validate(tree):
        return []
    problems: list[Problem] = []
    seen: set[tuple[int, str]] = set()
    for error in schema.error_log:
        text = _schema_message(error)
        # libxml2 reports a value against the facet and again against the type: the first says more.
        key = (error.line, text.split("; ")[0] if text else "")
        if text and key not in seen:
            seen.add(key)
            problems.append(Problem(file, error.line, text))
    return problems


def _text(node: "etree._Element", path: str, default: str = "") -> str:
    found = node.find(path)
    return default if found is None or found.text is None else found.text.strip()


def _bool(node: "etree._Element", path: str, default: bool = False) -> bool:
    return _text(node, path, "y" if default else "n") == "y"


def _addr(node: "etree._Element", path: str) -> int | None:
    text = _text(node, path)
    return int(text, 16) if text else None


def _lines(node: "etree._Element") -> dict[str, int]:
    """First line of each element name below the node; list entries as name[index]."""
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    for child in node.iterdescendants(tag=etree.Element):
        index = counts.get(child.tag, 0)
        counts[child.tag] = index + 1
        lines.setdefault(child.tag, child.sourceline)
        lines[f"{child.tag}[{index}]"] = child.sourceline
    return lines


def _read_os(vm: Vm, node: "etree._Element") -> None:
    vm.has_os = True
    vm.kern_type = _text(node, "kern_type")
    vm.kern_mod = _text(node, "kern_mod")
    vm.ramdisk_mod = _text(node, "ramdisk_mod")
    vm.bootargs = " ".join(_text(node, "bootargs").split())
    vm.kern_load_addr = _addr(node, "kern_load_addr")
    vm.kern_entry_addr = _addr(node, "kern_entry_addr")
    vm.modules = [Module(mod.get("tag", ""), (mod.text or "").strip()) for mod in node.iterfind("modules/module")]


def _read_vm(node: "etree._Element", index: int) -> Vm:
    dynamic = node.tag == "dynamic_vms"
    order = POST if dynamic else _text(node, "load_order")
    vm = Vm(index if dynamic else int(node.get("id", "0")), _text(node, "name"), order, dynamic=dynamic)
    vm.lines = {**_lines(node), "vm": node.sourceline}
    vm.slots = int(_text(node, "slots", "1"))
    vm.autostart = _bool(node, "autostart", order != POST)
    vm.own_pcpu = _bool(node, "own_pcpu")
    vm.service_vm_control = _bool(node, "service_vm_control")
    vm.pcpus = [int(_text(pcpu, "pcpu_id")) for pcpu in node.iterfind("cpu_affinity/pcpu")]
    vm.vcpu_num = int(_text(node, "vcpu_num", "0"))
    vm.bvt_weight = int(_text(node, "bvt_weight", "1"))
    for name in ("bvt_warp_value", "bvt_warp_limit", "bvt_unwarp_period"):
        setattr(vm, name, int(_text(node, name, "0")))
    vm.mem_mb = int(_text(node, "memory/size", _text(node, "memory/hpa_region/size_hpa", "0")))
    vm.mem_hpa = _addr(node, "memory/hpa_region/start_hpa")
    vm.console_vuart = _text(node, "console_vuart", "None")
    vm.io_polling = _bool(node, "io_completion_polling")
    vm.debug_exit = _bool(node, "debug_exit")
    default = {PRE: "IGNORE", SERVICE: "PASSTHROUGH", POST: "FORWARD"}[order]
    vm.unhandled_port = _text(node, "unhandled_port", default)
    vm.ports = [PortRange(int(_text(rng, "first"), 16), int(_text(rng, "last"), 16),
                          int(rng.get("vcpu", str(ALL_VCPUS))))
                for rng in node.iterfind("passthrough_ports/port_range")]
    vm.pci = [bdf_value((dev.text or "").strip()) for dev in node.iterfind("pci_devs/pci_dev")]
    devs = node.find("pci_devs")
    vm.pci_policy = "LISTED" if vm.pci else "ALL" if order == SERVICE else "NONE"
    if devs is not None and devs.get("policy"):
        vm.pci_policy = devs.get("policy")
    os_config = node.find("os_config")
    if os_config is not None:
        _read_os(vm, os_config)
    return vm


def _read_hv(scn: Scenario, node: "etree._Element") -> None:
    scn.lines = _lines(node)
    scn.scheduler = _text(node, "FEATURES/SCHEDULER", scn.scheduler)
    scn.slice_us = int(_text(node, "FEATURES/SLICE_US", str(scn.slice_us)))
    console = _text(node, "DEBUG_OPTIONS/SERIAL_CONSOLE", "ttyS0")
    scn.console_port = 0 if console == "None" else TTYS_PORTS.get(console) or int(console, 16)
    scn.console_baud = int(_text(node, "DEBUG_OPTIONS/SERIAL_BAUD", "115200")) if scn.console_port else 0
    scn.mem_loglevel = int(_text(node, "DEBUG_OPTIONS/MEM_LOGLEVEL", str(scn.mem_loglevel)))
    scn.console_loglevel = int(_text(node, "DEBUG_OPTIONS/CONSOLE_LOGLEVEL", str(scn.console_loglevel)))
    scn.console_vm = _text(node, "DEBUG_OPTIONS/CONSOLE_VM")
    scn.max_pcpus = int(_text(node, "CAPACITIES/MAX_PCPU_NUM", "0"))
    for conn in node.iterfind("vuart_connections/vuart_connection"):
        ends = [(_text(end, "vm_name"), int(_text(end, "io_port"), 16)) for end in conn.iterfind("endpoint")]
        lines = tuple(end.sourceline for end in conn.iterfind("endpoint"))
        scn.vuarts.append(Vuart(_text(conn, "name"), ends, conn.sourceline, lines))
    for conn in node.iterfind("connections/connection"):
        sides = [(_text(end, "vm_name"), _text(end, "emits", "y") == "y") for end in conn.iterfind("endpoint")]
        lines = tuple(end.sourceline for end in conn.iterfind("endpoint"))
        scn.connections.append(Connection(_text(conn, "name"), _text(conn, "type", "crossvm"),
                                          int(_text(conn, "dataport_size")), sides, conn.sourceline, lines))


def read_xml(path: str) -> tuple[Scenario, list[Problem]]:
    """The scenario in an XML file, and findings of reading; ScenarioError if it isn't one by structure."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)
    try:
        tree = etree.parse(path, parser)
    except etree.XMLSyntaxError as err:
        text = (err.msg or "not XML").split(", line ")[0]
        raise ScenarioError([Problem(path, err.lineno or 1, f"not well-formed XML: {text}; mend the markup")]) \
            from None
    except OSError as err:
        raise ScenarioError([Problem(path, 1, f"can't be read: {err}; give the path of a scenario")]) from None
    problems = _validate(tree, path)
    if problems:
        raise ScenarioError(problems)
    root = tree.getroot()
    scn = Scenario(root.get("scenario", ""), [])
    hv = root.find("hv")
    if hv is not None:
        _read_hv(scn, hv)
    nodes = list(root.iterfind("vm")) + list(root.iterfind("dynamic_vms"))
    scn.vms = [_read_vm(node, index) for index, node in enumerate(nodes)]
    return scn, _check_memory_twice(path, nodes)


def _check_memory_twice(path: str, nodes: list["etree._Element"]) -> list[Problem]:
    problems = []
    for node in nodes:
        size, region = _text(node, "memory/size"), _text(node, "memory/hpa_region/size_hpa")
        if size and region and int(size) != int(region):
            problems.append(Problem(path, node.find("memory").sourceline,
                                    f"size is {size} MB but size_hpa is {region}; make them the same or "
                                    "leave size out"))
    return problems


def _vcpu(rng: PortRange) -> str:
    return "" if rng.vcpu == ALL_VCPUS else f' vcpu="{rng.vcpu}"'


def _vm_xml(vm: Vm) -> list[str]:
    out = ["  <dynamic_vms>", f"    <slots>{vm.slots}</slots>"] if vm.dynamic else \
        [f'  <vm id="{vm.id}">', f"    <load_order>{vm.load_order}</load_order>", f"    <name>{vm.name}</name>"]
    if vm.load_order != POST:
        out.append(f"    <autostart>{'y' if vm.autostart else 'n'}</autostart>")
    if vm.service_vm_control:
        out.append("    <service_vm_control>y</service_vm_control>")
    if vm.own_pcpu:
        out.append("    <own_pcpu>y</own_pcpu>")
    if vm.pcpus:
        out += ["    <cpu_affinity>", *(f"      <pcpu><pcpu_id>{cpu}</pcpu_id></pcpu>" for cpu in vm.pcpus),
                "    </cpu_affinity>"]
    elif vm.vcpu_num:
        out.append(f"    <vcpu_num>{vm.vcpu_num}</vcpu_num>")
    out += [f"    <{name}>{getattr(vm, name)}</{name}>"
            for name in ("bvt_weight", "bvt_warp_value", "bvt_warp_limit", "bvt_unwarp_period")]
    if vm.mem_hpa is not None:
        out.append(f"    <memory><hpa_region><start_hpa>{vm.mem_hpa:#x}</start_hpa>"
                   f"<size_hpa>{vm.mem_mb}</size_hpa></hpa_region></memory>")
    elif vm.mem_mb:
        out.append(f"    <memory><size>{vm.mem_mb}</size></memory>")
    out += [f"    <console_vuart>{vm.console_vuart}</console_vuart>",
            f"    <io_completion_polling>{'y' if vm.io_polling else 'n'}</io_completion_polling>",
            f"    <debug_exit>{'y' if vm.debug_exit else 'n'}</debug_exit>",
            f"    <unhandled_port>{vm.unhandled_port}</unhandled_port>"]
    if vm.ports:
        out += ["    <passthrough_ports>",
                *(f"      <port_range{_vcpu(rng)}><first>{rng.first:#x}</first><last>{rng.last:#x}</last></port_range>"
                  for rng in vm.ports),
                "    </passthrough_ports>"]
    if not vm.dynamic:
        devs = "".join(f"<pci_dev>{bdf_text(bdf)}</pci_dev>" for bdf in vm.pci)
        out.append(f'    <pci_devs policy="{vm.pci_policy}">{devs}</pci_devs>')
    if vm.has_os:
        out += _os_xml(vm)
    return out + ["  </dynamic_vms>" if vm.dynamic else "  </vm>"]


def _os_xml(vm: Vm) -> list[str]:
    out = ["    <os_config>", f"      <kern_type>{vm.kern_type}</kern_type>",
           f"      <kern_mod>{escape(vm.kern_mod)}</kern_mod>"]
    if vm.ramdisk_mod:
        out.append(f"      <ramdisk_mod>{escape(vm.ramdisk_mod)}</ramdisk_mod>")
    if vm.bootargs:
        out.append(f"      <bootargs>{escape(vm.bootargs)}</bootargs>")
    if vm.kern_load_addr is not None and vm.kern_entry_addr is not None:
        out += [f"      <kern_load_addr>{vm.kern_load_addr:#x}</kern_load_addr>",
                f"      <kern_entry_addr>{vm.kern_entry_addr:#x}</kern_entry_addr>"]
    if vm.modules:
        out += ["      <modules>",
                *(f"        <module tag={quoteattr(mod.tag)}>{escape(mod.string)}</module>" for mod in vm.modules),
                "      </modules>"]
    return out + ["    </os_config>"]


def write_xml(scn: Scenario) -> str:
    """XML that compiles to the same blob as `scn`, with every default written out."""
    out = ['<?xml version="1.0" encoding="UTF-8"?>', f'<aril-config scenario="{scn.name}">', "  <hv>",
           f"    <FEATURES><SCHEDULER>{scn.scheduler}</SCHEDULER><SLICE_US>{scn.slice_us}</SLICE_US></FEATURES>",
           "    <DEBUG_OPTIONS>",
           f"      <SERIAL_CONSOLE>{f'{scn.console_port:#x}' if scn.console_port else 'None'}</SERIAL_CONSOLE>"]
    if scn.console_port:
        out.append(f"      <SERIAL_BAUD>{scn.console_baud}</SERIAL_BAUD>")
    out += [f"      <MEM_LOGLEVEL>{scn.mem_loglevel}</MEM_LOGLEVEL>",
            f"      <CONSOLE_LOGLEVEL>{scn.console_loglevel}</CONSOLE_LOGLEVEL>"]
    if scn.console_vm:
        out.append(f"      <CONSOLE_VM>{scn.console_vm}</CONSOLE_VM>")
    out += ["    </DEBUG_OPTIONS>",
            f"    <CAPACITIES><MAX_PCPU_NUM>{scn.max_pcpus}</MAX_PCPU_NUM></CAPACITIES>"]
    if scn.vuarts:
        out.append("    <vuart_connections>")
        for conn in scn.vuarts:
            ends = "".join(f"<endpoint><vm_name>{name}</vm_name><io_port>{port:#x}</io_port></endpoint>"
                           for name, port in conn.ends)
            out.append(f"      <vuart_connection><name>{conn.name}</name>{ends}</vuart_connection>")
        out.append("    </vuart_connections>")
    if scn.connections:
        out.append("    <connections>")
        for link in scn.connections:
            sides = "".join(f"<endpoint><vm_name>{name}</vm_name><emits>{'y' if emits else 'n'}</emits></endpoint>"
                            for name, emits in link.ends)
            out.append(f"      <connection><name>{link.name}</name><type>{link.type}</type>"
                       f"<dataport_size>{link.size_kb}</dataport_size>{sides}</connection>")
        out.append("    </connections>")
    out.append("  </hv>")
    for vm in scn.vms:
        out += _vm_xml(vm)
    return "\n".join(out + ["</aril-config>", ""])
