/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The User VM's console on our own standard input and output. Lines may be marked with the VM's name. Output is
 * gathered and written at the end of a line, or when term_flush() finds it waiting.
 */
#ifndef DEVICEMODEL_LINUX_TERM_H
#define DEVICEMODEL_LINUX_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct term {
	int in, out; /* file descriptors; in is -1 when there is no input */
	bool prefix;
	bool raw;      /* the terminal was switched and must be switched back */
	bool at_start; /* of a line */
	bool escape;   /* Ctrl-A was typed */
	char name[24];
	char buf[512];
	size_t used;
};

/**
 * @param prefix mark each line with "[name] "; then standard input is read only if `input`
 */
void term_init(struct term *c, const char *name, bool prefix, bool input);
/** Gives the terminal back as it was. From any thread or an exit handler. */
void term_restore(struct term *c);
void term_put(struct term *c, uint8_t byte);
/** Writes what has gathered. */
void term_flush(struct term *c);

enum term_key {
	TERM_BYTE,    /* *byte is for the guest */
	TERM_NOTHING, /* nothing now */
	TERM_QUIT,    /* the user typed Ctrl-A x */
	TERM_EOF,
};

/** Reads one byte of input (which poll(2) said is there). */
enum term_key term_get(struct term *c, uint8_t *byte);

#endif
