/* SPDX-License-Identifier: BSD-3-Clause */
/* The two legacy 8259 interrupt controllers: kept silent. */
#ifndef ASM_PIC_H
#define ASM_PIC_H

#include <lib/util.h>

/** Moves both off the exception vectors and masks all their lines. */
void pic_disable(void);

/** @return true if `vector` is one where a spurious 8259 interrupt would arrive */
bool pic_is_vector(uint32_t vector);

#endif
