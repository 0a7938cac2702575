/* SPDX-License-Identifier: BSD-3-Clause */
/* The Linux program over a fake /dev/acrn_hsm: the order of its calls, the requests, the ends, the console. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../../devicemodel-stub/linux/host.h"
#include "../../devicemodel-stub/linux/vm_run.h"

#define KERNEL_SIZE 0x1200U

struct step {
	uint16_t port;
	bool write;
	uint32_t size, value;
};

static struct vm_run run;
static struct acrn_io_request page[ACRN_IO_REQUEST_MAX] __attribute__((aligned(4096)));
static uint8_t kernel[KERNEL_SIZE];
static char calls[8192];
static const struct step *script;
static uint32_t script_at, script_len, busy;
static uint32_t answers[64];
static struct acrn_vcpu_regs regs;
static uint64_t mapped;

static void note(const char *what)
{
	strncat(calls, what, sizeof(calls) - strlen(calls) - 1U);
	strncat(calls, " ", sizeof(calls) - strlen(calls) - 1U);
}

static void next_request(void)
{
	const struct step *s;

	if (script_at == script_len) {
		return;
	}
	s = &script[script_at];
	page[0].type = ACRN_IOREQ_TYPE_PORTIO;
	page[0].reqs.pio_request.direction = s->write ? ACRN_IOREQ_DIR_WRITE : ACRN_IOREQ_DIR_READ;
	page[0].reqs.pio_request.address = s->port;
	page[0].reqs.pio_request.size = s->size;
	page[0].reqs.pio_request.value = s->value;
	page[0].processed = ACRN_IOREQ_STATE_PROCESSING;
}

static int fake_create(struct acrn_vm_creation *vm)
{
	note("create");
	if (busy > 0U) {
		busy--;
		errno = EBUSY;
		return -1;
	}
	EXPECT_EQ(vm->reserved0 | vm->reserved1, 0);
	EXPECT_EQ(vm->ioreq_buf, (uintptr_t)run.hsm.slots);
	vm->vmid = 1;
	vm->vcpu_num = (uint16_t)__builtin_popcountll(vm->cpu_affinity);
	return 0;
}

static int fake_ioctl(int fd, unsigned long request, uint64_t arg)
{
	void *p = (void *)(uintptr_t)arg;
	const struct acrn_vm_memmap *map = p;

	EXPECT_EQ(fd, 1000);
	switch (request) {
	case ACRN_IOCTL_CREATE_VM:
		return fake_create(p);
	case ACRN_IOCTL_SET_MEMSEG:
		EXPECT_EQ(map->user_vm_pa, mapped);
		EXPECT(map->vma_base % (2UL << 20U) == 0UL && map->len % (2UL << 20U) == 0UL);
		mapped += map->len;
		return 0;
	case ACRN_IOCTL_SET_VCPU_REGS:
		note("regs");
		memcpy(&regs, p, sizeof(regs));
		return 0;
	case ACRN_IOCTL_CREATE_IOREQ_CLIENT:
		note("client");
		return 1; /* the driver gives a number, not 0 */
	case ACRN_IOCTL_START_VM:
		note("start");
		return 0;
	case ACRN_IOCTL_PAUSE_VM:
		note("pause");
		return 0;
	case ACRN_IOCTL_CLEAR_VM_IOREQ:
		note("clear");
		page[0].processed = ACRN_IOREQ_STATE_COMPLETE;
		script_at++;
		return 0;
	case ACRN_IOCTL_RESET_VM:
		note("reset");
		page[0].processed = ACRN_IOREQ_STATE_FREE;
		return 0;
	case ACRN_IOCTL_ATTACH_IOREQ_CLIENT:
		if (script_at == script_len) {
			atomic_store(&run.stop, true); /* as if a signal came */
		}
		next_request();
		return 0;
	case ACRN_IOCTL_NOTIFY_REQUEST_FINISH:
		EXPECT_EQ(page[0].processed, ACRN_IOREQ_STATE_PROCESSING);
		answers[script_at++] = page[0].reqs.pio_request.value;
		page[0].processed = ACRN_IOREQ_STATE_FREE;
		return 0;
	case ACRN_IOCTL_SET_IRQLINE:
		note((arg >> 32U) == 0UL ? "high" : "low");
		EXPECT_EQ(arg & 0xFFFFFFFFUL, DM_IRQ_COM1);
		return 0;
	default:
		errno = ENOTTY;
		return -1;
	}
}

static void put(uint8_t *p, uint64_t value, uint32_t size)
{
	memcpy(p, &value, size);
}

static void make_kernel(void)
{
	memset(kernel, 0, sizeof(kernel));
	memcpy(kernel, "\177ELF\1\1\1", 7);
	put(kernel + 18, 3, 2);
	put(kernel + 24, 0x400000, 4);
	put(kernel + 28, 52, 4);
	put(kernel + 42, 32, 2);
	put(kernel + 44, 1, 2);
	put(kernel + 52, 1, 4);
	put(kernel + 56, 0x1000, 4);
	put(kernel + 64, 0x400000, 4);
	put(kernel + 68, 0x200, 4);
	put(kernel + 72, 0x1000, 4);
	put(kernel + 0x1000, 0x1BADB002, 4);
	put(kernel + 0x1008, 0U - 0x1BADB002U, 4);
}

/* Runs the program's middle with the requests of `steps`; its exit code. Standard output goes nowhere. */
static int serve(const struct step *steps, uint32_t count, bool no_reboot)
{
	int ret;

	memset(&run, 0, sizeof(run));
	memset(page, 0, sizeof(page));
	page[0].processed = ACRN_IOREQ_STATE_FREE;
	memset(answers, 0, sizeof(answers));
	calls[0] = '\0';
	script = steps;
	script_len = count;
	script_at = 0;
	mapped = 0;
	make_kernel();
	run.options = (struct vm_options){ .name = "T", .memory = 8UL << 20U, .affinity = 1, .prefix = true,
		.debug_exit = true, .no_reboot = no_reboot };
	run.image.kernel = (struct vm_image_file){ kernel, sizeof(kernel), NULL };
	run.hsm = (struct hsm){ .fd = 1000, .slots = page, .ioctl = fake_ioctl };
	run.wake_fd = eventfd(0, EFD_NONBLOCK);
	term_init(&run.console, "T", true, false);
	run.console.out = -1;
	ret = vm_run_setup(&run);
	if (ret == 0) {
		ret = vm_run_loop(&run);
	}
	(void)close(run.wake_fd);
	return ret;
}

TEST(dm_linux_runs_to_power_off)
{
	static const struct step steps[] = {
		{ 0x500, true, 4, 0x12345678 },
		{ 0x500, false, 2, 0 },
		{ 0x7000, false, 4, 0 },
		{ 0x404, true, 2, 0x3400 },
	};

	busy = 2;
	EXPECT_EQ(serve(steps, 4, false), 0);
	EXPECT(strcmp(calls, "create create create regs client start ") == 0);
	EXPECT_EQ(answers[1], 0x5678);
	EXPECT_EQ(answers[2], 0xFFFFFFFF);
	EXPECT_EQ(script_at, 3); /* the request that ended it was not answered */
	EXPECT_EQ(mapped, 8UL << 20U);
	EXPECT_EQ(regs.vcpu_id, 0);
	EXPECT_EQ(regs.vcpu_regs.rip, 0x400000);
	EXPECT_EQ(regs.vcpu_regs.gprs.rax, 0x2BADB002);
	EXPECT_EQ(regs.vcpu_regs.cr0, 0x31);
	EXPECT_EQ(regs.vcpu_regs.cs_ar, 0xC09B);
	EXPECT_EQ(regs.vcpu_regs.ss_sel, 0x10);
}

TEST(dm_linux_reboots)
{
	static const struct step steps[] = {
		{ 0x500, true, 4, 1 },
		{ 0xCF9, true, 1, 6 },
		{ 0x500, false, 4, 0 },
		{ 0x404, true, 2, 0x3400 },
	};

	EXPECT_EQ(serve(steps, 4, false), 0);
	EXPECT(strcmp(calls, "create regs client start pause clear reset regs start ") == 0);
	EXPECT_EQ(run.reboots, 1);
	EXPECT_EQ(serve(steps, 2, true), 3);
	EXPECT(strcmp(calls, "create regs client start ") == 0);
}

TEST(dm_linux_exit_codes)
{
	static const struct step crash[] = { { 0x404, true, 4, 0x80003400 } };
	static const struct step panic[] = { { 0x520, true, 1, 1 } };
	static const struct step code[] = { { 0xF4, true, 4, 9 } };

	EXPECT_EQ(serve(crash, 1, false), 4);
	EXPECT_EQ(serve(panic, 1, false), 5);
	EXPECT_EQ(serve(code, 1, false), 7);
	EXPECT_EQ(serve(NULL, 0, false), EXIT_SIGNAL);
}

TEST(dm_linux_interrupts_go_out_as_levels)
{
	static const struct step steps[] = {
		{ 0x3FC, true, 1, 0x0B },
		{ 0x3F9, true, 1, 0x02 },
		{ 0x3FA, false, 1, 0 },
		{ 0x404, true, 2, 0x3400 },
	};

	EXPECT_EQ(serve(steps, 4, false), 0);
	EXPECT(strcmp(calls, "create regs client start high low ") == 0);
	EXPECT_EQ(answers[2] & 0xF, 2);
}

TEST(dm_linux_console_marks_lines)
{
	char got[128] = "";
	int fds[2];
	struct term t;

	REQUIRE(pipe(fds) == 0);
	term_init(&t, "UVM1", true, false);
	t.out = fds[1];
	for (const char *p = "one\r\n\r\ntwo"; *p != '\0'; p++) {
		term_put(&t, (uint8_t)*p);
	}
	term_flush(&t);
	term_put(&t, '\n');
	EXPECT(read(fds[0], got, sizeof(got) - 1U) > 0);
	EXPECT(strcmp(got, "[UVM1] one\n\n[UVM1] two\n") == 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

TEST(dm_linux_sizes)
{
	EXPECT_EQ(host_parse_size("128M"), 128UL << 20U);
	EXPECT_EQ(host_parse_size("2g"), 2UL << 30U);
	EXPECT_EQ(host_parse_size("0x10K"), 16384);
	EXPECT_EQ(host_parse_size("128"), 0);
	EXPECT_EQ(host_parse_size("128MB"), 0);
	EXPECT_EQ(host_parse_size("-1M"), 0);
	EXPECT_EQ(host_parse_size(""), 0);
	EXPECT_EQ(host_parse_size("99999999999999999999G"), 0);
	EXPECT_EQ(host_parse_size("18446744073709551615G"), 0);
}

TEST(dm_linux_apic_ids)
{
	static const uint8_t madt[] = {
		[0] = 'A', [43] = 0,
		0, 8, 0, 4, 1, 0, 0, 0, /* id 4 */
		1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 8, 1, 6, 0, 0, 0, 0, /* disabled */
		9, 16, 0, 0, 0x2C, 1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, /* id 300 */
		0, 8, 3, 9, 1, 0, 0, /* cut off */
	};
	uint32_t id;

	EXPECT(host_madt_lapic_id(madt, sizeof(madt), 0, &id) && id == 4U);
	EXPECT(host_madt_lapic_id(madt, sizeof(madt), 1, &id) && id == 300U);
	EXPECT(!host_madt_lapic_id(madt, sizeof(madt), 2, &id) && id == 2U);
	EXPECT(!host_madt_lapic_id(madt, 0, 0, &id) && id == 0U);
}
