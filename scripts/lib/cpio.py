# SPDX-License-Identifier: BSD-3-Clause
"""Writes initramfs archives (cpio "newc") without root: device nodes are only records in it."""

from __future__ import annotations

import stat
from pathlib import Path


class Archive:
    """Collects entries in order; parent folders are added by themselves."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._inode = 0
        self._seen: set[str] = set()

    def _entry(self, name: str, mode: int, content: bytes = b"", rdev: tuple[int, int] = (0, 0)) -> None:
        raw = name.encode() + b"\0"
        self._inode += 1
        fields = (self._inode, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, 0, len(content), 0, 0,
                  rdev[0], rdev[1], len(raw), 0)
        self._data += b"070701" + b"".join(b"%08x" % f for f in fields) + raw
        self._pad()
        self._data += content
        self._pad()

    def _pad(self) -> None:
        self._data += bytes(-len(self._data) % 4)

    def _parents(self, name: str) -> None:
        parts = name.split("/")[:-1]
        for i in range(1, len(parts) + 1):
            self.folder("/".join(parts[:i]))

    def folder(self, name: str) -> None:
        if name and name not in self._seen:
            self._parents(name)
            self._seen.add(name)
            self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name: str, content: bytes | Path, mode: int = 0o644) -> None:
        self._parents(name)
        data = content.read_bytes() if isinstance(content, Path) else content
        self._entry(name, stat.S_IFREG | mode, data)

    def link(self, name: str, target: str) -> None:
        self._parents(name)
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, name: str, major: int, minor: int) -> None:
        self._parents(name)
        self._entry(name, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def bytes(self) -> bytes:
        """The finished archive; nothing may be added after it."""
        self._entry("TRAILER!!!", 0)
        self._data += bytes(-len(self._data) % 512)
        return bytes(self._data)
