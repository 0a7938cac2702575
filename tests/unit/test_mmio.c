/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arch/x86/guest/mmio.c with the real emulator: EPT violations of instructions on a device, what becomes of answers,
 * faults and refusals. The VMCS is an array (tests/fake/vmcs); linear addresses are physical ones.
 */
#include <asm/guest.h>

#include <asm/caps.h>
#include <asm/ept.h>
#include <asm/msr.h>
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/upcall.h>
#include <lib/errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

#define RIP      0x100UL
#define RAM      0x1000UL /* two pages */
#define DEVICE   0x10000UL
#define NO_RAM   0x20000UL /* mapped, but another machine's device */
#define LAPIC    0xFEE00000UL
#define DIR      0x2000000UL /* not canonical with this in the upper half */
#define CODE16   0x009BU
#define CODE32   0x409BU
#define CODE64   0xA09BU
#define READ     0x181UL /* exit qualifications */
#define WRITE    0x182UL
#define RMW      0x183UL
#define FLAG_TF  0x100UL
#define FLAG_VM  0x20000UL
#define NO_PAGE  (~0UL)

uint64_t fake_vmcs[FAKE_VMCS_FIELDS];
struct percpu fake_percpu;
struct cpu_caps cpu_caps;
struct sched_give_way sched_give_way[CONFIG_MAX_PCPU_NUM];

static struct acrn_vm vm;
static struct acrn_vcpu *const vcpu = &vm.vcpus[0];
static uint8_t ram[0x2000];

static uint8_t code[INSTR_MAX_LEN];
static uint32_t code_len; /* bytes that can be fetched; 0: none */
static bool fetch_again;  /* the short way can fetch */

static gla_t fault_page;      /* its translation fails: */
static uint32_t fault_after;  /* after as many that did not, */
static int32_t fault_status;  /* with this status */
static uint32_t translations;

static int32_t io_status[8]; /* what emulate_io() says, access by access */
static uint64_t io_value;    /* what a device reads as */
static uint64_t rflags_seen;

static struct {
	uint32_t io, pf, exceptions, gp, fatal, retired, iterations, watched, watch_ends, lapic;
	uint8_t vector;
	uint32_t error;
	uint64_t cr2;
	struct mmio_request req[8];
	char why[128];
} seen;

/* ---- What mmio.c asks of others ---- */

int32_t emulate_io(struct acrn_vcpu *of, struct io_request *io_req)
{
	struct mmio_request *const req = &io_req->reqs.mmio;

	EXPECT(of == vcpu && io_req->type == REQ_MMIO);
	seen.req[seen.io] = *req;
	if ((req->direction == REQUEST_READ) && (io_status[seen.io] == 0)) {
		req->value = io_value;
	}
	return io_status[seen.io++];
}

uint64_t vcpu_get_gpr(struct acrn_vcpu *of, uint32_t reg)
{
	return of->arch.gprs.reg[reg];
}

void vcpu_set_gpr(struct acrn_vcpu *of, uint32_t reg, uint64_t value)
{
	of->arch.gprs.reg[reg] = value;
}

static uint8_t vector[16][32];

void vcpu_get_vec(struct acrn_vcpu *of, uint32_t reg, uint8_t val[32])
{
	(void)of;
	memcpy(val, vector[reg], 32U);
}

void vcpu_put_vec(struct acrn_vcpu *of, uint32_t reg, const uint8_t *val, uint32_t size, bool zero_rest)
{
	(void)of;
	(void)zero_rest;
	memcpy(vector[reg], val, size);
}

void vcpu_retire_to(struct acrn_vcpu *of, uint64_t next_rip)
{
	(void)of;
	seen.retired++;
	fake_vmcs[VMX_GUEST_RIP] = next_rip;
}

void vcpu_end_iteration(struct acrn_vcpu *of)
{
	(void)of;
	seen.iterations++;
}

int32_t vcpu_translate(
	struct acrn_vcpu *of, gla_t gla, uint32_t access, const struct guest_translation **found, uint32_t *error)
{
	struct guest_translation *const t = &of->arch.translations[access & GUEST_WALK_WRITE];

	*found = t;
	if (((gla & ~0xFFFUL) == fault_page) && (translations++ >= fault_after)) {
		*error = (access == GUEST_WALK_WRITE) ? 2U : 0U;
		return fault_status;
	}
	t->gpa = gla & ~0xFFFUL;
	t->rights = ((gla >= DEVICE) && (gla != NO_RAM)) ? 0U : (GPA_READ | GPA_WRITE);
	return 0;
}

int32_t vcpu_copy(struct acrn_vcpu *of, const struct guest_translation *t, uint32_t offset, void *data, uint32_t size,
	bool to_guest)
{
	(void)of;
	if (t->gpa == NO_RAM) {
		return -EFAULT;
	}
	memcpy(to_guest ? &ram[t->gpa - RAM + offset] : data, to_guest ? data : &ram[t->gpa - RAM + offset], size);
	return 0;
}

uint64_t vcpu_paging_get(struct acrn_vcpu *of)
{
	of->arch.paging.cr0 = 0x80000011UL;
	return rflags_seen;
}

uint32_t vcpu_fetch(struct acrn_vcpu *of, bool code64, uint8_t *bytes)
{
	(void)of;
	EXPECT_EQ(code64, ((vcpu->arch.efer & EFER_LMA) != 0UL) && (fake_vmcs[VMX_GUEST_CS_AR] == CODE64));
	memcpy(bytes, code, code_len);
	return code_len;
}

bool vcpu_fetch_again(struct acrn_vcpu *of, uint64_t rip, uint8_t *bytes)
{
	(void)of;
	EXPECT_EQ(rip, fake_vmcs[VMX_GUEST_RIP]);
	memcpy(bytes, code, INSTR_MAX_LEN);
	return fetch_again;
}

static int32_t ept_status;

int32_t ept_fetch(struct acrn_vm *of, gpa_t gpa)
{
	EXPECT(of == &vm);
	EXPECT_EQ(gpa, DEVICE);
	return ept_status;
}

void vcpu_watch_memory(struct acrn_vcpu *of, gla_t gla, uint32_t size, bool write)
{
	(void)of;
	(void)gla;
	(void)size;
	(void)write;
	seen.watched++;
}

void vcpu_watch_end(struct acrn_vcpu *of)
{
	(void)of;
	seen.watch_ends++;
}

void vcpu_save_vectoring(struct acrn_vcpu *of)
{
	(void)of;
}

void vcpu_inject_exception(struct acrn_vcpu *of, uint8_t vec, uint32_t error)
{
	(void)of;
	seen.exceptions++;
	seen.vector = vec;
	seen.error = error;
}

void vcpu_inject_pf(struct acrn_vcpu *of, uint32_t error, uint64_t cr2)
{
	(void)of;
	seen.pf++;
	seen.error = error;
	seen.cr2 = cr2;
}

void vcpu_inject_gp(struct acrn_vcpu *of)
{
	(void)of;
	seen.gp++;
}

void vcpu_fatal(struct acrn_vcpu *of, const char *fmt, ...)
{
	va_list args;

	(void)of;
	va_start(args, fmt);
	(void)vsnprintf(seen.why, sizeof(seen.why), fmt, args);
	va_end(args);
	seen.fatal++;
}

void log_guest(uint16_t vm_id, uint16_t vcpu_id, const char *fmt, ...)
{
	(void)vm_id;
	(void)vcpu_id;
	(void)fmt;
}

bool vlapic_is_at(const struct vlapic *vlapic, gpa_t page)
{
	EXPECT(vlapic == &vcpu->arch.vlapic);
	return page == LAPIC;
}

int32_t vlapic_mmio_read(struct vlapic *vlapic, uint32_t offset, uint32_t size, uint64_t *val)
{
	(void)vlapic;
	EXPECT_EQ(size, 4U);
	seen.lapic++;
	*val = offset;
	return 0;
}

int32_t vlapic_mmio_write(struct vlapic *vlapic, uint32_t offset, uint32_t size, uint64_t val)
{
	(void)vlapic;
	(void)size;
	seen.lapic++;
	EXPECT_EQ(offset, 0x80U);
	EXPECT_EQ(val, 0x30U);
	return 0;
}

void vmx_insn_failed(const char *insn, uint64_t operand)
{
	(void)insn;
	(void)operand;
	__builtin_trap();
}

/* ---- Set-up ---- */

/* 64-bit code, RBX at the device, RSI in RAM; the instruction is to be fetched in both ways. */
static void start(uint32_t n, ...)
{
	va_list args;

	memset(&vm, 0, sizeof(vm));
	memset(fake_vmcs, 0, sizeof(fake_vmcs));
	memset(&seen, 0, sizeof(seen));
	memset(ram, 0, sizeof(ram));
	memset(code, 0x90, sizeof(code));
	memset(io_status, 0, sizeof(io_status));
	va_start(args, n);
	for (uint32_t i = 0U; i < n; i++) {
		code[i] = (uint8_t)va_arg(args, int);
	}
	va_end(args);
	vcpu->vm = &vm;
	vcpu->arch.efer = EFER_LMA | EFER_LME;
	vcpu->arch.gprs.reg[INSTR_REG_RBX] = DEVICE;
	vcpu->arch.gprs.reg[INSTR_REG_RSI] = RAM;
	fake_vmcs[VMX_GUEST_RIP] = RIP;
	fake_vmcs[VMX_GUEST_RFLAGS] = 2UL;
	fake_vmcs[VMX_GUEST_CS_AR] = CODE64;
	fake_vmcs[VMX_GUEST_PHYS_ADDR] = DEVICE;
	for (uint32_t i = 0U; i < 6U; i++) {
		fake_vmcs[VMX_GUEST_ES_LIMIT + 2U * i] = 0xFFFFFFFFUL;
		fake_vmcs[VMX_GUEST_ES_AR + 2U * i] = (i == INSTR_SEG_CS) ? CODE64 : 0xC093U;
	}
	code_len = INSTR_MAX_LEN;
	fetch_again = true;
	fault_page = NO_PAGE;
	fault_after = 0U;
	fault_status = -EFAULT;
	translations = 0U;
	io_value = 0x1122334455667788UL;
	rflags_seen = 2UL;
}

static int32_t violation(uint64_t qualification)
{
	fake_vmcs[VMX_EXIT_QUALIFICATION] = qualification;
	return ept_violation_vmexit_handler(vcpu);
}

/* As the core does when the Service VM has answered. */
static void answer(uint64_t value)
{
	vcpu->req.reqs.mmio.value = value;
	emulate_mmio_post(vcpu, &vcpu->req);
}

static uint64_t *reg(uint32_t number)
{
	return &vcpu->arch.gprs.reg[number];
}

/* ---- The short way ---- */

TEST(mmio_short_way)
{
	start(2U, 0x8B, 0x03); /* mov eax, [rbx] */
	EXPECT_EQ(violation(READ), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(*reg(INSTR_REG_RAX), 0x55667788U);
	EXPECT_EQ(fake_vmcs[VMX_GUEST_RIP], RIP + 2UL);
	EXPECT_EQ(translations, 0U);

	start(3U, 0x88, 0x63, 0x08); /* mov [rbx+8], ah */
	*reg(INSTR_REG_RAX) = 0xABCDUL;
	fake_vmcs[VMX_GUEST_PHYS_ADDR] = DEVICE + 8UL;
	EXPECT_EQ(violation(WRITE), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.req[0].direction, REQUEST_WRITE);
	EXPECT_EQ(seen.req[0].address, DEVICE + 8UL);
	EXPECT_EQ(seen.req[0].size, 1U);
	EXPECT_EQ(seen.req[0].value, 0xABU);
	EXPECT_EQ(seen.retired, 1U);

	start(2U, 0x8B, 0x03);
	io_status[0] = IOREQ_PENDING;
	EXPECT_EQ(violation(READ), VMEXIT_LOOK_UP);
	EXPECT_EQ(seen.retired, 0U);
	answer(0xFFFFFFFF12345678UL);
	EXPECT_EQ(*reg(INSTR_REG_RAX), 0x12345678UL);
	EXPECT_EQ(seen.retired, 1U);
	answer(1UL); /* nobody waits any more */
	EXPECT_EQ(*reg(INSTR_REG_RAX), 0x12345678UL);
}

/* What differs from what the CPU said goes the long way, which looks for itself. */
TEST(mmio_not_so_simple)
{
	start(2U, 0x8B, 0x03);
	EXPECT_EQ(violation(WRITE), VMEXIT_ENTER_AGAIN); /* it was a store when the CPU executed it */
	EXPECT_EQ(seen.req[0].direction, REQUEST_READ);

	start(2U, 0x8B, 0x03);
	*reg(INSTR_REG_RBX) = DEVICE + 2UL;
	fake_vmcs[VMX_GUEST_PHYS_ADDR] = DEVICE + 2UL;
	EXPECT_EQ(violation(READ), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.req[0].address, DEVICE + 2UL);

	start(2U, 0x8B, 0x03);
	fetch_again = false;
	EXPECT_EQ(violation(READ), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(*reg(INSTR_REG_RAX), 0x55667788U);

	start(2U, 0x8B, 0x03);
	vcpu->arch.watching = true;
	EXPECT_EQ(violation(READ), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.watched, 1U);
	EXPECT_EQ(seen.watch_ends, 1U);

	start(2U, 0x8B, 0x03); /* its page may be read: so the write must be another instruction's */
	EXPECT_EQ(violation(READ | 8UL), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.io, 1U);
}

/* ---- The long way ---- */

TEST(mmio_read_modify_write_waits_twice)
{
	start(2U, 0x01, 0x03); /* add [rbx], eax */
	*reg(INSTR_REG_RAX) = 5UL;
	io_status[0] = IOREQ_PENDING;
	io_status[1] = IOREQ_PENDING;
	EXPECT_EQ(violation(RMW), VMEXIT_LOOK_UP);
	EXPECT_EQ(seen.io, 1U);
	answer(7UL);
	EXPECT_EQ(seen.io, 2U);
	EXPECT_EQ(seen.req[1].direction, REQUEST_WRITE);
	EXPECT_EQ(seen.req[1].value, 12U);
	EXPECT_EQ(seen.retired, 0U);
	answer(0UL);
	EXPECT_EQ(seen.retired, 1U);
	EXPECT_EQ(fake_vmcs[VMX_GUEST_RFLAGS], 0x6UL); /* PF */
	EXPECT_EQ(vcpu->map_epoch, 4U);
	answer(0UL);
	EXPECT_EQ(seen.retired + seen.io, 3U);
	vcpu->arch.emul_active = true; /* an answer that the emulator does not wait for */
	answer(0UL);
	EXPECT_EQ(seen.retired + seen.io, 3U);
}

TEST(mmio_answers_that_are_refusals)
{
	start(2U, 0x8B, 0x03);
	io_status[0] = -EIO; /* over a device's end */
	EXPECT_EQ(violation(READ), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(*reg(INSTR_REG_RAX), 0xFFFFFFFFUL);
	EXPECT_EQ(seen.retired, 1U);

	start(2U, 0x8B, 0x03);
	io_status[0] = -EFAULT; /* the VM was stopped */
	EXPECT_EQ(violation(READ), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.retired, 0U);

	start(2U, 0x01, 0x03);
	io_status[1] = -EFAULT; /* by the write */
	EXPECT_EQ(violation(RMW), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.retired, 0U);
	EXPECT_EQ(fake_vmcs[VMX_GUEST_RFLAGS], 2UL);

	start(2U, 0x8B, 0x03);
	io_status[0] = -EAGAIN; /* a callback wants it to be executed again */
	EXPECT_EQ(violation(READ), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.retired + seen.gp + seen.fatal, 0U);
}

TEST(mmio_faults_are_the_guests)
{
	start(2U, 0x01, 0x03);
	fault_page = DEVICE;
	EXPECT_EQ(violation(RMW), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.pf, 1U);
	EXPECT_EQ(seen.error, 2U);
	EXPECT_EQ(seen.cr2, DEVICE);
	EXPECT_EQ(seen.io, 0U);

	start(2U, 0x01, 0x03); /* another CPU takes the page away after the operand was checked */
	fault_page = DEVICE;
	fault_after = 1U;
	EXPECT_EQ(violation(RMW), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.pf, 1U);
	EXPECT_EQ(seen.error, 0U);
	EXPECT_EQ(seen.io, 0U);

	start(1U, 0xA5); /* movsd: [rdi] is not canonical */
	*reg(INSTR_REG_RSI) = DEVICE;
	*reg(INSTR_REG_RDI) = 0x8000000000000000UL;
	EXPECT_EQ(violation(READ), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.exceptions, 1U);
	EXPECT_EQ(seen.vector, EXC_GP);
	EXPECT_EQ(seen.io, 0U);

	start(2U, 0x01, 0x03); /* page tables that are in no memory */
	fault_page = DEVICE;
	fault_status = -EIO;
	EXPECT_EQ(violation(RMW), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.gp, 1U);

	start(2U, 0x01, 0x03); /* what no walk says: the VM stops, with the bytes */
	fault_page = DEVICE;
	fault_status = -EINVAL;
	EXPECT_EQ(violation(RMW), -EINVAL);
	EXPECT_EQ(seen.fatal, 1U);
	EXPECT(strstr(seen.why, ": 01 03 90 90 90 90 90 90") != NULL);
}

TEST(mmio_between_device_and_memory)
{
	start(1U, 0xA5); /* movsd from the device to RAM */
	*reg(INSTR_REG_RSI) = DEVICE;
	*reg(INSTR_REG_RDI) = RAM + 0x10UL;
	EXPECT_EQ(violation(READ), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(*(uint32_t *)&ram[0x10], 0x55667788U);
	EXPECT_EQ(*reg(INSTR_REG_RDI), RAM + 0x14UL);

	start(1U, 0xA5); /* and back */
	*reg(INSTR_REG_RDI) = DEVICE;
	ram[0] = 0x99U;
	EXPECT_EQ(violation(WRITE), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.req[0].value, 0x99U);

	start(1U, 0xA5); /* to a device that the VM has for itself */
	*reg(INSTR_REG_RSI) = DEVICE;
	*reg(INSTR_REG_RDI) = NO_RAM;
	EXPECT_EQ(violation(READ), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.gp, 1U);
	EXPECT_EQ(seen.retired, 0U);
}

TEST(mmio_local_apic)
{
	start(2U, 0x8B, 0x03);
	*reg(INSTR_REG_RBX) = LAPIC + 0x30UL;
	fake_vmcs[VMX_GUEST_PHYS_ADDR] = LAPIC + 0x30UL;
	EXPECT_EQ(violation(READ), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(*reg(INSTR_REG_RAX), 0x30U);
	code[0] = 0x89U; /* mov [rbx], eax */
	fake_vmcs[VMX_GUEST_PHYS_ADDR] = LAPIC + 0x80UL;
	EXPECT_EQ(violation(WRITE), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.lapic, 2U);
	EXPECT_EQ(seen.io, 0U);
}

TEST(mmio_vector_register)
{
	start(3U, 0x0F, 0x10, 0x03); /* movups xmm0, [rbx]: no CR4.OSFXSR */
	EXPECT_EQ(violation(READ), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.vector, EXC_UD);
	vcpu->arch.paging.cr4 = CR4_OSFXSR;
	EXPECT_EQ(violation(READ), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.io, 2U);
	EXPECT_EQ(vector[0][8], 0x88U);
	code[1] = 0x11U;
	EXPECT_EQ(violation(WRITE), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.req[3].value, 0x1122334455667788UL);
}

/* ---- REP ---- */

static void start_rep(uint64_t count)
{
	start(2U, 0xF3, 0xAB); /* rep stosd */
	*reg(INSTR_REG_RDI) = RAM;
	*reg(INSTR_REG_RCX) = count;
	*reg(INSTR_REG_RAX) = 0x41414141UL;
}

TEST(mmio_rep_in_batches)
{
	start_rep(100UL);
	EXPECT_EQ(violation(WRITE), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(*reg(INSTR_REG_RCX), 36U);
	EXPECT_EQ(seen.iterations, 1U);
	EXPECT_EQ(seen.retired, 0U);
	EXPECT_EQ(violation(WRITE), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(*reg(INSTR_REG_RCX), 0U);
	EXPECT_EQ(fake_vmcs[VMX_GUEST_RIP], RIP + 2UL);
	EXPECT_EQ(ram[399], 0x41U);
	EXPECT_EQ(ram[400], 0U);
}

TEST(mmio_rep_under_a_debugger)
{
	start_rep(3UL);
	fake_vmcs[VMX_GUEST_RFLAGS] |= FLAG_TF;
	EXPECT_EQ(violation(WRITE), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(*reg(INSTR_REG_RCX), 2U);
	EXPECT_EQ(seen.iterations, 1U);

	start_rep(3UL);
	vcpu->arch.watching = true;
	EXPECT_EQ(violation(WRITE), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(*reg(INSTR_REG_RCX), 2U);
	EXPECT_EQ(seen.watched, 1U);
	EXPECT_EQ(seen.watch_ends, 1U);
	fault_page = RAM; /* the next one faults: no breakpoint was met by what has not happened */
	EXPECT_EQ(violation(WRITE), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(seen.pf, 1U);
	EXPECT_EQ(seen.watch_ends, 1U);
}

/* The second element waits: the first stays done, and is not done again. */
TEST(mmio_rep_waits_amid_a_batch)
{
	start_rep(3UL);
	*reg(INSTR_REG_RDI) = DEVICE;
	io_status[1] = IOREQ_PENDING;
	EXPECT_EQ(violation(WRITE), VMEXIT_LOOK_UP);
	EXPECT_EQ(*reg(INSTR_REG_RCX), 2U);
	answer(0UL);
	EXPECT_EQ(seen.io, 3U);
	EXPECT_EQ(seen.req[2].address, DEVICE + 8UL);
	EXPECT_EQ(*reg(INSTR_REG_RCX), 0U);
	EXPECT_EQ(seen.retired, 1U);
}

/* ---- Modes ---- */

TEST(mmio_modes)
{
	static const struct {
		uint64_t efer;
		uint32_t cs;
		uint64_t rflags;
		uint32_t size; /* of the operand of 89 03 */
	} cases[] = {
		{EFER_LMA, CODE64, 2UL, 4U},
		{EFER_LMA, CODE32, 2UL, 4U}, /* compatibility mode */
		{0UL, CODE32, 2UL, 4U},
		{0UL, CODE16, 2UL, 2U},
		{0UL, CODE16, 2UL | FLAG_VM, 2U},
		{0UL, CODE64, 2UL, 2U}, /* L is reserved without long mode */
	};

	for (uint32_t i = 0U; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start(2U, 0x89, 0x03); /* mov [rbx], eax, or [bp+di], ax */
		fetch_again = false;
		vcpu->arch.efer = cases[i].efer;
		vcpu->arch.paging.cpl = 1U;
		fake_vmcs[VMX_GUEST_CS_AR] = cases[i].cs;
		fake_vmcs[VMX_GUEST_ES_BASE + 2U * INSTR_SEG_SS] = DEVICE;
		rflags_seen = cases[i].rflags;
		EXPECT_EQ(violation(WRITE), VMEXIT_ENTER_AGAIN);
		EXPECT_EQ(seen.req[0].size, cases[i].size);
		EXPECT_EQ(vcpu->arch.emul.cpu.cpl, ((cases[i].rflags & FLAG_VM) != 0UL) ? 3U : 1U);
	}
}

/* ---- What is no access of an instruction's ---- */

TEST(mmio_what_cannot_be_emulated_stops_the_vm)
{
	start(2U, 0xDD, 0x33); /* fnsave [rbx] */
	for (uint32_t i = 0U; i < 3U; i++) { /* another CPU may be changing the bytes */
		EXPECT_EQ(violation(WRITE), 0);
		EXPECT_EQ(seen.fatal, 0U);
	}
	EXPECT_EQ(violation(WRITE), -EINVAL);
	EXPECT_EQ(seen.fatal, 1U);
	EXPECT(strstr(seen.why, "dd 33 90") != NULL);

	start(2U, 0xDD, 0x33); /* they do: that was the last time */
	EXPECT_EQ(violation(WRITE), 0);
	code[0] = 0x89U;
	code[1] = 0x03U;
	EXPECT_EQ(violation(WRITE), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(vcpu->arch.emul_retries, 0U);

	start(2U, 0x89, 0x03);
	ept_status = -EFAULT;
	EXPECT_EQ(violation(4UL | 0x180UL), -EFAULT);
	EXPECT(strstr(seen.why, "executes at") != NULL);

	start(2U, 0x89, 0x03);
	vcpu->arch.reinject_info = 0x80000306U;
	EXPECT_EQ(violation(WRITE), -EFAULT);
	EXPECT(strstr(seen.why, "delivers event 0x80000306") != NULL);
	EXPECT_EQ(seen.io, 0U);
}

/* Of memory whose large pages are not for fetches: they are small now, and the guest executes it again. */
TEST(mmio_fetch_from_a_large_page)
{
	start(2U, 0x89, 0x03);
	ept_status = 0;
	EXPECT_EQ(violation(4UL | 0x1B8UL), 0);
	EXPECT_EQ(seen.fatal + seen.io + seen.retired, 0U);
}

TEST(mmio_fetch_that_fails)
{
	start(2U, 0x89, 0x03);
	fetch_again = false;
	code_len = 0U; /* the code page has gone; its #PF is queued */
	EXPECT_EQ(violation(WRITE), 0);
	EXPECT_EQ(seen.io, 0U);
}

TEST(mmio_iret_had_unblocked_nmis)
{
	start(2U, 0x8B, 0x03);
	EXPECT_EQ(violation(READ | 0x1000UL), VMEXIT_ENTER_AGAIN);
	EXPECT_EQ(fake_vmcs[VMX_GUEST_INTERRUPTIBILITY], BLOCK_BY_NMI);
	start(2U, 0x8B, 0x03); /* not when an event was being delivered (SDM 28.2.3) */
	vcpu->arch.reinject_info = 0x80000306U;
	EXPECT_EQ(violation(READ | 0x1000UL), -EFAULT);
	EXPECT_EQ(fake_vmcs[VMX_GUEST_INTERRUPTIBILITY], 0U);
}
