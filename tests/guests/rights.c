/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may do what with a page: all settings of two levels of 4-level page tables and of the control registers that
 * matter, against the rules of SDM vol. 3, 4.6 and 4.7, with the error code. By the CPU itself, and in a VM by the
 * hypervisor: OUTSB and INSB to an emulated port.
 */
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>
#include <guests/lib/page.h>

const char subject_name[] = "rights";

#define COM1_SCR	0x3ff
#define KEY		5UL
#define IOPL_3		0x3000UL
#define VA		(ALIAS_WINDOW + (12UL << 30))

STUB(load_mem, "movl (%rax), %ecx");
STUB(store_mem, "movl %ecx, (%rax)");
STUB(outs_mem, "outsb");
STUB(ins_mem, "insb");
STUB(jump, "jmp *%rax");

enum how { LOAD, STORE, OUTS, INS, FETCH, HOWS };

static struct trap t;
static uint64_t page;

struct rights {
	uint64_t pde, pte;
	uint32_t key;		/* of key 5: 1 no access, 2 no writes; 4: CR4.PKE is clear */
	bool user, wp, smep, smap, ac;
};

/* SDM vol. 3, 4.6 and 4.7. The error code, or -1. */
static int expected_of(const struct rights *r, enum how how)
{
	bool write = how == STORE || how == INS, fetch = how == FETCH;
	bool user_page = (r->pde & r->pte & PTE_U) != 0, writable = (r->pde & r->pte & PTE_W) != 0;
	bool heeds_w = write && (r->user || r->wp), denied, key;
	int err = (write ? 2 : 0) | (r->user ? 4 : 0) | (fetch ? 0x10 : 0);

	if ((r->pte & PTE_P) == 0)
		return err;
	key = !fetch && user_page && ((r->key & 1) != 0 || ((r->key & 2) != 0 && heeds_w));
	if (fetch)
		denied = ((r->pde | r->pte) & PTE_NX) != 0 || (r->user ? !user_page : user_page && r->smep);
	else
		denied = (r->user ? !user_page : user_page && r->smap && !r->ac) || (heeds_w && !writable);
	return denied || key ? err | 1 | (key ? 0x20 : 0) : -1;
}

static uint64_t user_load(uint64_t va)
{
	return *(volatile uint32_t *)va;
}

static uint64_t user_store(uint64_t va)
{
	*(volatile uint32_t *)va = 0;
	return 0;
}

static uint64_t user_outs(uint64_t va)
{
	__asm__ volatile("outsb" : "+S"(va) : "d"(COM1_SCR) : "memory");
	return 0;
}

static uint64_t user_ins(uint64_t va)
{
	__asm__ volatile("insb" : "+D"(va) : "d"(COM1_SCR) : "memory");
	return 0;
}

static uint64_t user_fetch(uint64_t va)
{
	((void (*)(void))va)();
	return 0;
}

static bool is_as_expected(const struct rights *rights, enum how how)
{
	static const uint8_t *const stubs[] = { load_mem, store_mem, outs_mem, ins_mem, jump };
	static uint64_t (*const fns[])(uint64_t) = { user_load, user_store, user_outs, user_ins, user_fetch };
	uint64_t va = VA + (how == FETCH ? 0 : 8);	/* there is a RET */
	int expected = expected_of(rights, how), vec;
	struct regs r;

	if (rights->user) {
		vec = user_call(fns[how], va, IOPL_3, NULL, &t);
	} else {
		regs_fill(&r);
		r.rax = r.rsi = r.rdi = va;
		r.rdx = COM1_SCR;
		r.rflags = rights->ac ? FLAG_AC : 0;
		vec = exec_catch(&r, stubs[how], &t);
	}
	return expected < 0 ? vec == NO_TRAP : vec == VEC_PF && t.err == (uint64_t)expected && t.cr2 == va;
}

/* All of the entries' bits, under one setting of the control registers. @wrong: for each kind of access */
static void try_entries(struct rights *r, uint64_t *e2, uint64_t *e1, unsigned int *wrong)
{
	static const uint64_t bits[] = { PTE_W, PTE_U, PTE_NX, PTE_P };
	uint64_t table = *e2 & PTE_ADDR;

	for (unsigned int n = 0; n < 128; n++) {
		r->pde = PTE_P;
		r->pte = 0;
		for (unsigned int i = 0; i < 7; i++) {
			if ((n >> i & 1) != 0 && i < 4)
				r->pte |= bits[i];
			else if ((n >> i & 1) != 0)
				r->pde |= bits[i - 4];
		}
		/* Dirty already: a CPU with shadow stacks does not set it in what is not writable, and Bochs panics. */
		*e1 = page | r->pte | PTE_A | PTE_D | KEY << 59;
		*e2 = table | r->pde;
		invlpg((void *)VA);
		for (enum how how = LOAD; how < HOWS; how++) {
			if (is_as_expected(r, how))
				continue;
			if (wrong[how]++ == 0)
				report_info("kind %u: PDE %#lx PTE %#lx key %u%s%s%s%s%s: error code %#lx, not %#x",
					    (unsigned int)how, r->pde, r->pte, r->key, r->user ? " user" : "",
					    r->wp ? " WP" : "", r->smep ? " SMEP" : "", r->smap ? " SMAP" : "",
					    r->ac ? " AC" : "", t.err, (unsigned int)expected_of(r, how));
		}
	}
	*e2 = table | PTE_P | PTE_W | PTE_U;
}

static void try_settings(bool user, bool keys, unsigned int *wrong)
{
	uint64_t *e1 = page_entry(VA), *e2 = (uint64_t *)(read_cr3() & PTE_ADDR);
	uint64_t cr0 = read_cr0(), cr4 = read_cr4();
	const uint32_t features = cpuid(7, 0).ebx;
	const bool has_smep = (features & BIT(7)) != 0, has_smap = (features & BIT(20)) != 0;

	e2 = (uint64_t *)(e2[VA >> 39 & 511] & PTE_ADDR);
	e2 = (uint64_t *)(e2[VA >> 30 & 511] & PTE_ADDR);
	e2 = &e2[VA >> 21 & 511];
	for (unsigned int n = 0; n < 16; n++) {
		struct rights r = { .user = user, .wp = (n & 1) != 0, .smep = (n & 2) != 0, .smap = (n & 4) != 0,
				    .ac = (n & 8) != 0 };

		/* At CPL 3 they mean nothing, and the map is one of user pages, which they would forbid the library. */
		if (((r.smep || r.smap || r.ac) && user) || (r.smep && !has_smep) || (r.smap && !has_smap))
			continue;
		write_cr0(r.wp ? cr0 | CR0_WP : cr0 & ~CR0_WP);
		write_cr4(cr4 | (r.smep ? CR4_SMEP : 0) | (r.smap ? CR4_SMAP : 0) | (keys ? CR4_PKE : 0));
		for (r.key = keys ? 1 : 4; r.key <= (keys ? 3U : 4U); r.key++) {
			if (keys)
				wrpkru(r.key << 2 * KEY);
			try_entries(&r, e2, e1, wrong);
		}
		if (keys)
			wrpkru(0);
	}
	write_cr4(cr4);
	write_cr0(cr0);
	*e1 = 0;
	invlpg((void *)VA);
}

/* Page and table, W, U, XD, P; WP, SMEP, SMAP, AC, protection keys; each kind of access. */
static void test_rights(bool user)
{
	static const char *const kinds[] = { "load", "store", "OUTSB", "INSB", "fetch" };
	bool has_keys = (cpuid(7, 0).ecx & BIT(3)) != 0;

	*(uint8_t *)page = 0xc3;
	for (unsigned int keys = 0; keys < (has_keys ? 2 : 1); keys++) {
		unsigned int wrong[HOWS] = { 0 };

		try_settings(user, keys != 0, wrong);
		for (enum how how = LOAD; how < HOWS; how++)
			report_xfail(keys != 0 && how != FETCH && (how < OUTS || !on_hypervisor()),
				     "Bochs lets CPL 0 through, and sees keys of supervisor pages", wrong[how] == 0,
				     "%s at CPL %u: all rights together%s", kinds[how], user ? 3 : 0,
				     keys != 0 ? ", with protection keys" : "");
	}
}

void test_main(void)
{
	uint64_t cr3 = read_cr3();

	page = (uint64_t)page_alloc();
	(void)page_entry(VA);	/* its tables, before the map is copied */
	write_cr3((uint64_t)page_supervisor_map());
	test_rights(false);
	write_cr3(cr3);
	test_rights(true);
}
