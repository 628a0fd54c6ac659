/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The kernel holds answers, the service makes them: a decision is looked up by
 * program, then by program (or process, or socket) and remote end.
 */
#pragma once
#include "identity.h"

/* The two ends of a packet or call, and who began. */
struct ends {
	__u8 address[16]; /* of the remote end */
	__u16 port, local_port;
	__u8 protocol, direction;
	__u8 pad[2];
};

static __always_inline __u32 exact_verdict(struct exact_key *k, __u64 generation)
{
	struct exact *e = bpf_map_lookup_elem(&exacts, k);
	return e && e->generation == generation ? e->verdict : ASK;
}

static __always_inline bool is_loopback(const __u8 *address)
{
	const __u32 *a = (const __u32 *)address;
	if (a[0] | a[1])
		return false;
	return a[2] == bpf_htonl(0xffff) ? address[12] == 127 : !a[2] && a[3] == bpf_htonl(1);
}

__noinline __u32 decide(const struct owner *o, const struct ends *e)
{
	struct control *c = control();
	if (!c || !o || !e)
		return ASK;
	struct exact_key k = {};
	__u32 v = ASK;
	if (!(o->flags & (OWNER_MISMATCH | OWNER_UNKNOWN))) {
		struct executable exe = o->exe; /* Linux 6.1 takes no key out of an argument */
		struct program *p = bpf_map_lookup_elem(&programs, &exe);
		v = c->fallback;
		k.direction = e->direction & 1;
		if (p && p->generation == c->generation) {
			v = p->verdict[e->direction & 1];
			k.subject.a = p->id;
			if (p->per_process) {
				k.subject.a = (__u64)o->exec_id << 32 | o->tgid;
				k.subject.b = o->start;
				v = exact_verdict(&k, c->generation);
			}
		}
		if (c->loopback && c->fallback != ALLOW && is_loopback(e->address)) {
			if (c->loopback == ALLOW)
				return ALLOW;
			v = DEPENDS;
		}
		if (v == ALLOW || v == BLOCK)
			return v;
	}
	__builtin_memcpy(k.address, e->address, 16);
	k.protocol = e->protocol;
	if (k.subject.a) {
		k.port = e->direction == IN ? e->local_port : e->port;
		v = exact_verdict(&k, c->generation);
		if (v == ALLOW || v == BLOCK)
			return v;
	}
	k.subject.a = o->cookie; /* "once": this user of this socket with this remote end */
	k.subject.b = ~(o->start + o->exec_id);
	k.direction = e->direction & 1;
	k.port = e->port;
	return exact_verdict(&k, c->generation);
}

/* Tells the service of a flow that it will never see in its queue. */
__noinline int show_flow(const struct owner *o, const struct ends *to, __u32 verdict)
{
	struct flow_event *e = o && to ? event_space(sizeof(*e)) : 0;
	if (!e)
		return 0;
	e->head.kind = EVENT_FLOW;
	e->head.tgid = o->tgid;
	e->head.start = o->start;
	e->when = bpf_ktime_get_boot_ns();
	e->owner = *o;
	e->port = to->port;
	e->local_port = to->local_port;
	e->protocol = to->protocol;
	e->direction = to->direction;
	e->verdict = verdict;
	e->pad = 0;
	__builtin_memcpy(e->address, to->address, 16);
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}
