/* SPDX-License-Identifier: BSD-3-Clause */
/* test_walk.c: guest page walk in all paging modes, with rights, reserved bits, accessed and dirty
 * bits. */
#include <asm/guest_walk.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

#define RAM_SIZE 0x10000U

#define P  0x1UL
#define W  0x2UL
#define U  0x4UL
#define A  0x20UL
#define D  0x40UL
#define PS 0x80UL
#define XD (1UL << 63)

#define PG     0x80000001UL
#define CR0_WP (1UL << 16)
#define PSE    0x10UL
#define PAE    0x20UL
#define LA57   (1UL << 12)
#define SMEP   (1UL << 20)
#define SMAP   (1UL << 21)
#define PKE    (1UL << 22)
#define PKS    (1UL << 24)
#define LMA    (1UL << 10)
#define NXE    (1UL << 11)

/** Guest RAM with the paging structures: table n of a walk, from the top, is at 0x1000 * n. */
struct ram {
	uint8_t bytes[RAM_SIZE];
	uint32_t writes;
	uint32_t
		changes_left; /* how often another CPU changes the entry just before the exchange */
	bool bad;
};

static int32_t ram_read(void *arg, gpa_t gpa, uint32_t size, uint64_t *entry)
{
	struct ram *ram = arg;

	if (((size != 4U) && (size != 8U)) || ((gpa & (size - 1U)) != 0UL)) {
		ram->bad = true;
	}
	if ((gpa + size) > RAM_SIZE) {
		return -EFAULT;
	}
	*entry = 0UL;
	memcpy(entry, ram->bytes + gpa, size);
	return 0;
}

static int32_t ram_cmpxchg(void *arg, gpa_t gpa, uint32_t size, uint64_t old, uint64_t val)
{
	struct ram *ram = arg;

	if (ram->changes_left != 0U) {
		ram->changes_left--;
		ram->bytes[gpa + 1U] ^= 2U; /* an ignored bit */
	}
	if (memcmp(ram->bytes + gpa, &old, size) != 0) {
		return -EAGAIN;
	}
	memcpy(ram->bytes + gpa, &val, size);
	ram->writes++;
	return 0;
}

static int32_t rom_cmpxchg(void *arg, gpa_t gpa, uint32_t size, uint64_t old, uint64_t val)
{
	(void)arg;
	(void)gpa;
	(void)size;
	(void)old;
	(void)val;
	return -EFAULT;
}

static struct ram ram;
static struct guest_walk_ops ops = {ram_read, NULL, &ram};

static void put(gpa_t gpa, uint32_t size, uint64_t entry)
{
	memcpy(ram.bytes + gpa, &entry, size);
}

static uint64_t get(gpa_t gpa, uint32_t size)
{
	uint64_t val = 0UL;

	memcpy(&val, ram.bytes + gpa, size);
	return val;
}

static void reset(void)
{
	memset(&ram, 0, sizeof(ram));
	ops.cmpxchg = NULL;
}

/** 64-bit paging for one address: levels tables, the leaf at the given level (1: 4 KiB). */
static void map(uint32_t levels, uint32_t leaf_level, gla_t gla, uint64_t flags, uint64_t leaf)
{
	gpa_t table = 0x1000UL;
	uint32_t level;

	for (level = levels; level > leaf_level; level--) {
		put(table + (((gla >> (12U + (9U * (level - 1U)))) & 511U) * 8U), 8U,
			(table + 0x1000UL) | flags);
		table += 0x1000UL;
	}
	put(table + (((gla >> (12U + (9U * (level - 1U)))) & 511U) * 8U), 8U, leaf);
}

static struct guest_walk_state state64(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	return (struct guest_walk_state){.cr0 = PG | cr0,
		.cr3 = 0x1018UL,
		.cr4 = PAE | cr4,
		.efer = LMA | efer,
		.maxphyaddr = 39U,
		.has_1g = true};
}

TEST(walk_without_paging)
{
	struct guest_walk_state st = {.cr0 = 1UL, .cr3 = ~0UL, .cpl = 3U, .maxphyaddr = 39U};
	struct guest_walk_result res;

	reset();
	EXPECT_EQ(guest_walk(&st, &ops, 0x1FEEDC0DEUL, GUEST_WALK_WRITE, &res), 0);
	EXPECT_EQ(res.gpa, 0xFEEDC0DEUL);
	EXPECT_EQ(res.page_size, 4096);
}

TEST(walk_32bit)
{
	struct guest_walk_state st = {.cr0 = PG, .cr3 = 0x1FFFUL, .cr4 = PSE, .maxphyaddr = 39U};
	struct guest_walk_result res;
	const gla_t gla = 0xC0403123UL;

	reset();
	put(0x1000UL + ((gla >> 22) * 4U), 4U, 0x2000UL | P | W);
	put(0x2000UL + (((gla >> 12) & 1023U) * 4U), 4U, 0xABCDE000UL | P | PS);
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_READ, &res), 0);
	EXPECT_EQ(res.gpa, 0xABCDE123UL);
	EXPECT_EQ(res.page_size, 4096);
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_WRITE, &res), 0); /* WP clear */
	st.cr0 |= CR0_WP;
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_WRITE, &res), -EFAULT);
	EXPECT_EQ(res.error_code, PF_EC_PRESENT | PF_EC_WRITE);
	EXPECT_EQ(res.cr2, gla);
	EXPECT_EQ(guest_walk(&st, &ops, gla + 0x1000UL, GUEST_WALK_READ, &res), -EFAULT);
	EXPECT_EQ(res.error_code, 0);
	EXPECT_EQ(res.cr2, gla + 0x1000UL);
	/* no NX in this mode: the fetch bit is there only with SMEP */
	st.efer = NXE;
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_FETCH, &res), 0);
	EXPECT_EQ(guest_walk(&st, &ops, gla + 0x1000UL, GUEST_WALK_FETCH, &res), -EFAULT);
	EXPECT_EQ(res.error_code, 0);
	st.cr4 |= SMEP;
	EXPECT_EQ(guest_walk(&st, &ops, gla + 0x1000UL, GUEST_WALK_FETCH, &res), -EFAULT);
	EXPECT_EQ(res.error_code, PF_EC_FETCH);
	EXPECT_EQ(ram.bad, false);
}

TEST(walk_32bit_large_pages)
{
	struct guest_walk_state st = {.cr0 = PG, .cr3 = 0x1000UL, .cr4 = PSE, .maxphyaddr = 39U};
	struct guest_walk_result res;

	reset();
	/* PSE-36: bits 19:13 are address bits 38:32 with 39 bits; 20 and 21 are reserved */
	put(0x1000UL + 4U, 4U, 0x80000000UL | (0x5AUL << 13) | P | PS);
	EXPECT_EQ(guest_walk(&st, &ops, 0x612345UL, GUEST_WALK_READ, &res), 0);
	EXPECT_EQ(res.gpa, 0x5A80212345UL);
	EXPECT_EQ(res.page_size, 4UL << 20);
	put(0x1000UL + 4U, 4U, 0x80000000UL | (1UL << 20) | P | PS);
	EXPECT_EQ(guest_walk(&st, &ops, 0x612345UL, GUEST_WALK_WRITE, &res), -EFAULT);
	EXPECT_EQ(res.error_code, PF_EC_PRESENT | PF_EC_RSVD | PF_EC_WRITE);
	st.maxphyaddr = 46U; /* counts as 40 */
	EXPECT_EQ(guest_walk(&st, &ops, 0x612345UL, GUEST_WALK_READ, &res), 0);
	EXPECT_EQ(res.gpa, 0x8080212345UL);
	put(0x1000UL + 4U, 4U, 0x80000000UL | (1UL << 21) | P | PS);
	EXPECT_EQ(guest_walk(&st, &ops, 0x612345UL, GUEST_WALK_READ, &res), -EFAULT);
	/* without CR4.PSE the bit is ignored: a table, which lies outside of RAM here */
	st.cr4 = 0UL;
	EXPECT_EQ(guest_walk(&st, &ops, 0x612345UL, GUEST_WALK_READ, &res), -EIO);
}

TEST(walk_pae)
{
	struct guest_walk_state st = {.cr0 = PG | CR0_WP,
		.cr3 = ~0UL,
		.cr4 = PAE,
		.efer = NXE,
		.maxphyaddr = 39U,
		.pdpte = {0UL, 0UL, 0UL, 0x1001UL}};
	struct guest_walk_result res;
	const gla_t gla = 0xC0A03123UL;

	reset();
	put(0x1000UL + (5U * 8U), 8U, 0x2000UL | P | W | U);
	put(0x2000UL + (3U * 8U), 8U, 0x7F12345000UL | P | W | U | XD);
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_WRITE, &res), 0);
	EXPECT_EQ(res.gpa, 0x7F12345123UL);
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_FETCH, &res), -EFAULT);
	EXPECT_EQ(res.error_code, PF_EC_PRESENT | PF_EC_FETCH);
	st.efer = 0UL;
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_READ, &res), -EFAULT);
	EXPECT_EQ(res.error_code, PF_EC_PRESENT | PF_EC_RSVD);
	st.efer = NXE;
	put(0x2000UL + (3U * 8U), 8U,
		(1UL << 52) | P); /* ignored in 4-level paging, reserved here */
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_READ, &res), -EFAULT);
	EXPECT_EQ(res.error_code, PF_EC_PRESENT | PF_EC_RSVD);
	EXPECT_EQ(guest_walk(&st, &ops, 0x40000000UL, GUEST_WALK_READ, &res), -EFAULT);
	EXPECT_EQ(res.error_code, 0);
	put(0x1000UL + (5U * 8U), 8U, 0x7000200000UL | P | PS);
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_READ, &res), 0);
	EXPECT_EQ(res.gpa, 0x7000203123UL);
	EXPECT_EQ(res.page_size, 2UL << 20);
}

TEST(walk_4_and_5_levels)
{
	const gla_t gla = 0x00007ABCDEF12345UL;
	struct guest_walk_state st;
	struct guest_walk_result res;
	uint32_t levels, leaf;

	for (levels = 4U; levels <= 5U; levels++) {
		for (leaf = 1U; leaf <= 3U; leaf++) {
			uint64_t size = 1UL << (12U + (9U * (leaf - 1U)));

			reset();
			st = state64(CR0_WP, (levels == 5U) ? LA57 : 0UL, NXE);
			map(levels, leaf, gla, P | W,
				(3UL << 32) | ((leaf > 1U) ? PS : 0UL) | P | W);
			EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_WRITE, &res), 0);
			EXPECT_EQ(res.page_size, size);
			EXPECT_EQ(res.gpa, ((3UL << 32) & ~(size - 1UL)) | (gla & (size - 1UL)));
		}
	}
	/* canonical addresses */
	st = state64(0UL, 0UL, 0UL);
	EXPECT_EQ(guest_walk(&st, &ops, 0x0000800000000000UL, GUEST_WALK_READ, &res), -EINVAL);
	st.cr4 |= LA57;
	EXPECT_NE(guest_walk(&st, &ops, 0x0000800000000000UL, GUEST_WALK_READ, &res), -EINVAL);
	EXPECT_EQ(guest_walk(&st, &ops, 0x0100000000000000UL, GUEST_WALK_READ, &res), -EINVAL);
	/* a table outside of RAM */
	st.cr3 = 0x7FFFFFF000UL;
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_READ, &res), -EIO);
}

TEST(walk_reserved_bits_64)
{
	const gla_t gla = 0x00007ABCDEF12345UL;
	struct guest_walk_state st = state64(0UL, LA57, NXE);
	struct guest_walk_result res;
	uint32_t level, leaf, bit;

	/* every bit of every entry of every page size: reserved or not */
	for (leaf = 1U; leaf <= 3U; leaf++) {
		for (level = leaf; level <= 5U; level++) {
			for (bit = 13U; bit < 64U; bit++) {
				bool rsvd = ((bit >= 39U) && (bit <= 51U)) ||
					    ((level == leaf) && (leaf == 2U) && (bit <= 20U)) ||
					    ((level == leaf) && (leaf == 3U) && (bit <= 29U));
				gpa_t at = (0x1000UL * (6U - level)) +
					   (((gla >> (12U + (9U * (level - 1U)))) & 511U) * 8U);
				int32_t ret;

				reset();
				map(5U, leaf, gla, P | U, P | U | ((leaf > 1U) ? PS : 0UL));
				put(at, 8U, get(at, 8U) ^ (1UL << bit));
				ret = guest_walk(&st, &ops, gla, GUEST_WALK_READ, &res);
				if (rsvd) {
					EXPECT_EQ(ret, -EFAULT);
					EXPECT_EQ(res.error_code, PF_EC_PRESENT | PF_EC_RSVD);
				} else {
					/* an address bit of a table entry leads elsewhere */
					EXPECT((ret == 0) || (level != leaf));
					EXPECT((ret != -EFAULT) ||
						((res.error_code & PF_EC_RSVD) == 0U));
				}
			}
		}
	}
	/* PS in the two top levels; and for 1 GiB without them; XD without NXE */
	for (level = 3U; level <= 5U; level++) {
		gpa_t at = (0x1000UL * (6U - level)) +
			   (((gla >> (12U + (9U * (level - 1U)))) & 511U) * 8U);

		reset();
		map(5U, 1U, gla, P, P);
		put(at, 8U, get(at, 8U) | PS);
		st.has_1g = false;
		EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_READ, &res), -EFAULT);
		EXPECT_EQ(res.error_code, PF_EC_PRESENT | PF_EC_RSVD);
	}
	reset();
	map(5U, 1U, gla, P, P | XD);
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_READ, &res), 0);
	st.efer &= ~NXE;
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_READ, &res), -EFAULT);
	EXPECT_EQ(res.error_code, PF_EC_PRESENT | PF_EC_RSVD);
}

/** The rights as SDM vol. 3, 4.6.1 lists them, one sentence after the other. */
static bool sdm_allows(const struct guest_walk_state *st, bool user_access, uint32_t access,
	bool user_page, bool writable, bool xd, uint32_t key_rights, bool keys)
{
	const bool wp = (st->cr0 & CR0_WP) != 0UL;
	const bool smap = (st->cr4 & SMAP) != 0UL;
	const bool explicit_access = (access & GUEST_WALK_IMPLICIT) == 0U;
	const bool nxe = (st->efer & NXE) != 0UL;
	const bool key_read = !keys || ((key_rights & 1U) == 0U);
	const bool key_write =
		key_read && (!keys || ((key_rights & 2U) == 0U) || (!user_access && !wp));

	if (!user_access) {
		if ((access & GUEST_WALK_FETCH) != 0U) {
			if (user_page && ((st->cr4 & SMEP) != 0UL)) {
				return false;
			}
			return !nxe || !xd;
		}
		if (user_page && smap && !(st->rflags_ac && explicit_access)) {
			return false;
		}
		if ((access & GUEST_WALK_WRITE) != 0U) {
			return (!wp || writable) && key_write;
		}
		return key_read;
	}
	if (!user_page) {
		return false;
	}
	if ((access & GUEST_WALK_FETCH) != 0U) {
		return !nxe || !xd;
	}
	return ((access & GUEST_WALK_WRITE) != 0U) ? (writable && key_write) : key_read;
}

TEST(walk_rights)
{
	static const uint32_t accesses[] = {GUEST_WALK_READ, GUEST_WALK_WRITE, GUEST_WALK_FETCH,
		GUEST_WALK_IMPLICIT, GUEST_WALK_WRITE | GUEST_WALK_IMPLICIT, GUEST_WALK_USER,
		GUEST_WALK_WRITE | GUEST_WALK_USER};
	const gla_t gla = 0x00007ABCDEF12345UL;
	struct guest_walk_state st;
	struct guest_walk_result res;
	uint32_t i, a, level;

	/* rights taken away at a random level, under random control bits; all of them many times */
	for (i = 0U; (i < 200000U) && !unit_failed(); i++) {
		uint64_t r = unit_rand64();
		uint64_t flags = P | U | W, leaf = P | U | W;
		bool user_page = (r & 1U) != 0U, writable = (r & 2U) != 0U, xd = (r & 4U) != 0U,
		     user, keys, ok;
		uint32_t key = (uint32_t)(r >> 8) & 15U, key_rights, ec;
		int32_t ret;
		gpa_t at;

		st = state64(((r & 0x10U) != 0U) ? CR0_WP : 0UL,
			(((r & 0x20U) != 0U) ? SMEP : 0UL) | (((r & 0x40U) != 0U) ? SMAP : 0UL) |
				(((r & 0x80U) != 0U) ? PKE : 0UL) |
				(((r & 0x1000U) != 0U) ? PKS : 0UL),
			(xd || ((r & 0x2000U) != 0U)) ? NXE : 0UL);
		st.rflags_ac = (r & 0x4000U) != 0U;
		st.cpl = ((r & 0x8000U) != 0U) ? 3U : 0U;
		st.pkru = (uint32_t)unit_rand64();
		st.pkrs = (uint32_t)unit_rand64();
		a = accesses[(r >> 16) % (sizeof(accesses) / sizeof(accesses[0]))];

		memset(ram.bytes + 0x1000U, 0, 0x5000U);
		map(4U, 1U, gla, flags, leaf | ((uint64_t)key << 59));
		level = 1U + (uint32_t)((r >> 32) & 3U);
		at = (0x1000UL * (5U - level)) +
		     (((gla >> (12U + (9U * (level - 1U)))) & 511U) * 8U);
		put(at, 8U,
			(get(at, 8U) & ~((user_page ? 0UL : U) | (writable ? 0UL : W))) |
				(xd ? XD : 0UL));

		user = ((a & GUEST_WALK_IMPLICIT) == 0U) &&
		       ((st.cpl == 3U) || ((a & GUEST_WALK_USER) != 0U));
		keys = ((st.cr4 & (user_page ? PKE : PKS)) != 0UL) &&
		       ((a & GUEST_WALK_FETCH) == 0U);
		key_rights = ((user_page ? st.pkru : st.pkrs) >> (2U * key)) & 3U;
		ok = sdm_allows(&st, user, a, user_page, writable, xd, key_rights, keys);
		ret = guest_walk(&st, &ops, gla, a, &res);
		EXPECT_EQ(ret, ok ? 0 : -EFAULT);
		if (!ok) {
			bool key_fault =
				keys && (((key_rights & 1U) != 0U) ||
						(((key_rights & 2U) != 0U) &&
							((a & GUEST_WALK_WRITE) != 0U) &&
							(user || ((st.cr0 & CR0_WP) != 0UL))));

			ec = PF_EC_PRESENT | (user ? PF_EC_USER : 0U) |
			     (((a & GUEST_WALK_WRITE) != 0U) ? PF_EC_WRITE : 0U) |
			     (key_fault ? PF_EC_PK : 0U);
			if (((a & GUEST_WALK_FETCH) != 0U) &&
				((st.efer & NXE) || (st.cr4 & SMEP))) {
				ec |= PF_EC_FETCH;
			}
			EXPECT_EQ(res.error_code, ec);
		}
	}
}

TEST(walk_accessed_dirty)
{
	const gla_t gla = 0x00007ABCDEF12345UL;
	struct guest_walk_state st = state64(CR0_WP, 0UL, NXE);
	struct guest_walk_result res;
	const gpa_t leaf = 0x4000UL + (((gla >> 12) & 511U) * 8U),
		    top = 0x1000UL + (((gla >> 39) & 511U) * 8U);

	reset();
	map(4U, 1U, gla, P | W, 0x5000UL | P);
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_READ, &res), 0);
	EXPECT_EQ(get(leaf, 8U), 0x5000UL | P); /* no callback, no change */
	ops.cmpxchg = ram_cmpxchg;
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_WRITE, &res), -EFAULT);
	EXPECT_EQ(get(leaf, 8U), 0x5000UL | P); /* a fault leaves no dirty bit */
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_READ, &res), 0);
	EXPECT_EQ(ram.writes, 4);
	EXPECT_EQ(get(leaf, 8U), 0x5000UL | P | A);
	EXPECT_EQ(get(top, 8U), 0x2000UL | P | W | A);
	put(leaf, 8U, 0x5000UL | P | W | A);
	ram.changes_left = 3U;
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_WRITE, &res), 0);
	EXPECT_EQ(ram.changes_left, 0);
	EXPECT_EQ(get(leaf, 8U) & ~0x200UL, 0x5000UL | P | W | A | D);
	EXPECT_EQ(get(top, 8U), 0x2000UL | P | W | A);
	/* another CPU that never stops: given up, not looped for ever */
	put(leaf, 8U, 0x5000UL | P | W);
	ram.changes_left = 1000U;
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_WRITE, &res), -EAGAIN);
	/* a table that cannot be written */
	ops.cmpxchg = rom_cmpxchg;
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_READ, &res), -EIO);
}

/* With all 52 address bits none of them is reserved. */
TEST(walk_52_address_bits)
{
	const gla_t gla = 0x00007ABCDEF12345UL;
	struct guest_walk_state st = state64(0UL, 0UL, 0UL);
	struct guest_walk_result res;

	reset();
	map(4U, 1U, gla, P | W, 0xFFFFFFFFFF000UL | P);
	st.maxphyaddr = 51U;
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_READ, &res), -EFAULT);
	EXPECT_EQ(res.error_code, PF_EC_PRESENT | PF_EC_RSVD);
	st.maxphyaddr = 52U;
	EXPECT_EQ(guest_walk(&st, &ops, gla, GUEST_WALK_READ, &res), 0);
	EXPECT_EQ(res.gpa, 0xFFFFFFFFFF345UL);
}
