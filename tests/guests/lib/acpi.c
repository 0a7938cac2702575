/* SPDX-License-Identifier: BSD-3-Clause */
/* ACPI tables. Everything read here may be wrong or missing: checksums and lengths are checked. */
#include <guests/lib/acpi.h>
#include <guests/lib/guest.h>

struct sdt {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[26];
} __attribute__((packed));

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
} __attribute__((packed));

#define RSDP_V1_SIZE	20
#define TABLE_MAX	0x100000U

static bool sum_is_zero(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint8_t sum = 0;

	while (n-- > 0)
		sum = (uint8_t)(sum + *b++);
	return sum == 0;
}

static const struct rsdp *scan(uint64_t from, uint64_t to)
{
	for (; from < to; from += 16) {
		const struct rsdp *r = (const struct rsdp *)from;

		if (memcmp(r->signature, "RSD PTR ", 8) == 0 && sum_is_zero(r, RSDP_V1_SIZE))
			return r;
	}
	return NULL;
}

static const struct rsdp *find_rsdp(void)
{
	/* Not a constant to the compiler, which takes low addresses for null pointer arithmetic. */
	volatile uint64_t ebda_ptr = 0x40e;
	uint64_t ebda = (uint64_t)*(const volatile uint16_t *)ebda_ptr << 4;
	const struct rsdp *r = NULL;

	if (ebda >= 0x80000 && ebda < 0xa0000)
		r = scan(ebda, ebda + 1024);
	return r != NULL ? r : scan(0xe0000, 0x100000);
}

static const struct sdt *checked_table(uint64_t pa)
{
	const struct sdt *t = (const struct sdt *)pa;

	/* Only what the identity map holds. */
	if (pa == 0 || pa >= 0xfc000000UL)
		return NULL;
	if (t->length < sizeof(*t) || t->length > TABLE_MAX || !sum_is_zero(t, t->length))
		return NULL;
	return t;
}

const void *acpi_find(const char *signature)
{
	const struct rsdp *r = find_rsdp();
	const struct sdt *root = NULL;
	size_t width = 4;

	if (r == NULL)
		return NULL;
	if (r->revision >= 2) {
		root = checked_table(r->xsdt);
		width = 8;
	}
	if (root == NULL) {
		root = checked_table(r->rsdt);
		width = 4;
	}
	if (root == NULL)
		return NULL;
	for (size_t at = sizeof(*root); at + width <= root->length; at += width) {
		uint64_t pa = 0;
		const struct sdt *t;

		memcpy(&pa, (const uint8_t *)root + at, width);
		t = checked_table(pa);
		if (t != NULL && memcmp(t->signature, signature, 4) == 0)
			return t;
	}
	return NULL;
}

static uint64_t field(const uint8_t *entry, size_t at, size_t size)
{
	uint64_t v = 0;

	memcpy(&v, entry + at, size);
	return v;
}

static void madt_cpu(struct madt_facts *m, uint32_t id, uint32_t flags)
{
	if ((flags & 1) != 0 && m->cpu_count < MAX_CPUS)
		m->apic_ids[m->cpu_count++] = id;
}

static void madt_entry(struct madt_facts *m, const uint8_t *e, size_t len)
{
	if (e[0] == 0 && len >= 8) {
		madt_cpu(m, e[3], (uint32_t)field(e, 4, 4));
	} else if (e[0] == 9 && len >= 16) {
		madt_cpu(m, (uint32_t)field(e, 4, 4), (uint32_t)field(e, 8, 4));
	} else if (e[0] == 1 && len >= 12) {
		if (m->ioapic_count++ == 0) {
			m->ioapic_base = field(e, 4, 4);
			m->ioapic_gsi_base = (uint32_t)field(e, 8, 4);
		}
	} else if (e[0] == 2 && len >= 10 && e[3] < 16) {
		m->irq_gsi[e[3]] = (uint32_t)field(e, 4, 4);
		m->irq_flags[e[3]] = (uint16_t)field(e, 8, 2);
	}
}

bool acpi_madt(struct madt_facts *m)
{
	const struct sdt *t = acpi_find("APIC");
	const uint8_t *b = (const uint8_t *)t;

	memset(m, 0, sizeof(*m));
	for (uint32_t i = 0; i < 16; i++)
		m->irq_gsi[i] = i;
	if (t == NULL || t->length < 44)
		return false;
	m->lapic_base = field(b, 36, 4);
	for (size_t at = 44; at + 2 <= t->length;) {
		size_t len = b[at + 1];

		if (len < 2 || at + len > t->length)
			break;
		madt_entry(m, b + at, len);
		at += len;
	}
	return true;
}

/* I/O APICs come in any order; how many pins each has only it can tell: the last that begins at or below @gsi. */
uint64_t acpi_ioapic_of(uint32_t gsi, uint32_t *first)
{
	const struct sdt *t = acpi_find("APIC");
	const uint8_t *b = (const uint8_t *)t;
	uint64_t base = 0;

	for (size_t at = 44; t != NULL && at + 12 <= t->length && b[at + 1] >= 2; at += b[at + 1]) {
		uint32_t begin = (uint32_t)field(b, at + 8, 4);

		if (b[at] == 1 && begin <= gsi && (base == 0 || begin > *first)) {
			base = field(b, at + 4, 4);
			*first = begin;
		}
	}
	return base;
}

static uint16_t fadt_port(size_t at)
{
	const struct sdt *t = acpi_find("FACP");

	if (t == NULL || t->length < at + 4)
		return 0;
	return (uint16_t)field((const uint8_t *)t, at, 4);
}

uint16_t acpi_pm1a_control(void)
{
	return fadt_port(64);
}

uint16_t acpi_pm_timer(void)
{
	return fadt_port(76);
}
