/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configuration space, moving BARs and MSI-X under libFuzzer: scripts/fuzz pci.
 *
 * Input: steps of 8 bytes, each an access to configuration space or an MSI-X table, a look-up of an address, or a
 * device's interrupt.
 * What must hold: no undefined behaviour; a read gives no bits above its size; what nobody may change stays; whatever
 * an address is said to belong to has it inside of a BAR that the guest has put there, and nothing else has it. A
 * message is sent only for a vector that was raised, as its entry has it, and while nothing masks it; what was raised
 * and not sent is pending.
 */
#include <stdlib.h>
#include <string.h>

#include <dm/vpci.h>
#include <dm/vpci_msix.h>
#include <lib/bits.h>
#include <lib/util.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vpci bus;
static struct vpci_function fn[3];
static bool line[VPCI_LINES];

/* Each function's MSI-X, and what was raised and not sent yet. */
static struct vpci_msix msix[3];
static uint64_t raised[3];

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

static bool is_on(uint32_t i)
{
	uint16_t control;

	memcpy(&control, &fn[i].config[msix[i].cap + PCI_MSIX_CONTROL], sizeof(control));
	return (control & PCI_MSIX_ENABLE) != 0U;
}

/* By the book: may vector v of function i be sent now. */
static bool may_send(uint32_t i, uint32_t v)
{
	return is_on(i) && (fn[i].config[msix[i].cap + 3U] & 0x40U) == 0U && (fn[i].config[PCI_COMMAND] & 4U) != 0U &&
		(msix[i].entry[v].control & 1U) == 0U;
}

static void send_msi(struct acrn_vm *vm, uint64_t address, uint32_t data)
{
	(void)vm;
	for (uint32_t i = 0U; i < ARRAY_SIZE(fn); i++) {
		for (uint32_t v = 0U; v < msix[i].count; v++) {
			if ((raised[i] & BIT(v)) != 0U && may_send(i, v) && msix[i].entry[v].address == address &&
				msix[i].entry[v].data == data) {
				raised[i] &= ~BIT(v);
				return;
			}
		}
	}
	abort(); /* made up */
}

static void map_changed(struct acrn_vm *vm)
{
	(void)vm;
}

static void make_bus(void)
{
	static const struct vpci_bus_ops bus_ops = {set_line, send_msi, map_changed};
	static const struct vpci_ops no_ops;
	static const struct vpci_place place = {.mem_base = (uint32_t)VPCI_MEM_BASE,
		.mem_size = (uint32_t)VPCI_MEM_SIZE,
		.io_base = VPCI_IO_BASE,
		.io_size = VPCI_IO_SIZE,
		.gsi = {VPCI_LINE0_GSI, VPCI_LINE1_GSI}};

	memset(line, 0, sizeof(line));
	memset(raised, 0, sizeof(raised));
	vpci_init(&bus, NULL, &bus_ops, &place);
	for (uint32_t i = 0U; i < ARRAY_SIZE(fn); i++) {
		vpci_function_init(&fn[i], 0x1AF4U, (uint16_t)(0x1000U + i), 0x0FF00U, 0U, true, &no_ops);
		vpci_function_add_bar(&fn[i], 0U, 0x1000U << (4U * i), PCI_BAR_MEM32);
		vpci_function_add_bar(&fn[i], 1U, 0x10U << i, PCI_BAR_IO);
		vpci_function_add_bar(&fn[i], 2U, 0x2000U, PCI_BAR_MEM64 | PCI_BAR_PREFETCH);
		need(vpci_function_add_cap(&fn[i], 9U, 16U) != 0U);
		need(vpci_msix_init(&fn[i], &msix[i], 4U, 1U + 15U * i) == 0);
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

static void raise(uint32_t i, uint32_t vector)
{
	if (is_on(i) && vector < msix[i].count) {
		raised[i] |= BIT(vector);
	}
	vpci_msix_raise(&fn[i], vector);
}

static void access_table(uint32_t i, uint32_t offset, uint32_t size, uint64_t value, bool is_write)
{
	offset &= ~(size - 1U) & (VPCI_MSIX_BAR_SIZE - 1U);
	if (is_write) {
		vpci_msix_write(&fn[i], offset, size, value);
	} else {
		need((vpci_msix_read(&fn[i], offset, size) & ~mask_bytes(size)) == 0U);
	}
}

static void check_msix(uint32_t i)
{
	raised[i] &= is_on(i) ? ~0UL : 0UL; /* off: forgotten */
	need(msix[i].pending == raised[i] && vpci_msix_read(&fn[i], VPCI_MSIX_PBA, 8U) == raised[i]);
	for (uint32_t v = 0U; v < msix[i].count; v++) {
		need((raised[i] & BIT(v)) == 0U || !may_send(i, v));
	}
}

static void step(const uint8_t *data)
{
	const uint32_t size = 1U << (data[0] >> 6U) % 3U;
	uint32_t offset = (((uint32_t)data[2] << 8U) | data[3]) & 0xFFFU & ~(size - 1U);
	uint32_t value;

	memcpy(&value, data + 4, sizeof(value));
	switch (data[0] % 8U) {
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
	case 4:
		raise(data[1] % ARRAY_SIZE(fn), value % (VPCI_MSIX_MAX + 2U));
		break;
	case 5:
	case 6:
		access_table(data[1] % ARRAY_SIZE(fn), offset, size * ((data[1] & 0x80U) != 0U ? 2U : 1U),
			value | ((uint64_t)value << 32U), data[0] % 8U == 5U);
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
			check_msix(i);
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
