# SPDX-License-Identifier: BSD-3-Clause
"""A GRUB ISO that boots under BIOS and UEFI: the hypervisor with its modules, or a bare test image."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lib.common import ToolError

# What GRUB calls the loading of a kernel and of what comes with it.
COMMANDS = {"multiboot2": ("multiboot2", "module2"), "multiboot1": ("multiboot", "module"),
            "linux": ("linux", "initrd")}
MODULES = ("multiboot multiboot2 linux serial terminal normal part_msdos part_gpt iso9660 search "
           "configfile echo test all_video gfxterm part_acorn part_amiga part_bsd part_dfly "
           "part_dvh part_plan part_sun part_sunpc")
BIOS_MODULES = MODULES + " biosdisk vbe"


@dataclass(frozen=True)
class BootModule:
    tag: str		# first word of the module's command line: how the hypervisor knows it
    path: Path


@dataclass(frozen=True)
class ImageConfig:
    kernel: Path
    modules: tuple[BootModule, ...] = ()
    cmdline: str = ""
    protocol: str = "multiboot2"	# multiboot2: the hypervisor; bare images: multiboot1, or linux with an initrd


def parse_module(text: str) -> BootModule:
    """TAG=FILE, or "TAG more words=FILE"; the last = divides."""
    tag, sep, name = text.rpartition("=")
    if not sep or not tag or not name:
        raise ToolError(f"module '{text}': the form is TAG=FILE")
    path = Path(name)
    if not path.is_file():
        raise ToolError(f"module {tag}: there is no file {path}")
    return BootModule(tag, path)


def grub_cfg(config: ImageConfig, names: list[str]) -> str:
    """The boot menu: one entry, no delay, on serial and screen."""
    command, module = COMMANDS[config.protocol]
    lines = ["# SPDX-License-Identifier: BSD-3-Clause",
             "serial --unit=0 --speed=115200",
             "terminal_input console serial",
             "terminal_output console serial",
             "set timeout=0",
             "if [ \"$grub_platform\" = efi ]; then insmod all_video; fi",
             "menuentry 'Aril' {",
             f"\techo 'GRUB: loading {config.kernel.name}'",
             f"\t{command} /boot/{config.kernel.name} {config.cmdline}".rstrip()]
    for m, name in zip(config.modules, names, strict=True):
        tag = "" if config.protocol == "linux" else m.tag
        lines += [f"\techo 'GRUB: loading module {m.tag}'", f"\t{module} /boot/{name} {tag}".rstrip()]
    lines += ["\techo 'GRUB: starting'", "\tboot", "}", ""]
    return "\n".join(lines)


def make_iso(config: ImageConfig, output: Path, efi: bool = True) -> Path:
    """Writes the ISO. Without `efi` it is BIOS only, smaller and made faster."""
    if not config.kernel.is_file():
        raise ToolError(f"there is no file {config.kernel}; build it first (make)")
    grub = Path("/usr/lib/grub")
    if not (grub / "i386-pc").is_dir():
        raise ToolError("GRUB's BIOS files are missing: apt-get install grub-pc-bin")
    if efi and not (grub / "x86_64-efi").is_dir():
        raise ToolError("GRUB's UEFI files are missing: apt-get install grub-efi-amd64-bin")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="aril-iso-") as name:
        root = Path(name) / "root"
        boot = root / "boot"
        (boot / "grub").mkdir(parents=True)
        shutil.copy(config.kernel, boot / config.kernel.name)
        names = []
        for i, module in enumerate(config.modules):
            names.append(f"m{i}-{module.path.name}")
            shutil.copy(module.path, boot / names[-1])
        (boot / "grub" / "grub.cfg").write_text(grub_cfg(config, names))
        wanted = MODULES if efi else BIOS_MODULES
        temporary = output.with_name(f".{output.name}.{os.getpid()}")
        argv = ["grub-mkrescue", "--locales=", "--fonts=" + ("unicode" if efi else ""), "--themes=",
                "--compress=no", "--install-modules=" + wanted,
                "-o", str(temporary), str(root)]
        if not efi:
            argv[1:1] = ["-d", str(grub / "i386-pc")]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not temporary.exists():
            temporary.unlink(missing_ok=True)
            raise ToolError(f"grub-mkrescue failed:\n{done.stderr[-1500:]}")
        temporary.rename(output)
    return output
