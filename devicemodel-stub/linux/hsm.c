/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls of /dev/acrn_hsm, each with a sentence for its failure. */
#include "hsm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define HSM_DEVICE                    "/dev/acrn_hsm"
#define VM_FLAG_IO_COMPLETION_POLLING (1UL << 2)

#define CREATE_TRIES    50
#define CREATE_RETRY_MS 100

/*
 * The driver puts one 32-byte entry per (huge) page of a piece into one kmalloc: 64 MiB of 4 KiB pages make 512 KiB.
 * It takes 256 pieces.
 */
#define MAP_PIECE (64UL << 20U)

#define IRQ_SET_HIGH 0UL
#define IRQ_SET_LOW  1UL

_Static_assert(sizeof(struct acrn_regs) == 288, "acrn_regs");

static int real_ioctl(int fd, unsigned long request, uint64_t arg)
{
	return ioctl(fd, request, arg);
}

static int failed(const char *what, const char *hint)
{
	fprintf(stderr, "aril-dm: %s: %s%s%s\n", what, strerror(errno), (hint[0] != '\0') ? "; " : "", hint);
	return -1;
}

static int call(struct hsm *hsm, unsigned long request, uint64_t arg, const char *what, const char *hint)
{
	int ret = hsm->ioctl(hsm->fd, request, arg);

	return (ret < 0) ? failed(what, hint) : ret;
}

static uint64_t ptr(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

int hsm_open(struct hsm *hsm)
{
	void *page = NULL;

	memset(hsm, 0, sizeof(*hsm));
	hsm->ioctl = real_ioctl;
	hsm->fd = open(HSM_DEVICE, O_RDWR | O_CLOEXEC);
	if (hsm->fd < 0) {
		return failed("cannot open " HSM_DEVICE,
			(errno == ENOENT) ? "is this the Service VM, and does its kernel have CONFIG_ACRN_HSM?"
					  : "run it as root");
	}
	if (posix_memalign(&page, 4096, 4096) != 0) {
		errno = ENOMEM;
		return failed("request page", "");
	}
	memset(page, 0, 4096);
	hsm->slots = page;
	return 0;
}

int hsm_create_vm(struct hsm *hsm, const char *name, uint64_t affinity, bool polling)
{
	struct acrn_vm_creation vm;
	int ret = -1;

	for (int i = 0; i < CREATE_TRIES && ret < 0; i++) {
		memset(&vm, 0, sizeof(vm));
		memcpy(&vm.uuid, name, strnlen(name, sizeof(vm.uuid)));
		vm.vm_flag = polling ? VM_FLAG_IO_COMPLETION_POLLING : 0UL;
		vm.ioreq_buf = ptr(hsm->slots);
		vm.cpu_affinity = affinity;
		ret = hsm->ioctl(hsm->fd, ACRN_IOCTL_CREATE_VM, ptr(&vm));
		if (ret < 0 && errno != EBUSY && errno != EAGAIN) {
			break;
		}
		if (ret < 0) {
			nanosleep(&(struct timespec){0, CREATE_RETRY_MS * 1000000L}, NULL);
		}
	}
	if (ret < 0) {
		return failed(
			"CREATE_VM", "the hypervisor's log says why (name, CPU affinity, or a VM of this name runs)");
	}
	if (vm.vmid == 0xFFFFU || vm.vcpu_num == 0U || vm.vcpu_num > ACRN_IO_REQUEST_MAX) {
		errno = ENODEV;
		return failed("CREATE_VM", "the hypervisor made no VM");
	}
	hsm->vmid = vm.vmid;
	hsm->vcpu_num = vm.vcpu_num;
	return 0;
}

int hsm_map_ram(struct hsm *hsm, uint64_t gpa, const void *vma, uint64_t len)
{
	for (uint64_t done = 0; done < len;) {
		uint64_t piece = (len - done < MAP_PIECE) ? len - done : MAP_PIECE;
		struct acrn_vm_memmap map = {
			.type = ACRN_MEMMAP_RAM,
			.attr = ACRN_MEM_ACCESS_RWX,
			.user_vm_pa = gpa + done,
			.vma_base = ptr(vma) + done,
			.len = piece,
		};

		if (call(hsm, ACRN_IOCTL_SET_MEMSEG, ptr(&map), "SET_MEMSEG",
			    "the Service VM has too little memory, or too few huge pages") < 0) {
			return -1;
		}
		done += piece;
	}
	return 0;
}

int hsm_set_entry(struct hsm *hsm, const struct vm_entry *entry)
{
	struct acrn_vcpu_regs regs;
	struct acrn_regs *r = &regs.vcpu_regs;

	memset(&regs, 0, sizeof(regs));
	r->gprs.rax = entry->rax;
	r->gprs.rbx = entry->rbx;
	r->gprs.rsi = entry->rsi;
	r->gprs.rsp = entry->rsp;
	r->rip = entry->rip;
	r->cr0 = entry->cr0;
	r->gdt.base = entry->gdt_base;
	r->gdt.limit = entry->gdt_limit;
	r->cs_ar = entry->cs_ar;
	r->cs_limit = 0xFFFFFFFFU;
	r->cs_sel = entry->cs_sel;
	r->ss_sel = entry->data_sel;
	r->ds_sel = entry->data_sel;
	r->es_sel = entry->data_sel;
	r->fs_sel = entry->data_sel;
	r->gs_sel = entry->data_sel;
	return call(hsm, ACRN_IOCTL_SET_VCPU_REGS, ptr(&regs), "SET_VCPU_REGS", "");
}

int hsm_start(struct hsm *hsm)
{
	return call(hsm, ACRN_IOCTL_START_VM, 0UL, "START_VM", "");
}

int hsm_pause(struct hsm *hsm)
{
	return call(hsm, ACRN_IOCTL_PAUSE_VM, 0UL, "PAUSE_VM", "");
}

int hsm_create_client(struct hsm *hsm)
{
	return (call(hsm, ACRN_IOCTL_CREATE_IOREQ_CLIENT, 0UL, "CREATE_IOREQ_CLIENT", "") < 0) ? -1 : 0;
}

int hsm_wait(struct hsm *hsm)
{
	int ret = hsm->ioctl(hsm->fd, ACRN_IOCTL_ATTACH_IOREQ_CLIENT, 0UL);

	return (ret < 0 && errno != EINTR) ? failed("ATTACH_IOREQ_CLIENT", "") : 0;
}

int hsm_complete(struct hsm *hsm, uint32_t vcpu)
{
	struct acrn_ioreq_notify notify = {.vmid = hsm->vmid, .vcpu = vcpu};

	return call(hsm, ACRN_IOCTL_NOTIFY_REQUEST_FINISH, ptr(&notify), "NOTIFY_REQUEST_FINISH", "");
}

void hsm_irq_line(struct hsm *hsm, uint32_t gsi, bool high)
{
	uint64_t op = high ? IRQ_SET_HIGH : IRQ_SET_LOW;

	(void)call(hsm, ACRN_IOCTL_SET_IRQLINE, gsi | (op << 32U), "SET_IRQLINE", "");
}

int hsm_reset(struct hsm *hsm)
{
	if (hsm_pause(hsm) < 0 || call(hsm, ACRN_IOCTL_CLEAR_VM_IOREQ, 0UL, "CLEAR_VM_IOREQ", "") < 0) {
		return -1;
	}
	return call(hsm, ACRN_IOCTL_RESET_VM, 0UL, "RESET_VM", "");
}

void hsm_close(struct hsm *hsm)
{
	if (hsm->fd < 0) {
		return;
	}
	if (hsm->vcpu_num != 0U) {
		(void)hsm_pause(hsm);
		(void)hsm->ioctl(hsm->fd, ACRN_IOCTL_DESTROY_IOREQ_CLIENT, 0UL);
		(void)call(hsm, ACRN_IOCTL_DESTROY_VM, 0UL, "DESTROY_VM", "");
		hsm->vcpu_num = 0U;
	}
	(void)close(hsm->fd);
	hsm->fd = -1;
	free(hsm->slots);
	hsm->slots = NULL;
}
