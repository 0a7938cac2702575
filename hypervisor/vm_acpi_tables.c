/* SPDX-License-Identifier: BSD-3-Clause */
/* A VM's copies of ACPI tables (ACPI 6.4, 5.2). The machine's tables are data, not trusted: lengths are checked. */
#include <hv/vm_acpi_tables.h>
#include <lib/acpi_table.h>
#include <lib/errno.h>
#include <lib/string.h>

#define MADT_FIXED (ACPI_HEADER_SIZE + 8U)

#define FADT_BOOT_ARCH_AT 109U /* IA-PC boot architecture flags, two bytes (ACPI 6.4, table 5.9) */
#define FADT_NO_MSI       0x08U

#define MADT_LAPIC      0U
#define MADT_LAPIC_NMI  4U
#define MADT_X2APIC     9U
#define MADT_X2APIC_NMI 10U
#define UID_ALL8        0xFFU
#define UID_ALL32       0xFFFFFFFFU

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	(void)memcpy(&value, at, sizeof(value));
	return value;
}

static bool has_cpu(const struct vm_acpi_input *in, uint32_t apic_id)
{
	for (uint32_t i = 0U; i < in->cpu_count; i++) {
		if (in->apic_id[i] == apic_id) {
			return true;
		}
	}
	return false;
}

/* ---- MADT ---- */

struct madt_cpu {
	bool is_cpu;
	bool enabled;
	uint32_t apic_id;
	uint32_t uid;
};

static struct madt_cpu madt_cpu(const uint8_t *entry, size_t len)
{
	if ((entry[0] == MADT_LAPIC) && (len >= 8U)) {
		return (struct madt_cpu){true, (entry[4] & 1U) != 0U, entry[3], entry[2]};
	}
	if ((entry[0] == MADT_X2APIC) && (len >= 16U)) {
		return (struct madt_cpu){true, (entry[8] & 1U) != 0U, get32(entry + 4U), get32(entry + 12U)};
	}
	return (struct madt_cpu){false, false, 0U, 0U};
}

/* @return the next entry; NULL at the end, or at an entry without a sane length, as what follows cannot be found. */
static const uint8_t *next_entry(const uint8_t *madt, size_t len, size_t *at, size_t *entry_len)
{
	const uint8_t *entry = madt + *at;

	if ((*at + 2U > len) || (entry[1] < 2U) || (entry[1] > len - *at)) {
		return NULL;
	}
	*entry_len = entry[1];
	*at += *entry_len;
	return entry;
}

/* @return true if a CPU of the VM has this processor UID */
static bool uid_is_kept(const struct vm_acpi_input *in, uint32_t uid)
{
	size_t at = MADT_FIXED;
	size_t len;
	const uint8_t *entry;

	while ((entry = next_entry(in->madt, in->madt_len, &at, &len)) != NULL) {
		const struct madt_cpu cpu = madt_cpu(entry, len);

		if (cpu.is_cpu && cpu.enabled && (cpu.uid == uid) && has_cpu(in, cpu.apic_id)) {
			return true;
		}
	}
	return false;
}

static bool entry_is_kept(const struct vm_acpi_input *in, const uint8_t *entry, size_t len)
{
	const struct madt_cpu cpu = madt_cpu(entry, len);

	if (cpu.is_cpu) {
		return cpu.enabled && has_cpu(in, cpu.apic_id);
	}
	switch (entry[0]) {
	case MADT_LAPIC:
	case MADT_X2APIC:
		return false; /* too short */
	case MADT_LAPIC_NMI:
		return (len >= 6U) && ((entry[2] == UID_ALL8) || uid_is_kept(in, entry[2]));
	case MADT_X2APIC_NMI:
		return (len >= 12U) && ((get32(entry + 4U) == UID_ALL32) || uid_is_kept(in, get32(entry + 4U)));
	default:
		return true; /* I/O APICs, overrides, NMI sources ... */
	}
}

static bool madt_names(const uint8_t *madt, size_t madt_len, uint32_t apic_id)
{
	size_t at = MADT_FIXED;
	size_t len;
	const uint8_t *entry;

	while ((entry = next_entry(madt, madt_len, &at, &len)) != NULL) {
		const struct madt_cpu cpu = madt_cpu(entry, len);

		if (cpu.is_cpu && (cpu.apic_id == apic_id)) {
			return true;
		}
	}
	return false;
}

/* @return length of the MADT written to `out` (room for in->madt_len bytes and the bus's I/O APIC) */
static size_t make_madt(const struct vm_acpi_input *in, uint8_t *out, uint32_t *kept)
{
	size_t used = MADT_FIXED;
	size_t at = MADT_FIXED;
	size_t len;
	const uint8_t *entry;

	*kept = 0U;
	(void)memcpy(out, in->madt, MADT_FIXED);
	while ((entry = next_entry(in->madt, in->madt_len, &at, &len)) != NULL) {
		if (entry_is_kept(in, entry, len)) {
			(void)memcpy(out + used, entry, len);
			used += len;
		}
	}
	if (in->bus != NULL) {
		vm_acpi_bus_ioapic(in->bus, out + used);
		used += VM_ACPI_BUS_IOAPIC;
	}
	/* A CPU may have both a local APIC and an x2APIC entry: count vCPUs, not entries. */
	for (uint32_t i = 0U; i < in->cpu_count; i++) {
		*kept += madt_names(out, used, in->apic_id[i]) ? 1U : 0U;
	}
	return used;
}

/* ---- FADT ---- */

/* @return length of the FADT written to `out` */
static size_t make_fadt(const struct vm_acpi_input *in, uint8_t *out)
{
	(void)memcpy(out, in->fadt, in->fadt_len);
	if (in->fadt_len >= FADT_BOOT_ARCH_AT + 2U) {
		out[FADT_BOOT_ARCH_AT] |= FADT_NO_MSI;
	}
	return in->fadt_len;
}

/* ---- Roots ---- */

/* Tables of the VM's own, as the roots list them: MADT, FADT and those of its bus. */
#define OWN_MAX 4U

struct own_tables {
	gpa_t table[OWN_MAX];
	uint32_t count;
};

/* An XSDT (8-byte entries) or RSDT (4-byte entries; tables above 4 GiB are left out). @return its length */
static size_t make_root(
	const struct vm_acpi_input *in, const struct own_tables *own, uint8_t *out, const char *signature, size_t width)
{
	size_t used = ACPI_HEADER_SIZE;

	/* OEM fields of the machine's MADT: quirks that look at them still match. */
	(void)memcpy(out, in->madt, ACPI_HEADER_SIZE);
	(void)memcpy(out, signature, 4U);
	out[ACPI_REVISION_AT] = 1U;
	for (uint32_t i = 0U; i < own->count + in->table_count; i++) {
		const gpa_t table = (i < own->count) ? own->table[i] : in->table[i - own->count];

		if ((width == 8U) || (table < (1UL << 32U))) {
			(void)memcpy(out + used, &table, width);
			used += width;
		}
	}
	acpi_finish(out, used);
	return used;
}

/* Where the next table is written. */
struct writer {
	uint8_t *area;
	gpa_t gpa;
	size_t at;
	struct own_tables own;
};

/* The table that was written at w->at is `len` bytes long: its length and checksum, and where the next one begins. */
static void end_table(struct writer *w, size_t len)
{
	acpi_finish(w->area + w->at, len);
	w->own.table[w->own.count++] = w->gpa + w->at;
	w->at = (size_t)round_up(w->at + len, 16UL);
}

/* @return bytes that all tables of the VM's own may take, with 16 bytes of alignment for each */
static size_t room_for_tables(const struct vm_acpi_input *in)
{
	size_t room = in->madt_len + 16U + ((in->fadt != NULL) ? in->fadt_len + 16U : 0U);

	if (in->bus != NULL) {
		room += VM_ACPI_BUS_IOAPIC + VM_ACPI_BUS_SSDT + MAX(in->mcfg_len, (size_t)VM_ACPI_MCFG_FIXED) +
			VM_ACPI_BUS_MCFG + 32U;
	}
	return room;
}

int32_t vm_acpi_make_tables(const struct vm_acpi_input *in, uint8_t *area, size_t size, gpa_t gpa, uint32_t *kept)
{
	const size_t roots = 2UL * ACPI_HEADER_SIZE + ((size_t)in->table_count + OWN_MAX) * 12U;
	const size_t xsdt = 64U; /* behind the RSDP */
	struct writer w = {.area = area, .gpa = gpa, .at = (size_t)round_up(xsdt + roots + 32U, 16UL)};
	size_t rsdt;

	if ((in->madt_len < MADT_FIXED) || ((in->fadt != NULL) && (in->fadt_len < ACPI_HEADER_SIZE)) ||
		(in->table_count > ACPI_MAX_TABLES)) {
		return -EINVAL;
	}
	if (w.at + room_for_tables(in) > size) {
		return -ENOSPC;
	}
	(void)memset(area, 0, size);
	end_table(&w, make_madt(in, area + w.at, kept));
	if (in->fadt != NULL) {
		end_table(&w, make_fadt(in, area + w.at));
	}
	if (in->bus != NULL) {
		end_table(&w, vm_acpi_bus_mcfg(in->bus, in->mcfg, in->mcfg_len, area + w.at));
		end_table(&w, vm_acpi_bus_ssdt(in->bus, area + w.at));
	}
	rsdt = (size_t)round_up(xsdt + make_root(in, &w.own, area + xsdt, "XSDT", 8U), 16UL);
	(void)make_root(in, &w.own, area + rsdt, "RSDT", 4U);
	acpi_put_rsdp(area, (const char *)in->madt + ACPI_OEM_ID_AT, (uint32_t)(gpa + rsdt), gpa + xsdt);
	return 0;
}

/* ---- The firmware's root pointer ---- */

bool vm_acpi_replace_rsdp(uint8_t *area, size_t size, const uint8_t *rsdp, size_t rsdp_size)
{
	bool found = false;

	for (size_t at = 0U; at + ACPI_RSDP_V1_SIZE <= size; at += 16U) {
		uint8_t *old = area + at;

		if ((memcmp(old, "RSD PTR ", 8U) != 0) || !acpi_checksum_ok(old, ACPI_RSDP_V1_SIZE)) {
			continue;
		}
		found = true;
		if ((old[ACPI_RSDP_REVISION_AT] >= 2U) && (at + rsdp_size <= size)) {
			(void)memcpy(old, rsdp, rsdp_size);
		} else {
			(void)memcpy(old, rsdp, ACPI_RSDP_V1_SIZE);
			old[ACPI_RSDP_REVISION_AT] = 0U;
			acpi_finish_rsdp_v1(old);
		}
	}
	return found;
}
