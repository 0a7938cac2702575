# SPDX-License-Identifier: BSD-3-Clause
"""Rules of a scenario that a schema can't say: each names the line, what is wrong and how to mend it.

hypervisor/scenario.c checks the same on the blob; what passes here, passes there (tests/scripts/test_scenario.py
and tests/unit/test_scenario.c hold both to it).
"""

from __future__ import annotations

from scenario_model import (ALL_VCPUS, bdf_text, COM_PORTS, DEBUG_EXIT_PORT, EMULATED_PORTS, HYPERVISOR, Limits,
                           LOAD_ORDERS, MEM_MAX_MB, overlap, PortRange, POST, PRE, Problem, Scenario, SERVICE, Vm)


class Checker:
    """Collects problems of one scenario."""

    def __init__(self, scn: Scenario, file: str, limits: Limits) -> None:
        self.scn, self.file, self.limits = scn, file, limits
        self.problems: list[Problem] = []

    def error(self, line: int, text: str) -> None:
        self.problems.append(Problem(self.file, line, text))

    def warn(self, line: int, text: str) -> None:
        self.problems.append(Problem(self.file, line, text, True))

    def run(self) -> list[Problem]:
        self.hypervisor()
        self.identity()
        for vm in self.scn.vms:
            self.cpus(vm)
            self.memory(vm)
            self.kernel(vm)
            self.ports(vm)
            self.pci(vm)
        self.own_pcpus()
        self.vuarts()
        self.connections()
        return sorted(self.problems, key=lambda problem: problem.line)

    # ---- the hypervisor ----

    def hypervisor(self) -> None:
        scn, lines = self.scn, self.scn.lines
        if scn.console_port and 115200 % scn.console_baud:
            self.error(lines.get("SERIAL_BAUD", 0), f"SERIAL_BAUD {scn.console_baud} can't be set; use a divisor of "
                       "115200, such as 115200, 57600, 38400 or 9600")
        if scn.console_port > 0xFFF8:
            self.error(lines.get("SERIAL_CONSOLE", 0), f"SERIAL_CONSOLE {scn.console_port:#x} leaves no room for a "
                       "UART's 8 ports; use a port up to 0xfff8")
        if scn.max_pcpus > self.limits.max_pcpus:
            self.error(lines.get("MAX_PCPU_NUM", 0), f"MAX_PCPU_NUM {scn.max_pcpus} is above CONFIG_MAX_PCPU_NUM; "
                       f"write up to {self.limits.max_pcpus}, or 0 for no limit")
        if scn.console_vm and scn.find(scn.console_vm) is None:
            self.error(lines.get("CONSOLE_VM", 0), f"CONSOLE_VM '{scn.console_vm}' is no VM of this scenario; write "
                       f"one of {self.vm_names()}")

    def vm_names(self) -> str:
        return ", ".join(vm.name for vm in self.scn.vms if not vm.dynamic)

    # ---- names, ids, order ----

    def identity(self) -> None:
        scn, seen = self.scn, {}
        for index, vm in enumerate(scn.vms):
            before = scn.vms[index - 1] if index else None
            if not vm.dynamic and vm.id != index:
                self.error(vm.line(), f"id {vm.id} of '{vm.name}' is out of order; ids count 0, 1, 2... from the "
                           f"top, write {index}")
            if before and LOAD_ORDERS[before.load_order] > LOAD_ORDERS[vm.load_order]:
                self.error(vm.line("load_order"), f"{vm.load_order} '{vm.label}' stands after {before.load_order} "
                           f"'{before.label}'; order them pre-launched, Service VM, post-launched")
            if not vm.dynamic and vm.name in seen:
                self.error(vm.line("name"), f"the name '{vm.name}' is taken by the VM in line "
                           f"{seen[vm.name].line('name')}; rename one")
            seen.setdefault(vm.name, vm)
            if vm.load_order == POST and vm.lines.get("autostart") and vm.autostart:
                self.error(vm.line("autostart"), f"'{vm.name}' is post-launched and can't start at boot; take "
                           "autostart out")
            if vm.load_order != PRE and vm.service_vm_control:
                self.error(vm.line("service_vm_control"), f"'{vm.name}' is not pre-launched; take service_vm_control "
                           "out")
            if vm.dynamic and vm.slots == 0:
                self.error(vm.line("slots"), "0 slots; write at least 1, or take dynamic_vms out")
        services = [vm for vm in scn.vms if vm.load_order == SERVICE]
        for extra in services[1:]:
            self.error(extra.line("load_order"), f"'{extra.name}' is a second Service VM; make it PRE_LAUNCHED_VM or "
                       "POST_LAUNCHED_VM")
        if not services:
            for vm in (vm for vm in scn.vms if vm.load_order == POST):
                self.error(vm.line("load_order"), f"'{vm.label}' is post-launched, but there is no Service VM to "
                           "launch it; add one or make it PRE_LAUNCHED_VM")
        if scn.slot_count > self.limits.max_vms:
            self.error(scn.vms[-1].line("slots"), f"{scn.slot_count} VMs and dynamic slots, CONFIG_MAX_VM_NUM is "
                       f"{self.limits.max_vms}; take some out")

    # ---- CPUs ----

    def cpus(self, vm: Vm) -> None:
        most = min(self.scn.max_pcpus or self.limits.max_pcpus, self.limits.max_pcpus)
        for index, cpu in enumerate(vm.pcpus):
            if cpu >= most:
                self.error(vm.line(f"pcpu_id[{index}]"), f"'{vm.label}' names pCPU {cpu}, ids go up to {most - 1}; "
                           "name another or raise MAX_PCPU_NUM")
        if len(vm.pcpus) > self.limits.max_vcpus or vm.vcpu_num > self.limits.max_vcpus:
            self.error(vm.line("cpu_affinity", "vcpu_num"), f"'{vm.label}' has more than {self.limits.max_vcpus} vCPUs "
                       "(CONFIG_MAX_VCPUS_PER_VM); take some out")
        if vm.pcpus and vm.vcpu_num:
            self.error(vm.line("vcpu_num"), f"'{vm.label}' has vcpu_num and cpu_affinity; the affinity has one entry "
                       "per vCPU already, take vcpu_num out")
        if vm.load_order == SERVICE and len(set(vm.pcpus)) != len(vm.pcpus):
            self.error(vm.line("cpu_affinity"), f"Service VM '{vm.label}' names a pCPU twice; its vCPUs are the "
                       "machine's CPUs, name each once")
        if vm.own_pcpu and not vm.pcpus:
            self.error(vm.line("own_pcpu"), f"'{vm.label}' owns its CPUs but doesn't name them; add cpu_affinity")
        for name, default in (("bvt_weight", 1), ("bvt_warp_value", 0)):
            if getattr(vm, name) != default and self.scn.scheduler != "SCHED_BVT":
                self.warn(vm.line(name), f"{name} of '{vm.label}' has no effect with {self.scn.scheduler}; "
                          "set SCHEDULER to SCHED_BVT")
        self.alone(vm)

    def alone(self, vm: Vm) -> None:
        """SCHED_NOOP: no pCPU has two vCPUs. A post-launched VM may wait for the Service VM to leave one."""
        if self.scn.scheduler != "SCHED_NOOP":
            return
        if len(set(vm.pcpus)) != len(vm.pcpus):
            self.error(vm.line("cpu_affinity"), f"'{vm.label}' names a pCPU twice; with SCHED_NOOP each has one vCPU, "
                       "name others or set SCHEDULER to SCHED_IORR")
        for other in self.scn.vms[:self.scn.vms.index(vm)]:
            if both := sorted(set(vm.pcpus) & set(other.pcpus)) if vm.load_order != POST else []:
                self.error(vm.line("cpu_affinity"), f"'{vm.label}' and '{other.label}' are both to run on pCPU "
                           f"{both[0]}; with SCHED_NOOP each has one vCPU, name others or set SCHEDULER to SCHED_IORR")

    def own_pcpus(self) -> None:
        for owner in (vm for vm in self.scn.vms if vm.own_pcpu):
            for vm in self.scn.vms:
                both = sorted(set(owner.pcpus) & set(vm.pcpus))
                if vm is owner or not both or (vm.own_pcpu and vm.id < owner.id):
                    continue
                self.error(vm.line("cpu_affinity"), f"'{vm.label}' is to run on pCPU {both[0]}, which '{owner.label}' "
                           "owns (own_pcpu); choose another or set own_pcpu to n")

    # ---- memory ----

    def memory(self, vm: Vm) -> None:
        if vm.load_order == PRE and vm.mem_mb == 0:
            self.error(vm.line("memory"),
                       f"pre-launched '{vm.name}' has no memory; add <memory><size>MB</size></memory>")
        if vm.mem_mb % 2 or vm.mem_mb > MEM_MAX_MB:
            self.error(vm.line("size", "size_hpa"), f"'{vm.label}' has {vm.mem_mb} MB; use an even number up to "
                       f"{MEM_MAX_MB} (memory is mapped in pieces of 2 MiB)")
        if vm.mem_hpa is None:
            return
        if vm.load_order != PRE:
            self.error(vm.line("hpa_region"), f"'{vm.label}' has an hpa_region, which only a pre-launched VM can have; "
                       "take it out")
        if vm.mem_hpa == 0 or vm.mem_hpa % 0x200000 or vm.mem_hpa > MEM_MAX_MB << 20:
            self.error(vm.line("start_hpa"), f"start_hpa {vm.mem_hpa:#x} of '{vm.label}' is 0, too high or no multiple "
                       "of 2 MiB (0x200000); move it")
        mine = (vm.mem_hpa, vm.mem_hpa + (vm.mem_mb << 20) - 1)
        for other in self.scn.vms:
            if other is vm:
                break
            if other.mem_hpa is not None and \
                    overlap(mine, (other.mem_hpa, other.mem_hpa + (other.mem_mb << 20) - 1)):
                self.error(vm.line("hpa_region"), f"hpa_region of '{vm.label}' ({mine[0]:#x}-{mine[1]:#x}) overlaps "
                           f"that of '{other.label}' at {other.mem_hpa:#x}; move one")

    # ---- kernel ----

    def kernel(self, vm: Vm) -> None:
        if vm.load_order == POST:
            if vm.has_os:
                self.error(vm.line("os_config"), f"'{vm.label}' is post-launched, its device model loads it; take "
                           "os_config out")
            return
        if not vm.has_os:
            self.error(vm.line(), f"'{vm.name}' has no os_config; add one with kern_type and kern_mod")
            return
        self.kernel_addresses(vm)
        for element, text in [("bootargs", vm.bootargs)] + \
                [(f"module[{i}]", mod.string) for i, mod in enumerate(vm.modules)]:
            if not (text.isascii() and text.isprintable()):
                self.error(vm.line(element), f"{element.split('[')[0]} of '{vm.name}' has a character that isn't "
                           "printable ASCII; take it out")

    def kernel_addresses(self, vm: Vm) -> None:
        raw = vm.kern_type == "KERNEL_RAWIMAGE"
        if raw and (vm.kern_load_addr is None or vm.kern_entry_addr is None):
            self.error(vm.line("kern_type"), f"KERNEL_RAWIMAGE of '{vm.name}' needs kern_load_addr and "
                       "kern_entry_addr; add both")
            return
        if not raw and (vm.kern_load_addr is not None or vm.kern_entry_addr is not None):
            self.error(vm.line("kern_load_addr", "kern_entry_addr"), f"the image of '{vm.name}' says itself where it "
                       f"goes ({vm.kern_type}); take kern_load_addr and kern_entry_addr out")
        if raw and vm.kern_load_addr is not None and vm.kern_entry_addr is not None:
            if vm.kern_entry_addr < vm.kern_load_addr:
                self.error(vm.line("kern_entry_addr"), f"kern_entry_addr {vm.kern_entry_addr:#x} is below "
                           f"kern_load_addr {vm.kern_load_addr:#x}; the entry is inside the image")
            elif vm.load_order == PRE and vm.mem_mb and vm.kern_entry_addr >= vm.mem_mb << 20:
                self.error(vm.line("kern_entry_addr"), f"kern_entry_addr {vm.kern_entry_addr:#x} is outside the "
                           f"{vm.mem_mb} MB of '{vm.name}'; lower it or give more memory")

    # ---- ports ----

    def ports(self, vm: Vm) -> None:
        only = {"FORWARD": POST, "PASSTHROUGH": SERVICE}.get(vm.unhandled_port)
        if only and vm.load_order != only:
            self.error(vm.line("unhandled_port"), f"unhandled_port {vm.unhandled_port} is for {only} only; use IGNORE, "
                       f"LOG or STOP for '{vm.label}'")
        order = sorted(range(len(vm.ports)), key=lambda i: vm.ports[i])
        for place, index in enumerate(order):
            rng, line = vm.ports[index], vm.line(f"port_range[{index}]")
            if rng[0] > rng[1]:
                self.error(line, f"port range {rng[0]:#x}-{rng[1]:#x} of '{vm.label}' is reversed; swap first and last")
                continue
            if place and overlap(rng, vm.ports[order[place - 1]]):
                self.error(line, f"port range {rng[0]:#x}-{rng[1]:#x} of '{vm.label}' overlaps another of its own; "
                           "join them")
            self.port_owner(vm, rng, line)
            if rng.vcpu != ALL_VCPUS:
                self.port_vcpu(vm, rng, line)

    def port_vcpu(self, vm: Vm, rng: PortRange, line: int) -> None:
        count = len(vm.pcpus) or vm.vcpu_num
        if count and rng.vcpu >= count:
            self.error(line, f"ports {rng[0]:#x}-{rng[1]:#x} are for vCPU {rng.vcpu} of '{vm.label}', which has "
                       f"{count}; name one from 0 to {count - 1}")
        if vm.unhandled_port == "PASSTHROUGH":
            self.error(line, f"ports {rng[0]:#x}-{rng[1]:#x} are for one vCPU of '{vm.label}', but with unhandled_port "
                       "PASSTHROUGH every vCPU has them; write IGNORE or LOG there, or take the vcpu out")

    def port_owner(self, vm: Vm, rng: PortRange, line: int) -> None:
        text = f"ports {rng[0]:#x}-{rng[1]:#x} of '{vm.label}'"
        for taken in EMULATED_PORTS:
            if overlap(rng, taken):
                self.error(line, f"{text} hold {taken[0]:#x}-{taken[1]:#x}, which the hypervisor emulates; leave those "
                           "out")
        console = self.scn.console_port
        if console and overlap(rng, (console, console + 7)):
            self.error(line, f"{text} hold the hypervisor's console at {console:#x}; leave it out or move "
                       "SERIAL_CONSOLE")
        if vm.debug_exit and overlap(rng, (DEBUG_EXIT_PORT, DEBUG_EXIT_PORT)):
            self.error(line, f"{text} hold the debug-exit port {DEBUG_EXIT_PORT:#x}; leave it out or set debug_exit to "
                       "n")
        if vm.console_vuart != "None":
            base = COM_PORTS[int(vm.console_vuart[-1])]
            if overlap(rng, (base, base + 7)):
                self.error(line, f"{text} hold its console_vuart at {base:#x}; leave it out or set console_vuart to "
                           "None")
        for other in self.scn.vms:
            if other is vm:
                break
            if any(overlap(rng, theirs) for theirs in other.ports):
                self.error(line, f"{text} are given to '{other.label}' too; a port of the machine has one owner")

    # ---- PCI ----

    def pci(self, vm: Vm) -> None:
        line = vm.line("pci_devs")
        if vm.load_order == POST and (vm.pci or vm.pci_policy != "NONE"):
            self.error(line, f"'{vm.label}' is post-launched: the Service VM hands devices out; take pci_devs out")
        elif vm.pci_policy == "ALL" and vm.load_order != SERVICE:
            self.error(line, f"policy ALL is for the Service VM; list the functions of '{vm.label}'")
        elif (vm.pci_policy == "LISTED") != bool(vm.pci):
            self.error(line, f"policy {vm.pci_policy} of '{vm.label}' doesn't fit {len(vm.pci)} listed functions; "
                       "LISTED goes with a list, ALL and NONE without")
        elif vm.pci_policy != ("ALL" if vm.load_order == SERVICE else "NONE"):
            self.warn(line, f"pci_devs of '{vm.label}' has no effect yet: the Service VM has all PCI functions of the "
                      "machine; take pci_devs out")
        for index, bdf in enumerate(vm.pci):
            at = vm.line(f"pci_dev[{index}]")
            if bdf in vm.pci[:index]:
                self.error(at, f"PCI function {bdf_text(bdf)} is listed twice; take one out")
            for other in self.scn.vms:
                if other is vm:
                    break
                if bdf in other.pci:
                    self.error(at, f"PCI function {bdf_text(bdf)} is given to '{other.label}' too; take one out")

    # ---- COM ports wired together ----

    def vuarts(self) -> None:
        names: dict[str, int] = {}
        ends: dict[tuple[str, int], int] = {}
        for conn in self.scn.vuarts:
            if conn.name in names:
                self.error(conn.line, f"the name '{conn.name}' is taken by the vuart_connection in line "
                           f"{names[conn.name]}; rename one")
            names.setdefault(conn.name, conn.line)
            for (name, port), line in zip(conn.ends, conn.end_lines):
                self.vuart_end(line, name, port)
                if (name, port) in ends:
                    self.error(line, f"port {port:#x} of '{name}' is connected in line {ends[name, port]} already; "
                               "use the other COM port")
                ends.setdefault((name, port), line)

    def vuart_end(self, line: int, name: str, port: int) -> None:
        vm = self.scn.find(name)
        if vm is None:
            self.error(line, f"endpoint '{name}' is no VM of this scenario; write one of {self.vm_names()}")
            return
        if port not in COM_PORTS.values():
            self.error(line, f"io_port {port:#x} of '{name}' is no COM port; use 0x3F8 (COM1) or 0x2F8 (COM2)")
            return
        if vm.console_vuart != "None" and COM_PORTS[int(vm.console_vuart[-1])] == port:
            self.error(line, f"io_port {port:#x} of '{name}' is its console_vuart; use the other COM port or set "
                       "console_vuart to None")
        if any(overlap((port, port + 7), rng) for rng in vm.ports):
            self.error(line, f"io_port {port:#x} of '{name}' is in its passthrough_ports; leave it out there")

    # ---- shared memory and events between VMs ----

    def connections(self) -> None:
        names: dict[str, int] = {}
        for conn in self.scn.connections:
            if conn.name in names:
                self.error(conn.line, f"the name '{conn.name}' is taken by the connection in line "
                           f"{names[conn.name]}; rename one")
            names.setdefault(conn.name, conn.line)
            if conn.size_kb & (conn.size_kb - 1):
                self.error(conn.line, f"dataport_size {conn.size_kb} is no power of two; write "
                           f"{1 << conn.size_kb.bit_length()}")
            if all(name == HYPERVISOR for name, _ in conn.ends):
                self.error(conn.end_lines[1], "both ends are the hypervisor; name a VM at one of them")
            for (name, _), line in zip(conn.ends, conn.end_lines):
                self.connection_end(line, name)

    def connection_end(self, line: int, name: str) -> None:
        vm = self.scn.find(name)
        if name == HYPERVISOR:
            if vm is not None:
                self.error(line, f"'{HYPERVISOR}' is the hypervisor here, and a VM has that name; rename the VM")
        elif vm is None:
            self.error(line, f"endpoint '{name}' is no VM of this scenario; write one of {self.vm_names()}, or "
                       f"{HYPERVISOR}")


def check(scn: Scenario, file: str, limits: Limits) -> list[Problem]:
    """All findings, in order of lines; the scenario may be compiled if none is an error."""
    return Checker(scn, file, limits).run()


def check_machine(scn: Scenario, file: str, cpus: int | None, memory_mb: int | None) -> list[Problem]:
    """What would go wrong on a machine with so many CPUs and so much memory; None: not looked at."""
    problems: list[Problem] = []
    if cpus is not None:
        for vm in scn.vms:
            for index, cpu in enumerate(vm.pcpus):
                if cpu >= cpus:
                    problems.append(Problem(file, vm.line(f"pcpu_id[{index}]"), f"'{vm.label}' needs pCPU {cpu}, the "
                                            f"machine has 0..{cpus - 1}; change cpu_affinity or use more CPUs"))
    if memory_mb is not None:
        need = sum(vm.mem_mb for vm in scn.vms if vm.load_order != POST)
        if need > memory_mb:
            problems.append(Problem(file, 1, f"VMs need {need} MB, the machine has {memory_mb}; make VMs smaller"))
    return problems
