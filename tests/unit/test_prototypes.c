/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The prototypes and members of the five documents of doc/interfaces.md, word for word: what differs does not
 * compile. Two differ on purpose, and stand here as they are: emulate_mmio_post() cannot take a const vCPU, since the
 * emulator goes on in it; vm_io_handler_desc.port_end is wider.
 */
#include <dm/cross_vm_connection.h>
#include <hv/guest_vm.h>
#include <hv/ioports.h>
#include <hv/ioreq.h>
#include <hv/vm.h>

#include <stddef.h>

#include "unit.h"

/* libsel4vm's names for what we have under others. */
typedef struct acrn_vm vm_t;
typedef struct acrn_vcpu vm_vcpu_t;
typedef struct vpci vmm_pci_space_t;
typedef uint64_t seL4_Word;

#define IS(function, ...)                                                                                              \
	_Static_assert(__builtin_types_compatible_p(__typeof__(function), __VA_ARGS__), #function " is another")
#define HAS(type, member, ...)                                                                                         \
	_Static_assert(__builtin_types_compatible_p(__typeof__(((type *)NULL)->member), __VA_ARGS__),                  \
		#type "." #member " is another")

/* ---- ACRN's ioreq.h ---- */

IS(io_read_fn_t, uint32_t (*)(struct acrn_vm *, uint16_t, size_t));
IS(io_write_fn_t, void (*)(struct acrn_vm *, uint16_t, size_t, uint32_t));
IS(hv_mem_io_handler_t, int32_t (*)(struct io_request *, void *));
IS(pio_instr_vmexit_handler, int32_t(struct acrn_vcpu *));
IS(setup_io_bitmap, void(struct acrn_vm *));
IS(allow_guest_pio_access, void(struct acrn_vm *, uint16_t, uint32_t));
IS(register_io_emulation_handler,
	void(struct acrn_vm *, uint32_t, const struct vm_io_range *, io_read_fn_t, io_write_fn_t));
IS(register_mmio_emulation_handler, int32_t(struct acrn_vm *, hv_mem_io_handler_t, uint64_t, uint64_t, void *));
IS(emulate_mmio_post, void(struct acrn_vcpu *, const struct io_request *));
IS(dm_emulate_mmio_post, void(struct acrn_vcpu *));
IS(emulate_io, int32_t(struct acrn_vcpu *, struct io_request *));
IS(emulate_io_post, void(struct acrn_vcpu *));
IS(acrn_insert_request_wait, int32_t(struct acrn_vcpu *, const struct io_request *));
IS(reset_vm_ioreqs, void(struct acrn_vm *));
IS(get_vhm_req_state, uint32_t(struct acrn_vm *, uint16_t));
IS(set_vhm_req_state, void(struct acrn_vm *, uint16_t, uint32_t));

HAS(struct io_request, type, uint32_t);
HAS(struct io_request, reqs, union vhm_io_request);
HAS(struct vm_io_range, base, uint16_t);
HAS(struct vm_io_range, len, uint16_t);
HAS(struct vm_io_range, flags, uint32_t);
HAS(struct vm_io_handler_desc, port_start, uint16_t);
HAS(struct vm_io_handler_desc, port_end, uint32_t);
HAS(struct vm_io_handler_desc, io_read, io_read_fn_t);
HAS(struct vm_io_handler_desc, io_write, io_write_fn_t);
HAS(struct mem_io_node, read_write, hv_mem_io_handler_t);
HAS(struct mem_io_node, handler_private_data, void *);
HAS(struct mem_io_node, list, struct list_head);
HAS(struct mem_io_node, range_start, uint64_t);
HAS(struct mem_io_node, range_end, uint64_t);

_Static_assert(IOREQ_PENDING == 1, "IOREQ_PENDING");
_Static_assert((IO_ATTR_R == 0U) && (IO_ATTR_RW == 1U) && (IO_ATTR_NO_ACCESS == 2U), "IO_ATTR");

/* ---- ACRN: "refactor how I/O instructions are emulated" ---- */

IS(hv_emulate_pio, int32_t(struct acrn_vcpu *, struct io_request *));
IS(emulate_pio_post, void(struct acrn_vcpu *, const struct io_request *));
IS(dm_emulate_pio_post, void(struct acrn_vcpu *));

/* ---- libsel4vm: ioports.h ---- */

IS(vm_io_port_add_handler, int32_t(vm_t *, vm_ioport_range_t, vm_ioport_interface_t));
IS(vm_register_unhandled_ioport_callback, int32_t(vm_t *, unhandled_ioport_callback_fn, void *));
IS(vm_enable_passthrough_ioport, int32_t(vm_vcpu_t *, uint16_t, uint16_t));

/* ---- libsel4vm: guest_vm.h ---- */

IS(vm_run, int32_t(vm_t *));
IS(vcpu_start, int32_t(vm_vcpu_t *));
IS(vm_register_unhandled_mem_fault_callback, int32_t(vm_t *, unhandled_mem_fault_callback_fn, void *));
IS(vm_register_notification_callback, int32_t(vm_t *, notification_callback_fn, void *));

HAS(vm_t, run.exit_reason, int);
HAS(vm_t, run.notification_callback, notification_callback_fn);
HAS(vm_t, run.notification_callback_cookie, void *);
HAS(vm_t, mem.ram_regions[0], struct vm_ram_region);
HAS(vm_t, mem.unhandled_mem_fault_handler, unhandled_mem_fault_callback_fn);
HAS(vm_t, mem.unhandled_mem_fault_cookie, void *);

/* ---- libsel4vm: cross_vm_connection.h ---- */

IS(cross_vm_connections_init_common,
	int(vm_t *, uintptr_t, const crossvm_handle_t *, int, vmm_pci_space_t *, alloc_free_interrupt_fn));
IS(consume_connection_event, void(vm_t *, seL4_Word, bool));

HAS(crossvm_dataport_handle_t, size, size_t);
HAS(crossvm_dataport_handle_t, num_frames, int);
HAS(crossvm_handle_t, dataport, const crossvm_dataport_handle_t *);
HAS(crossvm_handle_t, emit_fn, emit_fn);
HAS(crossvm_handle_t, consume_id, seL4_Word);

/* A caller that has only the documents: their calls and returns, as types a C program sees. */
TEST(prototypes_callable_by_the_documents_names)
{
	int (*const run)(vm_t *) = vm_run;
	int (*const start)(vm_vcpu_t *) = vcpu_start;
	static vm_vcpu_t vcpu = {.state = VCPU_RUNNING};

	EXPECT_NE(run, NULL);
	EXPECT_EQ(start(&vcpu), -1);
}
