/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The classifier: called by nftables (as an xt_bpf match) for each packet that begins
 * something. It decides by who owns the packet's socket and where the packet goes or comes
 * from, so that neither a reused port nor an inherited socket borrows another's permission.
 */
#pragma once
#include "hooks.h"

/* Remembers who asks which name server, so that the answer is learnt for that program: of
 * TCP who connects there. */
static __always_inline void note_query(struct __sk_buff *skb, const struct packet *p, struct asker *a)
{
	if (p->port != 53 || p->later || (p->protocol != PROTO_UDP && p->protocol != PROTO_TCP))
		return;
	struct query q = { .client_port = p->source_port, .protocol = p->protocol };
	__builtin_memcpy(q.server, p->address, 16);
	__builtin_memcpy(q.client, p->source, 16);
	if (p->protocol == PROTO_UDP ? bpf_skb_load_bytes(skb, p->transport + 8, &q.id, 2) : is_synack(p))
		return;
	a->seq = p->seq;
	bpf_map_update_elem(&queries, &q, a, BPF_ANY);
}

static __always_inline bool scope_is_all(void)
{
	struct control *c = control();
	return c && c->flags & SCOPE_ALL;
}

/* A program's socket that no hook has seen: it was on its way from one process to another
 * when the service came. Who sends a datagram is at hand; whose connection it is is not. */
static __always_inline struct socket_state *unseen(struct __sk_buff *skb, __u64 cookie, const struct packet *p, struct owner *o)
{
	if (of_the_kernel(skb))
		return 0;
	o->cookie = cookie;
	if (p->protocol == PROTO_TCP)
		o->flags = OWNER_MISSING | OWNER_UNKNOWN;
	else
		current_owner(o);
	return keep(cookie, o, SOCKET_USED);
}

/* A packet that leaves: its verdict, and whose it is. */
__noinline __u32 departure(struct __sk_buff *skb, struct packet *p, struct owner *o)
{
	if (!p || !o)
		return BLOCK;
	__u64 cookie = bpf_get_socket_cookie(skb);
	if (read_packet(skb, p))
		return cookie || scope_is_all() ? BLOCK : ALLOW;
	struct ends e = leaving(p);
	struct socket_state *s = cookie ? bpf_map_lookup_elem(&sockets, &cookie) : 0;
	if (!s && cookie && p->protocol == PROTO_TCP)
		s = subflow(cookie, &e);
	if (!s && cookie && !housekeeping(p))
		s = unseen(skb, cookie, p, o);
	if (s) {
		if (!sender(s, &e, o) || p->routed)
			return BLOCK;
		return judge_sent(s, o, &e, is_synack(p));
	}
	if (housekeeping(p))
		return ALLOW;
	if (!cookie && !scope_is_all())
		return ALLOW; /* no socket, so not of a program in our cgroup */
	*o = kernel_itself(cookie);
	return decide(o, &e);
}

/* The short way for what was allowed when it began. A lookup of a name is read in full. */
static __always_inline bool goes_on_leaving(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct socket_state *s = bpf_map_lookup_elem(&sockets, &cookie);
	__u8 b[44] __attribute__((aligned(8)));
	if (!s || s->flags & SOCKET_RAW || !first_passes(s) || bpf_skb_load_bytes(skb, 0, b, 24))
		return false;
	switch (usual(b)) {
	case 4:
		if (!of_first4(s, b, true))
			return false;
		break;
	case 6:
		if (bpf_skb_load_bytes(skb, 24, b + 24, 20) || !of_first6(s, b, true))
			return false;
		break;
	default:
		return false;
	}
	/* Who sends a datagram is in the call. */
	return s->first.port != 53 && (s->first.protocol == PROTO_TCP || (s->first.protocol == PROTO_UDP && first_is_ours(s)));
}

/* Asked before it is looked up whether a socket is in scope, where only some are. */
SEC("socket") int goes_on_there(struct __sk_buff *skb)
{
	return goes_on_leaving(skb);
}

SEC("socket") int allowed(struct __sk_buff *skb)
{
	if (goes_on_leaving(skb))
		return 1;
	struct packet p = {};
	struct asker a = {};
	if (departure(skb, &p, &a.owner) != ALLOW)
		return 0;
	note_query(skb, &p, &a);
	return 1;
}

/* Keeps whose a packet is that goes to the queue, under its own first bytes. A function of
 * its own for the sake of its stack: Linux 6.1 counts that of all callers together. */
static __noinline int keep_held(struct __sk_buff *skb, const struct packet *p, const struct owner *o)
{
	if (!p || !o)
		return 0;
	struct head h = {};
	__u32 n = skb->len < HEAD ? skb->len : HEAD;
	if (n < 20 || n > HEAD || bpf_skb_load_bytes(skb, 0, h.bytes, n))
		return 0;
	/* The checksum may still be left to the network card here, and be filled in for the queue. */
	__u32 sum = p->transport + (p->protocol == PROTO_TCP ? 16 : 6);
	if ((p->protocol == PROTO_TCP || p->protocol == PROTO_UDP || p->protocol == PROTO_UDPLITE) && p->transport && !p->later && sum < HEAD - 1) {
		__u32 next = sum + 1;
		asm volatile("%0 &= 63" : "+r"(sum)); /* for the verifier, which loses the bound */
		asm volatile("%0 &= 63" : "+r"(next));
		h.bytes[sum] = 0;
		h.bytes[next] = 0;
	}
	/* Of packets that begin alike and wait at once it can't be told whose which one is. */
	__u32 zero = 0;
	__u64 *read = bpf_map_lookup_elem(&read_until, &zero);
	struct held_packet *other = bpf_map_lookup_elem(&held, &h);
	struct held_packet mine = { .owner = *o, .when = bpf_ktime_get_boot_ns() };
	if (other && read && other->when > *read &&
	    (other->owner.flags & OWNER_MISSING || !same_file(&other->owner.exe, &o->exe) ||
	     other->owner.tgid != o->tgid || other->owner.start != o->start))
		mine.owner.flags |= OWNER_MISSING | OWNER_UNKNOWN;
	bpf_map_update_elem(&held, &h, &mine, BPF_ANY);
	return 0;
}

/* Reached only by packets that are not allowed: 1 refuses, 0 leaves it to the queue. */
SEC("socket") int blocked(struct __sk_buff *skb)
{
	struct packet p = {};
	struct asker a = {};
	if (departure(skb, &p, &a.owner) == BLOCK)
		return 1;
	keep_held(skb, &p, &a.owner);
	note_query(skb, &p, &a);
	return 0;
}

/* A packet that arrives. ALLOW says only that there is no reason to hold it here: the last
 * word is where it meets its socket, in `received`. */
__noinline __u32 arrival(struct __sk_buff *skb, struct packet *p)
{
	if (!p || read_packet(skb, p))
		return ALLOW; /* the stack does not deliver that */
	struct ends e = arriving(p);
	if (!has_ports(p->protocol) || p->later) {
		if (!scope_is_all() || housekeeping(p))
			return ALLOW;
		struct owner o = kernel_itself(0);
		return decide(&o, &e);
	}
	__u64 cookie = bpf_get_socket_cookie(skb); /* of a connected socket, else 0 */
	if (cookie && bpf_map_lookup_elem(&sockets, &cookie))
		return ALLOW;
	struct listener_key k = { .port = p->port, .protocol = p->protocol };
	struct listener *l = bpf_map_lookup_elem(&listeners, &k);
	if (!l)
		return ALLOW; /* nobody under our eye */
	if (l->several && is_multicast(p->address))
		return ALLOW; /* each of them gets it, and is asked for itself */
	if (l->several & PROGRAMS)
		return ASK;
	if (l->several) {
		struct program *g = bpf_map_lookup_elem(&programs, &l->owner.exe);
		if (!g || g->per_process)
			return ASK;
	}
	struct socket_state *s = bpf_map_lookup_elem(&sockets, &l->owner.cookie);
	if (!s)
		return decide(&l->owner, &e);
	/* What came in before is held, too, if it is to be decided anew: `received` can't hold it. */
	struct conversation *c = conversation(s, &e);
	struct control *now = control();
	const struct owner *o = &s->owner;
	if ((c && now && (c->direction == OUT || decided(c, o->tgid, o->start, o->exec_id, now->generation) == ALLOW)) || answers_all(s, &e))
		return ALLOW;
	return decide(&s->owner, &e);
}

SEC("socket") int arrives(struct __sk_buff *skb)
{
	struct packet p = {};
	return arrival(skb, &p) == ALLOW;
}

/* Reached only by packets that are not let in: 1 drops, 0 leaves it to the queue. */
SEC("socket") int stopped(struct __sk_buff *skb)
{
	struct packet p = {};
	if (arrival(skb, &p) != BLOCK)
		return 0;
	struct ends e = arriving(&p);
	struct listener_key k = { .port = p.port, .protocol = p.protocol };
	struct listener *l = bpf_map_lookup_elem(&listeners, &k);
	struct owner o = l ? l->owner : kernel_itself(0);
	show_rarely(0, &o, &e, BLOCK);
	return 1;
}

static __always_inline struct passage_key passage_of(const __u8 *to, __u16 port, const __u8 *from, __u16 source_port, __u8 protocol, __u32 v)
{
	struct passage_key k = { .port = port, .source_port = source_port, .protocol = protocol, .verdict = v };
	__builtin_memcpy(k.address, to, 16);
	__builtin_memcpy(k.source, from, 16);
	return k;
}

/* Tells the service of what passes through without ever being in its queue: of each flow,
 * once until it has been silent for a minute. What answers it is no flow of its own. */
static __always_inline void show_passage(const struct packet *p, const struct owner *o, const struct ends *e, __u32 v)
{
	struct passage_key k = passage_of(p->source, p->source_port, p->address, p->port, p->protocol, v);
	__u64 now = bpf_ktime_get_boot_ns(), *last = bpf_map_lookup_elem(&passages, &k);
	if (last) {
		*last = now;
		return;
	}
	k = passage_of(p->address, p->port, p->source, p->source_port, p->protocol, v);
	last = bpf_map_lookup_elem(&passages, &k);
	if (last && now - *last < 60 * SECOND) {
		*last = now;
		return;
	}
	if (!show_rarely(0, o, e, v))
		now = 0; /* the next one will be told */
	bpf_map_update_elem(&passages, &k, &now, BPF_ANY);
}

static __always_inline bool passed(const __u8 *to, __u16 port, const __u8 *from, __u16 source_port, __u32 how)
{
	struct passage_key k = passage_of(to, port, from, source_port, PROTO_TCP, how);
	return bpf_map_lookup_elem(&passages, &k) != 0;
}

/* A segment of a connection of which nothing is decided any more. What one answer let
 * through goes on, and so do answers: of the direction in which it began it is decided. */
static __always_inline __u32 undecided(const struct packet *p)
{
	if (passed(p->address, p->port, p->source, p->source_port, ASK) || passed(p->source, p->source_port, p->address, p->port, ASK) ||
	    passed(p->source, p->source_port, p->address, p->port, ALLOW))
		return ALLOW;
	return ASK;
}

/* A packet from another machine or namespace to yet another, through this one. */
__noinline __u32 passage(struct __sk_buff *skb, struct packet *p)
{
	struct owner o = { .flags = OWNER_FORWARDED, .exe = { .device = ~0U } };
	if (!p || read_packet(skb, p))
		return BLOCK;
	if (is_error(p))
		return ALLOW;
	struct ends e = leaving(p);
	__u32 v = decide(&o, &e);
	if (v != ALLOW && (p->protocol != PROTO_TCP || is_synack(p) || goes_on(p))) {
		/* The answer to what was let through. */
		struct ends back = arriving(p);
		back.direction = OUT;
		__u32 b = decide(&o, &back);
		if (b == ALLOW)
			return ALLOW;
		/* What goes on was let through once, and ends when it is blocked, whoever began it. */
		if (goes_on(p))
			return v == BLOCK || b == BLOCK ? BLOCK : undecided(p);
	}
	if (goes_on(p))
		return v;
	if ((v == ALLOW || v == BLOCK) && !p->later)
		show_passage(p, &o, &e, v);
	return v;
}

SEC("socket") int passes(struct __sk_buff *skb)
{
	struct packet p = {};
	return passage(skb, &p) == ALLOW;
}

SEC("socket") int passes_not(struct __sk_buff *skb)
{
	struct packet p = {};
	return passage(skb, &p) == BLOCK;
}

/* At input: an answer to a name lookup of a program under our eye. */
SEC("socket") int answer(struct __sk_buff *skb)
{
	struct packet p = {};
	if (read_packet(skb, &p) || p.later || p.source_port != 53 || (p.protocol != PROTO_UDP && p.protocol != PROTO_TCP))
		return 0;
	struct query q = { .client_port = p.port, .protocol = p.protocol };
	__builtin_memcpy(q.server, p.source, 16);
	__builtin_memcpy(q.client, p.address, 16);
	if (p.protocol == PROTO_UDP && bpf_skb_load_bytes(skb, p.transport + 8, &q.id, 2))
		return 0;
	return bpf_map_lookup_elem(&queries, &q) != 0;
}
