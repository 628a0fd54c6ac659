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
	OWNER_KERNEL = 16,  /* the kernel itself */
	OWNER_FORWARDED = 32, /* another machine or namespace, through this one */
};

/* Who used a socket last. */
struct owner {
	struct executable exe;
	__u64 start;
	__u64 cookie;
	__u32 tgid, uid;
	__u32 flags;
	__u32 exec_id; /* which execution: a process may run one file twice, with other scripts */
};

enum direction { OUT = 0, IN = 1 };

/* What one socket says to one remote end: who began it, what was decided of it, for whom
 * and when, and what went through. It stands in for conntrack, whose word would be good
 * for every program that uses the same ports. */
struct conversation {
	__u8 address[16]; /* of the remote end; IPv4 as ::ffff:a.b.c.d */
	__u16 port;
	__u8 protocol; /* 0: there is none here */
	__u8 direction;
	__u32 exec_id; /* with start: which execution of which process it was decided for */
	__u64 start;
	__u64 stamp; /* generation, process and verdict in one word: see `remember` */
	__u64 sent, received; /* in bytes: payload of TCP and UDP, whole packets of the rest */
	__u64 packets_sent, packets_received;
	__u32 sent_to, received_to; /* sequence number of TCP up to which that is; 0: of nothing yet */
};

struct conversation_key {
	__u64 cookie;
	__u8 address[16];
	__u16 port;
	__u8 protocol;
	__u8 pad[5];
};

enum socket_flag {
	SOCKET_USED = 1,     /* somebody connected or sent with it */
	SOCKET_SEVERAL = 2,  /* it has more conversations than the first */
	SOCKET_RAW = 4,
	SOCKET_RELEASED = 8, /* its program closed it; what it had to send still goes */
	SOCKET_INNER = 16,   /* the kernel made it, for itself or for MPTCP: its end is not told */
	SOCKET_SAID_ALL = 32,  /* it sent its last segment */
	SOCKET_HEARD_ALL = 64, /* it got the other end's */
};

struct socket_state {
	struct owner owner;
	/* It asked a multicast or broadcast address: until then answers may come from anywhere. */
	__u64 asked_until;
	__u16 asked_port;
	__u16 port; /* under which it is in `listeners`; 0: it is not */
	__u32 flags;
	__u8 protocol, pad[7];
	__u64 inner; /* cookie of the socket by which MPTCP connects; 0: none */
	__u64 told;  /* when a packet of it was last told of as refused */
	struct conversation first;
};

/* A connect() that MPTCP is about to do with a socket of its own. */
struct connect {
	struct owner owner;
	__u8 address[16];
	__u16 port, pad[3];
};

/* A connection that has just come about at a listener: what comes next has a socket of its
 * own, and the listener may be gone by then. */
struct arrival_key {
	__u8 address[16]; /* of the remote end */
	__u16 port, local_port, pad[2];
};
struct arrival {
	struct owner owner; /* of the listener */
	__u64 received; /* payload that came with the handshake */
};

struct listener_key { __u16 port; __u8 protocol, pad; };

/* Who receives on a port. */
struct listener {
	struct owner owner;
	__u32 count;   /* sockets */
	__u32 several;
};
/* Whose sockets are on one port: which one a packet is for must be looked up, of several
 * processes of one program only if its rules tell them apart. */
enum several { PROGRAMS = 1, PROCESSES = 2 };

/* What is known of a program; stale unless its generation is the current one. */
struct program {
	__u64 generation;
	__u64 id; /* subject of its exact decisions */
	__u8 verdict[2]; /* by direction */
	__u8 per_process; /* its rules look at the process: the subject is the process */
	__u8 pad[5];
};

/* Whom an exact decision is about: {program id, 0}, {tgid and exec_id, start} or
 * {cookie, ~(start + exec_id)}. */
struct subject { __u64 a, b; };

/* address, port and protocol zero: the verdict for the whole subject in that direction.
 * The port is the remote end's for OUT and for a socket, our own for IN. */
struct exact_key {
	struct subject subject;
	__u8 address[16]; /* of the remote end; IPv4 as ::ffff:a.b.c.d */
	__u16 port;
	__u8 protocol;
	__u8 direction;
	__u8 pad[4];
};
struct exact { __u64 generation; __u32 verdict; __u32 pad; };

/* The first bytes of a packet, its transport checksum zeroed: the packet is the key
 * under which its owner waits for the service. */
#define HEAD 64
struct head { __u8 bytes[HEAD]; };
struct held_packet { struct owner owner; __u64 when; };

/* A lookup of a name: over UDP by its number, over TCP by its connection (the number is 0). */
struct query { __u8 server[16], client[16]; __u16 client_port; __u16 id; __u8 protocol, pad[3]; };
struct asker {
	struct owner owner;
	__u32 seq; /* of TCP: with which number it began */
	__u32 pad;
};

enum control_flag { SCOPE_ALL = 1, DHCP = 2 }; /* DHCP: root's client passes without being asked about */
struct control {
	__u64 generation;
	__u64 netns; /* cookie of the network namespace whose packets can be held */
	__u32 fallback; /* verdict for a program that is not in `programs` */
	__u32 flags;
	__u32 loopback; /* ALLOW: passes; DEPENDS: only exact decisions count; ASK: nothing special */
	__u32 pad;
};

/* Whose packet sockets are judged: those made in this control group and beneath it. */
struct frame_scope {
	__u64 cgroup; /* 0: all */
	__u32 level;  /* its depth below the root */
	__u32 pad;
};

enum event_kind { EVENT_EXEC = 1, EVENT_ARGS, EVENT_FORK, EVENT_EXIT, EVENT_FLOW, EVENT_CLOSE, EVENT_ACCEPT };

struct event { __u32 kind, tgid; __u64 start; };
#define NAMES 2048
struct exec_event {
	struct event head;
	__u64 parent_start, cgroup, when, exec_id;
	__u32 parent, uid, deleted;
	__u32 path_len, dir_len, name_len;
	__u32 user_ns, pad; /* inode number of the user namespace: who has one of their own can show any file at any path */
	struct executable exe;
	__u8 names[2 * NAMES]; /* path and dir leaf first, NUL separated, then the file name given to execve */
};
#define ARGS 2048
struct args_event { struct event head; __u32 len, truncated; __u8 args[ARGS]; };
struct fork_event { struct event head; __u64 parent_start; __u32 parent, pad; };
/* A flow that will not be seen in the queue; with ASK one that was refused since nothing
 * could hold it. */
struct flow_event {
	struct event head;
	__u64 when;
	struct owner owner;
	__u8 address[16];
	__u16 port, local_port;
	__u8 protocol, direction, verdict, pad;
};
struct accept_event {
	struct event head;
	__u64 when;
	struct owner owner; /* its cookie is the new socket's */
	__u64 listener;
	__u8 address[16];
	__u16 port, local_port;
	__u32 pad;
};
struct close_event {
	struct event head;
	__u64 cookie, when;
	__u64 sent, received, packets_sent, packets_received; /* of the first conversation */
	__u32 several, pad;
};

/* what the iterators write */
struct task_record {
	struct executable exe;
	__u64 start, parent_start, cgroup;
	__u32 tgid, parent, uid, exec_id, user_ns, pad;
};
struct file_record {
	struct executable exe;
	__u32 fd, pad;
};
/* A flow between others, through this machine. The verdict is ASK for a connection that the
 * service let through once. */
struct passage_key {
	__u8 address[16], source[16];
	__u16 port, source_port;
	__u8 protocol, verdict, pad[2];
};

struct socket_record {
	struct owner owner;
	__u64 cgroup;
	__u8 address[16]; /* of the remote end, if it is connected */
	__u16 port, local_port; /* remote, local */
	__u8 protocol, state, pad[2];
};

enum counter { LOST_EVENTS, MISMATCHES, UNKNOWN_PROCESSES, SOCKETS_FULL, FOREIGN_REFUSED, LAST_REFUSED, UNTOLD, COUNTERS };
