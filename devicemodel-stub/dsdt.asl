/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Source of the bytes in dsdt_aml.h: iasl -tc dsdt.asl. \_S5 is the sleep type that dev_pm.c takes for power-off;
 * QEMU0001 is the device by which Linux reports a panic (CONFIG_PVPANIC_MMIO).
 */
DefinitionBlock ("", "DSDT", 2, "ARIL", "ARILVM", 1)
{
	Name (\_S5, Package () { 5, 5, 0, 0 })
	Scope (\_SB)
	{
		Device (PEVT)
		{
			Name (_HID, "QEMU0001")
			Name (_STA, 0x0F)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0520, 0x0520, 1, 1)
			})
		}
	}
}
