/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The limits that proofs run with: as small as Kconfig allows and the proof still says something. And a VM with
 * hardly a device: CBMC's time grows with the size of struct acrn_vm.
 */
#ifndef CONFIG_H
#define CONFIG_H

#ifndef CONFIG_MAX_PCPU_NUM
#define CONFIG_MAX_PCPU_NUM 4U
#endif
#ifndef CONFIG_MAX_VM_NUM
#define CONFIG_MAX_VM_NUM 2U
#endif
#ifndef CONFIG_MAX_VCPUS_PER_VM
#define CONFIG_MAX_VCPUS_PER_VM 1U
#endif
#define CONFIG_STACK_SIZE 8192U
#define CONFIG_LOG_BUF_SIZE 16384U
#define CONFIG_LOG_GUEST_PER_SECOND 10U
#define CONFIG_TRACE_ORDER 7U
#define CONFIG_DEBUG 1
#define CONFIG_MAX_GSI 24U
#define CONFIG_MAX_IOAPIC_NUM 1U

#define DM_VHPET_H
struct vhpet {
	char none;
};

#define DM_VI8042_H
struct vi8042 {
	char none;
};

#define DM_VIOAPIC_H
struct vioapic {
	char none;
};

#define DM_VPIC_H
struct vpic {
	char none;
};

#define DM_VPIT_H
struct vpit {
	char none;
};

#define DM_VPM_H
struct vpm {
	char none;
};

#define DM_VRTC_H
struct vrtc {
	char none;
};

#define DM_VUART_H
struct vuart {
	char none;
};

#define DM_VPCI_H
struct vpci_place {
	uint32_t mem_base;
	uint32_t mem_size;
};

struct vpci {
	bool active;
	const struct vpci_place *place;
};

#endif
