/* SPDX-License-Identifier: BSD-3-Clause */
/* A doubly linked ring. A head is a node that belongs to no element. */
#ifndef LIB_LIST_H
#define LIB_LIST_H

#include <lib/util.h>

struct list_head {
	struct list_head *next;
	struct list_head *prev;
};

/** Makes `head` an empty list (or `head` a node that is on no list). */
static inline void list_init(struct list_head *head)
{
	head->next = head;
	head->prev = head;
}

/** @return true if nothing is on the list (or the node is on no list). */
static inline bool list_is_empty(const struct list_head *head)
{
	return head->next == head;
}

/** Puts `node` directly before `pos`: at the tail when `pos` is the head. */
static inline void list_add_before(struct list_head *node, struct list_head *pos)
{
	node->prev = pos->prev;
	node->next = pos;
	pos->prev->next = node;
	pos->prev = node;
}

/** Takes `node` off its list and leaves it as a list of its own. */
static inline void list_del(struct list_head *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_entry(node, type, member) container_of(node, type, member)
#define list_for_each(pos, head)       for ((pos) = (head)->next; (pos) != (head); (pos) = (pos)->next)

#endif
