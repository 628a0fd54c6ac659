/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Processes: what each one executes, recorded as it happens. Each event is taken from
 * tp_btf and from the classic tracepoint with the same idempotent body: from kernel 7.2
 * on tp_btf alone loses some.
 */
#pragma once
#include "identity.h"


/* What is too large for the stack. It is not one for each processor: from 7.2 on whatever
 * runs at a tracepoint may be interrupted there by the same for another process. */
#define SCRATCHES 32
struct scratch {
	__u32 busy, pad;
	struct exec_event exec;
	struct args_event args;
};
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, SCRATCHES); __type(key, __u32); __type(value, struct scratch); } scratches SEC(".maps");

static __always_inline struct scratch *take_scratch(__u32 *which)
{
	__u32 first = bpf_get_smp_processor_id() * 2;
	for (__u32 i = 0; i < SCRATCHES; i++) {
		*which = (first + i) & (SCRATCHES - 1);
		struct scratch *s = bpf_map_lookup_elem(&scratches, which);
		if (s && __sync_val_compare_and_swap(&s->busy, 0, 1) == 0)
			return s;
	}
	count(LOST_EVENTS);
	return 0;
}

/* Writes the names on the way from what the current task executes, or the folder that it is
 * in, up to the root of its mount tree, leaf first. State is kept in the map value, not in
 * registers: the verifier then sees the same state each round and prunes; a function of its
 * own goes through it once. */
__noinline int name_path(int of_folder, __u32 which)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct scratch *s = bpf_map_lookup_elem(&scratches, &which);
	if (!s)
		return 0;
	struct exec_event *e = &s->exec;
	struct dentry *d = of_folder ? BPF_CORE_READ(t, fs, pwd.dentry) : BPF_CORE_READ(t, mm, exe_file, f_path.dentry);
	struct vfsmount *vm = of_folder ? BPF_CORE_READ(t, fs, pwd.mnt) : BPF_CORE_READ(t, mm, exe_file, f_path.mnt);
	if (!d || !vm)
		return 0;
	struct mount *m = (void *)vm - bpf_core_field_offset(struct mount, mnt);
	for (int i = 0; i < 40; i++) {
		struct dentry *root = BPF_CORE_READ(m, mnt.mnt_root);
		struct dentry *up = BPF_CORE_READ(d, d_parent);
		if (d == root || d == up) {
			struct mount *pm = BPF_CORE_READ(m, mnt_parent);
			if (pm == m || d != root)
				break;
			d = BPF_CORE_READ(m, mnt_mountpoint);
			m = pm;
			continue;
		}
		__u32 off = e->dir_len;
		if (off >= NAMES)
			break;
		long n = bpf_probe_read_kernel_str(&e->names[off & (NAMES - 1)], 256, BPF_CORE_READ(d, d_name.name));
		if (n <= 0)
			break;
		e->dir_len = off + n;
		d = up;
	}
	return 0;
}

static __always_inline void executed(struct task_struct *t, const char *filename)
{
	struct process p = {};
	__u32 which, tgid = t->tgid;
	if (executable_of(t, &p.exe))
		return;
	p.start = t->group_leader->start_boottime;
	p.exec_id = t->self_exec_id;
	struct process *old = bpf_map_lookup_elem(&processes, &tgid);
	if (old && old->start == p.start && old->exec_id == p.exec_id && same_file(&old->exe, &p.exe))
		return; /* told already */
	bpf_map_update_elem(&processes, &tgid, &p, BPF_ANY);

	struct scratch *s = take_scratch(&which);
	if (!s)
		return;
	struct exec_event *e = &s->exec;
	struct args_event *a = &s->args;
	/* Arguments first: the execution that follows completes them. */
	a->head.kind = EVENT_ARGS;
	a->head.tgid = tgid;
	a->head.start = p.start;
	unsigned long from = t->mm->arg_start, len = t->mm->arg_end - from;
	a->truncated = len >= ARGS;
	if (len > ARGS - 1)
		len = ARGS - 1;
	len &= ARGS - 1;
	if (bpf_probe_read_user(a->args, len, (void *)from))
		len = 0;
	a->len = len;
	emit(a, offsetof(struct args_event, args) + len);

	struct task_struct *parent = t->real_parent;
	e->head.kind = EVENT_EXEC;
	e->head.tgid = tgid;
	e->head.start = p.start;
	e->parent = parent->tgid;
	e->parent_start = parent->group_leader->start_boottime;
	e->cgroup = bpf_get_current_cgroup_id();
	e->when = bpf_ktime_get_boot_ns();
	e->uid = (__u32)bpf_get_current_uid_gid();
	e->user_ns = t->cred->user_ns->ns.inum;
	e->exec_id = p.exec_id;
	e->exe = p.exe;
	struct file *f = t->mm->exe_file;
	e->deleted = f && f->f_inode && f->f_inode->i_nlink == 0;
	e->dir_len = 0;
	name_path(0, which);
	e->path_len = e->dir_len;
	name_path(1, which);
	e->name_len = 0;
	__u32 end = e->dir_len;
	if (filename && end < NAMES) {
		long n = bpf_probe_read_kernel_str(&e->names[end & (NAMES - 1)], 512, filename);
		if (n > 0)
			e->name_len = n;
	}
	__u32 size = (end + e->name_len) & (2 * NAMES - 1); /* the mask is for the verifier: never that long */
	emit(e, offsetof(struct exec_event, names) + size);
	*(volatile __u32 *)&s->busy = 0;
}

static __always_inline void exited(struct task_struct *t)
{
	if (t->signal->live.counter)
		return; /* other threads still run */
	__u32 tgid = t->tgid;
	struct process *p = bpf_map_lookup_elem(&processes, &tgid);
	__u64 start = t->group_leader->start_boottime;
	if (!p || p->start != start || bpf_map_delete_elem(&processes, &tgid))
		return;
	struct event e = { .kind = EVENT_EXIT, .tgid = tgid, .start = start };
	emit(&e, sizeof(e));
}

SEC("tp_btf/sched_process_exec") int BPF_PROG(on_exec, struct task_struct *t, int old_pid, struct linux_binprm *b)
{
	executed(t, b->filename);
	return 0;
}

SEC("tp/sched/sched_process_exec") int on_exec_classic(void *ctx)
{
	executed(bpf_get_current_task_btf(), 0);
	return 0;
}

SEC("tp_btf/sched_process_fork") int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	if (child->pid != child->tgid)
		return 0; /* a thread */
	__u32 from = parent->tgid, to = child->tgid;
	struct process *pp = bpf_map_lookup_elem(&processes, &from);
	if (!pp)
		return 0;
	struct process p = *pp;
	p.start = child->start_boottime;
	bpf_map_update_elem(&processes, &to, &p, BPF_ANY);
	struct fork_event e = { .head = { .kind = EVENT_FORK, .tgid = to, .start = p.start }, .parent = from, .parent_start = pp->start };
	emit(&e, sizeof(e));
	return 0;
}

SEC("tp_btf/sched_process_exit") int BPF_PROG(on_exit, struct task_struct *t)
{
	exited(t);
	return 0;
}

SEC("tp/sched/sched_process_exit") int on_exit_classic(void *ctx)
{
	exited(bpf_get_current_task_btf());
	return 0;
}

/* Processes that run already when the service starts for the first time. */
SEC("iter/task") int each_task(struct bpf_iter__task *ctx)
{
	struct task_struct *t = ctx->task;
	if (!t || t->pid != t->tgid)
		return 0;
	struct process p = { .start = t->start_boottime, .exec_id = t->self_exec_id };
	struct task_record r = {};
	if (executable_of(t, &p.exe))
		return 0;
	r.tgid = t->tgid;
	r.start = p.start;
	r.parent = t->real_parent->tgid;
	r.parent_start = t->real_parent->group_leader->start_boottime;
	r.uid = t->cred->uid.val;
	r.user_ns = t->cred->user_ns->ns.inum;
	struct process *old = bpf_map_lookup_elem(&processes, &r.tgid);
	if (old && old->start == p.start)
		p = *old; /* what was recorded at exec counts */
	else
		bpf_map_update_elem(&processes, &r.tgid, &p, BPF_ANY);
	r.exe = p.exe;
	r.exec_id = p.exec_id;
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}

/* The identities of the files that the service holds open: those of programs that have
 * yet to run, as the kernel will see them. stat() says something else on btrfs and overlays. */
__u32 identify_tgid = 0;

SEC("iter/task_file") int each_file(struct bpf_iter__task_file *ctx)
{
	struct task_struct *t = ctx->task;
	struct file *f = ctx->file;
	struct file_record r = { .fd = ctx->fd };
	if (!t || !f || t->pid != identify_tgid)
		return 0;
	if (!executable_of_file(f, &r.exe))
		bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}

/* Sockets that were open before. */
SEC("iter/task_file") int each_socket(struct bpf_iter__task_file *ctx)
{
	struct task_struct *t = ctx->task;
	struct file *f = ctx->file;
	if (!t || !f)
		return 0;
	struct socket *s = (struct socket *)bpf_sock_from_file(f);
	if (!s)
		return 0;
	struct sock *sk = s->sk;
	if (!sk)
		return 0;
	__u16 family = sk->__sk_common.skc_family;
	if (family != 2 && family != 10)
		return 0;
	struct socket_record r = {};
	__u32 tgid = t->tgid;
	struct process *p = bpf_map_lookup_elem(&processes, &tgid);
	if (!p)
		return 0;
	r.owner.exe = p->exe;
	r.owner.start = p->start;
	r.owner.exec_id = p->exec_id;
	r.owner.tgid = tgid;
	r.owner.uid = t->cred->uid.val;
	r.owner.cookie = bpf_get_socket_cookie(sk);
	r.cgroup = BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn, id);
	r.state = sk->__sk_common.skc_state;
	r.protocol = sk->sk_protocol;
	r.local_port = sk->__sk_common.skc_num;
	r.port = bpf_ntohs(sk->__sk_common.skc_dport);
	if (family == 10) {
		BPF_CORE_READ_INTO(&r.address, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
	} else {
		__u32 ip = sk->__sk_common.skc_daddr;
		r.address[10] = r.address[11] = 0xff;
		__builtin_memcpy(r.address + 12, &ip, 4);
	}
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}
