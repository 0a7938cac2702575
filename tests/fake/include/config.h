/* SPDX-License-Identifier: BSD-3-Clause */
/* The limits that unit tests run with (the product's are made from Kconfig). */
#ifndef CONFIG_H
#define CONFIG_H

#define CONFIG_MAX_PCPU_NUM 64U
#define CONFIG_MAX_VM_NUM 8U
#define CONFIG_MAX_VCPUS_PER_VM 16U
#define CONFIG_STACK_SIZE 16384U
#define CONFIG_HV_POOL_MB 0U
#define CONFIG_LOG_BUF_SIZE 131072U
#define CONFIG_LOG_LEVEL_SERIAL 2U
#define CONFIG_LOG_LEVEL_SCREEN 2U
#define CONFIG_LOG_LEVEL_MEMORY 3U
#define CONFIG_LOG_GUEST_PER_SECOND 10U
#define CONFIG_DEBUG 1
#define CONFIG_SERIAL_PIO_BASE 0x3F8U
#define CONFIG_MAX_GSI 120U
#define CONFIG_MAX_IOAPIC_NUM 8U
#define CONFIG_AP_START_TIMEOUT_MS 500U

#endif
