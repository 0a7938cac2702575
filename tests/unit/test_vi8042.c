/* SPDX-License-Identifier: BSD-3-Clause */
/* The keyboard controller without a keyboard. */
#include <dm/vi8042.h>

#include "unit.h"

static struct vi8042 kbc;

static uint8_t ask(uint8_t command)
{
	EXPECT(!vi8042_write_command(&kbc, command));
	EXPECT_EQ(vi8042_read_status(&kbc) & 1U, 1U);
	return vi8042_read_data(&kbc);
}

TEST(vi8042_probe)
{
	vi8042_init(&kbc);
	EXPECT_EQ(vi8042_read_status(&kbc), 0x14U);
	EXPECT_EQ(ask(0xAAU), 0x55U);
	EXPECT_EQ(vi8042_read_status(&kbc), 0x1CU);
	EXPECT_EQ(ask(0x20U), 0x34U);
	EXPECT(!vi8042_write_command(&kbc, 0x60U));
	EXPECT(!vi8042_write_data(&kbc, 0x47U));
	EXPECT_EQ(ask(0x20U), 0x47U);
	EXPECT_EQ(ask(0xABU), 0U);
	EXPECT_EQ(ask(0xA9U), 1U);
	EXPECT(!vi8042_write_command(&kbc, 0xADU));
	EXPECT(!vi8042_write_command(&kbc, 0xA7U));
	EXPECT_EQ(ask(0x20U), 0x77U);
	EXPECT(!vi8042_write_command(&kbc, 0xAEU));
	EXPECT(!vi8042_write_command(&kbc, 0xA8U));
	EXPECT_EQ(ask(0x20U), 0x47U);
	EXPECT(!vi8042_write_command(&kbc, 0x7FU)); /* its RAM */
	EXPECT(!vi8042_write_data(&kbc, 0x12U));
	EXPECT_EQ(ask(0x3FU), 0x12U);
	/* Loops: what comes back from the second port's is not marked as the second port's. */
	EXPECT(!vi8042_write_command(&kbc, 0xD3U));
	EXPECT(!vi8042_write_data(&kbc, 0x5AU));
	EXPECT_EQ(vi8042_read_status(&kbc) & 0x21U, 1U);
	EXPECT(vi8042_irq(&kbc));
	EXPECT_EQ(vi8042_read_data(&kbc), 0x5AU);
	EXPECT(!vi8042_irq(&kbc));
	/* No keyboard, no mouse. */
	EXPECT(!vi8042_write_data(&kbc, 0xFFU));
	EXPECT_EQ(vi8042_read_status(&kbc) & 0x61U, 0x41U);
	EXPECT(!vi8042_write_command(&kbc, 0xD4U));
	EXPECT(!vi8042_write_data(&kbc, 0xFFU));
	EXPECT_EQ(vi8042_read_status(&kbc) & 0x61U, 0x61U);
	(void)vi8042_read_data(&kbc);
	EXPECT_EQ(vi8042_read_status(&kbc) & 0x61U, 0U);
}

TEST(vi8042_a20_and_reset)
{
	vi8042_init(&kbc);
	EXPECT_EQ(ask(0xD0U) & 3U, 3U);
	EXPECT(!vi8042_write_command(&kbc, 0xDDU));
	EXPECT_EQ(ask(0xD0U) & 3U, 1U);
	EXPECT(!vi8042_write_command(&kbc, 0xD1U));
	EXPECT(!vi8042_write_data(&kbc, 0xDFU));
	EXPECT_EQ(ask(0xD0U), 0xDFU);
	EXPECT(!vi8042_write_command(&kbc, 0xD1U));
	EXPECT(vi8042_write_data(&kbc, 0xDEU));
	EXPECT(vi8042_write_command(&kbc, 0xFEU));
	EXPECT(!vi8042_write_command(&kbc, 0xFDU));
	EXPECT(!vi8042_write_port92(&kbc, 0U));
	EXPECT_EQ(kbc.port92, 0U);
	EXPECT(!vi8042_write_port92(&kbc, 2U));
	EXPECT(vi8042_write_port92(&kbc, 3U));
	EXPECT(!vi8042_write_port92(&kbc, 3U)); /* only when it rises */
	/* Any byte, anywhere: nothing but a reset or not. */
	for (uint32_t i = 0U; i < 0x10000U; i++) {
		if (!vi8042_write_command(&kbc, (uint8_t)i)) {
			EXPECT(!vi8042_write_data(&kbc, (uint8_t)(i >> 8U) | 1U));
		}
	}
}
