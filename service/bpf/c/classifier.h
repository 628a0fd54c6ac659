/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The classifier: called by nftables (as an xt_bpf match) for each packet that begins
 * something. It decides by who owns the packet's socket and where the packet goes, so
 * that neither a reused port nor an inherited socket borrows another's permission.
 */
#pragma once
#include "packet.h"


/* Remembers who asked which name server, so that the answer is learnt for that program. */
static __always_inline void note_query(struct __sk_buff *skb, const struct packet *p, const struct owner *o)
{
	struct query q = { .client_port = p->source_port };
	__builtin_memcpy(q.server, p->address, 16);
	if (!bpf_skb_load_bytes(skb, p->transport + 8, &q.id, 2))
		bpf_map_update_elem(&queries, &q, o, BPF_ANY);
}

static __always_inline __u32 verdict_of(struct __sk_buff *skb, struct packet *p, struct owner *o)
{
	if (read_packet(skb, p))
		return ASK;
	o->cookie = bpf_get_socket_cookie(skb);
	struct socket_state *known = o->cookie ? bpf_map_lookup_elem(&sockets, &o->cookie) : 0;
	if (!known) {
		struct control *c = control();
		if (c && kernel_made(p))
			return ALLOW;
		if (c && !(c->flags & SCOPE_ALL) && !o->cookie)
			return ALLOW; /* no socket, so not of a program in our cgroup */
		o->flags |= OWNER_MISSING | OWNER_UNKNOWN;
		return ASK;
	}
	*o = known->owner;
	return decide(o, p->address, p->port, p->protocol);
}

SEC("socket") int allowed(struct __sk_buff *skb)
{
	struct packet p = {};
	struct owner o = {};
	if (verdict_of(skb, &p, &o) != ALLOW)
		return 0;
	if (p.protocol == PROTO_UDP && p.port == 53)
		note_query(skb, &p, &o);
	if (o.shown == ALLOW && same_destination(&o, p.address, p.port, p.protocol))
		return 1;
	/* No hook has shown this flow: a raw or ping socket, or one that was decided between
	 * its hook and here. */
	struct socket_state *s = bpf_map_lookup_elem(&sockets, &o.cookie);
	if (s) {
		show_flow(&o, p.address, p.port, p.protocol, ALLOW);
		__builtin_memcpy(s->owner.address, p.address, 16);
		s->owner.port = p.port;
		s->owner.protocol = p.protocol;
		s->owner.shown = ALLOW;
	}
	return 1;
}

/* Reached only by packets that are not allowed: 1 refuses, 0 leaves it to the queue,
 * for which the owner is kept under the packet's own first bytes. */
SEC("socket") int blocked(struct __sk_buff *skb)
{
	struct packet p = {};
	struct owner o = {};
	if (verdict_of(skb, &p, &o) == BLOCK)
		return 1;
	struct head h = {};
	__u32 n = skb->len < HEAD ? skb->len : HEAD;
	if (n < 20 || n > HEAD || bpf_skb_load_bytes(skb, 0, h.bytes, n))
		return 0;
	/* The checksum may still be left to the network card here, and be filled in for the queue. */
	__u32 sum = p.transport + (p.protocol == PROTO_TCP ? 16 : 6);
	if ((p.protocol == PROTO_TCP || p.protocol == PROTO_UDP || p.protocol == 136) && p.transport && sum < HEAD - 1) {
		__u32 next = sum + 1;
		asm volatile("%0 &= 63" : "+r"(sum)); /* for the verifier, which loses the bound */
		asm volatile("%0 &= 63" : "+r"(next));
		h.bytes[sum] = 0;
		h.bytes[next] = 0;
	}
	if (p.protocol == PROTO_UDP && p.port == 53)
		note_query(skb, &p, &o);
	bpf_map_update_elem(&held, &h, &o, BPF_ANY);
	return 0;
}

/* At input: an answer to a name lookup of a program under our eye. */
SEC("socket") int answer(struct __sk_buff *skb)
{
	struct packet p = {};
	if (read_packet(skb, &p) || p.protocol != PROTO_UDP || p.source_port != 53)
		return 0;
	struct query q = { .client_port = p.port };
	__builtin_memcpy(q.server, p.source, 16);
	if (bpf_skb_load_bytes(skb, p.transport + 8, &q.id, 2))
		return 0;
	return bpf_map_lookup_elem(&queries, &q) != 0;
}
