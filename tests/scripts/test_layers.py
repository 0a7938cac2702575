#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""scripts/check-layers refuses what the design forbids, and reads headers right."""

from __future__ import annotations

import sys
import unittest
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]

sys.dont_write_bytecode = True
_loader = SourceFileLoader("check_layers", str(TOP / "scripts" / "check-layers"))
_spec = spec_from_loader("check_layers", _loader)
assert _spec is not None
check_layers = module_from_spec(_spec)
sys.modules["check_layers"] = check_layers
_loader.exec_module(check_layers)

DECLARED = check_layers.headers(TOP)


def refused(user: str, symbol: str, definer: str) -> bool:
    return check_layers.check_use(check_layers.Use(user, symbol, definer), DECLARED, set()) is not None


class Declarations(unittest.TestCase):
    def test_kinds(self) -> None:
        header = """
        /* void not_this(void); */
        #define NOR_THIS(x) f(x)
        struct s { int member; void (*hook)(int a); };
        extern const struct s data, *array[4];
        static inline int inl(int a) { return g(a); }
        void __noreturn f1(const char *fmt, ...) __printf(1, 2);
        struct s *f2(int a,
            void (*arrived)(void));
        """
        names = check_layers.declarations(header)
        self.assertLessEqual({"f1", "f2"}, names)
        self.assertFalse(names & {"not_this", "NOR_THIS", "member", "hook", "arrived", "g"})

    def test_real_ones(self) -> None:
        for name, header in (("arch_gpa_map", "hv/arch.h"), ("vcpu_fatal", "hv/upcall.h"),
                             ("boot_info", "hv/boot_info.h"), ("hva_to_hpa", "asm/page.h"),
                             ("panic", "hv/log.h"), ("acpi_info", "hv/acpi.h")):
            self.assertIn(header, DECLARED[name], name)


class Calls(unittest.TestCase):
    def test_allowed(self) -> None:
        for use in (("hypervisor/vm.c", "arch_vm_init", "arch/x86/guest/vm_arch.c"),
                    ("arch/x86/guest/vmexit.c", "vmx_vmrun", "arch/x86/vmx/vmx_entry.S"),
                    ("arch/x86/guest/vmexit.c", "vcpu_fatal", "hypervisor/vm_stop.c"),
                    ("arch/x86/guest/mmio.c", "copy_to_gpa", "hypervisor/guest_copy.c"),
                    ("hypervisor/dm/vioapic_glue.c", "vioapic_reset", "hypervisor/dm/vioapic.c"),
                    ("hypervisor/dm/cross_vm_connection.c", "vpci_add", "hypervisor/dm/vpci.c"),
                    ("hypervisor/debug/shell_vm.c", "vm_pause", "hypervisor/vm.c")):
            self.assertFalse(refused(*use), use)

    def test_refused(self) -> None:
        for use in (("hypervisor/lib/printf.c", "panic", "hypervisor/panic.c"),
                    ("arch/x86/cpu/irq.c", "vmx_load", "arch/x86/vmx/vmx.c"),
                    ("arch/x86/vmx/ept.c", "vcpu_inject_gp", "arch/x86/guest/inject.c"),
                    ("arch/x86/guest/vmexit.c", "vm_pause", "hypervisor/vm.c"),
                    ("arch/x86/cpu/irq.c", "copy_to_gpa", "hypervisor/guest_copy.c"),
                    ("hypervisor/vm.c", "ept_init", "arch/x86/vmx/ept.c"),
                    ("hypervisor/vm.c", "shell_input", "hypervisor/debug/shell.c"),
                    ("hypervisor/dm/vuart.c", "vpic_set_irq", "hypervisor/dm/vpic.c"),
                    ("hypervisor/dm/vuart.c", "vm_console_poll_not", "hypervisor/debug/vm_console.c"),
                    ("hypervisor/debug/shell.c", "vpic_reset", "hypervisor/dm/vpic.c")):
            self.assertTrue(refused(*use), use)


if __name__ == "__main__":
    unittest.main()
