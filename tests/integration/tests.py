# SPDX-License-Identifier: BSD-3-Clause
"""The list of what scripts/test runs, as data. How to add a test: doc/testing.md."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lib import bochs
from lib.build import Change
from lib.common import TOP

SCENARIOS = TOP / "boot" / "scenarios"
TEST_SVM = SCENARIOS / "test-svm.xml"
TEST_CABLE = SCENARIOS / "test-cable.xml"
TEST_CONNECTION = SCENARIOS / "test-connection.xml"
ENDS_SERVICE = SCENARIOS / "test-ends-svm.xml"
ENDS_LINUX = SCENARIOS / "test-ends-linux.xml"
ENDS_DM = SCENARIOS / "test-ends-dm.xml"
ENDS_USER = SCENARIOS / "test-ends-uvm.xml"
CONNECTION_LINUX = SCENARIOS / "test-conn-linux.xml"
CABLE_LINUX = SCENARIOS / "cable-linux.xml"
TEST_PRE = SCENARIOS / "test-pre.xml"
TEST_LIFE = SCENARIOS / "test-life.xml"
PRE_SMP = SCENARIOS / "test-pre-smp.xml"
PRE_LINUX = SCENARIOS / "test-pre-linux.xml"
PRE_XEN = SCENARIOS / "test-pre-xen.xml"
PRE_LOAD = SCENARIOS / "test-pre-load.xml"
DEFAULT = SCENARIOS / "default.xml"
POLLING = SCENARIOS / "polling.xml"

# Kinds that boot the kernel of scripts/kernel-build, and that of scripts/kernel-fetch.
OUR_LINUX = ("linux", "pre-linux")
DEBIAN_LINUX = ("debian-bare", "debian-pre", "debian-pair", "other")

# Of scripts/check; what it takes long for (two builds) it takes only once.
CHECKS = ("style", "format", "links", "interfaces", "build-gcc", "headers-gcc", "build-clang", "headers-clang",
          "public-gcc", "public-clang", "layers", "unused", "cppcheck", "analyzer", "tidy")

# A hypervisor that prints one of these has failed, whatever else happened.
HV_BROKEN = (r"^\(aril\) .*(PANIC|panic:|assertion failed)", r"Failed to boot both default")


@dataclass(frozen=True)
class Command:
    """A command that must exit with 0. Its output may hold TAP lines, which are counted."""
    name: str
    argv: tuple[str, ...]		# "make" gets -C, O= and -j; $O is the build directory
    timeout: float = 120
    packages: str = ""			# groups of packages.txt that it needs besides [build]
    last: bool = False			# after the boots, because it looks at their logs
    alone: bool = False			# runs only when it is named


@dataclass(frozen=True)
class Boot:
    """One machine, one boot, and what must be said on its serial line.

    kind   bare: the guest image alone, by GRUB multiboot1; pre: it runs in two pre-launched VMs that share a CPU,
           without a Service VM; svm: the guest is the Service VM; uvm: the
           guest is a User VM of the bare-metal Service VM; enemy: the enemy Service VM; linux: Linux in
           both; pre-linux: Linux in a pre-launched VM (words="entry32": its header denies the 64-bit entry);
           load: the file `guest` of the build's guests/ in one pre-launched VM, with modules; pre-bad: as pre, but the
           first VM's image is bad, as `words` says;
           ends: `guest` in PRE1 and in the Service VM, or in a User VM below the bare-metal Service VM;
           debian-bare, debian-pre: Debian's own kernel of the flavour `guest`, bare and in a pre-launched VM; other:
           another system of Debian's packages, `guest`, in a pre-launched VM, and Linux with it; hv: the
           hypervisor with whatever `scenario` and `files` say
    """
    name: str
    kind: str
    guest: str = ""
    scenario: Path | None = None
    changes: tuple[Change, ...] = ()
    words: str = ""			# Service VM's command line: more words
    guest_words: str = ""		# User VM's module string: more words
    hv_words: str = ""			# the hypervisor's command line
    must: tuple[str, ...] = ()		# each must match some line
    must_not: tuple[str, ...] = ()	# none may match any line
    until: str = ""			# the test ends at this line; "" = at the machine's end
    end: tuple[str, ...] = ("off", "debug-exit 0")	# allowed ends
    guest_report: bool = True		# PASS/FAIL/SUMMARY lines are expected and counted
    machine: str = "bochs"
    firmware: str = "bios"
    cpu_model: str = ""
    cpus: int = 1
    memory_mb: int = 512
    timeout: float = 60			# with the fast simulator; more with the packaged one
    screen: str = ""			# this must be readable on the screen (QEMU)
    typed: tuple[tuple[str, str], ...] = ()	# in order: when a line matches the first, the second is typed
    json: tuple[str, ...] = ()	# after those: commands, each of which must answer with one line of JSON
    strict_msrs: bool = False		# unknown MSRs raise #GP, as on hardware (Bochs)
    quantum: int = 16			# 1 to 32: of a halted CPU's turn (Bochs)
    com: int = 1				# the serial port that is read; if 2, COM1 leads nowhere (Bochs)
    no_leak: bool = False		# after each VM's end as many of the hypervisor's pages are free
    slow: bool = False			# left out by --quick
    trace: bool = False			# the dump of the trace at the end must be whole, and hold forwarded requests
    budgets: bool = False		# the costs that the guest prints must keep to tests/bench/budgets.toml
    not_packaged: str = ""		# why it can't be run in Debian's Bochs
    allow_panic: bool = False		# the hypervisor's panic is what is tested
    alone: bool = False			# runs only when it is named


Test = Command | Boot


@dataclass(frozen=True)
class Guest:
    """How a guest of tests/guests differs from the rest."""
    kinds: tuple[str, ...] = ("bare", "svm", "uvm")
    cpus: int = 1
    memory_mb: int = 512
    timeout: float = 60
    guest_words: str = ""
    must: tuple[str, ...] = ()
    models: bool = True			# part of the CPU model matrix
    strict_msrs: bool = False		# unknown MSRs raise #GP, as on hardware (Bochs)
    pre: bool = False			# runs in pre-launched VMs too, as those in PRE_GUESTS
    not_packaged: str = ""		# why it can't be run in VMs of Debian's Bochs


# Guests that are no tests by themselves: the bare-metal Service VMs and what only they run.
NOT_TESTS = ("svm", "enemy", "bad", "maps", "churn")

# Subjects about the CPU alone: also in pre-launched VMs that share one, but not as User VM, which differs in devices.
CPU_ALONE = Guest(kinds=("bare", "svm"), strict_msrs=True, models=False, pre=True)
TWO_CPUS_ALONE = replace(CPU_ALONE, cpus=2)
# Subjects about a device that the Service VM has from the machine, and pre-launched VMs from the hypervisor.
DEVICE_OF_PRE = Guest(kinds=("bare",), models=False, pre=True)

# Guests that aren't listed here get Guest().
GUESTS: dict[str, Guest] = {
    "flat": Guest(kinds=()),			# load/flat-*
    "hlt": Guest(cpus=2, guest_words="cpus=3"),
    "sipi": Guest(cpus=2, guest_words="cpus=3"),
    "msr": Guest(strict_msrs=True),
    "debug": Guest(strict_msrs=True, pre=True),
    "ioreq": Guest(kinds=("uvm",)),
    "share": Guest(kinds=("bare",)),
    "idle": Guest(kinds=("bare",)),
    "code": Guest(kinds=("bare",), cpus=2, models=False, pre=True),
    "smp_lock": Guest(cpus=2, guest_words="cpus=3", models=False),
    "mmio_forms": Guest(kinds=("uvm",)),
    "inject": CPU_ALONE,
    "mmio": CPU_ALONE,
    "mtrr": CPU_ALONE,
    "nmi": CPU_ALONE,
    # bench/* runs these two in the other homes.
    "exits": Guest(kinds=("bare",), models=False),
    "exits_smp": Guest(kinds=("uvm",), cpus=2, guest_words="cpus=3", models=False),
    "paging": CPU_ALONE,
    "pit": DEVICE_OF_PRE,
    "pmtimer": DEVICE_OF_PRE,
    "realmode": CPU_ALONE,
    "rights": CPU_ALONE,
    "rtc": DEVICE_OF_PRE,
    "segmentation": CPU_ALONE,
    "spec_ctrl": CPU_ALONE,
    "syscall": CPU_ALONE,
    "task_switch": replace(CPU_ALONE, not_packaged="Bochs 2.7's VM entry wants CS.RPL to be CS.DPL, as no CPU's does"),
    "tsc": TWO_CPUS_ALONE,
    "xsave": CPU_ALONE,
    "cable": Guest(kinds=()),
    "crossvm": Guest(kinds=()),
    "ivshmem": Guest(kinds=()),
    "pci": Guest(kinds=("bare", "svm"), models=False),
    "ipi": Guest(cpus=2, guest_words="cpus=3", kinds=("bare", "uvm"), timeout=120, models=False),
    # A User VM's device model has no battery: CMOS RAM is lost with a reset.
    "reset": Guest(kinds=("bare",), cpus=2),
    "hpet": Guest(kinds=("bare",), models=False),
    "vcpu_ports": Guest(kinds=(), cpus=2, models=False),
    "map_test": Guest(kinds=(), cpus=2, models=False),
    "i8042": Guest(kinds=("bare", "svm"), models=False),
}


def _guest_settings(name: str) -> Guest:
    return GUESTS.get(name, Guest())


def guest_names() -> list[str]:
    return sorted(p.stem for p in (TOP / "tests" / "guests").glob("*.c") if p.stem not in NOT_TESTS)


def _guest_test(kind: str, name: str, prefix: str = "", model: str = "") -> Boot:
    g = _guest_settings(name)
    return Boot(name=f"{prefix}{kind}/{name}", kind=kind, guest=name, cpus=g.cpus,
                memory_mb=g.memory_mb, timeout=g.timeout, guest_words=g.guest_words, must=g.must,
                strict_msrs=g.strict_msrs, cpu_model=model, not_packaged=g.not_packaged if kind != "bare" else "")


def guest_tests() -> list[Test]:
    return [_guest_test(kind, name) for kind in ("bare", "svm", "uvm") for name in guest_names()
            if kind in _guest_settings(name).kinds]


# Subjects that pre-launched VMs have all the devices for; those with several CPUs have as many vCPUs.
PRE_GUESTS = ("hello", "pio", "pio_string", "cpuid", "msr", "cr", "exceptions", "apic", "x2apic",
              "timer", "ioapic", "pic", "hlt", "sipi", "uart", "pci", "reset", "hpet", "i8042",
              "ipi",
              *(name for name, settings in GUESTS.items() if settings.pre))


def pre_tests() -> list[Test]:
    """Pre-launched VMs: two of them, on one CPU or, with two vCPUs each, on two, and all four vCPUs on one."""
    tests = [replace(_guest_test("pre", name), scenario=PRE_SMP if _guest_settings(name).cpus > 1 else None,
                     not_packaged="Bochs 2.7 keeps one VM's NMI blocking for the next"
                     if name in ("apic", "x2apic", "nmi") else _guest_settings(name).not_packaged)
             for name in PRE_GUESTS]
    tests += [replace(_guest_test("pre", name), name=f"pre/{name}-1cpu", scenario=PRE_SMP, cpus=1)
              for name in ("cpuid", "sipi", "reset")]
    tests.append(replace(_guest_test("pre", "ipi"), name="pre/ipi-4on1", scenario=PRE_SMP, cpus=1,
                         changes=(Change("PRE1", "vcpu_num", "4"),)))
    # A million wake-ups and more.
    tests += [replace(_guest_test("pre", "ipi"), name=f"pre/ipi-million-{pcpus}cpu", scenario=PRE_SMP, cpus=pcpus,
                      changes=(Change("PRE1", "vcpu_num", "4"), Change("PRE1", "os_config/bootargs", "rounds=60000")),
                      timeout=1500, alone=True) for pcpus in (1, 2)]
    # Memory that a callback maps, and takes away under the other vCPU.
    mapping = replace(_guest_test("pre", "map_test"), scenario=PRE_SMP, hv_words="map_test")
    tests += [mapping, replace(mapping, name="pre/map_test-1cpu", cpus=1)]
    # Ports of the machine that one vCPU has.
    tests.append(replace(_guest_test("pre", "vcpu_ports"), scenario=SCENARIOS / "test-ports.xml"))
    # Without a mask of CPUs the scenario places them.
    tests.append(replace(_guest_test("uvm", "sipi"), name="uvm/sipi-1cpu", cpus=1, guest_words="cpus=0",
                         changes=(Change("UVM1", "vcpu_num", "2"),)))
    return tests


def speculation_tests() -> list[Boot]:
    """On a CPU that reports IA32_SPEC_CTRL: the defences that it needs, all that can be done, and none."""
    base = replace(_guest_test("pre", "spec_ctrl", model="sapphire_rapids"), not_packaged="no such model")
    # No simulated CPU says that it is free of the page-size change erratum.
    auto = (r"branches: always on; IBPB between VMs; buffers: cleared at each entry; L1D: not needed; "
            r"page sizes: guests execute small pages")
    return [
        replace(base, name="bare/spec_ctrl-sapphire", kind="bare"),
        replace(base, name="pre/spec_ctrl-sapphire", hv_words="mitigations=auto", must=(auto,)),
        replace(base, name="pre/spec_ctrl-all", hv_words="mitigations=all",
                must=(r"branches: at each exit.*buffers: cleared at each entry; L1D: flushed.*page sizes: guests",)),
        replace(base, name="pre/spec_ctrl-off", hv_words="mitigations=off",
                must=(r"branches: off.*buffers: off.*L1D: off.*page sizes: off",)),
        replace(base, name="pre/spec_ctrl-wrong", hv_words="mitigations=sure",
                must=("mitigations=sure is not off, auto or all", auto)),
        # Code in more places than there are page tables for it; and without that defence, which no other test is.
        replace(_guest_test("svm", "code"), must=(r"code in 2\d\d places", r"exit SVM EPT_violation \d{4}")),
        replace(_guest_test("svm", "code"), name="svm/code-large", hv_words="mitigations=off",
                must=(r"page sizes: off", r"code in 2\d\d places")),
    ]


def cable_tests() -> list[Test]:
    """Two pre-launched VMs whose COM2 ports are wired together: on two CPUs, and on one."""
    base = Boot(name="pre/cable", kind="pre", guest="cable", scenario=TEST_CABLE, cpus=2)
    one = Change("PRE2", "cpu_affinity/pcpu/pcpu_id", "0")
    # Bytes flow while either end is paused, reset, stopped and started.
    life = replace(base, name="pre/cable-life", timeout=120, changes=(
        Change("PRE1", "os_config/bootargs", "life"), Change("PRE2", "os_config/bootargs", "echo")), typed=(
            (r"cable: flows", "\rvm_reset PRE1\r"), (r"cable: flows", "vm_pause PRE2\r"),
            (r"cable: the other end is silent", "vm_resume PRE2\r"),
            (r"cable: this end may be paused", "vm_pause PRE1\rvm_list\rvm_resume PRE1\r"),
            (r"cable: .* may be reset", "vm_reset PRE2\r"), (r"cable: .* may be stopped", "vm_stop PRE2\r"),
            (r"cable: .* may be started", "vm_start PRE2\r")),
        must=(r"'PRE1' was reset at", r"'PRE2' was paused at", r"'PRE1' was resumed at"))
    return [base, replace(base, name="pre/cable-1cpu", cpus=1, changes=(one,)),
            life, replace(life, name="pre/cable-life-1cpu", cpus=1, changes=(*life.changes, one))]


def load_tests() -> list[Boot]:
    """Images of each kind; which are not loaded."""
    base = Boot(name="", kind="load", words="env=4")
    os_config = "os_config/"
    modules = (Change("PRE1", os_config + "modules/module[@tag=pre-mod]", "with words"),
               Change("PRE1", os_config + "modules/module[@tag=pre-small]", ""),
               Change("PRE1", os_config + "bootargs", 'modules second="a b" last'))
    raw = (Change("PRE1", os_config + "kern_type", "KERNEL_RAWIMAGE"),
           Change("PRE1", os_config + "kern_load_addr", "0x400000"),
           Change("PRE1", os_config + "kern_entry_addr", "0x400000"))
    flat = replace(base, guest="flat-flags0.elf")
    bad = Boot(name="", kind="pre-bad", guest="hello")
    refused = r"^\(aril\) .*VM0 'PRE1': "
    return [
        *(replace(base, name=f"load/{kind}", guest=f"load-{kind}.{ending}", changes=modules)
          for kind, ending in (("flags0", "elf"), ("elf64", "elf"), ("mb2", "elf"), ("address", "bin"))),
        replace(base, name="load/raw", guest="load-raw.bin", changes=raw),
        *(replace(flat, name=f"load/flat-{vcpus}on{cpus}", cpus=cpus, words=f"env={vcpus}",
                  changes=(Change("PRE1", "vcpu_num", str(vcpus)),
                           Change("PRE1", os_config + "bootargs", "flat.elf first second")))
          for vcpus, cpus in ((1, 1), (4, 1), (4, 2), (16, 2))),
        *(replace(bad, name=f"load/bad-{how}", words=how,
                  must=(refused + reason, r"^\(aril\) .*VM0 'PRE1' does not start"))
          for how, reason in (("cut", r"kernel module 'pre-bad': p_offset and p_filesz of a segment reach past"),
                              ("text", r"kernel module 'pre-bad': there is no multiboot header"),
                              ("missing", r"there is no module 'pre-bad'"))),
    ]


def as_ivshmem(count: int) -> tuple[Change, ...]:
    """All connections of a scenario, as ivshmem."""
    return tuple(Change("", f"hv/connections/connection[{i + 1}]/type", "ivshmem") for i in range(count))


def connection_tests() -> list[Test]:
    """Two pre-launched VMs with connections of both types: on two CPUs, and on one."""
    base = Boot(name="pre/crossvm", kind="pre", guest="crossvm", scenario=TEST_CONNECTION, cpus=2, timeout=120)
    one = (Change("PRE2", "cpu_affinity/pcpu/pcpu_id", "0"),)
    ivshmem = replace(base, name="pre/ivshmem", guest="ivshmem", changes=as_ivshmem(3))

    def words(first: str, second: str) -> tuple[Change, ...]:
        return Change("PRE1", "os_config/bootargs", f"+{first}"), Change("PRE2", "os_config/bootargs", second)

    many = words("rounds=100000", "rounds=100000")
    return [base, replace(base, name="pre/crossvm-1cpu", cpus=1, changes=one),
            ivshmem, replace(ivshmem, name="pre/ivshmem-1cpu", cpus=1, changes=(*ivshmem.changes, *one)),
            # The accesses of Zephyr's driver, by ports and by memory.
            replace(ivshmem, name="pre/ivshmem-zephyr",
                    changes=(*ivshmem.changes, *words("order=zephyr", "order=zephyr mcfg"))),
            replace(base, name="pre/crossvm-100000", alone=True, timeout=1500, changes=many),
            replace(ivshmem, name="pre/ivshmem-100000", alone=True, timeout=1500,
                    changes=(*ivshmem.changes, *many))]


def ends_tests() -> list[Test]:
    """Connections that end in the Service VM, and in a User VM which is reset and destroyed meanwhile."""
    base = Boot(name="", kind="ends", guest="crossvm", cpus=2, timeout=120)
    service = replace(base, name="ends/service", scenario=ENDS_SERVICE)
    user = replace(base, name="ends/user", scenario=ENDS_USER, guest_words="cpus=1",
                   must=(r"PASS: svm: audit of all page tables",))
    one = (Change("PRE1", "cpu_affinity/pcpu/pcpu_id", "0"),)
    return [service, replace(service, name="ends/service-1cpu", cpus=1, changes=one, alone=True),
            replace(user, name="ends/user-2cpu", alone=True), replace(user, cpus=1, changes=one),
            replace(service, name="ends/service-ivshmem", guest="ivshmem", changes=as_ivshmem(3), alone=True),
            replace(service, name="ends/service-intx", guest="ivshmem", words="intx", changes=as_ivshmem(3)),
            replace(service, name="ends/service-intx-100000", guest="ivshmem", words="intx rounds=100000", alone=True,
                    changes=(*as_ivshmem(3), Change("PRE1", "os_config/bootargs", "rounds=100000")), timeout=1500),
            replace(user, name="ends/user-ivshmem", guest="ivshmem", changes=as_ivshmem(4), alone=True)]


def bench_tests() -> list[Boot]:
    """What exits cost: mostly with one CPU, where a TSC tick is an instruction; with two each CPU counts its own."""
    base = Boot(name="", kind="svm", guest="exits", budgets=True, timeout=180,
                not_packaged="it counts nothing but its TSC, and virtual-interrupt delivery is not used in it")
    two = replace(base, cpus=2)
    return [
        replace(base, name="bench/svm"),
        replace(base, name="bench/pre", kind="pre"),
        # What the defences against speculation add: on a CPU where IBRS stays on, and as if nothing were mended in it.
        replace(base, name="bench/guarded", words="few", cpu_model="sapphire_rapids"),
        replace(base, name="bench/guarded-all", words="few", cpu_model="sapphire_rapids", hv_words="mitigations=all"),
        replace(base, name="bench/uvm-notification", kind="uvm"),
        replace(base, name="bench/uvm-polling", kind="uvm", guest_words="polling"),
        replace(two, name="bench/svm-2cpu", guest="exits_smp"),
        replace(two, name="bench/uvm-2cpu", kind="uvm", words="spin", guest_words="polling other-cpu"),
    ]


def trace_tests() -> list[Boot]:
    """The trace, dumped at the end of a run with forwarded requests and, by the shell, while a guest halts."""
    base = Boot(name="", kind="uvm", guest="ioreq", hv_words="trace=1200", trace=True)
    idle = Boot(name="trace/shell", kind="svm", guest="bad", words="bad=cli_hlt expect=hang", guest_report=False,
                end=("off",), typed=(
                    (r"about to: cli_hlt", "\rtrace on sched irq\r"), (r"^aril> trace on", "trace\r"),
                    (r"^sched +yes", "trace dump 50\r"), (r"^@t end ", "trace\r"),
                    (r"^sched +no", "trace on x\r"), (r"^usage: trace", "poweroff\r")),
                must=(r"^@t vm 0 SVM ", r"power off from the console"))
    return [replace(base, name="trace/1cpu"), replace(base, name="trace/2cpu", cpus=2), idle]


def sched_tests() -> list[Boot]:
    """Who gets a CPU that several want, and that nobody has one who waits."""
    pair = Boot(name="", kind="pre", guest="share", scenario=TEST_PRE)

    def shares(first: int, second: int) -> tuple[Change, ...]:
        return (Change("PRE1", "os_config/bootargs", f"share={first}"),
                Change("PRE2", "os_config/bootargs", f"share={second}"))

    bvt = (Change("", "hv/FEATURES/SCHEDULER", "SCHED_BVT"), Change("PRE1", "bvt_weight", "1"),
           Change("PRE2", "bvt_weight", "3"))
    noop = (Change("", "hv/FEATURES/SCHEDULER", "SCHED_NOOP"), Change("PRE2", "cpu_affinity/pcpu/pcpu_id", "1"))
    handover = tuple(Change(vm, "os_config/bootargs", "handover=100000") for vm in ("PRE1", "PRE2"))
    # Ten seconds in HLT: less than one on the CPU, most of it waiting for the serial port, which the two share, so that
    # chance says who pays; 100 wake-ups take 5 ms. The vCPU that waits for SIPI has none at all.
    idle = tuple(pattern for vm in ("PRE1", "PRE2") for pattern in (
        rf"^\(aril\) summary: vcpu {vm} 0 cpu 0 exits \d{{1,4}} slices \d{{1,4}} run_us \d{{1,6}}$",
        rf"^\(aril\) summary: vcpu {vm} 1 cpu 0 exits 0 slices \d run_us \d$"))
    return [
        replace(pair, name="sched/rr", changes=shares(50, 50)),
        replace(pair, name="sched/bvt", changes=(*bvt, *shares(25, 75))),
        replace(pair, name="sched/noop", cpus=2, guest="hello", changes=noop),
        replace(pair, name="sched/pause-loop", guest="smp_lock", scenario=PRE_SMP, changes=handover,
                must=(r"^\(aril\) summary: exit PRE1 PAUSE \d{2}",)),
        replace(pair, name="sched/idle", guest="idle", scenario=PRE_SMP, must=idle),
    ]


def bad_tests() -> list[Test]:
    """Guests that end badly: only they stop, with a reason in the log, and the Service VM goes on."""
    base = Boot(name="", kind="uvm", guest="bad", must=(r"\[UVM1\] .*about to: ", r"^\(aril\) .*'UVM1' has stopped: ."))
    # VM entry fails, which nothing a guest does should bring about: the hypervisor breaks the VMCS itself.
    entry = replace(base, guest="hello", guest_words="expect=crash")
    stopped = r"^\(aril\) .*'UVM1' has stopped: vCPU0: VM entry failed: "
    # They share the one CPU with the Service VM, which gets its turns all the same and destroys them.
    hang = replace(base, words="timeout=3", must=(r"\[UVM1\] .*about to: ", r"PASS: svm: UVM1 destroyed"))
    # Without a Service VM there is nothing left to do: the machine is switched off.
    svm = Boot(name="", kind="svm", guest="bad", guest_report=False, guest_words="expect=crash",
               must=(r"\[SVM\] .*about to: ", r"^\(aril\) .*Service VM has stopped: .", r"^\(aril\) .*power off"))
    return [*(replace(base, name=f"bad/{how}", guest_words=f"bad={how} expect=crash")
              for how in ("triple", "garbage", "unmapped")),
            *(replace(base, name=f"bad/{how}", guest_words=f"bad={how} expect=crash",
                      must=(*base.must, r"'UVM1' has stopped: .*" + why)) for how, why in (
                ("insn", r"MMIO instruction at rip 0x[0-9a-f]+ cannot be emulated \(-\d+\): dd [37][0-7] "),
                ("ins", r"INS from port 0x7f00: operand is not in writable memory"),
                ("outs", r"string I/O at port 0x7f00: operand at .* is not in memory"),
                ("stack", r"delivers event 0x80000306 through gpa 0x[0-9a-f]+, where"),
                ("init", r"executes at gpa 0xfffffff0 \(rip 0xfff0\), where there is no memory"))),
            *(replace(hang, name=f"bad/{how}", guest_words=f"bad={how} expect=hang")
              for how in ("cli_spin", "cli_hlt")),
            *(replace(svm, name=f"bad/svm-{how}", words=f"bad={how}") for how in ("triple", "garbage", "unmapped")),
            replace(entry, name="bad/entry-state", hv_words="break_entry=1",
                    must=(r"^\(aril\) .*VM entry check fails: RFLAGS", stopped)),
            replace(entry, name="bad/entry-controls", hv_words="break_controls=1",
                    must=(r"^\(aril\) .*VMLAUNCH or VMRESUME failed, error 7", stopped))]


def io_tests() -> list[Test]:
    """The request page: both completion modes, halting and spinning Service VM, shared and separate CPUs.

    A User VM runs on the last CPU unless its words say otherwise (cpus= is a mask).
    """
    base = Boot(name="", kind="uvm", guest="ioreq")
    two = replace(base, cpus=2)
    # The Service VM dies while its User VM runs.
    orphaned = r"^\(aril\) .*'UVM1' has stopped: the Service VM has stopped"
    gone = r"^\(aril\) .*no VM runs any more: power off"
    return [
        replace(base, name="io/notification-1cpu"),
        replace(base, name="io/polling-1cpu", guest_words="polling"),
        replace(two, name="io/notification-2cpu"),
        replace(two, name="io/polling-2cpu", guest_words="polling"),
        replace(two, name="io/polling-spin-2cpu", guest_words="polling", words="spin"),
        replace(two, name="io/shared-2cpu", guest_words="cpus=1"),
        replace(base, name="io/batteries", guest="ioreq", words="test=all", timeout=120),
        replace(two, name="io/batteries-2cpu", guest="ioreq", words="test=all", timeout=120),
        # Memory maps that change under vCPUs on other CPUs, and on the Service VM's.
        replace(two, name="io/maps", guest="maps", cpus=3, words="test=maps timeout=20", guest_words="cpus=7",
                timeout=120),
        # Lives of a pre-launched VM and of a User VM that end at random moments.
        *(replace(two, name=f"io/cycles{which}", guest="churn", scenario=TEST_LIFE,
                  words=f"test=cycles {words}".strip(), guest_words=f"cpus={(1 << cpus) - 1}", cpus=cpus,
                  timeout=timeout, alone=which == "-1000")
          for which, cpus, words, timeout in (("", 2, "", 200), ("-1cpu", 1, "rounds=30 seed=7", 200),
                                              ("-1000", 2, "rounds=1000 seed=3", 2000))),
        Boot(name="enemy/random", kind="enemy", timeout=240),
        *(Boot(name=f"enemy/dies-{how}-{cpus}cpu", kind="enemy", cpus=cpus, words=f"die={how}", guest_report=False,
               end=("off", "debug-exit 0", *(("reset",) if how == "reset" else ())), until=until,
               must=(r"\[SVM\] .*enemy: dies now", *must))
          for cpus in (1, 2) for how, until, must in (
              ("triple", "", (r"^\(aril\) .*Service VM has stopped: .*triple fault", orphaned, gone)),
              ("poweroff", "", (r"^\(aril\) .*Service VM has stopped: power off", orphaned, gone)),
              ("reset", r"the Service VM resets the machine", (r"^\(aril\) .*the Service VM resets the machine",)))),
        Boot(name="enemy/random-2cpu", kind="enemy", cpus=2, timeout=300, slow=True),
    ]


def boot_tests() -> list[Test]:
    """CPUs, memory sizes, scenario blobs that are broken, refusals."""
    hello = Boot(name="", kind="svm", guest="hello")
    tests: list[Test] = []
    for cpus in (1, 2, 3, 8):
        tests.append(replace(hello, name=f"boot/cpus-{cpus}", cpus=cpus, timeout=90,
                             must=(rf"^\(aril\) .*smp: {cpus} of {cpus} CPUs are up",)))
    for memory in (256, 1024, 2048):
        tests.append(replace(hello, name=f"boot/memory-{memory}", memory_mb=memory))
    tests.append(Boot(name="boot/bad-scenario", kind="hv", guest="hello", scenario=TEST_SVM,
                      words="corrupt", guest_report=False,
                      must=(r"^\(aril\) .*scenario module refused: .*checksum", r"default scenario is used"),
                      until=r"^\(aril\) .*boot is finished", end=()))
    tests.append(Boot(name="boot/no-modules", kind="hv", guest_report=False, must=(r"^\(aril\) .*there is no VM: ",),
                      until=r"^\(aril\) .*boot is finished", end=()))
    # The device model wants 64 MiB for UVM1, and is told why it doesn't get them.
    tests.append(Boot(name="boot/memory-size", kind="uvm", guest="hello", guest_words="mem=64", guest_report=False,
                      changes=(Change("UVM1", "memory/size", "32"),),
                      must=(r"^\(aril\) .*: more than the memory/size of its scenario",)))
    tests.append(replace(hello, name="boot/memory-size-kept", kind="uvm", guest_words="mem=64",
                         changes=(Change("UVM1", "memory/size", "64"),)))
    tests += console_tests()
    refuse = Boot(name="", kind="hv", guest_report=False, until=r"^\(aril\) .*refused: \w+", end=(),
                  must=(r"^\(aril\) .*refused: \w+",), timeout=45)
    for model in bochs.REFUSED_MODELS:
        tests.append(replace(refuse, name=f"refuse/{model}", cpu_model=model))
    tests.append(replace(refuse, name="refuse/qemu-bios", machine="qemu", cpu_model="qemu64",
                         screen="refused"))
    tests.append(replace(refuse, name="refuse/qemu-uefi", machine="qemu", cpu_model="qemu64",
                         firmware="uefi", memory_mb=1024, screen="refused"))
    return tests


def life_at_the_console() -> Boot:
    """Every command about a VM's life, on a VM of every type, and what it is refused for."""
    pre = [("vm_pause", r"'PRE1' was paused at"), ("vm_start", r"'PRE1' was started at"), ("vm_start", r"not started"),
           ("vm_reset", r"'PRE1' was reset at"), ("vm_resume", r"not resumed"), ("vm_pause", r"'PRE1' was paused at"),
           ("vm_reset", r"'PRE1' was reset at"), ("vm_stop", r"'PRE1' has stopped: stopped at the console"),
           ("vm_resume", r"not resumed"), ("vm_start", r"'PRE1' was started at")]
    steps = [(f"{command} PRE1", answer) for command, answer in pre * 5]
    for vm in ("SVM", "UVM1"):
        steps += [(f"vm_pause {vm}", rf"'{vm}' was paused at"), (f"vm_pause {vm}", rf"'{vm}' was paused at"),
                  (f"vm_resume {vm}", rf"'{vm}' was resumed at"), (f"vm_start {vm}", r"not started")]
    # Told to reset it, the device model loads it again; told of a fault it ends it, and the Service VM ends.
    steps += [("vm_reset UVM1", r"\[UVM1\] INFO: churn: command line"),
              ("vm_stop UVM1", r"Service VM has stopped: exit code 0"), ("vm_start SVM", r"not started"),
              ("vm_stop PRE1", r"power off")]
    waits = [r"\[UVM1\] INFO: churn: command line", *(answer for _, answer in steps)]
    return Boot(name="console/life", kind="uvm", guest="churn", scenario=TEST_LIFE, cpus=2, timeout=200,
                guest_words="expect=crash cpus=3", typed=tuple(
                    (wait, ("\r" if i == 0 else "") + command + "\r")
                    for i, (wait, (command, _)) in enumerate(zip(waits, steps))),
                must=(r"told to reset it", r"PASS: svm: UVM1 destroyed", r"'PRE1' has stopped: stopped at the console",
                      r"no VM runs any more"))


def console_tests() -> list[Test]:
    """What is typed on the hypervisor's console, while a guest halts for good."""
    idle = Boot(name="", kind="svm", guest="bad", words="bad=cli_hlt expect=hang", guest_report=False, timeout=60)
    ready = r"about to: cli_hlt"
    return [
        life_at_the_console(),
        replace(idle, name="console/shell", end=("off",),
                typed=((ready, "\rvm_list\r"), (r"SVM +service +running", "vmexit\r"), (r"HLT", "mem\r"),
                       (r"hypervisor image", "poweroff\r")),
                must=(r"^ +0 +SVM", r"hypervisor pool", r"power off from the console")),
        # Of a VM whose vCPU is on the other CPU; the console's thread is on CPU 0.
        replace(idle, name="console/other-cpu", kind="pre", guest="bad", scenario=TEST_CABLE, cpus=2, end=("off",),
                words="", changes=(Change("PRE2", "os_config/bootargs", "bad=cli_hlt expect=hang"),
                                   Change("PRE1", "os_config/bootargs", "bad=cli_hlt expect=hang")),
                typed=((r"\[PRE2\] .*" + ready, "\rcpuid PRE2 0\r"),
                       (r"^ 1 +0x0 +0x0 +0x[0-9a-f]+ +0x756e6547", "poweroff\r")),
                must=(r"power off from the console",)),
        # All that shows facts does it as JSON too.
        replace(idle, name="console/json", end=("off",), typed=((ready, "\r"),),
                json=tuple(f"{c} -j" for c in (
                    "vm_list", "vcpu_list", "vmexit", "vmexit SVM", "ioreq", "sched", "irq", "mem", "ept SVM 0x100000",
                    "cpuid SVM 1", "cpuid 0 0xd 1", "caps", "version", "trace", "log", "summary"))),
        # What is right, instead.
        replace(idle, name="console/errors", end=("off",),
                typed=((ready, "\rept SVM\rept SVM nowhere\rcpuid 77 1\rcpuid SVM 0x100000000\rlog loud\r"
                        "vmexit nobody -j\rvm_lst\rhelp x\rvm_start UVM1\rpoweroff\r"),),
                must=(r"^usage: ept VM ADDRESS \[-j\]: where", r"'nowhere' is no number; write it as 4096 or 0x1000",
                      r"there is no VM '77'; `vm_list` shows them", r"leaf 0x100000000 is too large; it goes up to",
                      r"'loud' is no level; there are none, error", r'^\{"error":"there is no VM .nobody.',
                      r"vm_lst: no such command; `help`", r"x: no such command; `help`",
                      r"'UVM1' is loaded and started by its device model \(aril-dm")),
        # The words of a panic, with names, and the VM that was on the CPU when there was one.
        replace(idle, name="console/panic", end=(), allow_panic=True,
                typed=((ready, "\rpanic\r"),), until=r"PANIC: the machine is stopped: asked for on the console",
                must=(r"^\(aril\) .*rip [0-9a-f]{16} rsp", r"^\(aril\) .*#\d+ +[0-9a-f]+ shell_cmd_panic\+0x")),
        # The scenario's port and speed; what was said before is said again there.
        replace(idle, name="console/com2", com=2, until=ready, end=(),
                changes=(Change("", "hv/DEBUG_OPTIONS/SERIAL_CONSOLE", "ttyS1"),
                         Change("", "hv/DEBUG_OPTIONS/SERIAL_BAUD", "57600")),
                must=(r"^\(aril\) Aril hypervisor", r"goes on at port 0x2f8 with 57600 baud", r"boot is finished")),
        replace(idle, name="console/port-missing", until=ready, end=(),
                changes=(Change("", "hv/DEBUG_OPTIONS/SERIAL_CONSOLE", "0x3e8"),),
                must=(r"there is no serial port at 0x3e8",)),
        replace(idle, name="console/loglevel", until=ready, end=(),
                changes=(Change("", "hv/DEBUG_OPTIONS/CONSOLE_LOGLEVEL", "2"),
                         Change("", "hv/DEBUG_OPTIONS/MEM_LOGLEVEL", "3")),
                must_not=(r"boot is finished",)),
        # The VM's bytes as they are, and the way back to the shell.
        replace(idle, name="console/vm", changes=(Change("", "hv/DEBUG_OPTIONS/CONSOLE_VM", "SVM"),), end=("off",),
                typed=((r"^INFO.*about to: cli_hlt", "\x1d"), (r"back at the hypervisor", "poweroff\r")),
                must=(r"-- console of SVM; Ctrl-\] leaves it --", r"power off from the console")),
        # The log in RAM is found again by the boot after a warm reset.
        replace(idle, name="console/warm-reset", end=(), timeout=90,
                typed=((ready, "\rreboot\r"),), until=r"^\(aril\) .*\| .*reset from the console",
                must=(r"the log of the boot before survived in memory",)),
    ]


def model_tests() -> list[Test]:
    """The bare-metal set on every Intel model with VT-x that the simulator offers."""
    tests: list[Test] = []
    for model in bochs.VMX_MODELS + bochs.FAST_ONLY_MODELS:
        if model == bochs.DEFAULT_MODEL:
            continue
        tests += [_guest_test("svm", name, f"model/{model}/", model) for name in guest_names()
                  if "svm" in _guest_settings(name).kinds and _guest_settings(name).models]
        tests += [_guest_test("uvm", name, f"model/{model}/", model) for name in ("hello", "pio")
                  if name in guest_names()]
    # What the default model lacks: protection keys, more states; and a CPU without SMEP, PCID, XSAVE.
    tests += [_guest_test("svm", name, f"model/{model}/", model) for name in ("paging", "rights", "xsave")
              for model in ("sapphire_rapids", "corei5_arrandale_m520")]
    return [replace(t, slow=True) if isinstance(t, Boot) else t for t in tests]


def linux_tests() -> list[Test]:
    """Linux as Service VM and as User VM."""
    done = (r"User VM: hello from user space \(UVM1\)", r"Service VM: all done")
    failed = r"Service VM: .*FAILED"
    # A kernel that complains has met something that a machine doesn't do.
    # Not ours: the packaged Bochs 2.7 tells a wrong XSAVE size, and bare Linux warns too.
    complaint = r"WARNING: CPU(?!.* at fpu__init_system_xstate)|\bBUG: |\bOops: |Kernel panic"
    base = Boot(name="", kind="linux", scenario=DEFAULT, guest_report=False, memory_mb=1024, timeout=240,
                must=(r"Service VM: user space is up", *done), must_not=(failed, complaint))
    two = replace(base, cpus=2)
    smp = replace(base, words="svm.dm=--cpus,2", timeout=300, must=(*base.must, r"User VM: Linux .* 2 CPU"))
    pair = (*base.must, r"UVM1 ended by poweroff", r"UVM2 ended by poweroff")
    pre = replace(base, kind="pre-linux", scenario=None, must_not=(complaint, r"ACPI (BIOS )?(Error|Warning)"),
                  must=(r"\[PRE1\] User VM: hello from user space", r"^\(aril\) .*'PRE1' has stopped: power off"))
    return [
        # By the 64-bit entry, as its header offers it; and by the 32-bit one, as if it had no other.
        replace(pre, name="linux/pre-launched", must=(*pre.must, r"'pre-kernel' loaded, entry 0x1000200,")),
        replace(pre, name="linux/pre-launched-entry32", words="entry32",
                must=(*pre.must, r"'pre-kernel' loaded, entry 0x1000000,")),
        # Linux resets itself, is loaded anew and comes up again.
        replace(pre, name="linux/pre-launched-reboot", timeout=300,
                changes=(Change("PRE1", "os_config/bootargs", "+uvm.end=reboot"),),
                typed=((r"\[PRE1\] User VM: hello", "\r"), (r"\[PRE1\] User VM: hello", "poweroff\r")), end=("off",),
                must=(pre.must[0], r"^\(aril\) .*'PRE1' is reset: reset requested", r"power off from the console")),
        *(replace(pre, name=f"linux/pre-launched-{vcpus}on{pcpus}", cpus=pcpus, timeout=400,
                  changes=(Change("PRE1", "vcpu_num", str(vcpus)),),
                  must=(*pre.must, rf"\[PRE1\] .*User VM: Linux .* {vcpus} CPU"), alone=by_name)
          for vcpus, pcpus, by_name in ((2, 2, False), (2, 1, True), (4, 4, True), (4, 2, True), (4, 1, False),
                                       (16, 2, True))),
        replace(base, name="linux/service-vm-only", words="svm.do=none",
                must=(r"Service VM: user space is up", r"Service VM: all done")),
        replace(base, name="linux/1cpu"),
        replace(base, name="linux/1cpu-polling", scenario=POLLING, words="svm.huge=0"),
        replace(two, name="linux/2cpu"),
        replace(two, name="linux/2cpu-polling", scenario=POLLING),
        replace(two, name="linux/2cpu-quantum-3", quantum=3),
        replace(two, name="linux/2cpu-quantum-32", quantum=32, slow=True),
        replace(two, name="linux/shared-2cpu", words="svm.dm=--affinity,1"),
        replace(two, name="linux/cable", scenario=CABLE_LINUX, words="svm.do=cable svm.kernel=uvm.cable=ttyS1",
                must=(*base.must, r"\[UVM1\] User VM: file received over the cable",
                      r"Service VM: file received over the cable", r"killed when [1-9]\d* bytes were sent; sending",
                      r"User VM: the other end says: fine")),
        replace(base, name="linux/4cpu", cpus=4, timeout=400),
        replace(base, name="linux/4cpu-polling", cpus=4, scenario=POLLING, timeout=400),
        replace(smp, name="linux/uvm-2vcpu", cpus=2),
        replace(base, name="linux/uvm-2vcpu-1cpu", words="svm.dm=--affinity,0",
                must=(*base.must, r"User VM: Linux .* 2 CPU"), changes=(Change("UVM1", "vcpu_num", "2"),)),
        replace(smp, name="linux/uvm-2vcpu-polling", cpus=2, scenario=POLLING),
        replace(smp, name="linux/uvm-2vcpu-4cpu", cpus=4, timeout=400),
        replace(two, name="linux/xapic", words="nox2apic svm.kernel=nox2apic"),
        replace(base, name="linux/haswell-1cpu", cpu_model="corei7_haswell_4770", slow=True),
        replace(base, name="linux/arrandale-2cpu", cpu_model="corei5_arrandale_m520", cpus=2),
        replace(two, name="linux/reboot", words="svm.do=reboot", timeout=400, no_leak=True,
                must=(*base.must, r"UVM1 came back after its reboot", r"UVM1 ended by reboot")),
        replace(two, name="linux/panic", words="svm.do=panic", timeout=300, no_leak=True,
                must_not=(failed, rf"^\[SVM\] (?!\[UVM).*({complaint})"),
                must=(*base.must, r"UVM1 ended by panic")),
        replace(two, name="linux/pair", words="svm.do=pair", timeout=400, must=pair),
        replace(base, name="linux/pair-1cpu", words="svm.do=pair", timeout=400, must=pair),
        replace(two, name="linux/kill-3", words="svm.do=kill svm.count=3", timeout=400, no_leak=True,
                must=(*base.must, r"device model killed 3 times")),
        replace(base, name="linux/kill-3-1cpu", words="svm.do=kill svm.count=3", timeout=400, no_leak=True,
                must=(*base.must, r"device model killed 3 times")),
        replace(two, name="linux/kill-100", words="svm.do=kill svm.count=100", timeout=1500, no_leak=True, alone=True,
                must=(*base.must, r"device model killed 100 times")),
    ]


def debian_tests() -> list[Boot]:
    """Debian's kernels, unmodified. debian/compare says which warnings are a VM's only.

    pre-VonP: V vCPUs on P CPUs. The log's lines of level warning and worse come at the end, from user space.
    """
    bare = Boot(name="", kind="debian-bare", guest="cloud-amd64", guest_report=False, timeout=400, memory_mb=1024,
                words="console=ttyS0,115200 quiet loglevel=4 panic=-1 uvm.log=4 uvm.hotplug=1",
                must=(r"User VM: hello from user space", r"User VM: end by poweroff"))
    pre = replace(bare, kind="debian-pre", must=(*bare.must, r"^\(aril\) .*'PRE1' has stopped: power off"))
    pair = replace(bare, kind="debian-pair", scenario=CONNECTION_LINUX, alone=True, timeout=800, memory_mb=1536,
                   must=tuple(rf"^\(aril\) .*'{vm}' has stopped: power off" for vm in ("PRE1", "PRE2")))
    return [
        *(replace(bare, name=f"debian/bare-{cpus}", cpus=cpus, alone=cpus > 1, timeout=400 * cpus)
          for cpus in (1, 2, 4)),
        *(replace(pre, name=f"debian/pre-{vcpus}on{cpus}", cpus=cpus, changes=(Change("PRE1", "vcpu_num", str(vcpus)),),
                  must=(*pre.must, rf"\[PRE1\] User VM: Linux .* {vcpus} CPU",
                        *(rf"cpu{n} was off line and is back" for n in range(1, vcpus))), timeout=400 * cpus,
                  alone=(vcpus, cpus) not in ((1, 1), (4, 1)))
          for vcpus, cpus in ((1, 1), (2, 1), (2, 2), (4, 1), (4, 2), (4, 4))),
        # Two VMs and the connections between them.
        replace(pair, name="debian/uio",
                must=(r"\[PRE1\] UIO: connection 'text', driver uio_pci_generic",
                      r"\[PRE1\] UIO: backwards: 'lirA ,olleH'", r"\[PRE2\] UIO: the other end has it",
                      r"\[PRE2\] UIO: +11: \d+ IO-APIC .*uio_pci_generic", *pair.must)),
        replace(pair, name="debian/ivshmem",
                changes=tuple(Change(vm, "os_config/bootargs", "+uvm.run=/bin/ivshmem-end") for vm in ("PRE1", "PRE2")),
                must=(r"\[PRE1\] ivshmem: class 0x050000, revision 0x01, 8 vectors, memory 65536 bytes, position 0",
                      r"\[PRE1\] ivshmem: backwards: 'lirA ,olleH'", r"\[PRE2\] ivshmem: .* position 1",
                      r"\[PRE2\] ivshmem: the other end has it",
                      *(rf"\[{vm}\] ivshmem: {line}" for vm in ("PRE1", "PRE2")
                        for line in (r"own doorbell: 0 1", r"\d+: [1-9]\d* PCI-MSI \d+-edge ivshmem")), *pair.must)),
        # The Service VM's end is on a PCI bus of its own, with interrupts behind those of the machine's I/O APIC.
        replace(pair, name="debian/uio-service", scenario=ENDS_LINUX,
                must=(r"\[SVM\] UIO: connection 'text', driver uio_pci_generic",
                      r"\[SVM\] UIO: backwards: 'lirA ,olleH'",
                      r"\[SVM\] UIO: +\d+: \d+ IO-APIC 1-fasteoi uio_pci_generic",
                      r"\[PRE1\] UIO: the other end has it", pair.must[0])),
        # It is told to use no MSI, and hears the doorbell by INTx.
        replace(pair, name="debian/ivshmem-service", scenario=ENDS_LINUX,
                changes=(*as_ivshmem(1),
                         *(Change(vm, "os_config/bootargs", "+uvm.run=/bin/ivshmem-end") for vm in ("SVM", "PRE1"))),
                must=(r"\[SVM\] ivshmem: class 0x050000, revision 0x00, 8 vectors, memory 8192 bytes, position 0",
                      r"\[SVM\] ivshmem: backwards: 'lirA ,olleH'", r"\[PRE1\] ivshmem: the other end has it",
                      r"\[SVM\] ivshmem: doorbell by INTx, status 1",
                      r"\[SVM\] ivshmem: own doorbell by INTx, status 1",
                      r"\[SVM\] ivshmem: +\d+: [1-9]\d* IO-APIC 1-fasteoi uio_pci_generic",
                      r"\[PRE1\] ivshmem: own doorbell: 0 1", pair.must[0])),
        # A User VM's is on the bus that its device model describes.
        replace(pair, name="debian/uio-user", scenario=ENDS_DM,
                must=(r"\[SVM\] \[UVM1\] UIO: connection 'text', driver uio_pci_generic",
                      r"\[SVM\] \[UVM1\] UIO: backwards: 'lirA ,olleH'",
                      r"\[SVM\] \[UVM1\] UIO: +10: \d+ IO-APIC .*uio_pci_generic",
                      r"\[PRE1\] UIO: the other end has it", r"Service VM: all done", pair.must[0])),
        replace(pair, name="debian/ivshmem-user", scenario=ENDS_DM,
                changes=(*as_ivshmem(1), Change("PRE1", "os_config/bootargs", "+uvm.run=/bin/ivshmem-end"),
                         Change("SVM", "os_config/bootargs", "+svm.kernel=uvm.run=/bin/ivshmem-end,uio.first")),
                must=(r"\[SVM\] \[UVM1\] ivshmem: class 0x050000, revision 0x01, 8 vectors, .* position 0",
                      r"\[SVM\] \[UVM1\] ivshmem: backwards: 'lirA ,olleH'", r"\[PRE1\] ivshmem: the other end has it",
                      r"\[SVM\] \[UVM1\] ivshmem: own doorbell: 0 1",
                      r"\[SVM\] \[UVM1\] ivshmem: \d+: [1-9]\d* PCI-MSI \d+-edge ivshmem",
                      r"\[PRE1\] ivshmem: own doorbell: 0 1", r"Service VM: all done", pair.must[0])),
        replace(bare, name="debian/full-bare-1", guest="amd64", alone=True, timeout=1000),
        replace(pre, name="debian/full-pre-1on1", guest="amd64", alone=True, timeout=1000),
    ]


def other_tests() -> list[Boot]:
    """Systems that are not Linux, unmodified, in a pre-launched VM: memtest86+, and Xen with Linux in its dom0."""
    memtest = Boot(name="", kind="other", guest="memtest86+x64", words="console=ttyS0,115200", guest_report=False,
                   timeout=120, changes=(Change("PRE1", "memory/size", "16"), Change("PRE1", "vcpu_num", "2")),
                   must=(r"SMP: 2T",), must_not=(r"Errors: *[1-9]",), until=r"#[3-9]  \[Moving")
    xen = Boot(name="others/xen", kind="other", guest="xen", scenario=PRE_XEN, guest_report=False, timeout=200,
               memory_mb=768, must=(r"\(XEN\) Brought up 2 CPUs",), must_not=(r"'PRE1' is reset",),
               until=r"\(XEN\) VIRTUAL MEMORY ARRANGEMENT")
    return [
        replace(memtest, name="others/memtest"),
        replace(memtest, name="others/memtest-32", guest="memtest86+ia32", alone=True),
        xen,
        replace(xen, name="others/xen-2cpu", cpus=2, alone=True, until=r"\(XEN\) Freed \d+kB init memory"),
        replace(xen, name="others/xen-linux", changes=(Change("PRE1", "vcpu_num", "1"),), alone=True, timeout=600,
                must=(r"Run /init as init process",), until=r"\(XEN\) Hardware Dom0 halted"),
    ]


def command_tests() -> list[Test]:
    tests: list[Test] = [
        Command("unit", ("make", "unit"), timeout=180),
        *(Command(f"checks/{name}", ("scripts/check", "$O", name), timeout=400, packages="clang lint")
          for name in CHECKS),
    ]
    tests.append(Command("proof/protocol", (str(TOP / "tests" / "proof" / "run.py"),), timeout=300, packages="proof"))
    for path in sorted((TOP / "tests" / "proof" / "cbmc").glob("*.c")):
        cbmc = (str(TOP / "tests" / "proof" / "cbmc.py"), path.stem)
        tests += [Command(f"proof/{path.stem}", cbmc, timeout=600),
                  Command(f"proof/{path.stem}-deep", (*cbmc, "--deep"), timeout=7200, alone=True)]
    for target in sorted((TOP / "tests" / "fuzz").glob("fuzz_*.c")):
        name = target.stem.removeprefix("fuzz_")
        tests.append(Command(f"fuzz/{name}", (str(TOP / "scripts" / "fuzz"), name, "5"), packages="fuzz"))
    for path in sorted((TOP / "tests" / "scripts").glob("test_*.py")):
        tests.append(Command(f"scripts/{path.stem.removeprefix('test_')}",
                             ("/usr/bin/python3", str(path))))
    for xml in sorted(SCENARIOS.glob("*.xml")):
        tests.append(Command(f"scripts/check-{xml.stem}",
                             (str(TOP / "scripts" / "scenario"), "check", str(xml))))
    tests.append(Command("debian/compare", (str(TOP / "scripts" / "compare-kernel-logs"),), timeout=1200, last=True))
    # Millions of wake-ups between host threads, and memory that changes under them, under the race detector.
    tests.append(Command("stress/map", ("env", "MAP_CHANGES=100000", "make", "-C", str(TOP), "O=$O/tsan", "unit",
                                        "UNIT_SANITIZE=thread", "UNIT_RUN=map_live"), timeout=400, alone=True))
    tests.append(Command("stress/bars", ("env", "VPCI_LOOKUPS=2000000", "make", "-C", str(TOP), "O=$O/tsan", "unit",
                                         "UNIT_SANITIZE=thread", "UNIT_RUN=vpci_lookup msix_none ivshmem_intx"),
                         timeout=400, alone=True))
    tests.append(Command("stress/wake", ("env", "WAKE_HOPS=500000", "make", "-C", str(TOP), "O=$O/tsan", "unit",
                                         "UNIT_SANITIZE=thread", "UNIT_RUN=wake_no"), timeout=300, alone=True))
    tests.append(Command("compare", (str(TOP / "scripts" / "compare-guests"),), timeout=600, last=True))
    return tests


def all_tests() -> list[Test]:
    """In the order in which they run: what is fast and basic first."""
    return [*command_tests(), *guest_tests(), *pre_tests(), *load_tests(), *cable_tests(), *connection_tests(),
            *ends_tests(), *speculation_tests(), *bench_tests(), *trace_tests(), *sched_tests(), *bad_tests(),
            *boot_tests(), *io_tests(), *linux_tests(), *debian_tests(), *other_tests(), *model_tests()]
