/* SPDX-License-Identifier: BSD-3-Clause */
/* Batteries of tests that a bare-metal Service VM runs on the hypercalls. */
#ifndef DEVICEMODEL_BAREMETAL_SVM_TESTS_H
#define DEVICEMODEL_BAREMETAL_SVM_TESTS_H

#include "uvm.h"

/**
 * Runs the battery `name` (life, states, arguments, pending, maps, cycles), or all of them but the last two.
 * @param u a User VM that is not created, whose kernel makes forwarded requests and then ends by itself
 */
void svm_tests(const char *name, struct uvm *u, uint32_t seconds, bool spin);

/** The battery `maps`: svm_maps.c. The kernel of `u` is the guest `maps`. */
void svm_test_maps(struct uvm *u, uint32_t seconds, bool spin);

/** The battery `cycles`: svm_cycles.c. The kernel of `u` is the guest `churn`. */
void svm_test_cycles(struct uvm *u);

#endif
