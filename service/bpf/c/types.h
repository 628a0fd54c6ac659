/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What passes between the programs and the service; bpf2go makes the Go types from
 * these, so they are written once.
 */
#pragma once
#include "kernel.h"

enum verdict { ASK = 0, ALLOW = 1, BLOCK = 2, DEPENDS = 3 };

/* The identity of a program file: a path is never one. */
struct executable {
	__u64 inode;
	__s64 ctime;
	__u32 ctime_nano;
	__u32 device;
	__u32 generation;
	__u32 pad;
};

struct process {
	__u64 start;   /* group leader's start_boottime, ns */
	__u64 exec_id; /* task_struct.self_exec_id: tells two executions of one file apart */
	struct executable exe;
};

enum owner_flag {
	OWNER_MISMATCH = 1, /* what runs is not what was recorded at exec */
	OWNER_UNKNOWN = 2,  /* nothing was recorded at exec */
	OWNER_FOREIGN = 4,  /* in another network namespace: nothing there can hold a packet */
	OWNER_MISSING = 8,  /* the socket has no owner here */
};

/* Who used a socket last, and for whom it last asked. */
struct owner {
	struct executable exe;
	__u64 start;
	__u64 cookie;
	__u32 tgid, uid;
	__u32 flags;
	__u16 port; /* last destination reported */
	__u8 protocol;
	__u8 shown; /* and the verdict that was reported */
	__u8 address[16];
	__u32 exec_id; /* which execution: a process may run one file twice, with other scripts */
	__u32 pad;
};

/* A socket, with the payload that went through it: a flow's figures. */
struct socket_state {
	struct owner owner;
	__u64 sent, received; /* bytes */
};

/* What is known of a program; stale unless its generation is the current one. */
struct program {
	__u64 generation;
	__u64 id; /* subject of its exact decisions */
	__u32 verdict;
	__u32 per_process; /* its rules look at the process: the subject is the process */
};

/* Whom an exact decision is about: {program id, 0}, {tgid and exec_id, start} or {cookie, ~0}. */
struct subject { __u64 a, b; };

/* address, port and protocol zero: the verdict for the whole subject */
struct exact_key {
	struct subject subject;
	__u8 address[16]; /* IPv4 as ::ffff:a.b.c.d */
	__u16 port;
	__u8 protocol;
	__u8 pad[5];
};
struct exact { __u64 generation; __u32 verdict; __u32 pad; };

/* The first bytes of a packet, its transport checksum zeroed: the packet is the key
 * under which its owner waits for the service. */
#define HEAD 64
struct head { __u8 bytes[HEAD]; };

struct query { __u8 server[16]; __u16 client_port; __u16 id; };

enum control_flag { SCOPE_ALL = 1 };
struct control {
	__u64 generation;
	__u64 netns; /* cookie of the network namespace whose packets can be held */
	__u32 fallback; /* verdict for a program that is not in `programs` */
	__u32 flags;
};

enum event_kind { EVENT_EXEC = 1, EVENT_ARGS, EVENT_FORK, EVENT_EXIT, EVENT_FLOW, EVENT_CLOSE };

struct event { __u32 kind, tgid; __u64 start; };
#define NAMES 2048
struct exec_event {
	struct event head;
	__u64 parent_start, cgroup, when, exec_id;
	__u32 parent, uid, deleted;
	__u32 path_len, dir_len, name_len;
	struct executable exe;
	__u8 names[2 * NAMES]; /* path and dir leaf first, NUL separated, then the file name given to execve */
};
#define ARGS 2048
struct args_event { struct event head; __u32 len, truncated; __u8 args[ARGS]; };
struct fork_event { struct event head; __u64 parent_start; __u32 parent, pad; };
struct flow_event {
	struct event head;
	__u64 when;
	struct owner owner;
	__u16 port;
	__u8 protocol, verdict;
	__u8 address[16];
	__u32 pad;
};
struct close_event { struct event head; __u64 cookie, when, sent, received; };

/* what the iterators write */
struct task_record {
	struct executable exe;
	__u64 start, parent_start, cgroup;
	__u32 tgid, parent, uid, exec_id;
};
struct file_record {
	struct executable exe;
	__u32 fd, pad;
};
struct socket_record {
	struct owner owner;
	__u64 cgroup;
};

enum counter { LOST_EVENTS, MISMATCHES, UNKNOWN_PROCESSES, SOCKETS_FULL, FOREIGN_REFUSED, COUNTERS };
