/* SPDX-License-Identifier: BSD-3-Clause */
#include <hv/scenario.h>

#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/string.h>

#include "scenario_priv.h"

#define MIB_SHIFT 20U

/* Ports the hypervisor emulates in every VM: PIC pair, edge/level registers, PCI configuration. */
static const struct scn_port_range emulated_ports[] = {
	{0x20U, 0x21U},
	{0xA0U, 0xA1U},
	{0x4D0U, 0x4D1U},
	{0xCF8U, 0xCFFU},
};

static void explain_vm(const struct scenario_reader *rd, uint32_t id, const char *fmt, ...) __printf(3, 4);

#define refuse_vm(rd, id, ...) (explain_vm(rd, id, __VA_ARGS__), -EINVAL)

void scenario_explain(const struct scenario_reader *rd, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(rd->err->text, sizeof(rd->err->text), fmt, args);
	va_end(args);
}

/* As scenario_explain(), beginning with the VM. Its name is safe to print: it is checked, or empty. */
static void explain_vm(const struct scenario_reader *rd, uint32_t id, const char *fmt, ...)
{
	char what[sizeof(rd->err->text)];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	scenario_explain(rd, "VM %u '%s': %s", id, rd->out->vm[id].name, what);
}

/* CRC-32 of IEEE 802.3 (reflected, 0xEDB88320), continued over `size` bytes by half bytes. */
static uint32_t crc32_update(uint32_t crc, const uint8_t *data, size_t size)
{
	static const uint32_t table[16] = {
		0x00000000U,
		0x1DB71064U,
		0x3B6E20C8U,
		0x26D930ACU,
		0x76DC4190U,
		0x6B6B51F4U,
		0x4DB26158U,
		0x5005713CU,
		0xEDB88320U,
		0xF00F9344U,
		0xD6D6A3E8U,
		0xCB61B38CU,
		0x9B64C2B0U,
		0x86D3D2D4U,
		0xA00AE278U,
		0xBDBDF21CU,
	};

	for (size_t i = 0U; i < size; i++) {
		crc ^= data[i];
		crc = (crc >> 4U) ^ table[crc & 0xFU];
		crc = (crc >> 4U) ^ table[crc & 0xFU];
	}
	return crc;
}

/* The checksum of a blob as if its crc32 field were zero. */
static uint32_t blob_crc32(const uint8_t *blob, size_t size)
{
	static const uint8_t zero[sizeof(uint32_t)];
	const size_t at = offsetof(struct scn_header, crc32);
	uint32_t crc = 0xFFFFFFFFU;

	crc = crc32_update(crc, blob, at);
	crc = crc32_update(crc, zero, sizeof(zero));
	crc = crc32_update(crc, blob + at + sizeof(zero), size - at - sizeof(zero));
	return ~crc;
}

static bool is_zero(const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0U; i < size; i++) {
		if (bytes[i] != 0U)
			return false;
	}
	return true;
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static bool is_text_char(char c, enum text_kind kind)
{
	switch (kind) {
	case TEXT_NAME:
		return is_name_char(c);
	case TEXT_TAG: /* a word: GRUB's module string is split at blanks */
		return c > ' ' && c <= '~';
	case TEXT_LINE:
	default:
		return c >= ' ' && c <= '~';
	}
}

/* Copies a string of the table to dst[max + 1]; -EINVAL: outside the table, too long, odd text. */
int32_t scenario_get_string(
	const struct scenario_reader *rd, const struct scn_string *str, enum text_kind kind, char *dst, uint32_t max)
{
	if (str->length == 0U) {
		dst[0] = '\0';
		return str->offset == 0U ? 0 : -EINVAL;
	}
	if (str->length > max || str->offset > rd->hdr.str_size || str->length > rd->hdr.str_size - str->offset)
		return -EINVAL;
	for (uint32_t i = 0U; i < str->length; i++) {
		const char c = (char)rd->strings[str->offset + i];

		if (!is_text_char(c, kind))
			return -EINVAL;
		dst[i] = c;
	}
	dst[str->length] = '\0';
	return 0;
}

static bool ports_overlap(const struct scn_port_range *a, uint32_t first, uint32_t last)
{
	return a->first <= last && first <= a->last;
}

/* ---- header ---- */

/* Where the parts lie. After it every offset that the reader uses is inside the blob. */
static int32_t check_layout(struct scenario_reader *rd, const uint8_t *blob, size_t size)
{
	const struct scn_header *hdr = &rd->hdr;
	size_t vms, vuarts, connections;

	if (size < sizeof(*hdr) || size > SCN_BLOB_MAX_SIZE)
		return refuse(rd, "header: %zu bytes are no scenario; compile one with scripts/scenario", size);
	memcpy(&rd->hdr, blob, sizeof(rd->hdr));
	if (hdr->magic != SCN_MAGIC)
		return refuse(rd,
			"header: magic is 0x%08x, not 0x%08x; the file is no scenario blob "
			"(an XML file must be compiled first)",
			hdr->magic, SCN_MAGIC);
	if (hdr->version != SCN_VERSION)
		return refuse(rd,
			"header: version %u, this hypervisor reads %u; compile it again with the "
			"scripts/scenario of this version",
			hdr->version, SCN_VERSION);
	if (hdr->total_size != size)
		return refuse(rd,
			"header: says %u bytes, the module has %zu; the file was cut or padded, "
			"copy it again",
			hdr->total_size, size);
	if (blob_crc32(blob, size) != hdr->crc32)
		return refuse(rd, "header: checksum is wrong; the file is damaged, copy or compile it again");
	if (hdr->header_size != sizeof(*hdr) || hdr->vm_record_size != sizeof(struct scn_vm_record) ||
		hdr->vuart_record_size != sizeof(struct scn_vuart_record) ||
		hdr->connection_record_size != sizeof(struct scn_connection_record))
		return refuse(rd, "header: record sizes %u, %u, %u, %u aren't those of version %u; compile it again",
			hdr->header_size, hdr->vm_record_size, hdr->vuart_record_size, hdr->connection_record_size,
			SCN_VERSION);
	if (hdr->vm_count == 0U || hdr->vm_count > CONFIG_MAX_VM_NUM)
		return refuse(rd, "header: %u VMs, allowed are 1..%u (CONFIG_MAX_VM_NUM)", hdr->vm_count,
			(uint32_t)CONFIG_MAX_VM_NUM);
	if (hdr->vuart_count > SCN_MAX_VUARTS)
		return refuse(rd, "header: %u vuart_connections, allowed are %u", hdr->vuart_count, SCN_MAX_VUARTS);
	if (hdr->connection_count > SCN_MAX_CONNECTIONS)
		return refuse(rd, "header: %u connections, allowed are %u", hdr->connection_count, SCN_MAX_CONNECTIONS);

	vms = hdr->vm_count * sizeof(struct scn_vm_record);
	vuarts = hdr->vuart_count * sizeof(struct scn_vuart_record);
	connections = hdr->connection_count * sizeof(struct scn_connection_record);
	if (hdr->str_size > size || (hdr->str_size % 8U) != 0U ||
		sizeof(*hdr) + vms + vuarts + connections + hdr->str_size != size)
		return refuse(rd, "header: the parts don't add up to %zu bytes; compile it again", size);
	rd->records = blob + sizeof(*hdr);
	rd->vuarts = rd->records + vms;
	rd->connections = rd->vuarts + vuarts;
	rd->strings = rd->connections + connections;
	return 0;
}

static int32_t load_header(struct scenario_reader *rd)
{
	const struct scn_header *hdr = &rd->hdr;
	struct scenario *out = rd->out;

	if (!is_zero(hdr->reserved, sizeof(hdr->reserved)))
		return refuse(rd, "header: reserved bytes aren't zero; compile it again");
	if (scenario_get_string(rd, &hdr->name, TEXT_NAME, out->name, SCN_MAX_NAME) != 0 || out->name[0] == '\0')
		return refuse(rd, "header: scenario name must be 1..%u of A-Z a-z 0-9 _ -", SCN_MAX_NAME);
	if (hdr->scheduler > SCN_SCHED_NOOP)
		return refuse(
			rd, "header: scheduler %u is unknown; use SCHED_IORR, SCHED_BVT or SCHED_NOOP", hdr->scheduler);
	if (hdr->slice_us < SCN_SLICE_MIN_US || hdr->slice_us > SCN_SLICE_MAX_US)
		return refuse(rd, "header: slice of %u us; allowed are %u..%u", hdr->slice_us, SCN_SLICE_MIN_US,
			SCN_SLICE_MAX_US);
	if (hdr->console_loglevel > SCN_LOGLEVEL_MAX || hdr->mem_loglevel > SCN_LOGLEVEL_MAX)
		return refuse(rd, "header: log levels %u and %u; allowed are 0..%u", hdr->console_loglevel,
			hdr->mem_loglevel, SCN_LOGLEVEL_MAX);
	if (hdr->console_port > 0xFFF8U)
		return refuse(rd, "header: console port 0x%x: a UART has 8 ports up to 0xffff", hdr->console_port);
	if (hdr->console_port == 0U ? hdr->console_baud != 0U
				    : (hdr->console_baud == 0U || 115200U % hdr->console_baud != 0U))
		return refuse(rd, "header: console baud rate %u; use a divisor of 115200", hdr->console_baud);

	out->scheduler = hdr->scheduler;
	out->slice_us = hdr->slice_us;
	out->console_loglevel = hdr->console_loglevel;
	out->mem_loglevel = hdr->mem_loglevel;
	out->console_port = hdr->console_port;
	out->console_baud = hdr->console_baud;
	out->console_vm = hdr->console_vm;
	out->max_pcpus = hdr->max_pcpus;
	if (out->max_pcpus == 0U || out->max_pcpus > CONFIG_MAX_PCPU_NUM)
		out->max_pcpus = CONFIG_MAX_PCPU_NUM;
	return 0;
}

/* ---- one VM ---- */

static int32_t load_identity(struct scenario_reader *rd, uint32_t id, const struct scn_vm_record *rec, bool last)
{
	const bool post = rec->load_order == SCN_POST_LAUNCHED_VM;
	struct scenario_vm *vm = &rd->out->vm[id];

	if (scenario_get_string(rd, &rec->name, TEXT_NAME, vm->name, SCN_MAX_NAME) != 0) {
		vm->name[0] = '\0';
		return refuse_vm(rd, id, "name must be 1..%u of A-Z a-z 0-9 _ -", SCN_MAX_NAME);
	}
	if ((rec->flags & ~SCN_VM_FLAGS_ALL) != 0U || rec->reserved0 != 0U ||
		!is_zero(rec->reserved2, sizeof(rec->reserved2)))
		return refuse_vm(rd, id, "unknown flags 0x%x or reserved fields set; compile it again", rec->flags);
	if (rec->load_order < SCN_PRE_LAUNCHED_VM || rec->load_order > SCN_POST_LAUNCHED_VM)
		return refuse_vm(rd, id, "load_order %u is unknown", rec->load_order);
	if (id > 0U && rd->out->vm[id - 1U].load_order > rec->load_order)
		return refuse_vm(rd, id,
			"out of order; ids go to pre-launched VMs, then the Service VM, "
			"then post-launched VMs");
	vm->dynamic = (rec->flags & SCN_VM_DYNAMIC) != 0U;
	if (vm->dynamic && (!post || !last || rec->slots == 0U || vm->name[0] != '\0'))
		return refuse_vm(rd, id, "dynamic slots must be post-launched, nameless and the last record");
	if (!vm->dynamic && (rec->slots != 1U || vm->name[0] == '\0'))
		return refuse_vm(rd, id, "a VM needs a name and stands for one slot, not %u", rec->slots);
	for (uint32_t i = 0U; i < id && !vm->dynamic; i++) {
		if (strcmp(rd->out->vm[i].name, vm->name) == 0)
			return refuse_vm(rd, id, "VM %u has the same name; rename one", i);
	}
	if (rec->load_order == SCN_SERVICE_VM && ++rd->service_count > 1U)
		return refuse_vm(rd, id, "there is a Service VM already; only one can be");
	if (post && rd->service_count == 0U)
		return refuse_vm(rd, id, "post-launched, but there is no Service VM to launch it");
	if (post && (rec->flags & SCN_VM_AUTOSTART) != 0U)
		return refuse_vm(rd, id, "a post-launched VM can't start at boot");
	if (rec->load_order != SCN_PRE_LAUNCHED_VM && (rec->flags & SCN_VM_SERVICE_CONTROL) != 0U)
		return refuse_vm(rd, id, "service_vm_control is for pre-launched VMs");

	vm->load_order = rec->load_order;
	vm->autostart = (rec->flags & SCN_VM_AUTOSTART) != 0U;
	vm->io_polling = (rec->flags & SCN_VM_IO_POLLING) != 0U;
	vm->service_control = (rec->flags & SCN_VM_SERVICE_CONTROL) != 0U;
	vm->debug_exit = (rec->flags & SCN_VM_DEBUG_EXIT) != 0U;
	return 0;
}

static int32_t load_share(struct scenario_reader *rd, uint32_t id, const struct scn_vm_record *rec)
{
	if (rec->bvt_weight == 0U || rec->bvt_weight > SCN_BVT_WEIGHT_MAX)
		return refuse_vm(rd, id, "bvt_weight %u; allowed are 1..%u", rec->bvt_weight, SCN_BVT_WEIGHT_MAX);
	if (rec->bvt_warp_value < -SCN_BVT_WARP_MAX || rec->bvt_warp_value > SCN_BVT_WARP_MAX)
		return refuse_vm(rd, id, "bvt_warp_value %d; allowed are -%d..%d", rec->bvt_warp_value,
			SCN_BVT_WARP_MAX, SCN_BVT_WARP_MAX);
	if (rec->bvt_warp_limit > SCN_BVT_LIMIT_MAX || rec->bvt_unwarp_period > SCN_BVT_LIMIT_MAX)
		return refuse_vm(rd, id, "bvt_warp_limit %u, bvt_unwarp_period %u; allowed are 0..%u",
			rec->bvt_warp_limit, rec->bvt_unwarp_period, SCN_BVT_LIMIT_MAX);
	rd->out->vm[id].share = (struct sched_share){.weight = rec->bvt_weight,
		.warp_limit_ms = rec->bvt_warp_limit,
		.unwarp_ms = rec->bvt_unwarp_period,
		.warp_ms = rec->bvt_warp_value};
	return 0;
}

/* SCHED_NOOP: no pCPU has two vCPUs. A post-launched VM may wait for the Service VM to leave one: CREATE_VM looks. */
static int32_t check_alone(struct scenario_reader *rd, uint32_t id, const struct scn_vm_record *rec)
{
	const struct scenario_vm *vm = &rd->out->vm[id];

	if (rd->out->scheduler != SCN_SCHED_NOOP || rec->load_order == SCN_POST_LAUNCHED_VM)
		return 0;
	if ((vm->pcpu_mask & rd->alone_mask) != 0UL)
		return refuse_vm(
			rd, id, "with SCHED_NOOP a pCPU has one vCPU; name others in cpu_affinity or use SCHED_IORR");
	rd->alone_mask |= vm->pcpu_mask;
	return 0;
}

static int32_t load_cpus(struct scenario_reader *rd, uint32_t id, const struct scn_vm_record *rec)
{
	struct scenario_vm *vm = &rd->out->vm[id];
	const uint32_t listed = (rec->flags & SCN_VM_CPU_AUTO) != 0U ? 0U : rec->vcpu_num;

	vm->cpu_auto = (rec->flags & SCN_VM_CPU_AUTO) != 0U;
	vm->own_pcpu = (rec->flags & SCN_VM_OWN_PCPU) != 0U;
	if (rec->vcpu_num > SCENARIO_MAX_VCPUS || (!vm->cpu_auto && rec->vcpu_num == 0U))
		return refuse_vm(rd, id, "%u vCPUs; allowed are 1..%u", rec->vcpu_num, (uint32_t)SCENARIO_MAX_VCPUS);
	if (vm->cpu_auto && vm->own_pcpu)
		return refuse_vm(rd, id, "own_pcpu needs a cpu_affinity that names the CPUs");
	if (vm->own_pcpu && vm->dynamic)
		return refuse_vm(rd, id, "dynamic slots can't own CPUs");
	if (!is_zero(&rec->vcpu_pcpu[listed], (SCN_MAX_VCPUS - listed) * sizeof(rec->vcpu_pcpu[0])))
		return refuse_vm(rd, id, "unused cpu_affinity entries aren't zero; compile it again");
	for (uint32_t i = 0U; i < listed; i++) {
		if (rec->vcpu_pcpu[i] >= rd->out->max_pcpus)
			return refuse_vm(rd, id,
				"cpu_affinity names pCPU %u, ids go up to %u "
				"(MAX_PCPU_NUM)",
				rec->vcpu_pcpu[i], rd->out->max_pcpus - 1U);
		if ((rec->load_order == SCN_SERVICE_VM || rd->out->scheduler == SCN_SCHED_NOOP) &&
			(vm->pcpu_mask & 1UL << rec->vcpu_pcpu[i]) != 0UL)
			return refuse_vm(rd, id, "cpu_affinity names pCPU %u twice; name each once%s",
				rec->vcpu_pcpu[i], rec->load_order == SCN_SERVICE_VM ? "" : " with SCHED_NOOP");
		vm->vcpu_pcpu[i] = rec->vcpu_pcpu[i];
		vm->pcpu_mask |= 1UL << rec->vcpu_pcpu[i];
	}
	vm->vcpu_count = listed;
	vm->vcpu_wanted = rec->vcpu_num;

	if ((vm->pcpu_mask & (vm->own_pcpu ? rd->named_mask : rd->own_mask)) != 0UL)
		return refuse_vm(rd, id,
			"a pCPU is in own_pcpu of one VM and in cpu_affinity of another; "
			"give one of them other CPUs");
	rd->named_mask |= vm->pcpu_mask;
	if (vm->own_pcpu)
		rd->own_mask |= vm->pcpu_mask;
	return check_alone(rd, id, rec);
}

static int32_t load_memory(struct scenario_reader *rd, uint32_t id, const struct scn_vm_record *rec)
{
	struct scenario_vm *vm = &rd->out->vm[id];

	vm->mem_fixed = (rec->flags & SCN_VM_MEM_HPA) != 0U;
	if ((rec->mem_mb % 2U) != 0U || rec->mem_mb > SCN_MEM_MAX_MB)
		return refuse_vm(
			rd, id, "memory of %u MB; sizes are multiples of 2 MB up to %u", rec->mem_mb, SCN_MEM_MAX_MB);
	if (rec->load_order == SCN_PRE_LAUNCHED_VM && rec->mem_mb == 0U)
		return refuse_vm(rd, id, "a pre-launched VM needs a memory size");
	vm->mem_bytes = (uint64_t)rec->mem_mb << MIB_SHIFT;
	vm->mem_hpa = rec->mem_hpa;
	if (!vm->mem_fixed)
		return rec->mem_hpa == 0UL ? 0 : refuse_vm(rd, id, "mem_hpa without its flag; compile it again");

	if (rec->load_order != SCN_PRE_LAUNCHED_VM)
		return refuse_vm(rd, id, "only a pre-launched VM can have a fixed place in memory");
	if (!is_aligned(rec->mem_hpa, SIZE_2M) || rec->mem_hpa == 0UL ||
		rec->mem_hpa > ((uint64_t)SCN_MEM_MAX_MB << MIB_SHIFT))
		return refuse_vm(
			rd, id, "start_hpa 0x%lx; it must be a multiple of 2 MiB, not 0", (unsigned long)rec->mem_hpa);
	for (uint32_t i = 0U; i < id; i++) {
		const struct scenario_vm *other = &rd->out->vm[i];

		if (other->mem_fixed && ranges_overlap(other->mem_hpa, other->mem_bytes, vm->mem_hpa, vm->mem_bytes))
			return refuse_vm(
				rd, id, "its hpa_region overlaps that of VM %u '%s'; move one", i, other->name);
	}
	return 0;
}

static int32_t load_modules(struct scenario_reader *rd, uint32_t id, const struct scn_vm_record *rec)
{
	struct scenario_vm *vm = &rd->out->vm[id];
	const uint32_t used = rec->module_count;

	if (used > SCN_MAX_MODULES || !is_zero(&rec->modules[used], (SCN_MAX_MODULES - used) * sizeof(rec->modules[0])))
		return refuse_vm(
			rd, id, "%u modules, or unused ones aren't zero; up to %u are allowed", used, SCN_MAX_MODULES);
	for (uint32_t i = 0U; i < used; i++) {
		struct scenario_module *mod = &vm->module[i];

		if (scenario_get_string(rd, &rec->modules[i].tag, TEXT_TAG, mod->tag, SCN_MAX_TAG) != 0 ||
			mod->tag[0] == '\0')
			return refuse_vm(
				rd, id, "tag of module %u must be one word of 1..%u characters", i, SCN_MAX_TAG);
		if (scenario_get_string(rd, &rec->modules[i].string, TEXT_LINE, mod->string, SCN_MAX_MOD_STRING) != 0)
			return refuse_vm(rd, id,
				"string of module %u must be up to %u printable ASCII "
				"characters",
				i, SCN_MAX_MOD_STRING);
	}
	vm->module_count = used;
	return 0;
}

static int32_t load_kernel(struct scenario_reader *rd, uint32_t id, const struct scn_vm_record *rec)
{
	const bool post = rec->load_order == SCN_POST_LAUNCHED_VM;
	struct scenario_vm *vm = &rd->out->vm[id];

	vm->kern_addr = (rec->flags & SCN_VM_KERN_ADDR) != 0U;
	vm->kern_type = rec->kern_type;
	vm->kern_load_addr = rec->kern_load_addr;
	vm->kern_entry_addr = rec->kern_entry_addr;
	if (rec->kern_type > SCN_KERNEL_RAWIMAGE || post != (rec->kern_type == SCN_KERNEL_NONE))
		return refuse_vm(rd, id,
			"kern_type %u; KERNEL_BZIMAGE, KERNEL_ELF or KERNEL_RAWIMAGE, "
			"none if post-launched",
			rec->kern_type);
	if (scenario_get_string(rd, &rec->kern_mod, TEXT_TAG, vm->kern_mod, SCN_MAX_TAG) != 0 ||
		post != (vm->kern_mod[0] == '\0'))
		return refuse_vm(rd, id,
			"kern_mod must be one word of 1..%u characters, none if "
			"post-launched",
			SCN_MAX_TAG);
	if (scenario_get_string(rd, &rec->ramdisk_mod, TEXT_TAG, vm->ramdisk_mod, SCN_MAX_TAG) != 0)
		return refuse_vm(rd, id, "ramdisk_mod must be one word of up to %u characters", SCN_MAX_TAG);
	if (scenario_get_string(rd, &rec->bootargs, TEXT_LINE, vm->bootargs, SCN_MAX_BOOTARGS) != 0)
		return refuse_vm(rd, id, "bootargs must be up to %u printable ASCII characters", SCN_MAX_BOOTARGS);
	if (vm->kern_addr != (rec->kern_type == SCN_KERNEL_RAWIMAGE))
		return refuse_vm(rd, id,
			"kern_load_addr and kern_entry_addr belong to KERNEL_RAWIMAGE, and "
			"it needs them");
	if (vm->kern_addr ? rec->kern_entry_addr < rec->kern_load_addr
			  : (rec->kern_load_addr | rec->kern_entry_addr) != 0UL)
		return refuse_vm(rd, id, "kern_entry_addr 0x%lx is not inside an image at 0x%lx",
			(unsigned long)rec->kern_entry_addr, (unsigned long)rec->kern_load_addr);
	if (vm->kern_addr && vm->mem_bytes != 0UL && rec->load_order == SCN_PRE_LAUNCHED_VM &&
		rec->kern_entry_addr >= vm->mem_bytes)
		return refuse_vm(
			rd, id, "kern_entry_addr 0x%lx is outside its memory", (unsigned long)rec->kern_entry_addr);
	if (post && (vm->ramdisk_mod[0] != '\0' || vm->bootargs[0] != '\0' || rec->module_count != 0U))
		return refuse_vm(rd, id, "post-launched: the device model loads it, os_config must go");
	return load_modules(rd, id, rec);
}

/* Is [first, last] somebody else's, the hypervisor's or another VM's? Fills err. */
static int32_t check_port_owner(const struct scenario_reader *rd, uint32_t id, uint32_t first, uint32_t last)
{
	const struct scenario *out = rd->out;

	for (uint32_t i = 0U; i < ARRAY_SIZE(emulated_ports); i++) {
		if (ports_overlap(&emulated_ports[i], first, last))
			return refuse_vm(rd, id,
				"ports 0x%x-0x%x can't be passed through, the hypervisor "
				"emulates 0x%x-0x%x",
				first, last, emulated_ports[i].first, emulated_ports[i].last);
	}
	if (out->console_port != 0U && first <= out->console_port + 7U && out->console_port <= last)
		return refuse_vm(rd, id, "ports 0x%x-0x%x hold the hypervisor's console at 0x%x", first, last,
			out->console_port);
	if (out->vm[id].debug_exit && first <= SCN_DEBUG_EXIT_PORT && SCN_DEBUG_EXIT_PORT <= last)
		return refuse_vm(
			rd, id, "ports 0x%x-0x%x hold the debug-exit port 0x%x", first, last, SCN_DEBUG_EXIT_PORT);
	for (uint32_t i = 0U; i < id; i++) {
		for (uint32_t k = 0U; k < out->vm[i].port_count; k++) {
			if (ports_overlap(&out->vm[i].port[k], first, last))
				return refuse_vm(rd, id, "ports 0x%x-0x%x are given to VM %u '%s' too", first, last, i,
					out->vm[i].name);
		}
	}
	return 0;
}

/* Does [first, last] touch the VM's emulated COM port number com (0: none)? */
bool scenario_ports_hit_com(uint32_t com, uint32_t first, uint32_t last)
{
	const uint32_t base = com == SCN_CONSOLE_COM1 ? SCN_COM1_PORT : SCN_COM2_PORT;

	return com != SCN_CONSOLE_NONE && first <= base + 7U && base <= last;
}

/* Only one vCPU is to have a range: @return 0, -EINVAL and a line */
static int32_t check_port_vcpu(
	const struct scenario_reader *rd, uint32_t id, const struct scn_vm_record *rec, uint32_t i)
{
	const bool count_is_known = rec->vcpu_num != 0U;

	if (rec->port_vcpu[i] > (count_is_known ? rec->vcpu_num : SCN_MAX_VCPUS))
		return refuse_vm(rd, id, "ports 0x%x-0x%x are for vCPU %u, which it does not have", rec->ports[i].first,
			rec->ports[i].last, rec->port_vcpu[i] - 1U);
	if (rec->unhandled_port == SCN_PORT_PASSTHROUGH)
		return refuse_vm(rd, id, "ports 0x%x-0x%x are for one vCPU, but unhandled_port gives them to all",
			rec->ports[i].first, rec->ports[i].last);
	return 0;
}

static int32_t load_ports(struct scenario_reader *rd, uint32_t id, const struct scn_vm_record *rec)
{
	struct scenario_vm *vm = &rd->out->vm[id];
	const uint32_t used = rec->port_count;

	if (rec->unhandled_port < SCN_PORT_IGNORE || rec->unhandled_port > SCN_PORT_PASSTHROUGH ||
		(rec->unhandled_port == SCN_PORT_FORWARD && rec->load_order != SCN_POST_LAUNCHED_VM) ||
		(rec->unhandled_port == SCN_PORT_PASSTHROUGH && rec->load_order != SCN_SERVICE_VM))
		return refuse_vm(rd, id,
			"unhandled_port %u; FORWARD is for post-launched VMs, PASSTHROUGH "
			"for the Service VM",
			rec->unhandled_port);
	vm->unhandled_port = rec->unhandled_port;
	if (rec->console_vuart > SCN_CONSOLE_COM2)
		return refuse_vm(rd, id, "console_vuart %u is unknown", rec->console_vuart);
	vm->console_vuart = rec->console_vuart;

	if (used > SCN_MAX_PORTS || (vm->dynamic && used != 0U) ||
		!is_zero(&rec->ports[used], (SCN_MAX_PORTS - used) * sizeof(rec->ports[0])) ||
		!is_zero(&rec->port_vcpu[used], SCN_MAX_PORTS - used))
		return refuse_vm(rd, id,
			"%u port ranges, or unused ones aren't zero; up to %u are allowed, "
			"none for dynamic slots",
			used, SCN_MAX_PORTS);
	for (uint32_t i = 0U; i < used; i++) {
		const struct scn_port_range *range = &rec->ports[i];

		if (range->first > range->last || (i > 0U && range->first <= rec->ports[i - 1U].last))
			return refuse_vm(rd, id,
				"port range 0x%x-0x%x is reversed, out of order or overlaps "
				"the one before",
				range->first, range->last);
		if (scenario_ports_hit_com(vm->console_vuart, range->first, range->last))
			return refuse_vm(rd, id, "ports 0x%x-0x%x hold its console_vuart", range->first, range->last);
		if (check_port_owner(rd, id, range->first, range->last) != 0)
			return -EINVAL;
		if (rec->port_vcpu[i] != 0U && check_port_vcpu(rd, id, rec, i) != 0)
			return -EINVAL;
		vm->port[i] = *range;
		vm->port_vcpu[i] = rec->port_vcpu[i];
	}
	vm->port_count = used;
	return 0;
}

/* The VM before `id` that has PCI function `bdf`, or `id`. */
static uint32_t find_pci_owner(const struct scenario *out, uint32_t id, uint16_t bdf)
{
	for (uint32_t i = 0U; i < id; i++) {
		for (uint32_t k = 0U; k < out->vm[i].pci_count; k++) {
			if (out->vm[i].pci_bdf[k] == bdf)
				return i;
		}
	}
	return id;
}

static int32_t load_pci(struct scenario_reader *rd, uint32_t id, const struct scn_vm_record *rec)
{
	struct scenario_vm *vm = &rd->out->vm[id];
	const uint32_t used = rec->pci_count;

	if (rec->pci_policy < SCN_PCI_NONE || rec->pci_policy > SCN_PCI_LISTED ||
		(rec->pci_policy == SCN_PCI_ALL && rec->load_order != SCN_SERVICE_VM) ||
		(rec->load_order == SCN_POST_LAUNCHED_VM && rec->pci_policy != SCN_PCI_NONE))
		return refuse_vm(rd, id, "PCI policy %u is not for this load_order", rec->pci_policy);
	if (used > SCN_MAX_PCI_DEVS || (used != 0U) != (rec->pci_policy == SCN_PCI_LISTED) ||
		!is_zero(&rec->pci_bdf[used], (SCN_MAX_PCI_DEVS - used) * sizeof(rec->pci_bdf[0])))
		return refuse_vm(rd, id,
			"%u pci_devs don't fit the policy, or unused ones aren't zero; up "
			"to %u are allowed",
			used, SCN_MAX_PCI_DEVS);
	for (uint32_t i = 0U; i < used; i++) {
		const uint16_t bdf = rec->pci_bdf[i];
		const uint32_t owner = find_pci_owner(rd->out, id, bdf);

		if (i > 0U && bdf <= rec->pci_bdf[i - 1U])
			return refuse_vm(rd, id, "pci_devs are out of order or double; compile it again");
		if (owner != id)
			return refuse_vm(rd, id, "PCI function %02x:%02x.%x is given to VM %u '%s' too", bdf >> 8U,
				(bdf >> 3U) & 0x1FU, bdf & 7U, owner, rd->out->vm[owner].name);
		vm->pci_bdf[i] = bdf;
	}
	vm->pci_policy = rec->pci_policy;
	vm->pci_count = used;
	return 0;
}

static int32_t load_vm(struct scenario_reader *rd, uint32_t id, const struct scn_vm_record *rec, bool last)
{
	int32_t ret;

	ret = load_identity(rd, id, rec, last);
	if (ret == 0)
		ret = load_cpus(rd, id, rec);
	if (ret == 0)
		ret = load_share(rd, id, rec);
	if (ret == 0)
		ret = load_memory(rd, id, rec);
	if (ret == 0)
		ret = load_kernel(rd, id, rec);
	if (ret == 0)
		ret = load_ports(rd, id, rec);
	if (ret == 0)
		ret = load_pci(rd, id, rec);
	return ret;
}

static int32_t load_vms(struct scenario_reader *rd)
{
	struct scn_vm_record rec;
	uint32_t slots = 1U;
	int32_t ret;

	for (uint32_t id = 0U; id < rd->hdr.vm_count; id++) {
		memcpy(&rec, rd->records + id * sizeof(rec), sizeof(rec));
		ret = load_vm(rd, id, &rec, id + 1U == rd->hdr.vm_count);
		if (ret != 0)
			return ret;
		slots = rec.slots;
	}
	/* Only the last record can stand for more than one slot: it is copied out. */
	if (rd->hdr.vm_count - 1U + slots > CONFIG_MAX_VM_NUM)
		return refuse(rd, "VMs and dynamic slots are %u, allowed are %u (CONFIG_MAX_VM_NUM)",
			rd->hdr.vm_count - 1U + slots, (uint32_t)CONFIG_MAX_VM_NUM);
	rd->out->vm_count = rd->hdr.vm_count - 1U + slots;
	for (uint32_t id = rd->hdr.vm_count; id < rd->out->vm_count; id++)
		rd->out->vm[id] = rd->out->vm[rd->hdr.vm_count - 1U];

	if (rd->out->console_vm != SCN_CONSOLE_VM_NONE && rd->out->console_vm >= rd->out->vm_count)
		return refuse(rd, "header: CONSOLE_VM is VM %u, ids go up to %u", rd->out->console_vm,
			rd->out->vm_count - 1U);
	return 0;
}

int32_t scenario_load(const void *blob, size_t size, struct scenario *out, struct scenario_error *err)
{
	struct scenario_reader rd = {.out = out, .err = err};
	int32_t ret;

	memset(out, 0, sizeof(*out));
	err->text[0] = '\0';
	ret = check_layout(&rd, blob, size);
	if (ret == 0)
		ret = load_header(&rd);
	if (ret == 0)
		ret = load_vms(&rd);
	if (ret == 0)
		ret = scenario_load_vuarts(&rd);
	ret = (ret == 0) ? scenario_load_connections(&rd) : ret;
	if (ret != 0)
		memset(out, 0, sizeof(*out));
	return ret;
}

struct scenario_vm *scenario_service_vm(struct scenario *scn)
{
	for (uint32_t i = 0U; i < scn->vm_count; i++) {
		if (scn->vm[i].load_order == SCN_SERVICE_VM)
			return &scn->vm[i];
	}
	return NULL;
}

int32_t scenario_find_post_launched(const struct scenario *scn, const char *name, size_t len)
{
	const size_t length = strnlen(name, len);

	for (uint32_t i = 0U; i < scn->vm_count; i++) {
		const struct scenario_vm *vm = &scn->vm[i];

		if (vm->load_order == SCN_POST_LAUNCHED_VM && !vm->dynamic && strlen(vm->name) == length &&
			memcmp(vm->name, name, length) == 0)
			return (int32_t)i;
	}
	return -ENOENT;
}
