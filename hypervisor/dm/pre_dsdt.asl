/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Source of the bytes in pre_dsdt_aml.h: iasl -tc pre_dsdt.asl. What a pre-launched VM's ACPI tells of its devices.
 * \_S5 is the sleep type that dm/vpm.c takes for power-off. C1ST and C2ST are patched by vm_acpi_pre.c: 0 when the VM
 * doesn't have the serial port.
 */
DefinitionBlock ("", "DSDT", 2, "ARIL", "ARILPRE", 1)
{
	Name (\_S5, Package () { 5, 0, 0, 0 })
	Name (\C1ST, 0x0F)
	Name (\C2ST, 0x0F)
	Scope (\_SB)
	{
		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Method (_STA, 0, NotSerialized) { Return (\C1ST) }
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x03F8, 0x03F8, 0, 8)
				IRQNoFlags () { 4 }
			})
		}
		Device (COM2)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 2)
			Method (_STA, 0, NotSerialized) { Return (\C2ST) }
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x02F8, 0x02F8, 0, 8)
				IRQNoFlags () { 3 }
			})
		}
		Device (RTC)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0070, 0x0070, 0, 2)
				IRQNoFlags () { 8 }
			})
		}
	}
}
