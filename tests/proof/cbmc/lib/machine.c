/* SPDX-License-Identifier: BSD-3-Clause */
/* What is around the code under proof and does nothing for it. */
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/stats.h>
#include <hv/trace.h>
#include <hv/upcall.h>

struct hv_counters hv_counters;
uint32_t trace_classes = TRACE_ALL;

void log_line(enum log_level level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

void log_guest(uint16_t vm_id, uint16_t vcpu_id, const char *fmt, ...)
{
	(void)vm_id;
	(void)vcpu_id;
	(void)fmt;
}

void panic(const char *fmt, ...)
{
	(void)fmt;
	PROVE(!"panic");
	ASSUME(false);
}

void vcpu_fatal(struct acrn_vcpu *vcpu, const char *fmt, ...)
{
	(void)vcpu;
	(void)fmt;
}

void trace_record(uint32_t id, uint16_t who, uint32_t arg, uint64_t a, uint64_t b)
{
	(void)id;
	(void)who;
	(void)arg;
	(void)a;
	(void)b;
}
