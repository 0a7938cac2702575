# SPDX-License-Identifier: BSD-3-Clause
"""A scenario as text for people."""

from __future__ import annotations

from scenario_model import ALL_VCPUS, bdf_text, DEBUG_EXIT_PORT, POST, Scenario, SERVICE, Vm


def size_text(mb: int) -> str:
    return f"{mb // 1024} GB" if mb and mb % 1024 == 0 else f"{mb} MB"


def range_text(first: int, last: int, vcpu: int = ALL_VCPUS) -> str:
    ports = f"{first:#x}" if first == last else f"{first:#x}-{last:#x}"
    return ports if vcpu == ALL_VCPUS else f"{ports} (vCPU {vcpu})"


def cpus_text(vm: Vm) -> str:
    if not vm.pcpus:
        count = f"{vm.vcpu_num} vCPUs" if vm.vcpu_num else "one vCPU per CPU"
        return f"{count}, on any CPU that no VM owns"
    placed = ", ".join(f"vCPU {i} on pCPU {cpu}" for i, cpu in enumerate(vm.pcpus))
    return placed + (", owned" if vm.own_pcpu else ", shared")


def memory_text(vm: Vm) -> str:
    if vm.mem_mb == 0:
        return "all the rest" if vm.load_order == SERVICE else "no limit"
    place = f" at {vm.mem_hpa:#x}" if vm.mem_hpa is not None else ""
    return ("up to " if vm.load_order == POST else "") + size_text(vm.mem_mb) + place


def vm_ids(vm: Vm) -> str:
    return f"{vm.id}" if vm.slots == 1 else f"{vm.id}-{vm.id + vm.slots - 1}"


def _rows(scn: Scenario, vm: Vm) -> list[tuple[str, str]]:
    rows = [("CPUs", cpus_text(vm)), ("memory", memory_text(vm))]
    if scn.scheduler == "SCHED_BVT":
        warp = f", warp {vm.bvt_warp_value} virtual ms, for {vm.bvt_warp_limit or 'any number of'} ms, then " \
            f"{vm.bvt_unwarp_period} ms without" if vm.bvt_warp_value else ""
        rows.append(("weight", f"{vm.bvt_weight}{warp}"))
    if vm.has_os:
        kernel = f"{vm.kern_type} from module '{vm.kern_mod}'"
        if vm.kern_load_addr is not None:
            kernel += f", loaded at {vm.kern_load_addr:#x}, entered at {vm.kern_entry_addr:#x}"
        rows.append(("kernel", kernel))
        if vm.ramdisk_mod:
            rows.append(("ramdisk", f"module '{vm.ramdisk_mod}'"))
        if vm.bootargs:
            rows.append(("bootargs", vm.bootargs))
        rows += [("module", f"'{mod.tag}'" + (f": {mod.string}" if mod.string else "")) for mod in vm.modules]
    else:
        rows.append(("kernel", "given by the device model"))
    rows.append(("console", vm.console_vuart))
    rows += [("wired", f"{port:#x} to {other[1]:#x} of {other[0]} ({conn.name})")
             for conn in scn.vuarts for (name, port), other in zip(conn.ends, reversed(conn.ends)) if name == vm.name]
    rows += [("connected", f"{link.name}, {link.type}, {link.size_kb} KiB, to {peer[0]}; it "
              + ("emits" if emits else "only waits"))
             for link in scn.connections for (name, emits), peer in zip(link.ends, reversed(link.ends))
             if name == vm.name]
    ports = ", ".join(range_text(*rng) for rng in vm.ports)
    rows.append(("ports", (f"passed through: {ports}; " if ports else "") + f"others: {vm.unhandled_port}"))
    if vm.service_vm_control:
        rows.append(("control", "the Service VM may start, pause, reset and destroy it"))
    if vm.debug_exit:
        rows.append(("debug exit", f"OUT to {DEBUG_EXIT_PORT:#x} ends the VM"))
    if vm.pci_policy != "NONE":
        rows.append(("PCI", ", ".join(map(bdf_text, vm.pci)) or "all that no other VM has"))
    if vm.load_order == POST:
        rows.append(("I/O", "requests complete by " + ("polling" if vm.io_polling else "notification")))
    else:
        rows.append(("start", "at boot" if vm.autostart else "from the console"))
    return rows


def to_text(scn: Scenario) -> str:
    """Everything the scenario says, defaults included."""
    console = f"{scn.console_port:#x} at {scn.console_baud} baud" if scn.console_port else "none"
    out = [f"scenario {scn.name}",
           f"  scheduler   {scn.scheduler}, slice {scn.slice_us} us",
           f"  console     {console}, shows {scn.console_vm or 'the hypervisor'} after boot",
           f"  log levels  console {scn.console_loglevel}, memory {scn.mem_loglevel}",
           f"  CPUs used   {scn.max_pcpus or 'all'}"]
    for vm in scn.vms:
        out += ["", f"VM {vm_ids(vm)} {vm.label}, {vm.load_order}"]
        out += [f"  {key:<11} {value}" for key, value in _rows(scn, vm)]
    return "\n".join(out) + "\n"
