#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Kconfig tree and .config -> C header.

  kconfig.py header  CONFIG HEADER   write HEADER from CONFIG (made with defaults if it does not exist)
  kconfig.py default CONFIG          write CONFIG with all defaults
  kconfig.py menu    CONFIG          edit CONFIG in a menu

In the header a bool is 0 or 1, numbers are unsigned.
"""
import os
import sys
from pathlib import Path

import kconfiglib  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parent.parent


def load(config: Path, *, defaults: bool) -> kconfiglib.Kconfig:
    """The tree with CONFIG's values; a value that a range or type refuses is an error."""
    os.environ["srctree"] = str(ROOT)
    tree = kconfiglib.Kconfig("Kconfig", warn_to_stderr=False)
    if config.exists() and not defaults:
        tree.load_config(str(config))
    if tree.warnings:
        sys.exit("\n".join(f"kconfig: {warning}" for warning in tree.warnings))
    return tree


def header_text(tree: kconfiglib.Kconfig) -> str:
    """config.h for the tree's values."""
    lines = ["/* SPDX-License-Identifier: BSD-3-Clause */", "/* Made from .config by scripts/kconfig.py. */",
             "#ifndef CONFIG_H", "#define CONFIG_H", ""]
    for symbol in tree.unique_defined_syms:
        if symbol.orig_type in (kconfiglib.BOOL, kconfiglib.TRISTATE):
            value = "1" if symbol.str_value == "y" else "0"
        elif symbol.orig_type == kconfiglib.STRING:
            value = '"' + symbol.str_value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        else:
            value = f"{symbol.str_value}U"
        lines.append(f"#define CONFIG_{symbol.name} {value}")
    return "\n".join([*lines, "", "#endif", ""])


def main(arguments: list[str]) -> int:
    """Entry point; returns the exit status."""
    if len(arguments) < 2 or arguments[0] not in ("header", "default", "menu"):
        print(__doc__, file=sys.stderr)
        return 2
    verb, config = arguments[0], Path(arguments[1])
    if verb == "menu":
        import menuconfig  # type: ignore[import-untyped]
        os.environ["KCONFIG_CONFIG"] = str(config)
        menuconfig.menuconfig(load(config, defaults=False))
        return 0
    tree = load(config, defaults=verb == "default")
    config.parent.mkdir(parents=True, exist_ok=True)
    if verb == "default" or not config.exists():
        tree.write_config(str(config))
    if verb == "header":
        header = Path(arguments[2])
        header.parent.mkdir(parents=True, exist_ok=True)
        text = header_text(tree)
        if not header.exists() or header.read_text() != text:  # keep the time stamp: no needless rebuild
            header.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
