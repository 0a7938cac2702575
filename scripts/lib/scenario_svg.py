# SPDX-License-Identifier: BSD-3-Clause
"""A picture of a scenario: which VM runs on which CPU, whose memory is whose, who answers for which port."""

from __future__ import annotations

from scenario_model import COM_PORTS, DEBUG_EXIT_PORT, POST, PRE, SERVICE, Scenario, Vm
from scenario_text import memory_text, range_text, size_text, vm_ids
from svg import COLORS, Canvas, INK, LEFT, LINE, MARGIN, PAPER, SOFT, WIDTH, shorten, text_width

ROW = 38
POLICY_TEXT = {"IGNORE": "all others: read ones", "LOG": "all others: read ones, logged", "STOP": "any other: VM stops",
               "FORWARD": "all others: device model", "PASSTHROUGH": "all others: the machine's"}
KIND = {PRE: "pre-launched", SERVICE: "Service VM", POST: "post-launched"}


def _color(scn: Scenario, vm: Vm) -> str:
    return COLORS[scn.vms.index(vm) % len(COLORS)]


def _vm_name(out: Canvas, scn: Scenario, vm: Vm, y: float) -> None:
    out.rect(MARGIN, y + 7, 6, ROW - 14, _color(scn, vm), rx="3")
    out.text(MARGIN + 16, y + 17, vm.label, 14, bold=True)
    out.text(MARGIN + 16, y + 31, f"VM {vm_ids(vm)}, {KIND[vm.load_order]}", 11, SOFT)


def _cpu_count(scn: Scenario) -> int:
    return max([4, scn.max_pcpus and min(scn.max_pcpus, 16), *(cpu + 1 for vm in scn.vms for cpu in vm.pcpus)])


def _cpus(out: Canvas, scn: Scenario) -> None:
    count = _cpu_count(scn)
    width = (WIDTH - MARGIN - LEFT) / count
    out.heading("CPUs", "one box per vCPU; a filled column is owned by one VM, a dashed band is placed at boot")
    for cpu in range(count):
        out.text(LEFT + (cpu + 0.5) * width, out.y + 12, f"pCPU {cpu}" if width > 48 else str(cpu), 12, SOFT, "middle")
    top = out.y + 22
    height = ROW * len(scn.vms)
    owned = {cpu: vm for vm in scn.vms if vm.own_pcpu for cpu in vm.pcpus}
    for cpu, owner in owned.items():
        out.rect(LEFT + cpu * width, top, width, height, _color(scn, owner), fill_opacity="0.12")
    for cpu in range(count + 1):
        out.line(LEFT + cpu * width, top, LEFT + cpu * width, top + height)
    for index, vm in enumerate(scn.vms):
        y = top + index * ROW
        out.line(MARGIN, y, WIDTH - MARGIN, y)
        _vm_name(out, scn, vm, y)
        if vm.pcpus:
            _vcpus(out, vm, _color(scn, vm), y, width)
        else:
            _auto_band(out, vm, _color(scn, vm), y, width, [cpu for cpu in range(count) if cpu not in owned])
    out.line(MARGIN, top + height, WIDTH - MARGIN, top + height)
    out.y = top + height + 34


def _vcpus(out: Canvas, vm: Vm, color: str, y: float, width: float) -> None:
    for cpu in sorted(set(vm.pcpus)):
        here = [i for i, place in enumerate(vm.pcpus) if place == cpu]
        box = min((width - 8) / len(here), 92)
        start = LEFT + cpu * width + (width - box * len(here)) / 2
        for place, vcpu in enumerate(here):
            x = start + place * box
            out.rect(x + 2, y + 7, box - 4, ROW - 14, color, rx="4")
            label = f"vCPU {vcpu}" if box > 62 else str(vcpu)
            if box > 14:
                out.text(x + box / 2, y + ROW / 2 + 4.5, label, 12, PAPER, "middle")


def _auto_band(out: Canvas, vm: Vm, color: str, y: float, width: float, free: list[int]) -> None:
    wanted = f"{vm.vcpu_num} vCPUs" if vm.vcpu_num else "one vCPU each"
    if vm.load_order == POST and not vm.vcpu_num:
        wanted = "up to one vCPU each"
    runs: list[list[int]] = []
    for cpu in free:
        if runs and runs[-1][-1] + 1 == cpu:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    for number, run in enumerate(runs):
        x, w = LEFT + run[0] * width + 6, len(run) * width - 12
        out.rect(x, y + 7, w, ROW - 14, color, rx="4", fill_opacity="0.10", stroke=color, stroke_dasharray="5 4")
        if number == 0:
            out.text(x + w / 2, y + ROW / 2 + 4.5, shorten(wanted, w, 12), 12, color, "middle")


def _memory(out: Canvas, scn: Scenario) -> None:
    """Pre-launched VMs and the Service VM side by side; post-launched VMs are carved out of the latter."""
    out.heading("Memory", "post-launched VMs get theirs from the Service VM; widths show order, not scale")
    width = WIDTH - MARGIN - LEFT
    own = [vm for vm in scn.vms if vm.load_order != POST]
    carved = [vm for vm in scn.vms if vm.load_order == POST]
    hv_width, gap, top = 104.0, 4.0, out.y
    height = 92.0 if carved else 52.0
    shares = [_memory_share(vm, bool(carved)) for vm in own]
    unit = (width - hv_width - gap * len(own)) / sum(shares)
    out.rect(LEFT, top, hv_width, height, "#eef1f5", rx="4", stroke=LINE)
    out.text(LEFT + hv_width / 2, top + 22, "hypervisor", 13, INK, "middle")
    out.text(LEFT + hv_width / 2, top + 39, "in no VM's map", 11, SOFT, "middle")
    out.text(MARGIN, top + 22, "host-physical", 14, bold=True)
    x = LEFT + hv_width + gap
    for vm, share in zip(own, shares):
        color, w = _color(scn, vm), share * unit
        out.rect(x, top, w, height, color, rx="4", fill_opacity="0.16", stroke=color)
        out.text(x + 10, top + 22, shorten(vm.name, w - 14, 13), 13, INK, bold=True)
        out.text(x + 10, top + 39, shorten(memory_text(vm), w - 14, 11), 11, SOFT)
        if vm.load_order == SERVICE and carved:
            _carve(out, scn, carved, x + 10, top + 50, w - 20)
        x += w + gap
    out.y = top + height + 34


def _memory_share(vm: Vm, carved: bool) -> float:
    """Sizes differ by thousands, so the width grows with the logarithm; the Service VM holds others."""
    if vm.load_order == SERVICE:
        return 22.0 if carved else 12.0
    return 4.0 + max(0, vm.mem_mb.bit_length() - 4)


def _carve(out: Canvas, scn: Scenario, carved: list[Vm], x: float, y: float, width: float) -> None:
    slot = width / sum(min(vm.slots, 4) ** 0.5 for vm in carved)
    for vm in carved:
        w, color = slot * min(vm.slots, 4) ** 0.5, _color(scn, vm)
        limit = f"≤ {size_text(vm.mem_mb)}" if vm.mem_mb else "no limit"
        label = f"{vm.slots} dynamic" if vm.dynamic else vm.name
        out.rect(x, y, w - 4, 34, PAPER, rx="4", stroke=color, stroke_dasharray="5 4")
        out.text(x + w / 2 - 2, y + 15, shorten(label, w - 8, 12), 12, INK, "middle")
        out.text(x + w / 2 - 2, y + 28, shorten(limit, w - 8, 10), 10, SOFT, "middle")
        x += w


def _port_chips(scn: Scenario, vm: Vm) -> list[tuple[str, bool]]:
    """Labels of a VM's ports; true: the port of the machine itself."""
    chips: list[tuple[str, bool]] = []
    if vm.console_vuart != "None":
        com = int(vm.console_vuart[-1])
        chips.append((f"COM{com} {COM_PORTS[com]:#x}: console", False))
    for conn in scn.vuarts:
        for (name, port), (other, other_port) in zip(conn.ends, reversed(conn.ends)):
            if name == vm.name and not vm.dynamic:
                chips.append((f"{port:#x} ↔ {other} {other_port:#x}", False))
    for link in scn.connections:
        for (name, _), (peer, _) in zip(link.ends, reversed(link.ends)):
            if name == vm.name and not vm.dynamic:
                chips.append((f"{link.name} ↔ {peer}", False))
    chips += [(f"{range_text(*rng)} passed through", True) for rng in sorted(vm.ports)]
    if vm.debug_exit:
        chips.append((f"{DEBUG_EXIT_PORT:#x}: debug exit", False))
    return chips + [(POLICY_TEXT[vm.unhandled_port], vm.unhandled_port == "PASSTHROUGH")]


def _ports(out: Canvas, scn: Scenario) -> None:
    out.heading("Ports", "who answers, besides the devices that every VM has; filled: the port of the machine itself")
    for vm in scn.vms:
        out.line(MARGIN, out.y, WIDTH - MARGIN, out.y)
        _vm_name(out, scn, vm, out.y)
        x, y = float(LEFT), out.y + 7
        for text, solid in _port_chips(scn, vm):
            if x + text_width(text, 12) + 18 > WIDTH - MARGIN:
                x, y = float(LEFT), y + 30
            x = out.chip(x, y, text, _color(scn, vm), solid)
        out.y = y - 7 + ROW
    out.line(MARGIN, out.y, WIDTH - MARGIN, out.y)


def to_svg(scn: Scenario) -> str:
    """The picture as one SVG document."""
    out = Canvas()
    console = f"console {scn.console_port:#x}" if scn.console_port else "no serial console"
    scheduler = {"SCHED_IORR": "round robin", "SCHED_BVT": "borrowed virtual time",
                 "SCHED_NOOP": "each vCPU alone on its CPU"}[scn.scheduler]
    out.text(MARGIN, out.y + 18, f"Scenario “{scn.name}”", 22, bold=True)
    out.text(MARGIN, out.y + 40, f"{scheduler}, slices of {scn.slice_us} µs, {console}", 13, SOFT)
    out.y += 66
    _cpus(out, scn)
    _memory(out, scn)
    _ports(out, scn)
    return out.done(f"Scenario {scn.name}")
