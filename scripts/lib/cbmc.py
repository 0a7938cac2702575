# SPDX-License-Identifier: BSD-3-Clause
"""CBMC, the bounded model checker for C: Debian 12 lacks it, so Debian 13's packages are unpacked into the cache.

Nothing is installed. The programs run with their own release's C library, by its dynamic loader; no environment
variable says so, because goto-cc starts this machine's gcc as preprocessor.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from lib import apt
from lib.common import ToolError, cache_dir, digest, locked

SUITE = "trixie"
PACKAGES = ["cbmc", "minisat", "libc6", "libstdc++6", "libgcc-s1"]
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib")


def _root() -> Path:
    """Where the files of the packages are in the cache; they are fetched when they aren't there."""
    target = cache_dir() / f"cbmc-{SUITE}-{digest(*PACKAGES)}"
    with locked(target):
        if not target.exists():
            with tempfile.TemporaryDirectory(prefix="cbmc-", dir=cache_dir()) as name:
                try:
                    apt.binary_packages(PACKAGES, SUITE, Path(name)).rename(target)
                except ToolError as e:
                    raise ToolError(f"CBMC can't be had from Debian {SUITE}, and Debian 12 has none: {e}") from e
    return target


def program(name: str) -> list[str]:
    """The first words of a command that runs `name`: cbmc or goto-cc. Raises ToolError when it can't be had."""
    root = _root()
    return [str(root / "usr/lib64/ld-linux-x86-64.so.2"), "--library-path", ":".join(str(root / d) for d in LIBRARIES),
            "--argv0", name, str(root / "usr/bin" / name)]
