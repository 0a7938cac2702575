# SPDX-License-Identifier: BSD-3-Clause
"""The initial RAM disks of User VM and Service VM: busybox, one init script, what to launch."""

from __future__ import annotations

import struct
from pathlib import Path

from lib.common import TOP, ToolError
from lib.cpio import Archive

INIT = TOP / "scripts" / "initrd"
APPLETS = """sh ash cat echo cut grep sed tr sleep mount umount mkdir ls ps kill killall uname reboot
poweroff setsid cttyhack dmesg free head tail wc cmp rm cp true false test seq taskset devmem date
hexdump stty dd insmod printf md5sum""".split()


def _has_interpreter(path: Path) -> bool:
    """Whether a 64-bit ELF program is dynamically linked: has a PT_INTERP program header."""
    data = path.read_bytes()
    phoff, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    return any(struct.unpack_from("<I", data, phoff + i * size)[0] == 3 for i in range(count))


def _busybox() -> Path:
    for name in ("/usr/bin/busybox", "/bin/busybox"):
        path = Path(name)
        if path.exists():
            if _has_interpreter(path):
                raise ToolError(f"{name} is dynamically linked: apt-get install busybox-static")
            return path
    raise ToolError("busybox is missing: apt-get install busybox-static")


def _base(init: Path) -> Archive:
    archive = Archive()
    for name in ("bin", "dev", "lib", "proc", "sys", "tmp", "root"):
        archive.folder(name)
    archive.character_device("dev/console", 5, 1)
    archive.character_device("dev/null", 1, 3)
    archive.file("bin/busybox", _busybox(), 0o755)
    for applet in APPLETS:
        archive.link(f"bin/{applet}", "busybox")
    archive.link("sbin", "bin")
    archive.file("init", init, 0o755)
    archive.file("cable", INIT / "cable", 0o644)
    return archive


def user_initrd(extra: dict[str, Path] | None = None) -> bytes:
    archive = _base(INIT / "user-vm-init")
    for name, path in (extra or {}).items():
        archive.file(name, path, 0o755)
    return archive.bytes()


def service_initrd(kernel: Path, initrd: Path, dm: Path | None = None,
                   extra: dict[str, Path] | None = None) -> bytes:
    archive = _base(INIT / "service-vm-init")
    archive.file("vm/bzImage", kernel)
    archive.file("vm/initrd", initrd)
    if dm is not None:
        archive.file("bin/aril-dm", dm, 0o755)
    for name, path in (extra or {}).items():
        archive.file(name, path, 0o755)
    return archive.bytes()
