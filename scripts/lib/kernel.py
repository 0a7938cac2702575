# SPDX-License-Identifier: BSD-3-Clause
"""Where the guests' kernels are in the cache: our Linux, Debian's own, and other systems of Debian's packages."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lib.common import TOP, cache_dir, digest

PACKAGE = "linux-source-6.1"
TARBALL = Path("/usr/src/linux-source-6.1.tar.xz")
CONFIG = TOP / "scripts" / "kernel" / "config"


def package_version() -> str:
    """Version of the installed source package, or "" when it isn't installed."""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", PACKAGE],
                          capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _settings() -> str:
    """The configuration without comments, which don't change what is built."""
    lines = (line.strip() for line in CONFIG.read_text().splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#"))


def kernel_dir(version: str) -> Path:
    return cache_dir() / f"linux-{version.replace(':', '_')}-{digest(version, _settings())}"


def cached_kernel() -> Path | None:
    """The bzImage for the present configuration, of the installed source package or else of the
    newest version in the cache; None when there is none."""
    version = package_version()
    if version:
        path = kernel_dir(version) / "bzImage"
        return path if path.exists() else None
    found = []
    for path in cache_dir().glob("linux-*/bzImage"):
        name = path.parent.name
        if kernel_dir(name.removeprefix("linux-").rsplit("-", 1)[0]).name == name:
            found.append(path)
    return max(found, key=lambda p: p.stat().st_mtime) if found else None


# ---- Debian's kernel packages, as they are ----

DEBIAN_FLAVOURS = ("cloud-amd64", "amd64")
DEBIAN_MODULES = ("uio.ko", "uio_pci_generic.ko")


@dataclass(frozen=True)
class Other:
    """A system that is not Linux, as Debian packages it."""
    package: str
    member: str			# which file of it; a pattern
    metapackage: str = ""	# depends on `package`, whose name holds a version; a pattern then


OTHERS = {
    "memtest86+x64": Other("memtest86+", "boot/memtest86+x64.bin"),
    "memtest86+ia32": Other("memtest86+", "boot/memtest86+ia32.bin"),
    "xen": Other("xen-hypervisor-*-amd64", "boot/xen-*-amd64.gz", "xen-system-amd64"),
}


def cached_other(name: str) -> Path | None:
    """The image of the newest package that was fetched for it."""
    found = list(cache_dir().glob(f"{OTHERS[name].package}_*/{name}"))
    return max(found, key=lambda p: p.stat().st_mtime) if found else None


def cached_debian_kernel(flavour: str) -> Path | None:
    """vmlinuz of the newest package linux-image-*-FLAVOUR in the cache, with the modules beside it."""
    wanted = re.compile(rf"linux-image-[\d.]+-\d+-{flavour}_")
    found = [path for path in cache_dir().glob("linux-image-*/vmlinuz") if wanted.match(path.parent.name)
             and all((path.parent / name).exists() for name in DEBIAN_MODULES)]
    return max(found, key=lambda p: p.stat().st_mtime) if found else None


def debian_module_path(kernel: Path, source: Path) -> Path:
    """Where scripts/module-build leaves what it makes of that source for that kernel."""
    return kernel.parent / f"{source.stem}-{digest(source.read_text())}.ko"
