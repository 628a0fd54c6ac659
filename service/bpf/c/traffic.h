/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where a packet meets its socket: the last word on what leaves and what is delivered,
 * and the counting of it. Here it is certain whose the packet is, whatever ports others
 * share with it; and what is undecided goes no further, even while somebody flushes
 * nftables. Nothing can be held here.
 */
#pragma once
#include "hooks.h"

static __always_inline __u64 segments(struct __sk_buff *skb)
{
	return skb->gso_segs ? skb->gso_segs : 1;
}

static __always_inline void count_sent(struct __sk_buff *skb, struct conversation *c, __u32 payload)
{
	__sync_fetch_and_add(&c->packets_sent, segments(skb));
	if (payload)
		__sync_fetch_and_add(&c->sent, payload);
}

static __always_inline void count_received(struct __sk_buff *skb, struct conversation *c, __u32 payload)
{
	__sync_fetch_and_add(&c->packets_received, segments(skb));
	if (payload)
		__sync_fetch_and_add(&c->received, payload);
}

/* What a packet counts for, in bytes. */
static __always_inline __u32 weight(struct __sk_buff *skb, const struct socket_state *s, const struct packet *p)
{
	bool payload = p->protocol == PROTO_TCP || p->protocol == PROTO_UDP || p->protocol == PROTO_UDPLITE;
	__u32 all = skb->len;
	barrier_var(all); /* or one load is made of two from different places */
	if (payload && !(s->flags & SOCKET_RAW))
		all = p->payload;
	return all;
}

/* Notes the end of a connection in one direction (SOCKET_SAID_ALL or SOCKET_HEARD_ALL). Its
 * socket is over when its program had closed it before, or, if it has none of its own, when
 * both directions are. */
static __always_inline void note_end(__u64 cookie, struct socket_state *s, __u8 flags, __u32 all)
{
	if (!(flags & (TCP_FIN | TCP_RST)))
		return;
	if (flags & TCP_FIN)
		s->flags |= all;
	bool both = flags & TCP_RST || (s->flags & (SOCKET_SAID_ALL | SOCKET_HEARD_ALL)) == (SOCKET_SAID_ALL | SOCKET_HEARD_ALL);
	bool last = flags & TCP_RST || all == SOCKET_SAID_ALL;
	if (((s->flags & SOCKET_RELEASED) && last) || (s->flags & SOCKET_INNER && both && s->first.protocol))
		tell_close(cookie, s);
}

/* How much of a segment is new: what is sent again counts once. */
static __always_inline __u32 news(__u32 *to, __u32 seq, __u32 payload)
{
	__u32 end = seq + payload;
	__s32 ahead = *to ? (__s32)(end - *to) : (__s32)payload;
	if (!payload || ahead <= 0 || ahead > 1 << 26) /* no window is that wide */
		return 0;
	*to = end;
	return ahead;
}

/* The short way for what goes on: a segment of TCP that begins nothing, or what belongs to
 * the socket's first conversation, which is allowed. False: the packet is to be read in
 * full. The flags are TCP's. */
static __always_inline bool goes_on_here(struct __sk_buff *skb, const struct socket_state *s, bool out, __u32 *payload, __u32 *seq, __u8 *flags)
{
	__u8 *b = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u32 headers;
	__u8 protocol;
	if (s->flags & SOCKET_RAW || !s->first.protocol || b + 28 > end)
		return false;
	__u8 *at = b + 20;
	int version = usual(b);
	switch (version) {
	case 4:
		protocol = b[9];
		headers = 20;
		break;
	case 6:
		if (b + 48 > end)
			return false;
		protocol = b[6];
		headers = 40;
		at = b + 40;
		break;
	default:
		return false;
	}
	bool begins = true;
	if (protocol == PROTO_TCP) {
		if (at + 14 > end)
			return false;
		*flags = at[13];
		begins = at[13] & TCP_SYN;
		*seq = sequence(at);
		headers += (at[12] >> 4) * 4;
	} else if (protocol == PROTO_UDP) {
		headers += 8;
	} else {
		return false;
	}
	barrier_var(version); /* for Linux 6.1, which can't tell by comparing pointers which it is */
	if (begins && (!first_passes(s) || is_multicast(s->first.address) || !(version == 4 ? of_first4(s, b, out) : of_first6(s, b, out))))
		return false;
	*payload = skb->len > headers ? skb->len - headers : 0;
	return true;
}

/* Whether nobody reads from or writes to a connection any more. */
static __always_inline bool is_closed(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct tcp_sock *t = sk ? bpf_skc_to_tcp_sock(sk) : 0;
	return t && ((struct sock *)t)->sk_shutdown == 3;
}

/* Whether a connection is a part of one of MPTCP: its program has another socket. */
static __always_inline bool is_part(struct bpf_sock *sk)
{
	struct tcp_sock *t = bpf_skc_to_tcp_sock(sk);
	return t && bpf_core_field_exists(t->is_mptcp) && t->is_mptcp;
}

static __always_inline struct arrival_key arrival_of(const struct ends *e)
{
	struct arrival_key k = { .port = e->port, .local_port = e->local_port };
	__builtin_memcpy(k.address, e->address, 16);
	return k;
}

/* The last segment of the handshake with a listener. */
static __noinline int arrived(struct socket_state *s, const struct ends *e, __u32 payload)
{
	if (!s || !e || !s->port)
		return 0;
	struct arrival_key k = arrival_of(e);
	struct arrival a = { .owner = s->owner, .received = payload };
	bpf_map_update_elem(&arrivals, &k, &a, BPF_ANY);
	return 0;
}

/* The socket of a connection that a listener accepted: it has been through no hook. */
static __noinline struct socket_state *accepted(struct __sk_buff *skb, __u64 cookie, const struct ends *e)
{
	struct bpf_sock *sk = skb->sk;
	if (!sk || !e)
		return 0;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 0;
	struct arrival_key key = arrival_of(e);
	struct arrival *from = bpf_map_lookup_elem(&arrivals, &key);
	struct owner o;
	__u64 before = 0;
	if (from) {
		o = from->owner;
		before = from->received;
		bpf_map_delete_elem(&arrivals, &key);
	} else {
		if (sk->state != TCP_ESTABLISHED)
			return 0;
		struct listener_key k = { .port = e->local_port, .protocol = PROTO_TCP };
		struct listener *l = bpf_map_lookup_elem(&listeners, &k);
		if (!l)
			return 0;
		o = l->owner;
		if (l->several & PROGRAMS)
			o.flags |= OWNER_UNKNOWN;
	}
	__u64 listener = o.cookie;
	o.cookie = cookie;
	struct socket_state *s = keep(cookie, &o, SOCKET_USED | (is_part(sk) ? SOCKET_INNER : 0));
	if (!s)
		return 0;
	s->first.received = before;
	__builtin_memcpy(s->first.address, e->address, 16);
	s->first.port = e->port;
	s->first.direction = IN;
	s->first.packets_sent = 1; /* the handshake */
	s->first.packets_received = 2;
	s->first.protocol = PROTO_TCP;
	struct accept_event *a = event_space(sizeof(*a));
	if (!a)
		return s;
	a->head.kind = EVENT_ACCEPT;
	a->head.tgid = o.tgid;
	a->head.start = o.start;
	a->when = bpf_ktime_get_boot_ns();
	a->owner = o;
	a->listener = listener;
	__builtin_memcpy(a->address, e->address, 16);
	a->port = e->port;
	a->local_port = e->local_port;
	a->pad = 0;
	bpf_ringbuf_submit(a, BPF_RB_NO_WAKEUP);
	return s;
}

/* Nothing can be held any more: what is undecided passes only if the queue has just let it
 * go, or before the service has begun. */
__noinline int let_pass(struct socket_state *s, const struct owner *o, const struct ends *e, __u32 v)
{
	struct control *k = control();
	if (!o || !e || v == ALLOW || !k || !k->generation)
		return 1;
	if (v == BLOCK)
		return 0;
	struct conversation_key key = key_of(o->cookie, e);
	__u64 *until = bpf_map_lookup_elem(&let_go, &key);
	if (until && bpf_ktime_get_boot_ns() < *until)
		return 1;
	count(LAST_REFUSED);
	show_rarely(s, o, e, ASK);
	return 0;
}

/* Whose a socket is that no hook has seen. A program's was on its way from one process to
 * another when the service came. */
static __always_inline struct owner nobody(struct __sk_buff *skb, __u64 cookie)
{
	struct owner o = kernel_itself(cookie);
	if (!of_the_kernel(skb))
		o.flags = OWNER_MISSING | OWNER_UNKNOWN;
	return o;
}

SEC("cgroup_skb/egress") int sent(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct socket_state *s = bpf_map_lookup_elem(&sockets, &cookie);
	__u32 payload = 0, seq = 0;
	__u8 flags = 0;
	if (s && goes_on_here(skb, s, true, &payload, &seq, &flags)) {
		count_sent(skb, &s->first, s->first.protocol == PROTO_TCP ? news(&s->first.sent_to, seq, payload) : payload);
		note_end(cookie, s, flags, SOCKET_SAID_ALL);
		return 1;
	}
	struct packet p = {};
	if (read_packet(skb, &p))
		return s == 0;
	struct ends e = leaving(&p);
	if (!s) {
		if (housekeeping(&p)) {
			if (p.protocol == PROTO_TCP && (p.payload || p.flags & (TCP_FIN | TCP_RST)))
				s = accepted(skb, cookie, &e);
			if (!s)
				return 1;
			if (p.flags & TCP_FIN && is_closed(skb)) /* before anything was said */
				s->flags |= SOCKET_RELEASED;
		} else {
			struct owner o = nobody(skb, cookie);
			return let_pass(0, &o, &e, decide(&o, &e)) != 0;
		}
	}
	if (p.routed)
		return 0;
	if (goes_on(&p) && !(s->flags & SOCKET_RAW)) {
		count_sent(skb, &s->first, news(&s->first.sent_to, p.seq, p.payload));
		note_end(cookie, s, p.flags, SOCKET_SAID_ALL);
		return 1;
	}
	/* Where nftables holds nothing, nobody has looked at the sender yet. */
	struct owner o = s->owner;
	if (o.flags & OWNER_FOREIGN && !sender(s, &e, &o))
		return 0;
	if (!let_pass(s, &o, &e, judge_sent(s, &o, &e, is_synack(&p))))
		return 0;
	struct conversation *c = conversation(s, &e);
	if (c)
		count_sent(skb, c, weight(skb, s, &p));
	if (is_multicast(e.address)) {
		s->asked_port = e.port;
		s->asked_until = bpf_ktime_get_boot_ns() + 30 * SECOND;
	}
	return 1;
}

SEC("cgroup_skb/ingress") int received(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct socket_state *s = bpf_map_lookup_elem(&sockets, &cookie);
	__u32 payload = 0, seq = 0;
	__u8 flags = 0;
	if (s && goes_on_here(skb, s, false, &payload, &seq, &flags)) {
		count_received(skb, &s->first, s->first.protocol == PROTO_TCP ? news(&s->first.received_to, seq, payload) : payload);
		note_end(cookie, s, flags, SOCKET_HEARD_ALL);
		return 1;
	}
	struct packet p = {};
	if (read_packet(skb, &p))
		return s == 0;
	struct ends e = arriving(&p);
	if (!s) {
		s = p.protocol == PROTO_TCP ? accepted(skb, cookie, &e) : 0;
		if (!s) {
			struct owner o = nobody(skb, cookie);
			return goes_on(&p) || o.flags & OWNER_KERNEL || let_pass(0, &o, &e, decide(&o, &e));
		}
	}
	if (goes_on(&p) && !(s->flags & SOCKET_RAW)) {
		if (!s->first.protocol) {
			if (p.flags == TCP_ACK || p.payload)
				arrived(s, &e, p.payload);
			return 1;
		}
		count_received(skb, &s->first, news(&s->first.received_to, p.seq, p.payload));
		note_end(cookie, s, p.flags, SOCKET_HEARD_ALL);
		return 1;
	}
	struct owner o = s->owner; /* others may take it over meanwhile */
	struct conversation *c = conversation(s, &e);
	if (!c && answers_all(s, &e))
		e.direction = OUT;
	if (s->flags & SOCKET_RAW) {
		/* It gets a copy of all that is of its protocol: of that nobody is asked. What goes
		 * wrong on the way to those that it talks to it may hear from anybody. */
		struct control *k = control();
		if (!c && last_verdict(&s->first) == ALLOW && is_error(&p))
			return 1;
		if (c) {
			if (judge(s, &o, &e) != ALLOW)
				return 0;
			count_received(skb, c, weight(skb, s, &p));
			return 1;
		}
		return (k && !k->generation) || decide(&o, &e) == ALLOW;
	}
	if (!c && p.protocol == PROTO_TCP) {
		/* A listener: each connection gets a socket of its own. */
		__u32 v = decide(&o, &e);
		if (v != ASK)
			show_rarely(v == ALLOW ? 0 : s, &o, &e, v);
		return let_pass(s, &o, &e, v) != 0;
	}
	__u32 v = judge(s, &o, &e);
	if (!let_pass(s, &o, &e, v)) {
		if (v == ASK)
			receives(s, p.port, p.protocol); /* from now on it can be held */
		return 0;
	}
	c = conversation(s, &e);
	if (c)
		count_received(skb, c, weight(skb, s, &p));
	return 1;
}
