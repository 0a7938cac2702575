/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_walk.c: guest-linear to guest-physical translation (see asm/guest_walk.h). */
#include <asm/guest_walk.h>
#include <lib/bits.h>
#include <lib/errno.h>

#define CR0_WP (1UL << 16)
#define CR0_PG (1UL << 31)

#define CR4_PSE  (1UL << 4)
#define CR4_PAE  (1UL << 5)
#define CR4_LA57 (1UL << 12)
#define CR4_SMEP (1UL << 20)
#define CR4_SMAP (1UL << 21)
#define CR4_PKE  (1UL << 22)
#define CR4_PKS  (1UL << 24)

#define EFER_LMA (1UL << 10)
#define EFER_NXE (1UL << 11)

#define PTE_P  (1UL << 0)
#define PTE_RW (1UL << 1)
#define PTE_US (1UL << 2)
#define PTE_A  (1UL << 5)
#define PTE_D  (1UL << 6)
#define PTE_PS (1UL << 7)
#define PTE_XD (1UL << 63)

#define PTE_PKEY_SHIFT 59U
#define PTE_ADDR_MASK  MASK(51, 12)

/* Attempts to set accessed/dirty bits before the guest is asked to run the instruction again. */
#define MAX_ATTEMPTS 16U

/** How the guest pages. */
enum paging_mode {
	PAGING_NONE,
	PAGING_32BIT,
	PAGING_PAE,
	PAGING_IA32E, /* 4 or 5 levels */
};

/** A walk in progress. */
struct walk {
	const struct guest_walk_state *st;
	const struct guest_walk_ops *ops;
	enum paging_mode mode;
	gla_t gla;
	uint32_t access;
	bool user;                     /* user-mode access */
	uint64_t rights;               /* R/W and U/S: and of all entries; XD: or of all entries */
	struct guest_walk_result *res; /* its entries: those read so far */
};

static enum paging_mode paging_mode(const struct guest_walk_state *st)
{
	if ((st->cr0 & CR0_PG) == 0UL) {
		return PAGING_NONE;
	}
	if ((st->cr4 & CR4_PAE) == 0UL) {
		return PAGING_32BIT;
	}
	return ((st->efer & EFER_LMA) != 0UL) ? PAGING_IA32E : PAGING_PAE;
}

static bool nx_enabled(const struct walk *w)
{
	return (w->mode != PAGING_32BIT) && ((w->st->efer & EFER_NXE) != 0UL);
}

/** Bits that only say which access it was: the same for each kind of fault. */
static uint32_t access_error_code(const struct walk *w)
{
	uint32_t ec = 0U;

	if ((w->access & GUEST_WALK_WRITE) != 0U) {
		ec |= PF_EC_WRITE;
	}
	if (w->user) {
		ec |= PF_EC_USER;
	}
	if (((w->access & GUEST_WALK_FETCH) != 0U) && (nx_enabled(w) || ((w->st->cr4 & CR4_SMEP) != 0UL))) {
		ec |= PF_EC_FETCH;
	}
	return ec;
}

static int32_t page_fault(const struct walk *w, uint32_t cause)
{
	w->res->error_code = access_error_code(w) | cause;
	w->res->cr2 = w->gla;
	return -EFAULT;
}

/** Whether the entry of a level (1 = page table) maps a page; the caller knows that level 1 always
 * does. */
static bool is_leaf(const struct walk *w, uint32_t level, uint64_t entry)
{
	if (level == 1U) {
		return true;
	}
	if ((entry & PTE_PS) == 0UL) {
		return false;
	}
	if (w->mode == PAGING_32BIT) {
		return (w->st->cr4 & CR4_PSE) != 0UL;
	}
	/* PS in a PML4E or PML5E, or in a PDPTE of a CPU without 1 GiB pages, is reserved, not a
	 * leaf. */
	return (level == 2U) || ((level == 3U) && w->st->has_1g);
}

/** The bits that must be 0 in a present entry (SDM vol. 3, tables 4-4 to 4-20). */
static uint64_t reserved_bits(const struct walk *w, uint32_t level, uint64_t entry)
{
	const uint32_t maxphyaddr = w->st->maxphyaddr;
	const bool leaf = is_leaf(w, level, entry);
	uint64_t rsvd = 0UL;

	if (w->mode == PAGING_32BIT) {
		/* PSE-36: bits 20:13 are address bits 39:32, as many of them as the CPU has. */
		if (leaf && (level == 2U)) {
			rsvd = MASK(21, 13) & ~((1UL << (MIN(maxphyaddr, 40U) - 19U)) - 1UL);
		}
		return rsvd;
	}
	if (maxphyaddr < 52U) {
		rsvd = MASK(51, maxphyaddr);
	}
	if (w->mode == PAGING_PAE) {
		rsvd |= MASK(62, 52);
	}
	if (!nx_enabled(w)) {
		rsvd |= PTE_XD;
	}
	if (!leaf && (level > 2U)) {
		rsvd |= PTE_PS;
	}
	if (leaf && (level == 2U)) {
		rsvd |= MASK(20, 13);
	}
	if (leaf && (level == 3U)) {
		rsvd |= MASK(29, 13);
	}
	return rsvd;
}

/** Protection keys: whether the key of the leaf forbids this data access (SDM vol. 3, 4.6.2). */
static bool key_forbids(const struct walk *w, uint64_t leaf)
{
	const bool user_page = (w->rights & PTE_US) != 0UL;
	const uint32_t key = (uint32_t)(leaf >> PTE_PKEY_SHIFT) & 0xFU;
	const uint32_t rights = user_page ? w->st->pkru : w->st->pkrs;
	const bool access_disabled = ((rights >> (2U * key)) & 1U) != 0U;
	const bool write_disabled = ((rights >> (2U * key)) & 2U) != 0U;

	if ((w->mode != PAGING_IA32E) || ((w->access & GUEST_WALK_FETCH) != 0U)) {
		return false;
	}
	if ((w->st->cr4 & (user_page ? CR4_PKE : CR4_PKS)) == 0UL) {
		return false;
	}
	if (access_disabled) {
		return true;
	}
	return write_disabled && ((w->access & GUEST_WALK_WRITE) != 0U) && (w->user || ((w->st->cr0 & CR0_WP) != 0UL));
}

/** Whether R/W, U/S, XD, SMEP and SMAP allow the access (SDM vol. 3, 4.6.1). */
static bool rights_allow(const struct walk *w)
{
	const struct guest_walk_state *st = w->st;
	const bool user_page = (w->rights & PTE_US) != 0UL;
	const bool writable = (w->rights & PTE_RW) != 0UL;

	if (w->user && !user_page) {
		return false;
	}
	if ((w->access & GUEST_WALK_FETCH) != 0U) {
		if (nx_enabled(w) && ((w->rights & PTE_XD) != 0UL)) {
			return false;
		}
		return w->user || !user_page || ((st->cr4 & CR4_SMEP) == 0UL);
	}
	if (!w->user && user_page && ((st->cr4 & CR4_SMAP) != 0UL) &&
		(((w->access & GUEST_WALK_IMPLICIT) != 0U) || !st->rflags_ac)) {
		return false;
	}
	if ((w->access & GUEST_WALK_WRITE) != 0U) {
		return writable || (!w->user && ((st->cr0 & CR0_WP) == 0UL));
	}
	return true;
}

/**
 * Sets accessed bits in all entries used and the dirty bit in the leaf.
 * @return 0, -EAGAIN if an entry changed meanwhile, -EIO if it cannot be written
 */
static int32_t set_accessed_dirty(const struct walk *w)
{
	struct guest_walk_result *const res = w->res;
	uint32_t i;
	uint64_t val;
	int32_t ret;

	if (w->ops->cmpxchg == NULL) {
		return 0;
	}
	for (i = 0U; i < res->used; i++) {
		val = res->entry[i] | PTE_A;
		if ((i == (res->used - 1U)) && ((w->access & GUEST_WALK_WRITE) != 0U)) {
			val |= PTE_D;
		}
		if (val != res->entry[i]) {
			ret = w->ops->cmpxchg(w->ops->arg, res->entry_gpa[i], res->entry_size, res->entry[i], val);
			if (ret != 0) {
				return (ret == -EAGAIN) ? -EAGAIN : -EIO;
			}
			res->entry[i] = val;
		}
	}
	return 0;
}

/** The address a leaf gives for gla, and the size of its page. */
static void leaf_result(const struct walk *w, uint32_t level, uint64_t entry)
{
	struct guest_walk_result *const res = w->res;
	const uint32_t bits = (w->mode == PAGING_32BIT) ? 10U : 9U;
	uint64_t base = entry & PTE_ADDR_MASK;

	res->page_size = 1UL << (PAGE_SHIFT + ((level - 1U) * bits));
	if ((w->mode == PAGING_32BIT) && (level == 2U)) {
		base = (entry & MASK(31, 22)) | ((entry & MASK(20, 13)) << 19U);
	}
	base &= ~(res->page_size - 1UL);
	res->gpa = base | (w->gla & (res->page_size - 1UL));
}

/** One walk from a table of the given level down to the leaf. */
static int32_t walk_tables(struct walk *w, gpa_t table, uint32_t top)
{
	const uint32_t bits = (w->mode == PAGING_32BIT) ? 10U : 9U;
	const uint32_t size = (w->mode == PAGING_32BIT) ? 4U : 8U;
	struct guest_walk_result *const res = w->res;
	uint32_t level;
	uint64_t entry = 0UL;
	gpa_t gpa;

	for (level = top; level > 0U; level--) {
		gpa = table + (((w->gla >> (PAGE_SHIFT + ((level - 1U) * bits))) & ((1UL << bits) - 1UL)) * size);
		if (w->ops->read(w->ops->arg, gpa, size, &entry) != 0) {
			return -EIO;
		}
		if ((entry & PTE_P) == 0UL) {
			return page_fault(w, 0U);
		}
		if ((entry & reserved_bits(w, level, entry)) != 0UL) {
			return page_fault(w, PF_EC_PRESENT | PF_EC_RSVD);
		}
		res->entry_gpa[res->used] = gpa;
		res->entry[res->used] = entry;
		res->used++;
		w->rights = (w->rights & entry & (PTE_RW | PTE_US)) | ((w->rights | entry) & PTE_XD);
		if (is_leaf(w, level, entry)) {
			break;
		}
		table = entry & PTE_ADDR_MASK;
	}

	if (key_forbids(w, entry)) {
		return page_fault(w, PF_EC_PRESENT | PF_EC_PK);
	}
	if (!rights_allow(w)) {
		return page_fault(w, PF_EC_PRESENT);
	}
	leaf_result(w, level, entry);
	res->entry_size = size;
	return set_accessed_dirty(w);
}

/** Finds the top table and walks from there. */
static int32_t walk_once(struct walk *w)
{
	const struct guest_walk_state *st = w->st;
	uint64_t pdpte;

	w->rights = PTE_RW | PTE_US;
	w->res->used = 0U;
	switch (w->mode) {
	case PAGING_32BIT:
		return walk_tables(w, st->cr3 & MASK(31, 12), 2U);
	case PAGING_PAE:
		/* Reserved bits of a PDPTE were checked when CR3 was loaded; it has no rights and
		 * no accessed bit. */
		pdpte = st->pdpte[(w->gla >> 30U) & 3UL];
		if ((pdpte & PTE_P) == 0UL) {
			return page_fault(w, 0U);
		}
		return walk_tables(w, pdpte & PTE_ADDR_MASK, 2U);
	default:
		return walk_tables(w, st->cr3 & PTE_ADDR_MASK, ((st->cr4 & CR4_LA57) != 0UL) ? 5U : 4U);
	}
}

int32_t guest_walk(const struct guest_walk_state *st, const struct guest_walk_ops *ops, gla_t gla, uint32_t access,
	struct guest_walk_result *res)
{
	struct walk w = {.st = st, .ops = ops, .mode = paging_mode(st), .gla = gla, .access = access, .res = res};
	uint32_t attempt;
	int32_t ret = -EAGAIN;

	w.user = ((access & GUEST_WALK_IMPLICIT) == 0U) && ((st->cpl == 3U) || ((access & GUEST_WALK_USER) != 0U));
	if (w.mode == PAGING_IA32E) {
		if (!is_sign_extended(gla, ((st->cr4 & CR4_LA57) != 0UL) ? 57U : 48U)) {
			return -EINVAL;
		}
	} else {
		w.gla &= 0xFFFFFFFFUL;
	}
	if (w.mode == PAGING_NONE) {
		res->gpa = w.gla;
		res->page_size = PAGE_SIZE;
		res->used = 0U;
		return 0;
	}
	for (attempt = 0U; (attempt < MAX_ATTEMPTS) && (ret == -EAGAIN); attempt++) {
		ret = walk_once(&w);
	}
	return ret;
}
