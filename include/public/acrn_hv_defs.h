/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hypercalls. VMCALL from ring 0 with the id in R8, arguments in RDI and RSI, result in RAX: 0 or -errno,
 * sign-extended. Pointers are Service VM physical addresses; a structure may cross page boundaries.
 */
#ifndef PUBLIC_ACRN_HV_DEFS_H
#define PUBLIC_ACRN_HV_DEFS_H

#define HC_ID_BASE 0x80000000UL
#define HC_ID(n)   (HC_ID_BASE | (n))

#define HC_GET_API_VERSION        HC_ID(0x00UL)
#define HC_SERVICE_VM_OFFLINE_CPU HC_ID(0x01UL)
#define HC_SET_CALLBACK_VECTOR    HC_ID(0x02UL)
#define HC_CREATE_VM              HC_ID(0x10UL)
#define HC_DESTROY_VM             HC_ID(0x11UL)
#define HC_START_VM               HC_ID(0x12UL)
#define HC_PAUSE_VM               HC_ID(0x13UL)
#define HC_RESET_VM               HC_ID(0x15UL)
#define HC_SET_VCPU_REGS          HC_ID(0x16UL)
#define HC_INJECT_MSI             HC_ID(0x23UL)
#define HC_VM_INTR_MONITOR        HC_ID(0x24UL)
#define HC_SET_IRQLINE            HC_ID(0x25UL)
#define HC_SET_IOREQ_BUFFER       HC_ID(0x30UL)
#define HC_NOTIFY_REQUEST_FINISH  HC_ID(0x31UL)
#define HC_VM_SET_MEMORY_REGIONS  HC_ID(0x42UL)
#define HC_SET_PTDEV_INTR_INFO    HC_ID(0x53UL)
#define HC_RESET_PTDEV_INTR_INFO  HC_ID(0x54UL)
#define HC_ASSIGN_PCIDEV          HC_ID(0x55UL)
#define HC_DEASSIGN_PCIDEV        HC_ID(0x56UL)
#define HC_ASSIGN_MMIODEV         HC_ID(0x57UL)
#define HC_DEASSIGN_MMIODEV       HC_ID(0x58UL)
#define HC_CREATE_VDEV            HC_ID(0x59UL)
#define HC_DESTROY_VDEV           HC_ID(0x5AUL)
#define HC_PM_GET_CPU_STATE       HC_ID(0x80UL)

/*
 * Aril's own, above ACRN's range: counters for tests and leak checks. RDI = Service VM physical address of a
 * struct aril_hv_stats. The Service VM only.
 */
#define HC_ARIL_GET_STATS HC_ID(0xF0UL)
/* Walks every EPT and proves that none maps hypervisor memory. Result 0, or -EFAULT and a line in the log. */
#define HC_ARIL_AUDIT HC_ID(0xF1UL)

#endif
