# SPDX-License-Identifier: BSD-3-Clause
"""Bochs: which binary, which CPU models, and the bochsrc for one run."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from lib.common import TOP, ToolError, cache_dir, digest

FAST_VERSION = "3.0"
FAST_SHA256 = "78f6c73d4a6472d5130a87ab9dc306d02c7c71ed8e25b3a8ef642e2a7acd282b"
STOCK = Path("/usr/bin/bochs-bin")
FIRMWARE = Path("/usr/share/bochs")

# Intel models with everything Aril requires (EPT, unrestricted guest), oldest first. All of them
# exist in the packaged Bochs 2.7; those of FAST_ONLY only in 3.0.
VMX_MODELS = ("corei5_arrandale_m520", "corei7_sandy_bridge_2600k", "corei7_ivy_bridge_3770k",
              "corei7_haswell_4770", "broadwell_ult", "corei7_skylake_x", "corei3_cnl",
              "corei7_icelake_u", "tigerlake")
FAST_ONLY_MODELS = ("sapphire_rapids", "arrow_lake")
# Must be refused with one clear sentence: no unrestricted guest, no EPT, no VMX, AMD.
REFUSED_MODELS = ("corei5_lynnfield_750", "core2_penryn_t9600", "p4_prescott_celeron_336",
                  "athlon64_clawhammer", "phenom_8650_toliman", "zambezi", "ryzen")
DEFAULT_MODEL = "corei7_skylake_x"
# What Bochs takes. With more CPUs it runs out of timers, or hangs.
MAX_CPUS = 14
MAX_MEMORY_MB = 2048

# One simulated second in instructions, which is the TSC's rate too. Small enough that firmware
# delays and 115200 baud cost little, large enough for Linux to calibrate its clocks.
DEFAULT_IPS = 100_000_000


def patches() -> list[Path]:
    """Our patches to the Bochs source; each begins with what it mends and why."""
    return sorted((TOP / "scripts" / "bochs").glob("*.patch"))


@cache
def fast_bochs_path(profile: bool = False) -> Path:
    """Where the fast build is, or would be, in the cache; `profile`: the one that counts instructions by address."""
    recipe = (TOP / "scripts" / "bochs-build").read_bytes()
    key = digest(FAST_SHA256, recipe, *(p.read_bytes() for p in patches()))
    return cache_dir() / f"bochs-{FAST_VERSION}-{key}" / ("bochs-profile" if profile else "bochs")


def find_bochs(want: str = "auto") -> tuple[Path, bool]:
    """The simulator to use and whether it is the fast one.

    want: "fast", "profile" (fast, and scripts/bench --profile needs it), "stock", or "auto" (fast when it is in the
    cache). The environment variable ARIL_BOCHS overrides "auto" in the same words.
    """
    if want == "auto":
        want = os.environ.get("ARIL_BOCHS", "auto")
    if want not in ("auto", "fast", "profile", "stock"):
        raise ToolError(f"bochs choice '{want}': use auto, fast, profile or stock")
    fast = fast_bochs_path(want == "profile")
    if want != "stock" and fast.exists():
        return fast, True
    if want in ("fast", "profile"):
        raise ToolError("this Bochs is not built; run scripts/bochs-build" + " --profile" * (want == "profile"))
    if not STOCK.exists():
        raise ToolError("no Bochs here: apt-get install bochs bochsbios vgabios")
    return STOCK, False


def check_machine(model: str, cpus: int, memory_mb: int) -> None:
    """Raises ToolError for a machine that Bochs cannot be; its own words for it are hard to understand."""
    models = VMX_MODELS + FAST_ONLY_MODELS
    if model not in models + REFUSED_MODELS:
        raise ToolError(f"Bochs CPU model '{model}': use one of\n  " + "\n  ".join(models)
                        + "\nor, to see Aril's refusal, " + ", ".join(REFUSED_MODELS))
    if not 1 <= cpus <= MAX_CPUS:
        raise ToolError(f"Bochs has 1 to {MAX_CPUS} CPUs, {cpus} asked for")
    if not 1 <= memory_mb <= MAX_MEMORY_MB:
        raise ToolError(f"Bochs has 1 to {MAX_MEMORY_MB} MiB of memory, {memory_mb} asked for")


def bochsrc(*, iso: Path, fast: bool, model: str, cpus: int, memory_mb: int, serial: str, log: Path,
            ips: int = DEFAULT_IPS, ignore_bad_msrs: bool = True, quantum: int = 16, com: int = 1) -> str:
    """The text of a bochsrc. `serial` is the path of a terminal (pty) that becomes COM1, or COM2 beside a dead COM1."""
    check_machine(model, cpus, memory_mb)
    display = "display_library: nogui" if fast else 'display_library: rfb, options="timeout=0"'
    return f"""\
{display}
romimage: file={FIRMWARE}/BIOS-bochs-latest
vgaromimage: file={FIRMWARE}/VGABIOS-lgpl-latest
cpu: model={model}, count={cpus}, ips={ips}, quantum={quantum}, reset_on_triple_fault=0, \
ignore_bad_msrs={int(ignore_bad_msrs)}
memory: guest={memory_mb}, host={memory_mb}
clock: sync=none, time0=1735689600
vga: extension=vbe, update_freq=2
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
{"com1: enabled=1, mode=null" if com != 1 else ""}
com{com}: enabled=1, mode=term, dev={serial}
port_e9_hack: enabled=1
log: {log}
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
"""
