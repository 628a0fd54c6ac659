/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#pragma once
#include "types.h"

struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(map_flags, BPF_F_NO_PREALLOC); __uint(max_entries, 131072); __type(key, __u32); __type(value, struct process); } processes SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(map_flags, BPF_F_NO_PREALLOC); __uint(max_entries, 65536); __type(key, struct executable); __type(value, struct program); } programs SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 65536); __type(key, struct exact_key); __type(value, struct exact); } exacts SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } shown_last SEC(".maps");
/* Those besides a socket's first. One that is pushed out is decided anew. */
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 65536); __type(key, struct conversation_key); __type(value, struct conversation); } conversations SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(map_flags, BPF_F_NO_PREALLOC); __uint(max_entries, 65536); __type(key, struct listener_key); __type(value, struct listener); } listeners SEC(".maps");
/* Sockets that MPTCP makes for itself: thread -> who connects where. */
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 1024); __type(key, __u32); __type(value, struct connect); } connecting SEC(".maps");
/* What the service let go from its queue: until when it passes, boot time in ns. */
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 16384); __type(key, struct conversation_key); __type(value, __u64); } let_go SEC(".maps");
/* What was told of as passing through: when something of it was seen last, boot time in ns. */
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 16384); __type(key, struct passage_key); __type(value, __u64); } passages SEC(".maps");
/* Connections that came about and have no socket of their own yet that is known. */
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 16384); __type(key, struct arrival_key); __type(value, struct arrival); } arrivals SEC(".maps");
/* Other network namespaces whose packets can be held too, by cookie. */
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(map_flags, BPF_F_NO_PREALLOC); __uint(max_entries, 1024); __type(key, __u64); __type(value, __u32); } namespaces SEC(".maps");
/* A hash cleared at release, not an LRU: that could evict the owner of a socket in use. */
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(map_flags, BPF_F_NO_PREALLOC); __uint(max_entries, 262144); __type(key, __u64); __type(value, struct socket_state); } sockets SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 32768); __type(key, struct head); __type(value, struct held_packet); } held SEC(".maps");
/* Packets that were held before then have been read from the queue; boot time in ns. */
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } read_until SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 8192); __type(key, struct query); __type(value, struct asker); } queries SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, struct control); } controls SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, struct frame_scope); } frame_scopes SEC(".maps");
/* When a frame of a packet socket was last told of as refused, by the socket's cookie. */
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 4096); __type(key, __u64); __type(value, __u64); } frames_told SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, COUNTERS); __type(key, __u32); __type(value, __u64); } counters SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4 << 20); } events SEC(".maps");

static __always_inline void count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&counters, &which);
	if (n)
		__sync_fetch_and_add(n, 1);
}

static __always_inline struct control *control(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&controls, &zero);
}

/* No wake-up: it would cost the program that connects 8-10 us. The service drains the
 * ring on a timer and before it judges any held packet. */
static __always_inline void *event_space(__u64 size)
{
	void *e = bpf_ringbuf_reserve(&events, size, 0);
	if (!e)
		count(LOST_EVENTS);
	return e;
}
#define emit(e, size) ({ if (bpf_ringbuf_output(&events, e, size, BPF_RB_NO_WAKEUP)) count(LOST_EVENTS); })

/* What new entries begin as: too large for the stack. Whoever finds one that is not filled
 * in yet finds that nothing is known. */
const struct socket_state new_socket = { .owner = { .flags = OWNER_UNKNOWN } };
const struct conversation new_conversation = {};
