/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configuration space and moving BARs under libFuzzer: scripts/fuzz pci.
 *
 * Input: steps of 8 bytes, each an access to configuration space, a look-up of an address, or a device's interrupt.
 * What must hold: no undefined behaviour; a read gives no bits above its size; what nobody may change stays; whatever
 * an address is said to belong to has it inside of a BAR that the guest has put there, and nothing else has it.
 */
#include <stdlib.h>
#include <string.h>

#include <dm/vpci.h>
#include <lib/bits.h>
#include <lib/util.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vpci bus;
static struct vpci_function fn[3];
static bool line[VPCI_LINES];

static void need(bool good)
{
	if (!good) {
		abort();
	}
}

static void set_line(struct acrn_vm *vm, uint32_t gsi, bool asserted)
{
	(void)vm;
	need(gsi == VPCI_LINE0_GSI || gsi == VPCI_LINE1_GSI);
	line[gsi == VPCI_LINE1_GSI ? 1 : 0] = asserted;
}

static void map_changed(struct acrn_vm *vm)
{
	(void)vm;
}

static void make_bus(void)
{
	static const struct vpci_bus_ops bus_ops = {set_line, map_changed};
	static const struct vpci_ops no_ops;

	memset(line, 0, sizeof(line));
	vpci_init(&bus, NULL, &bus_ops);
	for (uint32_t i = 0U; i < ARRAY_SIZE(fn); i++) {
		vpci_function_init(&fn[i], 0x1AF4U, (uint16_t)(0x1000U + i), 0x0FF00U, 0U, true, &no_ops);
		vpci_function_add_bar(&fn[i], 0U, 0x1000U << (4U * i), PCI_BAR_MEM32);
		vpci_function_add_bar(&fn[i], 1U, 0x10U << i, PCI_BAR_IO);
		vpci_function_add_bar(&fn[i], 2U, 0x2000U, PCI_BAR_MEM64 | PCI_BAR_PREFETCH);
		need(vpci_function_add_cap(&fn[i], 9U, 16U) != 0U);
		need(vpci_add(&bus, &fn[i]) == 0);
	}
	vpci_reset(&bus);
}

/* Of all BARs, by the book: the first byte of [at, at + size) decides, enable bits count. */
static uint32_t owners(bool is_io, uint32_t at, uint32_t size)
{
	uint32_t found = 0U;

	for (uint32_t i = 0U; i < ARRAY_SIZE(fn); i++) {
		for (uint32_t b = 0U; b < VPCI_BARS; b++) {
			const struct vpci_bar *bar = &fn[i].bar[b];

			if (bar->size != 0U && bar->at != 0U && ((bar->kind & PCI_BAR_IO) != 0U) == is_io &&
				at >= bar->at && at - bar->at < bar->size && size <= bar->size - (at - bar->at)) {
				found++;
			}
		}
	}
	return found;
}

static void look_up(bool is_io, uint32_t at, uint32_t size)
{
	struct vpci_hit hit;

	if (vpci_find(&bus, is_io, at, size, &hit) == 0) {
		const struct vpci_bar *bar = &hit.fn->bar[hit.bar];

		need(at - bar->at == hit.offset && hit.offset + size <= bar->size);
		need(((bar->kind & PCI_BAR_IO) != 0U) == is_io && owners(is_io, at, size) >= 1U);
	} else {
		need(owners(is_io, at, size) == 0U);
	}
}

static void step(const uint8_t *data)
{
	const uint32_t size = 1U << (data[0] >> 6U) % 3U;
	uint32_t offset = (((uint32_t)data[2] << 8U) | data[3]) & 0xFFFU & ~(size - 1U);
	uint32_t value;

	memcpy(&value, data + 4, sizeof(value));
	switch (data[0] % 5U) {
	case 0:
		vpci_config_write(&bus, data[1], offset, size, value);
		break;
	case 1:
		need((vpci_config_read(&bus, data[1], offset, size) & ~(uint32_t)mask_bytes(size)) == 0U);
		break;
	case 2:
		look_up(false, value, size);
		break;
	case 3:
		look_up(true, value & 0xFFFFU, size);
		break;
	default:
		vpci_set_intx(&fn[data[1] % ARRAY_SIZE(fn)], (value & 1U) != 0U);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	make_bus();
	for (; size >= 8U; data += 8, size -= 8U) {
		step(data);
		for (uint32_t i = 0U; i < ARRAY_SIZE(fn); i++) {
			const uint32_t id = vpci_config_read(&bus, fn[i].slot << 3U, PCI_VENDOR, 4U);

			need(id == (0x1AF4U | ((0x1000U + i) << 16U)));
			look_up(false, fn[i].bar[0].at, 4U);
			look_up(true, fn[i].bar[1].at, 1U);
		}
	}
	for (uint32_t i = 0U; i < ARRAY_SIZE(fn); i++) {
		vpci_set_intx(&fn[i], false);
	}
	need(!line[0] && !line[1]);
	return 0;
}
