/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VT-x: VMCS fields, controls, exit reasons (SDM vol 3, appendix B and C), and the instructions, each checked.
 *
 * A VMREAD or VMWRITE that fails is a bug of ours: the cold path logs field and instruction error and panics.
 */
#ifndef ASM_VMX_H
#define ASM_VMX_H

#include <lib/util.h>

enum vmcs_field {
	/* 16-bit */
	VMX_VPID = 0x0000,
	VMX_GUEST_ES_SEL = 0x0800, /* CS, SS, DS, FS, GS, LDTR, TR follow in steps of 2 */
	VMX_GUEST_CS_SEL = 0x0802,
	VMX_GUEST_SS_SEL = 0x0804,
	VMX_GUEST_LDTR_SEL = 0x080C,
	VMX_GUEST_TR_SEL = 0x080E,
	VMX_GUEST_INTR_STATUS = 0x0810,
	VMX_HOST_ES_SEL = 0x0C00,
	VMX_HOST_CS_SEL = 0x0C02,
	VMX_HOST_SS_SEL = 0x0C04,
	VMX_HOST_DS_SEL = 0x0C06,
	VMX_HOST_FS_SEL = 0x0C08,
	VMX_HOST_GS_SEL = 0x0C0A,
	VMX_HOST_TR_SEL = 0x0C0C,
	/* 64-bit */
	VMX_IO_BITMAP_A = 0x2000,
	VMX_IO_BITMAP_B = 0x2002,
	VMX_MSR_BITMAP = 0x2004,
	VMX_TSC_OFFSET = 0x2010,
	VMX_VIRTUAL_APIC_PAGE = 0x2012,
	VMX_APIC_ACCESS_ADDR = 0x2014,
	VMX_EPT_POINTER = 0x201A,
	VMX_EOI_EXIT0 = 0x201C, /* 1..3 follow in steps of 2 */
	VMX_XSS_EXIT_BITMAP = 0x202C,
	VMX_GUEST_PHYS_ADDR = 0x2400,
	VMX_VMCS_LINK = 0x2800,
	VMX_GUEST_DEBUGCTL = 0x2802,
	VMX_GUEST_PAT = 0x2804,
	VMX_GUEST_EFER = 0x2806,
	VMX_GUEST_PDPTE0 = 0x280A, /* 1..3 follow in steps of 2 */
	VMX_HOST_PAT = 0x2C00,
	VMX_HOST_EFER = 0x2C02,
	/* 32-bit */
	VMX_PIN_CTLS = 0x4000,
	VMX_PROC_CTLS = 0x4002,
	VMX_EXCEPTION_BITMAP = 0x4004,
	VMX_PF_ERROR_MASK = 0x4006,
	VMX_PF_ERROR_MATCH = 0x4008,
	VMX_CR3_TARGET_COUNT = 0x400A,
	VMX_EXIT_CTLS = 0x400C,
	VMX_EXIT_MSR_STORE_COUNT = 0x400E,
	VMX_EXIT_MSR_LOAD_COUNT = 0x4010,
	VMX_ENTRY_CTLS = 0x4012,
	VMX_ENTRY_MSR_LOAD_COUNT = 0x4014,
	VMX_ENTRY_INTR_INFO = 0x4016,
	VMX_ENTRY_ERROR_CODE = 0x4018,
	VMX_ENTRY_INSTR_LEN = 0x401A,
	VMX_TPR_THRESHOLD = 0x401C,
	VMX_PROC_CTLS2 = 0x401E,
	VMX_PLE_GAP = 0x4020,
	VMX_PLE_WINDOW = 0x4022,
	VMX_INSTR_ERROR = 0x4400,
	VMX_EXIT_REASON = 0x4402,
	VMX_EXIT_INTR_INFO = 0x4404,
	VMX_EXIT_ERROR_CODE = 0x4406,
	VMX_IDT_VEC_INFO = 0x4408,
	VMX_IDT_VEC_ERROR = 0x440A,
	VMX_EXIT_INSTR_LEN = 0x440C,
	VMX_EXIT_INSTR_INFO = 0x440E,
	VMX_GUEST_ES_LIMIT = 0x4800,
	VMX_GUEST_LDTR_LIMIT = 0x480C,
	VMX_GUEST_TR_LIMIT = 0x480E,
	VMX_GUEST_GDTR_LIMIT = 0x4810,
	VMX_GUEST_IDTR_LIMIT = 0x4812,
	VMX_GUEST_ES_AR = 0x4814,
	VMX_GUEST_CS_AR = 0x4816,
	VMX_GUEST_SS_AR = 0x4818,
	VMX_GUEST_LDTR_AR = 0x4820,
	VMX_GUEST_TR_AR = 0x4822,
	VMX_GUEST_INTERRUPTIBILITY = 0x4824,
	VMX_GUEST_ACTIVITY = 0x4826,
	VMX_GUEST_SYSENTER_CS = 0x482A,
	VMX_PREEMPTION_TIMER = 0x482E,
	VMX_HOST_SYSENTER_CS = 0x4C00,
	/* natural width */
	VMX_CR0_MASK = 0x6000,
	VMX_CR4_MASK = 0x6002,
	VMX_CR0_SHADOW = 0x6004,
	VMX_CR4_SHADOW = 0x6006,
	VMX_EXIT_QUALIFICATION = 0x6400,
	VMX_GUEST_LINEAR_ADDR = 0x640A,
	VMX_GUEST_CR0 = 0x6800,
	VMX_GUEST_CR3 = 0x6802,
	VMX_GUEST_CR4 = 0x6804,
	VMX_GUEST_ES_BASE = 0x6806,
	VMX_GUEST_CS_BASE = 0x6808,
	VMX_GUEST_FS_BASE = 0x680E,
	VMX_GUEST_GS_BASE = 0x6810,
	VMX_GUEST_LDTR_BASE = 0x6812,
	VMX_GUEST_TR_BASE = 0x6814,
	VMX_GUEST_GDTR_BASE = 0x6816,
	VMX_GUEST_IDTR_BASE = 0x6818,
	VMX_GUEST_DR7 = 0x681A,
	VMX_GUEST_RSP = 0x681C,
	VMX_GUEST_RIP = 0x681E,
	VMX_GUEST_RFLAGS = 0x6820,
	VMX_GUEST_PENDING_DEBUG = 0x6822,
	VMX_GUEST_SYSENTER_ESP = 0x6824,
	VMX_GUEST_SYSENTER_EIP = 0x6826,
	VMX_HOST_CR0 = 0x6C00,
	VMX_HOST_CR3 = 0x6C02,
	VMX_HOST_CR4 = 0x6C04,
	VMX_HOST_FS_BASE = 0x6C06,
	VMX_HOST_GS_BASE = 0x6C08,
	VMX_HOST_TR_BASE = 0x6C0A,
	VMX_HOST_GDTR_BASE = 0x6C0C,
	VMX_HOST_IDTR_BASE = 0x6C0E,
	VMX_HOST_SYSENTER_ESP = 0x6C10,
	VMX_HOST_SYSENTER_EIP = 0x6C12,
	VMX_HOST_RSP = 0x6C14,
	VMX_HOST_RIP = 0x6C16,
};

/* Pin-based controls. */
#define PIN_EXT_INT          BIT32(0)
#define PIN_NMI              BIT32(3)
#define PIN_VIRTUAL_NMI      BIT32(5)
#define PIN_PREEMPTION_TIMER BIT32(6)

/* Primary processor-based controls. */
#define PROC_INT_WINDOW  BIT32(2)
#define PROC_TSC_OFFSET  BIT32(3)
#define PROC_HLT         BIT32(7)
#define PROC_MWAIT       BIT32(10)
#define PROC_RDPMC       BIT32(11)
#define PROC_CR3_LOAD    BIT32(15)
#define PROC_CR3_STORE   BIT32(16)
#define PROC_CR8_LOAD    BIT32(19)
#define PROC_CR8_STORE   BIT32(20)
#define PROC_TPR_SHADOW  BIT32(21)
#define PROC_NMI_WINDOW  BIT32(22)
#define PROC_MOV_DR      BIT32(23)
#define PROC_IO_BITMAPS  BIT32(25)
#define PROC_MSR_BITMAPS BIT32(28)
#define PROC_MONITOR     BIT32(29)
#define PROC_SECONDARY   BIT32(31)

/* Secondary processor-based controls. */
#define PROC2_APIC_ACCESS  BIT32(0)
#define PROC2_EPT          BIT32(1)
#define PROC2_RDTSCP       BIT32(3)
#define PROC2_VIRT_X2APIC  BIT32(4)
#define PROC2_VPID         BIT32(5)
#define PROC2_WBINVD       BIT32(6)
#define PROC2_UNRESTRICTED BIT32(7)
#define PROC2_APIC_REGVIRT BIT32(8)
#define PROC2_VID          BIT32(9)
#define PROC2_PAUSE_LOOP   BIT32(10)
#define PROC2_INVPCID      BIT32(12)
#define PROC2_XSAVES       BIT32(20)

#define EXIT_HOST_64         BIT32(9)
#define EXIT_ACK_INTR        BIT32(15)
#define EXIT_SAVE_PAT        BIT32(18)
#define EXIT_LOAD_PAT        BIT32(19)
#define EXIT_SAVE_EFER       BIT32(20)
#define EXIT_LOAD_EFER       BIT32(21)
#define EXIT_SAVE_PREEMPTION BIT32(22)
#define EXIT_SAVE_DEBUG      BIT32(2)

#define ENTRY_LOAD_DEBUG BIT32(2)
#define ENTRY_IA32E      BIT32(9)
#define ENTRY_LOAD_PAT   BIT32(14)
#define ENTRY_LOAD_EFER  BIT32(15)

/* Interruption information, for entry, exit and IDT vectoring (SDM 25.8.3, 25.9.2). */
#define INTR_INFO_VALID       BIT32(31)
#define INTR_INFO_ERROR_CODE  BIT32(11)
#define INTR_INFO_NMI_UNBLOCK BIT32(12) /* exit: IRET had unblocked NMIs */
#define INTR_INFO_TYPE_MASK   0x700U
#define INTR_TYPE_EXT_INT     0x000U
#define INTR_TYPE_NMI         0x200U
#define INTR_TYPE_HW_EXC      0x300U
#define INTR_TYPE_SW_INT      0x400U
#define INTR_TYPE_PRIV_SW_EXC 0x500U
#define INTR_TYPE_SW_EXC      0x600U

/* Interruptibility state. */
#define BLOCK_BY_STI    BIT32(0)
#define BLOCK_BY_MOV_SS BIT32(1)
#define BLOCK_BY_SMI    BIT32(2)
#define BLOCK_BY_NMI    BIT32(3)

#define SEG_AR_UNUSABLE 0x10000U

/* Basic exit reasons (SDM appendix C). */
enum vmx_exit_reason {
	EXIT_EXCEPTION_NMI = 0,
	EXIT_EXTERNAL_INTERRUPT = 1,
	EXIT_TRIPLE_FAULT = 2,
	EXIT_INIT = 3,
	EXIT_SIPI = 4,
	EXIT_INT_WINDOW = 7,
	EXIT_NMI_WINDOW = 8,
	EXIT_TASK_SWITCH = 9,
	EXIT_CPUID = 10,
	EXIT_GETSEC = 11,
	EXIT_HLT = 12,
	EXIT_INVD = 13,
	EXIT_INVLPG = 14,
	EXIT_RDPMC = 15,
	EXIT_RDTSC = 16,
	EXIT_RSM = 17,
	EXIT_VMCALL = 18,
	EXIT_VMCLEAR = 19,
	EXIT_VMXON = 27,
	EXIT_CR_ACCESS = 28,
	EXIT_DR_ACCESS = 29,
	EXIT_IO_INSTRUCTION = 30,
	EXIT_RDMSR = 31,
	EXIT_WRMSR = 32,
	EXIT_ENTRY_GUEST_STATE = 33,
	EXIT_ENTRY_MSR_LOAD = 34,
	EXIT_MWAIT = 36,
	EXIT_MTF = 37,
	EXIT_MONITOR = 39,
	EXIT_PAUSE = 40,
	EXIT_ENTRY_MACHINE_CHECK = 41,
	EXIT_TPR_BELOW_THRESHOLD = 43,
	EXIT_APIC_ACCESS = 44,
	EXIT_VIRTUALIZED_EOI = 45,
	EXIT_GDTR_IDTR = 46,
	EXIT_LDTR_TR = 47,
	EXIT_EPT_VIOLATION = 48,
	EXIT_EPT_MISCONFIG = 49,
	EXIT_INVEPT = 50,
	EXIT_RDTSCP = 51,
	EXIT_PREEMPTION_TIMER = 52,
	EXIT_INVVPID = 53,
	EXIT_WBINVD = 54,
	EXIT_XSETBV = 55,
	EXIT_APIC_WRITE = 56,
	EXIT_RDRAND = 57,
	EXIT_INVPCID = 58,
	EXIT_VMFUNC = 59,
	EXIT_ENCLS = 60,
	EXIT_RDSEED = 61,
	EXIT_XSAVES = 63,
	EXIT_XRSTORS = 64,
	EXIT_REASON_MAX = 80,
};

#define EXIT_REASON_ENTRY_FAILURE BIT32(31)

/** A VMX instruction failed with the current VMCS: logs, panics. */
void __cold __noreturn vmx_insn_failed(const char *insn, uint64_t operand);

/** Reads `field` of the current VMCS (SDM: VMREAD). */
static inline uint64_t exec_vmread(enum vmcs_field field)
{
	uint64_t value;
	bool ok; /* CF == 0 and ZF == 0 */

	__asm__ volatile("vmread %2, %0" : "=r"(value), "=@cca"(ok) : "r"((uint64_t)field));
	if (unlikely(!ok)) {
		vmx_insn_failed("vmread", field);
	}
	return value;
}

/** As exec_vmread(), for fields of 32 bits. */
static inline uint32_t exec_vmread32(enum vmcs_field field)
{
	return (uint32_t)exec_vmread(field);
}

/** Writes `field` of the current VMCS (SDM: VMWRITE). */
static inline void exec_vmwrite(enum vmcs_field field, uint64_t value)
{
	bool ok;

	__asm__ volatile("vmwrite %2, %1" : "=@cca"(ok) : "r"((uint64_t)field), "r"(value) : "memory");
	if (unlikely(!ok)) {
		vmx_insn_failed("vmwrite", field);
	}
}

/** Enters VMX operation on this pCPU. Once per pCPU, after the capability survey. Panics if VMXON fails. */
void vmx_enable_cpu(void);

/** Makes the VMCS at `page` (direct map) inactive, clear, not current. */
void vmx_clear(void *page);

/** Makes the VMCS at `page` current on this pCPU. */
void vmx_load(void *page);

/** Drops this pCPU's translations derived from the EPT with pointer `eptp`. */
void vmx_invept(uint64_t eptp);

/** Drops this pCPU's linear and combined translations of `vpid` (not 0). Nothing without VPID. */
void vmx_invvpid(uint16_t vpid);

/** Applies the allowed settings to wishes: `want` must be permitted (survey) or it panics naming `what`. */
struct vmx_ctl_caps;
uint32_t vmx_ctls(const struct vmx_ctl_caps *caps, uint32_t want, const char *what);

/** @return the name of a basic exit reason, or "unknown" */
const char *vmx_exit_name(uint32_t basic_reason);

/** Logs the interesting part of the current VMCS. */
void vmx_dump(void);

/**
 * Bochs (up to 3.0) keeps external interrupts from exiting while the guest runs with IF = 0. On that machine, told by
 * the maker's name in its ACPI tables, the preemption timer makes the guest exit now and then, and the exit's handler
 * takes what is pending.
 * @return true if so
 */
bool vmx_interrupts_need_help(void);

/**
 * Bochs (up to 3.0) with more than one CPU: when a guest has just taken an exception and an interrupt, NMI or
 * timer makes it exit before the handler's first instruction, the VMCS holds the handler's CS and stack but the RIP of
 * the faulting instruction (its SMP loop does not commit the new RIP after an exception). An exception that exits and
 * is injected by VM entry does not have this fault.
 * @return true if all exceptions must exit
 */
bool vmx_exceptions_need_help(void);

/**
 * Bochs (up to 3.0) delivers a virtual interrupt to a guest with IF = 0 when an external interrupt comes.
 * @return true if virtual-interrupt delivery must not be used
 */
bool vmx_vid_is_broken(void);

/**
 * Bochs (up to 3.0), after an exit from a guest with IF = 0, lets interrupts in until IF changes.
 * @return true if exits must go through vmx_exit_in_bochs
 */
bool vmx_exits_need_help(void);

/** Looks at the machine, unless the command line says "no-quirks". Boot CPU, after acpi_init(). */
void vmx_quirks_init(void);

/** Sets the time of the preemption timer in the current VMCS, which exits save: it counts what the guest runs. */
void vmx_preemption_timer_set(void);

struct guest_gprs;

/**
 * Enters the guest with its general registers, returns after the exit with them saved (vmx_entry.S).
 * @param how VMRUN_* (asm/speculation.h)
 * @return 0, or the value of RFLAGS' CF | ZF << 6 when the instruction failed
 */
uint64_t vmx_vmrun(struct guest_gprs *regs, uint32_t how);

#endif
