/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Who: the identity of an executable, recorded at exec and compared when it is used.
 */
#pragma once
#include "maps.h"

/* What tells files apart, but for the change time. */
static __always_inline int file_of_inode(struct inode *i, struct executable *e)
{
	if (!i)
		return -1;
	e->inode = i->i_ino;
	e->generation = i->i_generation;
	e->device = i->i_sb->s_dev;
	return 0;
}

static __always_inline int executable_of_file(struct file *f, struct executable *e)
{
	struct inode *i = f->f_inode;
	if (file_of_inode(i, e))
		return -1;
	if (bpf_core_field_exists(struct inode___now, i_ctime_sec)) {
		struct inode___now *n = (void *)i;
		e->ctime = BPF_CORE_READ(n, i_ctime_sec);
		e->ctime_nano = BPF_CORE_READ(n, i_ctime_nsec) & 0x3fffffff; /* 6.13+ keeps a flag in bit 31 */
	} else if (bpf_core_field_exists(struct inode___to610, __i_ctime)) {
		struct inode___to610 *n = (void *)i;
		e->ctime = BPF_CORE_READ(n, __i_ctime.tv_sec);
		e->ctime_nano = BPF_CORE_READ(n, __i_ctime.tv_nsec);
	} else {
		struct inode___to65 *n = (void *)i;
		e->ctime = BPF_CORE_READ(n, i_ctime.tv_sec);
		e->ctime_nano = BPF_CORE_READ(n, i_ctime.tv_nsec);
	}
	return 0;
}

static __always_inline struct file *file_that_runs(struct task_struct *t)
{
	struct mm_struct *mm = t->mm;
	return mm ? mm->exe_file : 0; /* a kernel thread has none */
}

static __always_inline int executable_of(struct task_struct *t, struct executable *e)
{
	struct file *f = file_that_runs(t);
	if (!f)
		return -1;
	return executable_of_file(f, e);
}

/* The change time is left out: it moves when a running program's file is unlinked or
 * renamed over, and the file that runs stays the same. */
static __always_inline bool same_file(const struct executable *a, const struct executable *b)
{
	return a->inode == b->inode && a->device == b->device && a->generation == b->generation;
}

/* Fills who the current task is. What mm->exe_file says alone can be faked by an
 * ordinary user with a user namespace, so what was recorded at exec counts. */
__noinline int current_owner(struct owner *o)
{
	if (!o)
		return 0;
	struct task_struct *t = bpf_get_current_task_btf();
	struct executable now = {};
	o->tgid = t->tgid;
	o->start = t->group_leader->start_boottime;
	o->uid = t->cred->uid.val; /* the helper is not for socket filters up to 6.12 */
	o->exec_id = t->self_exec_id;
	struct file *f = file_that_runs(t);
	if (!f || file_of_inode(f->f_inode, &now)) {
		o->flags |= OWNER_UNKNOWN;
		return 0;
	}
	__u32 tgid = t->tgid; /* Linux 6.1 takes no key out of an argument */
	struct process *p = bpf_map_lookup_elem(&processes, &tgid);
	if (p && p->start == o->start) {
		o->exe = p->exe;
		if (!same_file(&p->exe, &now)) {
			o->flags |= OWNER_MISMATCH;
			count(MISMATCHES);
		}
		return 0;
	}
	/* A lost fork event: the child runs what its parent was recorded to run. */
	__u32 parent = t->real_parent->tgid;
	p = bpf_map_lookup_elem(&processes, &parent);
	if (p && p->start == t->real_parent->group_leader->start_boottime && same_file(&p->exe, &now)) {
		o->exe = p->exe;
		return 0;
	}
	if (!executable_of_file(f, &now))
		o->exe = now;
	o->flags |= OWNER_UNKNOWN;
	count(UNKNOWN_PROCESSES);
	return 0;
}
