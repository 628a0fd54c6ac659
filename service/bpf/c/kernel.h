/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The few fields of kernel structures that we read. CO-RE finds their real offsets on
 * the machine that runs us, so this stands in for a whole vmlinux.h.
 */
#pragma once
#include <linux/types.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct { int counter; } atomic_t;
struct super_block { __u32 s_dev; };
struct inode {
	unsigned long i_ino;
	__u32 i_generation;
	struct super_block *i_sb;
	unsigned int i_nlink;
};
struct timespec64 { __s64 tv_sec; long tv_nsec; };
/* struct inode keeps its change time in three ways: up to 6.5, 6.6 to 6.10, from 6.11 on */
struct inode___to65 { struct timespec64 i_ctime; };
struct inode___to610 { struct timespec64 __i_ctime; };
struct inode___now { __s64 i_ctime_sec; __u32 i_ctime_nsec; };

struct qstr { const unsigned char *name; };
struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};
struct vfsmount { struct dentry *mnt_root; };
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};
struct path { struct vfsmount *mnt; struct dentry *dentry; };
struct file { struct path f_path; struct inode *f_inode; };
struct fs_struct { struct path pwd; };
struct mm_struct { struct file *exe_file; unsigned long arg_start, arg_end; };
struct signal_struct { atomic_t live; };
struct linux_binprm { const char *filename; };
struct ns_common { unsigned int inum; };
struct user_namespace { struct ns_common ns; };
struct cred { struct { __u32 val; } uid; struct user_namespace *user_ns; };
struct task_struct {
	int pid, tgid;
	struct task_struct *group_leader, *real_parent;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct signal_struct *signal;
	const struct cred *cred;
	__u64 start_boottime;
	__u64 self_exec_id;
};
struct kernfs_node { __u64 id; };
struct cgroup { struct kernfs_node *kn; };
struct sock_cgroup_data { struct cgroup *cgroup; };
struct in6_addr { union { __u8 u6_addr8[16]; } in6_u; };
typedef struct { __s64 counter; } atomic64_t;
struct sock_common {
	atomic64_t skc_cookie;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	__be16 skc_dport;
	__u16 skc_num;
	__be32 skc_daddr;
	struct in6_addr skc_v6_daddr;
};
struct sock { struct sock_common __sk_common; struct sock_cgroup_data sk_cgrp_data; __u16 sk_protocol; __u8 sk_shutdown; __u8 sk_kern_sock : 1; };
struct tcp_sock { bool is_mptcp; __u8 repair : 1; };
struct socket { struct sock *sk; };
struct seq_file;
struct bpf_iter_meta { struct seq_file *seq; };
struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; };
struct bpf_iter__task_file { struct bpf_iter_meta *meta; struct task_struct *task; __u32 fd; struct file *file; };

#pragma clang attribute pop
