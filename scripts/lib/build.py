# SPDX-License-Identifier: BSD-3-Clause
"""The products that run and test boot: hypervisor, guests, device model, scenarios, initrds, ISOs."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from lib import bochs
from lib.common import TOP, ToolError, build_dir, run_step
from lib.initrd import service_initrd, user_initrd
from lib.iso import BootModule, ImageConfig, make_iso
from lib.kernel import OTHERS, cached_debian_kernel, cached_kernel, cached_other, debian_module_path


def make(*targets: str, what: str = "") -> None:
    """Runs make for the build directory; its output goes to make.log there."""
    out = build_dir()
    out.mkdir(parents=True, exist_ok=True)
    log = out / "make.log"
    run_step(what or f"make {' '.join(targets)}",
             ["make", "-C", TOP, f"O={out}", f"-j{min(os.cpu_count() or 1, 8)}", *targets], log)


def hypervisor() -> Path:
    make(what="building the hypervisor")
    return build_dir() / "aril.elf"


def fast_bochs() -> None:
    """Makes the fast simulator when it isn't there; without it everything works, slower."""
    if os.environ.get("ARIL_BOCHS", "auto") == "stock" or bochs.fast_bochs_path().exists():
        return
    subprocess.run([sys.executable, TOP / "scripts" / "bochs-build"], stdout=subprocess.DEVNULL,
                   check=False)


def kernel() -> Path:
    """The guests' bzImage, built when it isn't cached."""
    found = cached_kernel()
    if found is None:
        subprocess.run([sys.executable, TOP / "scripts" / "kernel-build"],
                       stdout=subprocess.DEVNULL, check=False)
        found = cached_kernel()
        if found is None:
            raise ToolError("the guests' Linux kernel could not be built (see above)")
    return found


def debian_kernel(name: str) -> Path:
    """Debian's own vmlinuz of that flavour, or another system's image; fetched when it isn't cached."""
    cached = cached_other if name in OTHERS else cached_debian_kernel
    found = cached(name)
    if found is None:
        subprocess.run([sys.executable, TOP / "scripts" / "kernel-fetch", name],
                       stdout=subprocess.DEVNULL, check=False)
        found = cached(name)
        if found is None:
            raise ToolError("Debian's kernel package could not be fetched (see above)")
    return found


def debian_module(flavour: str, source: Path) -> Path:
    """A module for Debian's own kernel, built when it isn't cached."""
    found = debian_module_path(debian_kernel(flavour), source)
    if not found.exists():
        subprocess.run([sys.executable, TOP / "scripts" / "module-build", source, flavour],
                       stdout=subprocess.DEVNULL, check=False)
        if not found.exists():
            raise ToolError(f"{source.name} could not be built for Debian's kernel (see above)")
    return found


def write_if_changed(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != data:
        # Two tests of one run may make the same file at the same time.
        temporary = path.with_name(f"{path.name}.new{os.getpid()}-{threading.get_ident()}")
        temporary.write_bytes(data)
        temporary.rename(path)
    return path


@dataclass
class LinuxFiles:
    """What a Linux scenario's modules are made of."""
    kernel: Path
    user: Path
    service: Path


def linux_files(dm: Path | None) -> LinuxFiles:
    out = build_dir() / "system"
    image = kernel()
    user = write_if_changed(out / "user-initrd", user_initrd())
    service = write_if_changed(out / "service-initrd", service_initrd(image, user, dm))
    return LinuxFiles(image, user, service)


@dataclass(frozen=True)
class Change:
    """One deviation of a test from a scenario file: which VM, which element, and its new text.

    The path is as in "os_config/bootargs"; "+text" adds to what is there; elements that are missing
    are made. "name[2]" is the second of that name; "name[@tag=X]" always makes one more element `name`
    with that attribute. The VM "" is the scenario itself (path from the root).
    """
    vm: str
    path: str
    text: str


# Children in the order which the schema demands.
_ORDER = {
    "connection": "name type dataport_size endpoint".split(),
    "os_config": "kern_type kern_mod ramdisk_mod bootargs kern_load_addr kern_entry_addr modules".split(),
    "vm": ("load_order name autostart service_vm_control own_pcpu cpu_affinity vcpu_num bvt_weight bvt_warp_value "
           "bvt_warp_limit bvt_unwarp_period memory console_vuart "
           "io_completion_polling debug_exit unhandled_port passthrough_ports pci_devs os_config").split(),
}


def _set(root: ElementTree.Element, change: Change) -> None:
    node = root
    if change.vm:
        found = [vm for vm in root.findall("vm") if vm.findtext("name") == change.vm]
        if not found:
            raise ToolError(f"scenario {root.get('scenario')} has no VM {change.vm}")
        node = found[0]
    for step in change.path.split("/"):
        name, _, attribute = step.partition("[@")
        attribute = attribute.rstrip("]")
        child = None if attribute else node.find(name)
        if child is None:
            child = ElementTree.Element(name)
            if attribute:
                key, _, value = attribute.partition("=")
                child.set(key, value)
            order = _ORDER.get(node.tag, [])
            later = order[order.index(name) + 1:] if name in order else []
            node.insert(next((i for i, c in enumerate(node) if c.tag in later), len(node)), child)
        node = child
    node.text = f"{node.text or ''} {change.text[1:]}".strip() if change.text.startswith("+") \
        else change.text


def scenario_blob(xml: Path, output: Path, cpus: int, memory_mb: int,
                  changes: tuple[Change, ...] = ()) -> Path:
    """Compiles a scenario, after `changes`, for a machine of that size."""
    output.parent.mkdir(parents=True, exist_ok=True)
    source = xml
    if changes:
        root = ElementTree.parse(xml).getroot()
        for change in changes:
            _set(root, change)
        source = output.with_suffix(".xml")
        ElementTree.ElementTree(root).write(source, encoding="utf-8", xml_declaration=True)
    if source.suffix != ".xml":
        return source			# a blob already
    argv = [str(TOP / "scripts" / "scenario"), "compile", "--cpus", str(cpus), "--memory",
            str(memory_mb), "-o", str(output), str(source)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolError(f"{xml.name} does not compile for {cpus} CPUs and {memory_mb} MiB:\n"
                        + done.stdout + done.stderr)
    return output


def scenario_tags(xml: Path) -> list[str]:
    """The module tags which a scenario's VMs want, in order."""
    if xml.suffix != ".xml":
        return ["svm-kernel", "svm-initrd"]
    root = ElementTree.parse(xml).getroot()
    tags = [node.text.strip() for vm in root.findall("vm")
            for node in vm.findall("os_config/*")
            if node.tag in ("kern_mod", "ramdisk_mod") and node.text]
    return list(dict.fromkeys(tags))


def scenario_modules(xml: Path, given: dict[str, Path]) -> tuple[BootModule, ...]:
    """A file for each module tag: as given, or Linux and its initrds by the tag's ending."""
    files: LinuxFiles | None = None
    modules = []
    given = copy.copy(given)
    for tag in scenario_tags(xml):
        path = given.pop(tag, None)
        if path is None:
            if tag.endswith(("-kernel", "-initrd")) and files is None:
                make("dm", what="building the device model")
                files = linux_files(build_dir() / "aril-dm")
            if tag.endswith("-kernel"):
                path = files.kernel if files else None
            elif tag == "svm-initrd":
                path = files.service if files else None
            elif tag.endswith("-initrd"):
                path = files.user if files else None
        if path is None:
            raise ToolError(f"scenario {xml.name} wants a module '{tag}': give --module {tag}=FILE")
        modules.append(BootModule(tag, path))
    modules += [BootModule(tag, path) for tag, path in given.items()]
    return tuple(modules)


@dataclass(frozen=True)
class HvImage:
    """An ISO with the hypervisor."""
    name: str
    scenario: Path | None = None
    changes: tuple[Change, ...] = ()
    modules: tuple[BootModule, ...] = ()
    cmdline: str = ""
    cpus: int = 1
    memory_mb: int = 512
    efi: bool = False


def hv_iso(image: HvImage, output: Path | None = None) -> Path:
    out = build_dir()
    modules = image.modules
    if image.scenario is not None:
        blob = scenario_blob(image.scenario, out / "scenarios" / f"{image.name}.blob", image.cpus,
                             image.memory_mb, image.changes)
        modules = (BootModule("scenario", blob), *modules)
    # The fast Bochs has our patches: what the hypervisor does to survive the packaged one is not wanted.
    words = f"{image.cmdline} no-quirks" if bochs.find_bochs()[1] else image.cmdline
    config = ImageConfig(kernel=out / "aril.elf", modules=modules, cmdline=words.strip())
    return make_iso(config, output or out / "iso" / f"{image.name}.iso", efi=image.efi)


