/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading MADT, FADT, MCFG and the \_S5 package (ACPI 6.4). Any bytes are safe: nothing is read outside [p, p+len). */
#include <hv/acpi.h>
#include <lib/errno.h>
#include <lib/string.h>

#define HEADER_SIZE 36U

#define MADT_LAPIC         0U
#define MADT_IOAPIC        1U
#define MADT_OVERRIDE      2U
#define MADT_LAPIC_NMI     4U
#define MADT_LAPIC_ADDRESS 5U
#define MADT_X2APIC        9U
#define MADT_CPU_ENABLED   0x1U
#define MADT_PCAT_COMPAT   0x1U

#define FADT_RESET_SUP   0x400U
#define FADT_TMR_VAL_EXT 0x100U

static uint64_t get(const uint8_t *bytes, size_t len, size_t at, size_t size)
{
	uint64_t value = 0UL;

	if (at + size <= len) {
		(void)memcpy(&value, bytes + at, size);
	}
	return value;
}

bool acpi_checksum_ok(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint8_t sum = 0U;

	for (size_t i = 0U; i < len; i++) {
		sum = (uint8_t)(sum + bytes[i]);
	}
	return sum == 0U;
}

static void add_cpu(struct acpi_info *out, uint32_t apic_id)
{
	for (uint32_t i = 0U; i < out->cpu_count; i++) {
		if (out->cpu_apic_id[i] == apic_id) {
			return; /* told twice, as LAPIC and as x2APIC */
		}
	}
	if (out->cpu_count == ACPI_MAX_CPUS) {
		out->cpus_ignored++;
	} else {
		out->cpu_apic_id[out->cpu_count++] = apic_id;
	}
}

static void add_ioapic(struct acpi_info *out, const uint8_t *entry, size_t len)
{
	const uint32_t base = (uint32_t)get(entry, len, 4U, 4U);

	if (out->ioapic_count < ACPI_MAX_IOAPICS && base != 0U) {
		out->ioapic[out->ioapic_count++] = (struct acpi_ioapic){
			.id = entry[2], .hpa = base, .gsi_base = (uint32_t)get(entry, len, 8U, 4U)};
	}
}

static void add_override(struct acpi_info *out, const uint8_t *entry, size_t len)
{
	const uint16_t flags = (uint16_t)get(entry, len, 8U, 2U);

	if (out->override_count < ACPI_MAX_OVERRIDES && entry[2] == 0U) { /* bus 0: ISA */
		out->override[out->override_count++] = (struct acpi_override){
			.irq = entry[3],
			.gsi = (uint32_t)get(entry, len, 4U, 4U),
			.active_low = (flags & 0x3U) == 0x3U,
			.level = (flags & 0xCU) == 0xCU,
		};
	}
}

static void madt_entry(struct acpi_info *out, const uint8_t *entry, size_t len)
{
	switch (entry[0]) {
	case MADT_LAPIC:
		if (len >= 8U && (get(entry, len, 4U, 4U) & MADT_CPU_ENABLED) != 0UL && entry[3] != 0xFFU) {
			add_cpu(out, entry[3]);
		}
		break;
	case MADT_X2APIC:
		if (len >= 16U && (get(entry, len, 8U, 4U) & MADT_CPU_ENABLED) != 0UL) {
			add_cpu(out, (uint32_t)get(entry, len, 4U, 4U));
		}
		break;
	case MADT_IOAPIC:
		if (len >= 12U) {
			add_ioapic(out, entry, len);
		}
		break;
	case MADT_OVERRIDE:
		if (len >= 10U) {
			add_override(out, entry, len);
		}
		break;
	case MADT_LAPIC_NMI:
		if (len >= 6U && entry[5] <= 1U) {
			out->nmi_lint = entry[5];
		}
		break;
	case MADT_LAPIC_ADDRESS:
		if (len >= 12U) {
			out->lapic_base = get(entry, len, 4U, 8U);
		}
		break;
	default:
		break;
	}
}

int32_t acpi_parse_madt(const void *madt, size_t len, struct acpi_info *out)
{
	const uint8_t *bytes = madt;
	const size_t fixed = HEADER_SIZE + 8U;

	if (len < fixed) {
		return -EINVAL;
	}
	out->lapic_base = get(bytes, len, HEADER_SIZE, 4U);
	out->has_8259 = (get(bytes, len, HEADER_SIZE + 4U, 4U) & MADT_PCAT_COMPAT) != 0UL;
	for (size_t at = fixed; at + 2U <= len;) {
		const size_t entry_len = bytes[at + 1U];

		if (entry_len < 4U || entry_len > len - at) {
			break; /* what follows cannot be found */
		}
		madt_entry(out, bytes + at, entry_len);
		at += entry_len;
	}
	return 0;
}

static struct acpi_gas get_gas(const uint8_t *bytes, size_t len, size_t at)
{
	return (struct acpi_gas){
		.space = (uint8_t)get(bytes, len, at, 1U),
		.width = (uint8_t)get(bytes, len, at + 1U, 1U),
		.address = get(bytes, len, at + 4U, 8U),
	};
}

/* A register by its extended address if that is a port, else by the old field. */
static uint32_t get_port(const uint8_t *bytes, size_t len, size_t old_at, size_t gas_at)
{
	const struct acpi_gas gas = get_gas(bytes, len, gas_at);

	return gas.space == 1U && gas.address != 0UL && gas.address <= 0xFFFFUL
		? (uint32_t)gas.address
		: (uint32_t)get(bytes, len, old_at, 4U) & 0xFFFFU;
}

int32_t acpi_parse_fadt(const void *fadt, size_t len, struct acpi_info *out)
{
	const uint8_t *bytes = fadt;
	uint32_t flags;

	if (len < 116U) { /* ACPI 1.0's length */
		return -EINVAL;
	}
	flags = (uint32_t)get(bytes, len, 112U, 4U);
	out->has_fadt = true;
	out->facs = get(bytes, len, 132U, 8U) != 0UL ? get(bytes, len, 132U, 8U) : get(bytes, len, 36U, 4U);
	out->dsdt = get(bytes, len, 140U, 8U) != 0UL ? get(bytes, len, 140U, 8U) : get(bytes, len, 40U, 4U);
	out->sci_irq = (uint16_t)get(bytes, len, 46U, 2U);
	out->pm1a_evt = get_port(bytes, len, 56U, 148U);
	out->pm1b_evt = get_port(bytes, len, 60U, 160U);
	out->pm1a_cnt = get_port(bytes, len, 64U, 172U);
	out->pm1b_cnt = get_port(bytes, len, 68U, 184U);
	out->pm_timer = get_port(bytes, len, 76U, 208U);
	out->pm_timer_32bit = (flags & FADT_TMR_VAL_EXT) != 0U;
	if ((flags & FADT_RESET_SUP) != 0U && len >= 129U) {
		out->reset_reg = get_gas(bytes, len, 116U);
		out->reset_value = (uint8_t)get(bytes, len, 128U, 1U);
	}
	return 0;
}

int32_t acpi_parse_mcfg(const void *mcfg, size_t len, struct acpi_info *out)
{
	const uint8_t *bytes = mcfg;

	if (len < HEADER_SIZE + 8U) {
		return -EINVAL;
	}
	for (size_t at = HEADER_SIZE + 8U; at + 16U <= len; at += 16U) {
		if (get(bytes, len, at + 8U, 2U) == 0UL) {
			out->mcfg_base = get(bytes, len, at, 8U);
			out->mcfg_first_bus = bytes[at + 10U];
			out->mcfg_last_bus = bytes[at + 11U];
			return 0;
		}
	}
	return -ENOENT;
}

/* One small integer of AML at *at: ZeroOp, OneOp, BytePrefix n, or WordPrefix n (its low byte). */
static bool aml_integer(const uint8_t *aml, size_t len, size_t *at, uint8_t *value)
{
	const uint8_t op = (uint8_t)get(aml, len, *at, 1U);
	const size_t size = op == 0x0AU ? 2U : op == 0x0BU ? 3U : 1U;

	if (*at + size > len || (size == 1U && op > 1U)) {
		return false;
	}
	*value = size == 1U ? op : aml[*at + 1U];
	*at += size;
	return true;
}

int32_t acpi_parse_s5(const void *dsdt, size_t len, struct acpi_info *out)
{
	const uint8_t *aml = dsdt;

	/* NameOp ["\"] "_S5_" PackageOp PkgLength NumElements element element */
	for (size_t i = HEADER_SIZE; i + 8U <= len; i++) {
		size_t at = i + 4U;

		if (memcmp(aml + i, "_S5_", 4U) != 0 ||
			!(aml[i - 1U] == 0x08U || (aml[i - 1U] == 0x5CU && aml[i - 2U] == 0x08U)) || aml[at] != 0x12U) {
			continue;
		}
		at += 2UL + (aml[at + 1U] >> 6U) + 1U; /* PackageOp, PkgLength of 1..4 bytes, NumElements */
		if (aml_integer(aml, len, &at, &out->s5_a) && aml_integer(aml, len, &at, &out->s5_b)) {
			out->has_s5 = true;
			return 0;
		}
	}
	return -ENOENT;
}
