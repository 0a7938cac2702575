/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies between the hypervisor and guest-physical memory, which may change under our hands: copy, then check. */
#include <asm/page.h>
#include <hv/arch.h>
#include <hv/memory.h>
#include <hv/vm.h>
#include <lib/errno.h>
#include <lib/string.h>

/* The map of the Service VM has device memory and holes too, which the direct map lacks. */
void *guest_window(struct acrn_vm *vm, gpa_t gpa, size_t *size, uint32_t need)
{
	uint64_t contiguous = 0UL;
	uint32_t access = 0U;
	const hpa_t hpa = arch_gpa_to_hpa(vm, gpa, &contiguous, &access);
	const uint64_t ram = (hpa == INVALID_HPA) ? 0UL : memory_ram_bytes(hpa);

	if ((ram == 0UL) || (contiguous == 0UL) || ((access & need) != need)) {
		return NULL;
	}
	*size = MIN(*size, MIN(contiguous, ram));
	return hpa_to_hva(hpa);
}

int32_t copy_from_gpa(struct acrn_vm *vm, void *dst, gpa_t gpa, size_t size)
{
	uint8_t *to = dst;

	if (!range_is_valid(gpa, size)) {
		return -EFAULT;
	}
	while (size != 0UL) {
		size_t chunk = size;
		const void *from = guest_window(vm, gpa, &chunk, GPA_READ);

		if (from == NULL) {
			return -EFAULT;
		}
		arch_guest_access_begin();
		(void)memcpy(to, from, chunk);
		arch_guest_access_end();
		to += chunk;
		gpa += chunk;
		size -= chunk;
	}
	return 0;
}

int32_t copy_to_gpa(struct acrn_vm *vm, gpa_t gpa, const void *src, size_t size)
{
	const uint8_t *from = src;

	if (!range_is_valid(gpa, size)) {
		return -EFAULT;
	}
	while (size != 0UL) {
		size_t chunk = size;
		void *to = guest_window(vm, gpa, &chunk, GPA_READ | GPA_WRITE);

		if (to == NULL) {
			return -EFAULT;
		}
		arch_guest_access_begin();
		(void)memcpy(to, from, chunk);
		arch_guest_access_end();
		from += chunk;
		gpa += chunk;
		size -= chunk;
	}
	return 0;
}
