/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/guest_copy.c: any address, any size up to SIZE, any memory map that gives it in up to PARTS pieces: the
 * copy stays inside of the buffer and inside of the piece, and each byte is copied once.
 */
#include <asm/page.h>
#include <hv/arch.h>
#include <hv/memory.h>
#include <hv/vm.h>
#include <lib/errno.h>
#include <lib/string.h>

static struct acrn_vm vm;
static uint8_t ram[SIZE]; /* what is left of a piece of the guest's memory */
static uint64_t left, copied;
static uint32_t depth, parts;
static const uint8_t *buffer;
static bool to_guest;

hpa_t arch_gpa_to_hpa(struct acrn_vm *of, gpa_t gpa, uint64_t *contiguous, uint32_t *access)
{
	(void)gpa;
	PROVE(of == &vm && depth == 0U);
	ASSUME(++parts <= PARTS);
	*contiguous = nondet_u64();
	*access = nondet_u32();
	return nondet_u64();
}

uint64_t memory_ram_bytes(hpa_t hpa)
{
	PROVE(hpa != INVALID_HPA);
	left = nondet_u64();
	return left;
}

void *hpa_to_hva(hpa_t hpa)
{
	(void)hpa;
	return ram;
}

void arch_guest_access_begin(void)
{
	depth++;
}

void arch_guest_access_end(void)
{
	depth--;
}

void *memcpy(void *dst, const void *src, size_t size)
{
	const uint8_t *const own = to_guest ? src : dst;

	PROVE(depth == 1U && size <= left);
	PROVE((to_guest ? dst : src) == ram && own == buffer + copied);
	PROVE(__CPROVER_r_ok(own, size) && (to_guest || __CPROVER_w_ok(own, size)));
	copied += size;
	return dst;
}

int main(void)
{
	const size_t size = nondet_u64();
	uint8_t *mine;
	int32_t ret;

	ASSUME(size <= SIZE);
	mine = __CPROVER_allocate(size, false);
	buffer = mine;
	to_guest = nondet_bool();
	ret = to_guest ? copy_to_gpa(&vm, nondet_u64(), mine, size) : copy_from_gpa(&vm, mine, nondet_u64(), size);
	PROVE(ret == 0 || ret == -EFAULT);
	PROVE(depth == 0U && copied <= size && (ret != 0 || copied == size));
	return 0;
}
