/* SPDX-License-Identifier: BSD-3-Clause */
/* Modules that are not under test: the console, the loader, the summary. */
#include "fake.h"

#include <dm/vuart.h>
#include <hv/console.h>
#include <hv/summary.h>
#include <hv/vm.h>
#include <hv/vm_console.h>
#include <hv/vm_load.h>

int32_t fake_load_result;
uint32_t fake_loads;

uint16_t console_port(void)
{
	return 0U;
}

void console_vm_putc(uint16_t vm_id, uint8_t c)
{
	(void)vm_id;
	(void)c;
}

void vm_console_register(uint16_t vm_id, const char *name, struct vuart *vuart)
{
	(void)vm_id;
	(void)name;
	(void)vuart;
}

void vm_console_unregister(uint16_t vm_id)
{
	(void)vm_id;
}

void summary_keep_vm(const struct acrn_vm *vm)
{
	(void)vm;
}

void summary_log(void)
{
}

void vm_load_reserve_modules(const struct acrn_vm *vm)
{
	(void)vm;
}

int32_t vm_load_image(struct acrn_vm *vm)
{
	(void)vm;
	fake_loads++;
	return fake_load_result;
}
