#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""CBMC on the real C: no access out of bounds, no undefined arithmetic, and what the proof says, for every input.

Each proof is a program in tests/proof/cbmc/ that calls unmodified files of the hypervisor with any arguments; what it
covers and its bounds are in its first lines. CBMC unrolls it into one formula: a loop that could go on further than it
is unrolled is an error, so within the bounds nothing is left out. Then one rule at a time is broken in a copy of a
file, and CBMC must see it: that shows that the proof is not empty.

    tests/proof/cbmc.py [--deep] [NAME...]	prints TAP; --deep: larger bounds, and every broken rule
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
HOME = TOP / "tests" / "proof" / "cbmc"
sys.path.insert(1, str(TOP / "scripts"))

from lib import cbmc
from lib.common import ToolError, main

COMPILE = ("-std=gnu17", "-DUNIT_TEST", "-include", str(HOME / "lib" / "proof.h"),
           *(f"-I{TOP / d}" for d in ("tests/proof/cbmc/include", "tests/fake/include", "include", "arch/x86/include",
                                      ".")))
# Besides CBMC's own: array bounds, pointers, signed overflow, shifts, division.
CHECKS = ("--pointer-overflow-check", "--undefined-shift-check", "--unwinding-assertions", "--drop-unused-functions",
          "--slice-formula", "--object-bits", "12")
TIMEOUT = 1500

Bounds = dict[str, int]			# macros of the proof


@dataclass(frozen=True)
class Broken:
    """A rule, and what replaces it."""
    file: str
    rule: str
    by: str


@dataclass(frozen=True)
class Proof:
    """`loops`: how often each is unrolled, "" for those not named; a number, or words like "SPAN+1"."""
    files: tuple[str, ...]		# beside NAME.c: of the hypervisor, and of tests/proof/cbmc/lib
    loops: dict[str, str]
    bounds: Bounds
    deep: Bounds
    broken: tuple[Broken, ...]
    quick: int = 1			# so many of `broken` without --deep
    small: tuple[Broken, ...] = ()	# what is changed for all: limits made small, invariants written to loops
    flags: tuple[str, ...] = ()		# of CBMC: what makes it faster here
    calls: tuple[str, ...] = ()		# "function:any_function", wherever it is called: by its contract


DECODE = "arch/x86/guest/instr_decode.c"
WALK = "arch/x86/guest/guest_walk.c"
TABLES = "hypervisor/acpi_tables.c"
VHM = "hypervisor/vhm.c"
COPY = "hypervisor/guest_copy.c"
REGIONS = "hypervisor/hypercall_mem.c"
PORTS = "hypervisor/ioports.c"
IOREQ = "hypervisor/ioreq.c"
PORT_LIMITS = "include/hv/ioports.h"
HYPERCALL = "hypervisor/hypercall.c"
HYPERCALL_VM = "hypervisor/hypercall_vm.c"
SCENARIO = "hypervisor/scenario.c"
BLOB = "include/public/scenario_blob.h"
LINKS = "hypervisor/scenario_links.c"
MACHINE = "hypervisor/scenario_machine.c"
# The limits of the product, but for the number of VMs.
REAL = {"CONFIG_MAX_VCPUS_PER_VM": 16, "CONFIG_MAX_PCPU_NUM": 64}
# struct scenario as a few hundred variables for each VM is what CBMC does not get through.
WHOLE_ARRAYS = ("--no-array-field-sensitivity",)
TEXTS = ("scenario_get_string:any_string", "strcmp:any_strcmp", "scenario_explain:any_explain")


def invariant(file: str, loop: str, what: str) -> Broken:
    """The `for (...) {` that `loop` begins with is given what holds before and after each turn, and comes to an end."""
    head, rest = loop.split("{", 1)
    return Broken(file, loop, f"{head}{what} {{{rest}")


FEWER_FIELDS = ("--max-field-sensitivity-array-size", "8")	# no variables for each element of the larger arrays
# Parts of a VM that a proof is not about: CBMC's time grows with its size.
FEWER_PARTS = (Broken("include/hv/guest_memory.h", "VM_RESERVATIONS 32U", "VM_RESERVATIONS 1U"),
               Broken("include/hv/vm.h", "VM_MMIO_NODES 16U", "VM_MMIO_NODES 1U"),
               Broken("include/hv/vcpu.h", "VCPU_EXIT_REASONS   80U", "VCPU_EXIT_REASONS   1U"),
               Broken("include/hv/vm.h", "VM_STOP_REASON_LEN 96U", "VM_STOP_REASON_LEN 1U"))
SMALL_VM = (*FEWER_PARTS, Broken(PORT_LIMITS, "VM_IOPORT_ENTRIES 48U", "VM_IOPORT_ENTRIES 1U"))

PROOFS: dict[str, Proof] = {
    "decode": Proof(
        (DECODE,), {"": "21"}, {}, {},
        (Broken(DECODE, "(d->pos + n) > d->avail", "(d->pos + n) > d->avail + 1U"),
         Broken(DECODE, "d->modrm_reg = (modrm >> 3U) & 7U", "d->modrm_reg = modrm >> 3U"),
         Broken(DECODE, "in->access != (INSTR_ACCESS_READ | INSTR_ACCESS_WRITE)", "in->access == INSTR_ACCESS_READ"))),
    "slot": Proof(
        (VHM, "lib/machine.c"), {"": "17"}, {"LOOKS": 2}, {"LOOKS": 2},
        (Broken(VHM, "(id < VHM_REQUEST_MAX)", "(id <= VHM_REQUEST_MAX)"),
         Broken(VHM, "(uint32_t)mask_bytes(req->reqs.pio.size)", "UINT32_MAX"),
         Broken(VHM, "req->reqs.pio.direction == REQUEST_READ", "true"))),
    "walk": Proof(
        (WALK,), {"": "6", "guest_walk.0": "ATTEMPTS+1"}, {"ATTEMPTS": 1}, {"ATTEMPTS": 1},
        (Broken(WALK, "return writable ||", "return true ||"),
         Broken(WALK, "w->res->used = 0U;", ""),
         Broken(WALK, "((1UL << bits) - 1UL)) * size", "((2UL << bits) - 1UL)) * size + 1UL"),
         Broken(WALK, "if (w->user && !user_page)", "if (false)"))),
    "tables": Proof(
        (TABLES, "lib/memory.c"), {"": "6", "acpi_parse_s5.0": "EXTRA+2", "add_cpu.0": "CPUS+5"},
        {"EXTRA": 12, "CPUS": 1}, {"EXTRA": 16, "CPUS": 2},
        (Broken(TABLES, "entry_len > len - at", "entry_len > len"),
         Broken(TABLES, "out->override_count < ACPI_MAX_OVERRIDES", "out->override_count <= ACPI_MAX_OVERRIDES"),
         Broken(TABLES, "*at + size > len", "*at + size > len + 1U"))),
    "copy": Proof(
        (COPY, "lib/machine.c"), {"": "PARTS+2"}, {"SIZE": 64, "PARTS": 2}, {"SIZE": 4096, "PARTS": 4},
        (Broken(COPY, "*size = MIN(*size, MIN(contiguous, ram))", "*size = MIN(*size, contiguous)"),
         Broken(COPY, "from += chunk;", ""),
         Broken(COPY, "to += chunk;", "to += size;"))),
    "regions": Proof(
        (REGIONS, "lib/machine.c"), {"": "REGIONS+1"}, {"REGIONS": 2}, {"REGIONS": 2},
        (Broken(REGIONS, "|| (mr->gpa + mr->size > GPA_LIMIT)", ""),
         Broken(REGIONS, "((prot & MEM_ACCESS_READ) != 0U)", "true"),
         Broken(REGIONS, "!is_aligned(mr->gpa | mr->size, PAGE_SIZE)", "!is_aligned(mr->gpa, PAGE_SIZE)"))),
    "portmap": Proof(
        (PORTS, "lib/machine.c"), {"": "2"}, {}, {},
        (Broken(PORTS, "(ports->map[port] != 0U)", "(ports->map[port] != 0U) && (port != last)"),
         Broken(PORTS, "ports->count == VM_IOPORT_ENTRIES", "ports->count > VM_IOPORT_ENTRIES"),
         Broken(PORTS, "port <= last; port++)", "port <= last; port += 2U)"),
         Broken(PORTS, "(int)ports->count, last - first + 1U", "(int)ports->count, last - first"),
         Broken(PORTS, "(first > last)) {", "false) {")),
        1, (Broken(PORTS, "static uint32_t first_taken",
                   "extern uint32_t witness, found;\nstatic uint32_t first_taken"),
            Broken(PORTS, "port <= last; port++) {", """port <= last; port++)
		__CPROVER_loop_invariant(first <= port && port <= last + 1U)
		__CPROVER_loop_invariant(witness < first || witness >= port || ports->map[witness] == 0U ||
			(shared && ports->map[witness] == MAP_DIRECT)) {"""),
            Broken(PORTS, "return port;", "found = port;\n\t\t\treturn port;"),
            *FEWER_PARTS), FEWER_FIELDS),
    "portaccess": Proof(
        (IOREQ, "lib/machine.c"), {"": "5"}, {}, {},
        (Broken(IOREQ, "port + size - 1U > entry->range.end", "port + size - 2U > entry->range.end"),
         Broken(IOREQ, "(pio->address < VM_IOPORT_COUNT)", "(pio->address <= VM_IOPORT_COUNT)"),
         Broken(IOREQ, "(next < VM_IOPORT_COUNT)", "true"),
         Broken(IOREQ, "pio->value &= port_mask[pio->size];", "")),
        1, FEWER_PARTS, FEWER_FIELDS),
    "hypercalls": Proof(
        (HYPERCALL_VM, "lib/machine.c"),
        {"": "5", "every_call.0": "257", "name_is_good.0": "17", "is_terminated.0": "17"},
        {"CONFIG_MAX_VM_NUM": 2, "CONFIG_MAX_VCPUS_PER_VM": 2}, {"CONFIG_MAX_VM_NUM": 3, "CONFIG_MAX_VCPUS_PER_VM": 2},
        (Broken(HYPERCALL, "(vm == NULL) || (vm == caller->vm)", "(vm == NULL)"),
         Broken(HYPERCALL, "(hcall->id == id)", "true"),
         Broken(HYPERCALL, "!vm->config->service_control", "false"),
         Broken(HYPERCALL, "arg1 > VECTOR_LAST", "arg1 > VECTOR_LAST + 1UL"),
         Broken(HYPERCALL_VM, "count == (int32_t)CONFIG_MAX_VCPUS_PER_VM", "count > (int32_t)CONFIG_MAX_VCPUS_PER_VM"),
         Broken(HYPERCALL_VM, "(len < ACRN_VM_NAME_LEN) && (name[len] == 0U)", "(name[len] == 0U)"),
         Broken(HYPERCALL_VM, "!is_aligned(page, PAGE_SIZE)", "false")),
        1, SMALL_VM, FEWER_FIELDS),
    "scenario": Proof(
        (), {"": "3"}, REAL, REAL,
        (Broken(SCENARIO, "sizeof(*hdr) + vms + vuarts + connections + hdr->str_size != size", "false"),
         Broken(SCENARIO, "hdr->vuart_count > SCN_MAX_VUARTS", "false"),
         Broken(SCENARIO, "out->max_pcpus == 0U || out->max_pcpus > CONFIG_MAX_PCPU_NUM", "out->max_pcpus == 0U")),
        1, calls=("is_zero:any_zero", "blob_crc32:any_crc32", *TEXTS), flags=WHOLE_ARRAYS),
    "scenario_text": Proof(
        ("hypervisor/lib/string.c",), {"": "18"}, {"CONFIG_MAX_VM_NUM": 2, **REAL}, {"CONFIG_MAX_VM_NUM": 4, **REAL},
        (Broken(SCENARIO, "str->length > rd->hdr.str_size - str->offset", "false"),
         Broken(SCENARIO, "dst[str->length] = '\\0';", "dst[max + 1U] = '\\0';"),
         Broken(SCENARIO, "size - at - sizeof(zero)", "size - at"),
         Broken(SCENARIO, "if (bytes[i] != 0U)", "if (bytes[i] > 1U)"),
         Broken(SCENARIO, "strnlen(name, len)", "strlen(name)"),
         Broken("hypervisor/lib/string.c", "a[i] != b[i] || a[i] == '\\0'", "a[i] != b[i]")),
        1, (invariant(SCENARIO, "for (size_t i = 0U; i < size; i++) {\n\t\tcrc ^=",
                      "__CPROVER_loop_invariant(i <= size) __CPROVER_decreases(size - i)"),
            invariant(SCENARIO, "for (size_t i = 0U; i < size; i++) {\n\t\tif (bytes",
                      "__CPROVER_loop_invariant(i <= size && (any_place >= i || bytes[any_place] == 0U)) "
                      "__CPROVER_decreases(size - i)"),
            invariant(SCENARIO, "for (uint32_t i = 0U; i < str->length; i++) {",
                      "__CPROVER_assigns(i, __CPROVER_object_whole(dst)) "
                      "__CPROVER_loop_invariant(i <= str->length && dst[max] == '\\0' && (any_place >= i || "
                      "(dst[any_place] == (char)rd->strings[str->offset + any_place] && dst[any_place] >= ' ' && "
                      "dst[any_place] <= '~'))) __CPROVER_decreases(str->length - i)"),
            invariant(MACHINE, "for (uint32_t i = 0U; i < MASK_CPUS; i++) {",
                      "__CPROVER_assigns(i, count, __CPROVER_object_whole(cpu)) "
                      "__CPROVER_loop_invariant(i <= MASK_CPUS && count <= i && "
                      "(any_place >= count || cpu[any_place] < usable)) __CPROVER_decreases(MASK_CPUS - i)")),
        flags=WHOLE_ARRAYS),
    "scenario_vm": Proof(
        (), {"": "17"}, {"CONFIG_MAX_VM_NUM": 2, **REAL, "CONFIG_MAX_VCPUS_PER_VM": 4},
        {"CONFIG_MAX_VM_NUM": 2, **REAL},
        (Broken(SCENARIO, "rec->vcpu_pcpu[i] >= rd->out->max_pcpus", "false"),
         Broken(SCENARIO, "used > SCN_MAX_PORTS || ", ""),
         Broken(SCENARIO, "used > SCN_MAX_MODULES || ", ""),
         Broken(SCENARIO, "used > SCN_MAX_PCI_DEVS || ", ""),
         Broken(SCENARIO, "vm->own_pcpu ? rd->named_mask : rd->own_mask", "rd->own_mask"),
         Broken(SCENARIO, "!post || !last || rec->slots == 0U", "!post || rec->slots == 0U")),
        1, (Broken(SCENARIO, "if (check_port_owner(", "if (any_port_owner("),
            Broken(SCENARIO, "owner = find_pci_owner(", "owner = any_pci_owner(")),
        calls=("is_zero:any_zero", "explain_vm:any_explain_vm", *TEXTS), flags=WHOLE_ARRAYS),
    "scenario_owners": Proof(
        (), {"": "17"}, {"CONFIG_MAX_VM_NUM": 2, **REAL}, {"CONFIG_MAX_VM_NUM": 4, **REAL},
        (Broken(SCENARIO, "if (ports_overlap(&out->vm[i].port[k], first, last))",
                "if (ports_overlap(&out->vm[i].port[k], first, last - 1U))"),
         Broken(SCENARIO, "k < out->vm[i].pci_count", "k + 1U < out->vm[i].pci_count")),
        1, calls=("explain_vm:any_explain_vm", *TEXTS), flags=WHOLE_ARRAYS),
    "scenario_links": Proof(
        ("lib/memory.c",), {"": "17"}, {"CONFIG_MAX_VM_NUM": 2, **REAL}, {"CONFIG_MAX_VM_NUM": 3, **REAL},
        (Broken(LINKS, "rec->size_kb > SCN_CONNECTION_MAX_KB", "false"),
         Broken(LINKS, "com != SCN_CONSOLE_COM1 && com != SCN_CONSOLE_COM2", "false"),
         Broken(LINKS, "rd->connections + i * sizeof(rec)", "rd->connections + (i + 1U) * sizeof(rec)")),
        1, (Broken(LINKS, "if (check_vuart_end(", "if (any_vuart_end("),
            Broken(LINKS, "(check_connection_end(rd, index, rec->vm[0])", "(any_connection_end(rd, index, rec->vm[0])"),
            Broken(LINKS, ": check_connection_end(", ": any_connection_end(")),
        calls=TEXTS, flags=WHOLE_ARRAYS),
    "scenario_load": Proof(
        (), {"": "LINKS+1"}, {"CONFIG_MAX_VM_NUM": 2, "LINKS": 2, **REAL}, {"CONFIG_MAX_VM_NUM": 4, "LINKS": 8, **REAL},
        (Broken(SCENARIO, "rd->hdr.vm_count - 1U + slots > CONFIG_MAX_VM_NUM", "false"),
         Broken(SCENARIO, "rd->records + id * sizeof(rec)", "rd->records + (id + 1U) * sizeof(rec)"),
         Broken(SCENARIO, "rd->out->console_vm >= rd->out->vm_count", "false"),
         Broken(SCENARIO, "rd->out->vm_count = rd->hdr.vm_count - 1U + slots;", "rd->out->vm_count = slots;")),
        1, (Broken(SCENARIO, "ret = check_layout(", "ret = part_layout("),
            Broken(SCENARIO, "ret = load_header(", "ret = part_header("),
            Broken(SCENARIO, "ret = load_vm(", "ret = part_vm("),
            Broken(LINKS, "if (load_vuart(", "if (part_vuart("),
            Broken(LINKS, "if (load_connection(", "if (part_connection("),
            Broken(BLOB, "SCN_MAX_MOD_STRING  127U", "SCN_MAX_MOD_STRING  4U"),
            Broken(BLOB, "SCN_MAX_BOOTARGS    2047U", "SCN_MAX_BOOTARGS    6U")),
        calls=("scenario_explain:any_message",), flags=WHOLE_ARRAYS),
    "scenario_machine": Proof(
        (), {"": "CONFIG_MAX_VM_NUM+1", "any_list.0": "65", "ram_inside.0": "RANGES+1",
             **dict.fromkeys(("place_auto.0", "taken_by_others.0", "check_cpus.0", "cpus_are_good.0", "main.0"),
                             "CONFIG_MAX_VCPUS_PER_VM+1")},
        {"CONFIG_MAX_VM_NUM": 2, "RANGES": 2, **REAL, "CONFIG_MAX_VCPUS_PER_VM": 2},
        {"CONFIG_MAX_VM_NUM": 2, "RANGES": 4, **REAL},
        (Broken(MACHINE, "vm->vcpu_pcpu[i] >= usable", "false"),
         Broken(MACHINE, "cpu[i % count]", "cpu[i]"),
         Broken(MACHINE, "if (count == 0U) {", "if (false) {")),
        1, (Broken(MACHINE, "count = list_cpus(", "count = any_list("),), flags=WHOLE_ARRAYS),
}


def run(argv: list[str], timeout: float) -> tuple[int, str]:
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout,
                              cwd=TOP)
    except subprocess.TimeoutExpired:
        return -1, f"no end after {timeout:.0f} s"
    return done.returncode, done.stdout


def unrolled(proof: Proof, bounds: Bounds) -> list[str]:
    numbers = {loop: sum(bounds[word] if word in bounds else int(word) for word in how.split("+"))
               for loop, how in proof.loops.items()}
    named = ",".join(f"{loop}:{number}" for loop, number in numbers.items() if loop)
    return ["--unwind", str(numbers[""]), *(["--unwindset", named] if named else [])]


def check(name: str, bounds: Bounds, broken: Broken | None) -> tuple[bool, str, str]:
    """One run. @return whether CBMC said what it should, a few words, and what it said"""
    proof = PROOFS[name]
    with tempfile.TemporaryDirectory() as folder:
        changed: dict[str, str] = {}
        for change in (*proof.small, *((broken,) if broken else ())):
            text = changed.get(change.file) or (TOP / change.file).read_text(encoding="utf-8")
            if text.count(change.rule) != 1:
                return False, f"{change.file} has '{change.rule}' {text.count(change.rule)} times, not once", ""
            changed[change.file] = text.replace(change.rule, change.by)
        for file, text in changed.items():
            copy = Path(folder) / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text, encoding="utf-8")
        sources = [HOME / f"{name}.c", *(HOME / f if f.startswith("lib/") else
                                         Path(folder if f in changed else TOP) / f for f in proof.files)]
        program = str(Path(folder) / "proof")
        defines = [f"-D{word}={value}" for word, value in bounds.items()]
        includes = [f"-I{(TOP / file).parent}" for file in changed if file.endswith(".c")]
        code, said = run([*cbmc.program("goto-cc"), f"-I{folder}", f"-I{folder}/include", *COMPILE, *defines, *includes,
                          "-o", program, *map(str, sources)], 60)
        if code != 0:
            return False, "does not compile", said
        loops = any("__CPROVER_loop_invariant" in change.by for change in proof.small)
        contracts = [*(word for call in proof.calls for word in ("--replace-calls", call)),
                     *(["--apply-loop-contracts"] if loops else [])]
        if contracts:
            code, said = run([*cbmc.program("goto-instrument"), *contracts, program, program], 60)
            if code != 0:
                return False, "the contracts cannot be applied", said
        code, said = run([*cbmc.program("cbmc"), program, *CHECKS, *proof.flags, *unrolled(proof, bounds)], TIMEOUT)
    counted = re.search(r"\*\* (\d+) of (\d+) failed", said)
    if counted is None or code not in (0, 10):
        return False, "CBMC came to no result", said
    if broken is None:
        return code == 0 and counted[1] == "0", f"{counted[2]} properties", said
    # A loop that is not unrolled far enough may be a fault of the proof: it does not show that the rule was seen.
    failures = [line for line in said.splitlines() if line.endswith(": FAILURE") and ".unwind." not in line]
    where = re.sub(r"^\[(\S+)\].*", r"\1", failures[0]) if failures else "nothing seen"
    return code == 10 and bool(failures), where, said


def jobs(names: list[str], deep: bool) -> list[tuple[str, Bounds, Broken | None, str]]:
    todo: list[tuple[str, Bounds, Broken | None, str]] = []
    for name in names:
        proof = PROOFS[name]
        bounds = proof.deep if deep else proof.bounds
        words = ", ".join(f"{word} {value}" for word, value in bounds.items()) or "no bound"
        todo.append((name, bounds, None, f"{name}: proved ({words})"))
        todo += [(name, proof.bounds, broken, f"{name}: seen: {broken.rule} -> {broken.by or 'nothing'}")
                 for broken in proof.broken[:None if deep else proof.quick]]
    return todo


def entry() -> int:
    parser = argparse.ArgumentParser(prog="tests/proof/cbmc.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PROOFS))
    parser.add_argument("--deep", action="store_true")
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in PROOFS]
    if unknown:
        raise ToolError(f"no proof {' '.join(unknown)}; there are {', '.join(PROOFS)}")
    cbmc.program("cbmc")		# once, before the threads want it
    todo = jobs(args.names or list(PROOFS), args.deep)

    def job(one: tuple[str, Bounds, Broken | None, str]) -> tuple[bool, str, str, float]:
        begin = time.monotonic()
        return *check(*one[:3]), time.monotonic() - begin

    bad = 0
    print(f"1..{len(todo)}")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, ((*_, what), (good, words, said, took)) in enumerate(zip(todo, pool.map(job, todo)), 1):
            if not good:
                lines = [line for line in said.splitlines() if line.endswith("FAILURE") or "rror" in line]
                print("\n".join(f"# {line}" for line in (lines or said.splitlines())[-30:]))
            print(f"{'ok' if good else 'not ok'} {number} - {what} # {words}, {took:.1f} s", flush=True)
            bad += not good
    return 1 if bad else 0


if __name__ == "__main__":
    main(entry)
