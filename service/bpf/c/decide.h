/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The kernel holds answers, the service makes them: a decision is looked up by
 * program, then by program (or process, or socket) and destination.
 */
#pragma once
#include "identity.h"

static __always_inline struct control *control(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&controls, &zero);
}

static __always_inline __u32 exact_verdict(struct exact_key *k, __u64 generation)
{
	struct exact *e = bpf_map_lookup_elem(&exacts, k);
	return e && e->generation == generation ? e->verdict : ASK;
}

static __always_inline __u32 decide(const struct owner *o, const __u8 *address, __u16 port, __u8 protocol)
{
	struct control *c = control();
	if (!c || o->flags & (OWNER_MISMATCH | OWNER_UNKNOWN))
		return ASK;
	struct exact_key k = {};
	struct program *p = bpf_map_lookup_elem(&programs, &o->exe);
	__u32 v = c->fallback;
	if (p && p->generation == c->generation) {
		v = p->verdict;
		k.subject.a = p->id;
		if (p->per_process) {
			k.subject.a = (__u64)o->exec_id << 32 | o->tgid;
			k.subject.b = o->start;
			v = exact_verdict(&k, c->generation);
		}
	}
	if (v == ALLOW || v == BLOCK)
		return v;
	__builtin_memcpy(k.address, address, 16);
	k.port = port;
	k.protocol = protocol;
	if (k.subject.a) {
		v = exact_verdict(&k, c->generation);
		if (v == ALLOW || v == BLOCK)
			return v;
	}
	k.subject.a = o->cookie; /* "once": this socket to this destination */
	k.subject.b = ~0ULL;
	return exact_verdict(&k, c->generation);
}

/* Tells the service of a flow that it will never see in its queue. */
static __always_inline void show_flow(struct owner *o, const __u8 *address, __u16 port, __u8 protocol, __u32 verdict)
{
	struct flow_event e = {};
	e.head.kind = EVENT_FLOW;
	e.head.tgid = o->tgid;
	e.head.start = o->start;
	e.when = bpf_ktime_get_boot_ns();
	e.owner = *o;
	e.port = port;
	e.protocol = protocol;
	e.verdict = verdict;
	__builtin_memcpy(e.address, address, 16);
	emit(&e, sizeof(e));
}

static __always_inline bool same_destination(const struct owner *o, const __u8 *address, __u16 port, __u8 protocol)
{
	const __u64 *a = (const __u64 *)o->address;
	__u64 b[2];
	__builtin_memcpy(b, address, 16);
	return o->port == port && o->protocol == protocol && a[0] == b[0] && a[1] == b[1];
}
