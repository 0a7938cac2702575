/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/scenario.c: the pieces whose loops are long, which the other proofs of the reader have by their contracts:
 * checksum, zeros, strings, messages. Any blob up to the format's 1 MiB, any string up to its 2047 characters: no loop
 * is unrolled, tests/proof/cbmc.py gives each an invariant in a copy of the file. And scenario_find_post_launched() and
 * strcmp() with hypervisor/lib/string.c: any names, as long as the format has them. And list_cpus() of
 * scenario_machine.c. Bounds: for the name that is looked for, CONFIG_MAX_VM_NUM VMs.
 */
static unsigned long any_place; /* whichever: what the invariants say of it they say of each */
static unsigned int usable;     /* CPUs; none of the mask is beyond */

#include <hypervisor/scenario.c>
#undef refuse
#include <hypervisor/scenario_machine.c>

static struct scenario out;
static struct scenario_error err;
static struct scenario_reader rd;

int vsnprintf(char *buf, size_t size, const char *fmt, va_list list)
{
	(void)list;
	PROVE(fmt != NULL && size != 0UL && __CPROVER_w_ok(buf, size));
	buf[0] = '\0';
	return (int)nondet_u32();
}

static void a_string(const uint8_t *strings, uint32_t str_size)
{
	const struct scn_string str = {nondet_u32(), nondet_u32()};
	const enum text_kind kind = (enum text_kind)(nondet_u8() % 3U);
	const uint32_t max = nondet_u32();
	int32_t ret;
	char *dst;

	ASSUME(max != 0U && max <= SCN_MAX_BOOTARGS);
	dst = __CPROVER_allocate(max + 1UL, false);
	ASSUME(dst[max] == '\0');
	rd.strings = strings;
	rd.hdr.str_size = str_size;
	ret = scenario_get_string(&rd, &str, kind, dst, max);
	PROVE(ret == 0 || ret == -EINVAL);
	PROVE(dst[max] == '\0');
	if (ret == 0) {
		PROVE(str.length <= max && dst[str.length] == '\0');
		PROVE(any_place >= str.length ||
			(dst[any_place] == (char)strings[str.offset + any_place] && dst[any_place] >= ' ' &&
				dst[any_place] <= '~'));
	}
}

static void a_name(void)
{
	const size_t len = nondet_u8() % (SCN_MAX_NAME + 2U);
	char *name = __CPROVER_allocate(len, false);
	char a[SCN_MAX_NAME + 1U], b[SCN_MAX_NAME + 1U]; /* not written: any */
	const uint32_t at = any_place % sizeof(a);
	bool same = true;
	int32_t ret;

	a[SCN_MAX_NAME] = '\0';
	b[SCN_MAX_NAME] = '\0';
	for (uint32_t i = 0U; i <= SCN_MAX_NAME && i <= at; i++) {
		same = same && a[i] == b[i];
		ASSUME(a[i] != '\0' || i == at); /* `at` is inside a's text, or its end */
	}
	PROVE(strcmp(a, b) != 0 || same);
	PROVE(!same || a[at] != '\0' || strcmp(a, b) == 0);

	for (uint32_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
		ASSUME(out.vm[i].name[SCN_MAX_NAME] == '\0');
	}
	out.vm_count = CONFIG_MAX_VM_NUM; /* fewer: the loop ends earlier */
	ret = scenario_find_post_launched(&out, name, len);
	PROVE(ret == -ENOENT || (ret >= 0 && (uint32_t)ret < out.vm_count));
	for (uint32_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
		PROVE(ret != (int32_t)i || out.vm[i].load_order == SCN_POST_LAUNCHED_VM);
	}
}

static void a_list(void)
{
	const uint64_t mask = nondet_u64();
	uint16_t cpu[MASK_CPUS]; /* not written */
	uint32_t count;

	ASSUME(usable >= MASK_CPUS || mask >> usable == 0UL);
	count = list_cpus(mask, nondet_bool(), cpu);
	PROVE(count <= MASK_CPUS && (any_place >= count || cpu[any_place] < usable));
}

int main(void)
{
	const uint32_t size = nondet_u32();
	uint8_t *bytes;

	ASSUME(size <= SCN_BLOB_MAX_SIZE);
	bytes = __CPROVER_allocate(size, false);
	any_place = nondet_u64();
	usable = nondet_u32();
	rd.out = &out;
	rd.err = &err;
	switch (nondet_u8()) {
	case 0U:
		ASSUME(size >= sizeof(struct scn_header));
		(void)blob_crc32(bytes, size);
		break;
	case 1U:
		PROVE(!is_zero(bytes, size) || any_place >= size || bytes[any_place] == 0U);
		break;
	case 2U:
		a_string(bytes, size);
		break;
	case 3U:
		a_name();
		break;
	case 4U:
		a_list();
		break;
	default:
		for (uint32_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
			explain_vm(&rd, i, "%u", nondet_u32());
		}
		break;
	}
	return 0;
}
