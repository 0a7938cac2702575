/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arch/x86/guest/guest_walk.c: every CPU state, address, access, and every content of the guest's tables, which becomes
 * another at each look. Bound: ATTEMPTS attempts to set accessed bits, which others spoil.
 */
#include <asm/guest_walk.h>
#include <lib/errno.h>

#define CR0_WP (1UL << 16U)
#define PTE_P  1UL
#define PTE_RW 2UL
#define PTE_US 4UL
#define PTE_AD 0x60UL /* accessed, dirty */

static uint32_t spoiled; /* attempts */
static uint64_t seen; /* of all entries of the last attempt: the bits that each has */

static int32_t read_entry(void *arg, gpa_t gpa, uint32_t size, uint64_t *entry)
{
	PROVE(arg == &spoiled && (size == 4U || size == 8U) && gpa % size == 0UL);
	PROVE(gpa >> 52U == 0UL);
	*entry = (size == 4U) ? nondet_u32() : nondet_u64();
	seen &= *entry;
	return nondet_bool() ? 0 : -EIO;
}

static int32_t set_entry(void *arg, gpa_t gpa, uint32_t size, uint64_t old, uint64_t val)
{
	PROVE(arg == &spoiled && (size == 4U || size == 8U) && gpa % size == 0UL);
	/* Accessed and dirty, and nothing else. */
	PROVE((old & ~val) == 0UL && ((old ^ val) & ~PTE_AD) == 0UL);
	if (nondet_bool()) {
		seen = UINT64_MAX;
		ASSUME(++spoiled < ATTEMPTS);
		return -EAGAIN;
	}
	return nondet_bool() ? 0 : -EIO;
}

int main(void)
{
	const struct guest_walk_ops ops = {read_entry, nondet_bool() ? set_entry : NULL, &spoiled};
	struct guest_walk_state st; /* not written: any */
	struct guest_walk_result res;
	const gla_t gla = nondet_u64();
	const uint32_t access = nondet_u32();
	int32_t ret;

	ASSUME(st.maxphyaddr >= 32U && st.maxphyaddr <= 52U && st.cpl <= 3U);
	ASSUME(access <= 0xFU && (access & 3U) != 3U);
	seen = UINT64_MAX;
	ret = guest_walk(&st, &ops, gla, access, &res);
	PROVE(ret == 0 || ret == -EFAULT || ret == -EIO || ret == -EAGAIN || ret == -EINVAL);
	if (ret == -EFAULT) {
		PROVE((res.error_code & ~0x3FU) == 0U);
		PROVE(((res.error_code & PF_EC_WRITE) != 0U) == ((access & GUEST_WALK_WRITE) != 0U));
	}
	if (ret == 0) {
		PROVE(res.used <= GUEST_WALK_LEVELS);
		PROVE(res.page_size == PAGE_SIZE || res.page_size == SIZE_2M || res.page_size == 2UL * SIZE_2M ||
			res.page_size == SIZE_1G);
		PROVE(((res.gpa ^ gla) & (PAGE_SIZE - 1UL)) == 0UL && res.gpa >> 52U == 0UL);
	}
	if (ret == 0 && res.used != 0U) {
		const bool user = (access & GUEST_WALK_IMPLICIT) == 0U &&
			(st.cpl == 3U || (access & GUEST_WALK_USER) != 0U);

		/* Present all the way; user and write rights too, where they are needed. */
		PROVE((seen & PTE_P) != 0UL);
		PROVE(!user || (seen & PTE_US) != 0UL);
		PROVE((access & GUEST_WALK_WRITE) == 0U || (seen & PTE_RW) != 0UL ||
			(!user && (st.cr0 & CR0_WP) == 0UL));
	}
	return 0;
}
