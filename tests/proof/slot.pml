/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The I/O request slot of one vCPU, from the guest's access to its end, with everything that can come in between.
 * run.py checks it, and that each -DBREAK_x below is found out; what a rule is good for stands where it can be broken.
 *
 * Modelled after hypervisor/{vhm,vcpu_thread,vcpu,sched,vm,vm_stop}.c and the comment in <public/acrn_common.h>.
 * Memory is sequentially consistent here: what a release or a fence forbids is a BREAK_ that swaps the two steps.
 * A lock is an atomic block. Active waiting is a blocking condition, so that a hang shows as a deadlock.
 *
 * Properties
 *   no lost wake-up, no deadlock   no state without a successor but: VM destroyed, or at rest with a dead Service VM
 *   right value                    what the guest gets is the answer to the request that it waits for
 *   once                           the device sees each request once; the guest gets each answer once
 *   freed page, freed vCPU         neither is touched after it was given back
 */
#ifndef REQUESTS
#define REQUESTS 2 /* of the guest, altogether */
#endif
#ifndef OPS
#define OPS 1 /* pauses and resets */
#endif
/* One of polling = true, looks = true, skip; and EVENT_KILL, EVENT_DEAD, EVENT_WAKE or none of them. */
#ifndef MODE
#define MODE if :: polling = true :: looks = true :: true fi
#endif

#define FREE       3
#define PENDING    0
#define COMPLETE   1
#define PROCESSING 2

mtype = {BLOCKED, RUNNABLE, RUNNING};         /* thread */
mtype = {OFF, CREATED, LIVE, PAUSED};         /* VM; LIVE is VM_RUNNING */
mtype = {IO_NONE, IO_PENDING, IO_DONE};       /* vcpu->io_state */

/* The page: shared. `value` is what the device model writes, `id` the request's contents. */
byte slot = FREE;
byte slot_id, slot_value;
bool off;              /* upcall_off */
bool page_freed;

/* The hypervisor's. */
mtype thread = BLOCKED;
bool wake_pending;
bool alive = true;     /* thread->run is not NULL */
bool pause_req, stop_req, kick;
mtype vm = CREATED;
mtype io = IO_NONE;
byte seen = FREE;
bool page_known = true; /* vm->ioreq_buf */
bool loaded;           /* the vCPU's state is in the CPU */
bool vcpu_freed;
bool upcall;           /* the Service VM's interrupt, latched */

/* The Service VM's. */
bool polling, looks;   /* completion_polling; the driver uses upcall_off */
bool client;           /* a request waits for the device model */
bool busy, hold;       /* the driver is looking at slots; it must not begin to (CLEAR_VM_IOREQ) */
bool in_hypercall;     /* the device model's thread is in the hypervisor, where no signal reaches it */
bool killed, dead;     /* device model; Service VM */

/* Only for the properties. */
byte ids, power_off;
bool acted[REQUESTS + 2], answered[REQUESTS + 2];

#define must_stand_still (pause_req || stop_req || vm != LIVE)
#define touch_page assert(page_known && !page_freed)
#define touch_vcpu assert(!vcpu_freed)

inline thread_wake() {
	atomic {
		if
#ifndef BREAK_WAKE_RETIRED /* a retired thread stays so, however late its waker comes */
		:: !alive -> skip
#endif
		:: else ->
			if
			:: thread == BLOCKED -> thread = RUNNABLE
#ifndef BREAK_WAKE_PENDING /* a thread that is just about to block must look again */
			:: thread == RUNNING -> wake_pending = true
#endif
			:: else
			fi
		fi
	}
}

inline kick_if_running() {
	if
	:: thread == RUNNING -> kick = true
	:: else
	fi
}

/* ---- The CPU that the vCPU's thread is on ---- */

inline insert_request() {
	d_step {
		touch_page;
		assert(slot == FREE);
		ids++;
		io = IO_PENDING;
		seen = PENDING;
#ifdef BREAK_LOOK_EARLY /* a full barrier is between the store of PENDING and the look at upcall_off */
		someone = off;
#endif
#ifdef BREAK_PENDING_FIRST /* PENDING is a store-release: the request is there before it */
		slot = PENDING
	}
	slot_id = ids;
#else
		slot_id = ids
	}
	slot = PENDING;
#endif
	d_step {
#ifndef BREAK_LOOK_EARLY
		someone = off;
#endif
		upcall = upcall || !someone;
		someone = false
	}
}

inline poll_slot() {
	d_step {
		touch_page;
		state = slot
	}
	if
	:: state == COMPLETE ->
		d_step {
			assert(slot_value == ids);
			assert(!answered[ids]);
			answered[ids] = true;
		}
		d_step {
#ifndef BREAK_NOT_FREED /* the slot is FREE before it is used again */
			slot = FREE;
#endif
#ifndef BREAK_TAKEN_TWICE /* taking the answer ends the wait */
			seen = FREE;
			io = IO_DONE;
#endif
			state = 0
		}
	:: state == PROCESSING || (state == PENDING && seen == PENDING) -> seen = state
	:: else -> assert(false)
	fi
}

active proctype cpu() {
	byte state;
	bool stay, someone;

end_idle:
	atomic {
		thread == RUNNABLE ->
		assert(alive);
		thread = RUNNING;
		wake_pending = false
	}
turn:
	if
	:: must_stand_still -> stay = false; goto put_back
	:: else
	fi;
	touch_vcpu;
	if
	:: io == IO_PENDING ->
		poll_slot();
		d_step {
			state = 0;
			kick = false /* arch_irq_window() */
		}
		if
		:: io != IO_PENDING || slot != seen || must_stand_still -> goto turn
#ifdef BREAK_POLLING_SLEEPS /* nobody wakes a polling VM's thread */
		:: polling && io == IO_PENDING -> stay = false; goto put_back
#endif
		:: !polling && io == IO_PENDING -> stay = false; goto put_back
		/* Somebody else wants the CPU. Not for ever, which would hide a hang. */
		:: io == IO_PENDING && ids == 1 -> stay = true; goto put_back
		fi
	:: io == IO_DONE -> /* emulate_io_post() */
		d_step {
			loaded = true;
			io = IO_NONE
		}
		goto turn
	:: else -> /* the guest runs */
		loaded = true;
		if
		:: kick -> kick = false
		:: ids < REQUESTS -> insert_request()
		:: ids < REQUESTS && power_off == 0 -> /* a triple fault: the device model hears of it by a power-off */
			d_step {
				touch_page;
				stop_req = true;
				slot = FREE;
				power_off = ids + 1
			}
			insert_request()
		fi;
		goto turn
	fi;
put_back:
#ifndef BREAK_LATE_UNLOAD /* nothing of it is in the CPU once it is not RUNNING */
	loaded = false;
#endif
	atomic {
		if
		:: stay || wake_pending -> thread = RUNNABLE
		:: else -> thread = BLOCKED
		fi
	}
#ifdef BREAK_LATE_UNLOAD
	loaded = false;
#endif
	goto end_idle
}

/* ---- Hypercalls ---- */

inline vm_pause() {
	pause_req = true;
	atomic {
		if
		:: alive && thread == RUNNABLE -> thread = BLOCKED
		:: else
		fi
	}
#ifndef BREAK_PAUSE_KICK /* a guest that never exits must leave its CPU all the same */
	kick_if_running();
#endif
#ifdef BREAK_PAUSE_ANSWERED /* a request whose device model is dead must not keep the VM from its end */
	io != IO_PENDING;
#endif
#ifndef BREAK_PAUSE_WAIT /* pause is over when the thread is off its CPU, not when it was asked to go */
	atomic { thread != RUNNING -> thread = BLOCKED }
#endif
	vm = PAUSED
}

inline orphan_check() {
#ifndef BREAK_ORPHAN /* a VM that starts while its Service VM dies must not be left running */
	if
	:: dead -> stop_req = true
	:: else
	fi
#else
	skip
#endif
}

inline vm_go() { /* START_VM, of a new VM or of a paused one; a stopped one cannot go on */
	if
	:: vm == CREATED || (vm == PAUSED && !stop_req) ->
		vm = LIVE;
		orphan_check();
		pause_req = false;
#ifndef BREAK_RESUME_WAKE /* what came while it was paused made its thread run in vain */
		thread_wake()
#endif
	:: else
	fi
}

inline reset_slots() {
	if
	:: page_known ->
		touch_page;
#ifdef BREAK_RESET_ZERO /* a zeroed page reads PENDING */
		slot = PENDING;
#else
#ifndef BREAK_RESET_SLOT /* the old life's request is not the new one's */
		slot = FREE;
#endif
#endif
		d_step {
			slot_id = 0;
			slot_value = 0;
			off = false
		}
	:: else
	fi
}

inline vm_reset() {
	stop_req = false;
	reset_slots();
	d_step {
		io = IO_NONE;
		seen = FREE;
		pause_req = false
	}
	vm = CREATED
}

inline vm_destroy() {
	vm_pause();
	reset_slots();
	page_known = false;
	atomic {
#ifndef BREAK_PAUSE_WAIT
		thread != RUNNING ->
#endif
		thread = BLOCKED;
		alive = false
	}
	assert(!loaded);
	vcpu_freed = true;
	vm = OFF
}

/* ---- The Service VM ---- */

/* The driver looks at the slot and gives what it finds to the device model. */
inline look() {
	atomic { !hold || dead || page_freed -> busy = !(dead || page_freed) }
	if
	:: busy ->
		assert(!page_freed);
		if
		:: slot == PENDING ->
#ifndef BREAK_STILL_PENDING /* PROCESSING says that the request has been taken */
			slot = PROCESSING;
#endif
			client = true
		:: else
		fi;
		busy = false
	:: else
	fi
}

active proctype driver() {
end_wait:
	do
	:: upcall && !dead && !page_freed ->
		upcall = false;
		if
		:: looks ->
			assert(!page_freed || vm == OFF);
			off = true;
			look();
			off = false;
#ifndef BREAK_SECOND_LOOK /* a request that came while upcalls were off raised none */
			look()
#endif
		:: else -> look()
		fi
	od
}

/* One request, by a device. */
inline serve() {
	d_step {
		client = false;
		id = slot_id;
		assert(id == ids && !acted[id]);
		acted[id] = true
	}
	if
	:: id == power_off -> id = 0; goto end_of_vm
	:: else
	fi;
#ifdef BREAK_COMPLETE_FIRST /* COMPLETE is a store-release: the value is there before it */
	slot = COMPLETE;
	slot_value = id;
#else
#ifdef BREAK_NOTIFY_FIRST /* COMPLETE, then the notification */
	hypercall_notify();
#endif
	slot_value = id;
	d_step {
		slot = COMPLETE;
		id = 0
	}
#endif
#ifndef BREAK_NOTIFY_FIRST
	hypercall_notify();
#endif
}

inline hypercall_notify() {
	if
	:: !polling -> thread_wake()
	:: else
	fi
}

inline pause_and_go() {
	in_hypercall = true;
	vm_pause();
	in_hypercall = false;
	in_hypercall = true;
	vm_go();
	in_hypercall = false
}

/* The reset by a device model: nothing of the old life may be in the Service VM's hands when slots become FREE. */
inline start_again() {
	in_hypercall = true;
	vm_pause();
	in_hypercall = false;
	hold = true;
#ifndef BREAK_RESET_BUSY
	!busy;
#endif
#ifndef BREAK_RESET_CLIENT
	client = false;
#endif
	in_hypercall = true;
	vm_reset();
	in_hypercall = false;
	hold = false;
	in_hypercall = true;
	vm_go();
	in_hypercall = false
}

active proctype device_model() {
	byte id, ops = OPS;

	MODE;
	{
		in_hypercall = true;
		vm_go();
		in_hypercall = false;
again:
		do
		:: client -> serve()
		:: ops > 0 && !client -> ops--; pause_and_go()
		:: ops > 0 && !client -> ops--; start_again()
		:: ops > 0 -> ops = 0
		/* The guest has done its work. */
		:: ids == REQUESTS && io == IO_NONE && !stop_req && !client -> goto release
		od;
end_of_vm:
		if
		:: ops > 0 -> ops--; start_again(); goto again
		:: true
		fi;
release:
		skip
	} unless { (killed || dead) && !in_hypercall };
	/* Whoever closes the file, or died: the driver destroys the VM and gives the page back. */
	if
	:: dead -> skip
	:: else ->
#ifdef BREAK_PAGE_EARLY /* the page is the hypervisor's until DESTROY_VM is over */
		atomic { !busy -> page_freed = true }
		vm_destroy()
#else
		vm_destroy();
		atomic { !busy -> page_freed = true }
#endif
	fi
}

/* ---- What comes from outside ---- */

/* The Service VM dies: vm_stop.c, on one of its CPUs. */
inline service_dies() {
	dead = true;
	if
	:: vm == LIVE ->
		stop_req = true;
		thread_wake();
#ifndef BREAK_STOP_KICK /* a guest that never exits stops with its Service VM, too */
		kick_if_running()
#endif
	:: else
	fi
}

active proctype outside() {
	if
	:: true
#if defined(EVENT_KILL)
	:: killed = true
#elif defined(EVENT_DEAD)
	:: service_dies()
#elif defined(EVENT_WAKE)
	/* An interrupt for the vCPU, a timer of its former life, a notification that nobody asked for. */
	/* (An option that began with an if would share its else with the other options.) */
	:: true -> thread_wake(); kick_if_running()
#endif
	fi
}
