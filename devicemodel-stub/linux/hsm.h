/* SPDX-License-Identifier: BSD-3-Clause */
/* Linux's /dev/acrn_hsm (Linux 6.1, include/uapi/linux/acrn.h): one file descriptor, one User VM. */
#ifndef DEVICEMODEL_LINUX_HSM_H
#define DEVICEMODEL_LINUX_HSM_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/acrn.h>

#include "../vm_image.h"

struct hsm {
	int fd; /* -1: closed */
	uint16_t vmid;
	uint16_t vcpu_num;
	struct acrn_io_request *slots; /* ACRN_IO_REQUEST_MAX, one page */
	/* ioctl(2), or what a test puts in its place. @return -1 with errno */
	int (*ioctl)(int fd, unsigned long request, uint64_t arg);
};

/** Opens the device. @return 0, or -1 with the reason and the way out on stderr */
int hsm_open(struct hsm *hsm);

/**
 * Creates the VM; tries again for 5 s while the hypervisor is busy with an earlier VM of the name.
 * @param affinity bitmap of pCPU ids, one vCPU per bit
 * @return 0 (vmid and vcpu_num set), or -1 with a line on stderr, as all the following
 */
int hsm_create_vm(struct hsm *hsm, const char *name, uint64_t affinity, bool polling);

/** Maps [vma, vma+len) of our memory at guest-physical `gpa`, in pieces that the driver can take. */
int hsm_map_ram(struct hsm *hsm, uint64_t gpa, const void *vma, uint64_t len);

int hsm_set_entry(struct hsm *hsm, const struct vm_entry *entry);
int hsm_start(struct hsm *hsm);
int hsm_pause(struct hsm *hsm);
int hsm_create_client(struct hsm *hsm);

/** Waits for requests. @return 0 look at the slots (there may be none), -1 the client is being taken away */
int hsm_wait(struct hsm *hsm);
int hsm_complete(struct hsm *hsm, uint32_t vcpu);
void hsm_irq_line(struct hsm *hsm, uint32_t gsi, bool high);

/** PAUSE, CLEAR_VM_IOREQ, RESET_VM: the VM as created, memory kept. */
int hsm_reset(struct hsm *hsm);

/** PAUSE, destroys client and VM, closes. Nothing if closed. */
void hsm_close(struct hsm *hsm);

#endif
