/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The hooks of the cgroup: who opens, binds, connects and sends. They record the owner of
 * each socket and refuse at once what is known to be blocked.
 */
#pragma once
#include "packet.h"

#define SOCK_RAW 3
#define IPPROTO_MPTCP 262
#define TCP_ESTABLISHED 1
#define TCP_FIN_WAIT1 4
#define TCP_CLOSE_WAIT 8
#define TCP_LAST_ACK 9
#define TCP_CLOSING 11

/* Packets of a network namespace that is not ours, and that the service holds none of,
 * cannot wait. */
static __always_inline bool is_foreign(__u64 netns)
{
	struct control *c = control();
	return c && c->netns && netns != c->netns && !bpf_map_lookup_elem(&namespaces, &netns);
}

/* Records a socket; 0 if there is no room: a socket without an owner could not be told
 * from one that is not ours. */
static __always_inline struct socket_state *keep(__u64 cookie, const struct owner *o, __u32 flags)
{
	struct socket_state *s;
	if (bpf_map_update_elem(&sockets, &cookie, &new_socket, BPF_NOEXIST)) {
		count(SOCKETS_FULL);
		return 0;
	}
	s = bpf_map_lookup_elem(&sockets, &cookie);
	if (s) {
		s->flags = flags;
		s->owner = *o;
	}
	return s;
}

/* MPTCP connects and sends through sockets of the kernel's own, which no hook sees: the
 * thread that is in connect() tells whose they are. */
static __always_inline void note_connecting(const struct owner *o, const struct ends *e)
{
	struct task_struct *t = bpf_get_current_task_btf();
	__u32 thread = t->pid;
	struct connect c = { .owner = *o, .port = e->port };
	__builtin_memcpy(c.address, e->address, 16);
	bpf_map_update_elem(&connecting, &thread, &c, BPF_ANY);
}

/* Whose program called connect() a moment ago in this thread, for the very same address. */
static __always_inline struct socket_state *subflow(__u64 cookie, const struct ends *e)
{
	struct task_struct *t = bpf_get_current_task_btf();
	__u32 thread = t->pid;
	struct connect *c = bpf_map_lookup_elem(&connecting, &thread);
	if (!c || c->port != e->port || !same_address(c->address, e->address))
		return 0;
	struct socket_state *outer = bpf_map_lookup_elem(&sockets, &c->owner.cookie);
	if (outer)
		outer->inner = cookie;
	struct socket_state *s = keep(cookie, &c->owner, SOCKET_INNER | SOCKET_USED);
	if (s)
		s->owner.cookie = cookie;
	bpf_map_delete_elem(&connecting, &thread);
	return s;
}

/* Makes o the one who uses a socket; 0 if o may not: that does not change whose it is. */
static __always_inline int takes_over(struct socket_state *s, const struct owner *o, struct ends *e)
{
	if (s->flags & SOCKET_USED) {
		if (same_user(&s->owner, o))
			return 1;
		struct conversation *c = conversation(s, e);
		if (c)
			e->direction = c->direction;
		if (decide(o, e) == BLOCK) {
			show_rarely(s, o, e, BLOCK);
			return 0;
		}
	}
	change_owner(s, o);
	s->flags |= SOCKET_USED;
	return 1;
}

/* With TCP_REPAIR a socket is connected without a word: nothing of it can be held. */
static __always_inline bool repairs(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct tcp_sock *t = sk ? bpf_skc_to_tcp_sock(sk) : 0;
	return t && BPF_CORE_READ_BITFIELD(t, repair);
}

/* The verdict on what a socket sends. Who connects to one that connects to it at the same
 * time answers like a listener, and so does a listener. */
static __always_inline __u32 judge_sent(struct socket_state *s, const struct owner *o, struct ends *e, bool synack)
{
	if (synack && !conversation(s, e)) {
		struct ends in = *e;
		in.direction = IN;
		if (decide(o, &in) == ALLOW)
			return ALLOW;
	}
	return judge(s, o, e);
}

/* Who sends a packet: what these protocols send is looked at while its sender is in the
 * call, and whoever that is counts, whatever others do with the socket at the same moment.
 * 0: the sender may not. */
static __always_inline int sender(struct socket_state *s, struct ends *e, struct owner *o)
{
	if (e->protocol == PROTO_TCP || e->protocol == PROTO_SCTP || e->protocol == PROTO_DCCP) {
		*o = s->owner;
		return 1;
	}
	/* Not even a copy of the owner: it may be half another one's, who is in a call too. */
	__builtin_memset(o, 0, sizeof(*o));
	o->cookie = s->owner.cookie;
	o->flags = s->owner.flags & OWNER_FOREIGN;
	current_owner(o);
	/* A datagram that another program began (MSG_MORE, UDP_CORK) may be completed without
	 * any hook: then both must be allowed. */
	if (s->flags & SOCKET_USED && (e->protocol == PROTO_UDP || e->protocol == PROTO_UDPLITE)) {
		struct owner before = s->owner;
		if (!same_user(&before, o) && decide(&before, e) != ALLOW) {
			*o = before;
			return 1;
		}
	}
	return takes_over(s, o, e);
}

/* The connection of MPTCP that a socket of the kernel's own is a part of. */
static __always_inline struct socket_state *whole_mptcp(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	if (!sk || !bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_skc_to_mptcp_sock)) /* 5.19 */
		return 0;
	struct sock *whole = (struct sock *)bpf_skc_to_mptcp_sock(sk);
	if (!whole)
		return 0;
	__u64 cookie = whole->__sk_common.skc_cookie.counter;
	return bpf_map_lookup_elem(&sockets, &cookie);
}

static __noinline int to(struct bpf_sock_addr *ctx, struct ends *e)
{
	__u32 protocol = ctx->protocol;
	__u64 cookie = bpf_get_socket_cookie(ctx);
	e->protocol = protocol == IPPROTO_MPTCP ? PROTO_TCP : protocol;
	e->port = bpf_ntohs((__u16)ctx->user_port);
	struct socket_state *s = bpf_map_lookup_elem(&sockets, &cookie);
	if (s && protocol == PROTO_UDP && with(&s->first, e) && first_is_ours(s))
		return 1;
	struct owner o = { .cookie = cookie };
	current_owner(&o);
	struct socket_state *whole = protocol == PROTO_TCP ? whole_mptcp(ctx) : 0;
	if (whole) {
		if (!o.exe.inode) { /* a thread of the kernel opens a further subflow */
			o = whole->owner;
			o.cookie = cookie;
		}
		if (!whole->inner)
			whole->inner = cookie;
	}
	if (is_foreign(bpf_get_netns_cookie(ctx)))
		o.flags |= OWNER_FOREIGN;

	if (!s && e->protocol == PROTO_TCP)
		s = subflow(cookie, e);
	if (!s) { /* made by the kernel, or before we were here */
		s = keep(cookie, &o, SOCKET_INNER);
		if (!s)
			return 0;
	}
	e->local_port = s->port;
	if (!takes_over(s, &o, e))
		return 0;
	__u32 v = judge(s, &o, e);
	if (v == ASK && (o.flags & OWNER_FOREIGN || (protocol == PROTO_TCP && repairs(ctx)))) {
		count(FOREIGN_REFUSED);
		show_rarely(s, &o, e, ASK);
		return 0;
	}
	if (v == BLOCK)
		return 0;
	if (protocol == IPPROTO_MPTCP)
		note_connecting(&o, e);
	return 1;
}

static __always_inline int to4(struct bpf_sock_addr *ctx)
{
	struct ends e = { .address = { [10] = 0xff, [11] = 0xff } };
	__u32 ip = ctx->user_ip4;
	__builtin_memcpy(e.address + 12, &ip, 4);
	return to(ctx, &e);
}

static __always_inline int to6(struct bpf_sock_addr *ctx)
{
	struct ends e = {};
	__u32 a[4] = { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] };
	__builtin_memcpy(e.address, a, 16);
	return to(ctx, &e);
}

SEC("cgroup/connect4") int connect4(struct bpf_sock_addr *ctx) { return to4(ctx); }
SEC("cgroup/connect6") int connect6(struct bpf_sock_addr *ctx) { return to6(ctx); }
SEC("cgroup/sendmsg4") int sendmsg4(struct bpf_sock_addr *ctx) { return to4(ctx); }
SEC("cgroup/sendmsg6") int sendmsg6(struct bpf_sock_addr *ctx) { return to6(ctx); }

/* Every socket gets its creator as first owner: raw, ping and UDP-Lite sockets are seen
 * in no other hook. */
SEC("cgroup/sock_create") int sock_create(struct bpf_sock *sk)
{
	struct socket_state s = { .owner.cookie = bpf_get_socket_cookie(sk) };
	struct owner *o = &s.owner;
	current_owner(o);
	if (is_foreign(bpf_get_netns_cookie(sk)))
		o->flags |= OWNER_FOREIGN;
	if (sk->type == SOCK_RAW) {
		struct control *c = control();
		struct program *p = bpf_map_lookup_elem(&programs, &o->exe);
		bool known = c && p && p->generation == c->generation && !p->per_process && !(o->flags & ~OWNER_FOREIGN);
		if (known && p->verdict[OUT] == BLOCK && p->verdict[IN] == BLOCK)
			return 0;
		if (o->flags & OWNER_FOREIGN && !(known && p->verdict[OUT] == ALLOW)) {
			count(FOREIGN_REFUSED);
			return 0;
		}
		s.flags = SOCKET_RAW;
	}
	if (!bpf_map_update_elem(&sockets, &o->cookie, &s, BPF_NOEXIST))
		return 1;
	count(SOCKETS_FULL);
	return 0;
}

/* Makes it known who receives on a port. */
__noinline int receives(struct socket_state *s, __u16 port, __u8 protocol)
{
	if (!s || s->port || !port || s->owner.flags & OWNER_FOREIGN)
		return 0;
	struct listener_key k = { .port = port, .protocol = protocol };
	s->port = port;
	s->protocol = protocol;
	struct listener *l = bpf_map_lookup_elem(&listeners, &k);
	if (!l) {
		struct listener fresh = { .owner = s->owner, .count = 1 };
		if (!bpf_map_update_elem(&listeners, &k, &fresh, BPF_NOEXIST))
			return 0;
		l = bpf_map_lookup_elem(&listeners, &k);
		if (!l)
			return 0;
	}
	__sync_fetch_and_add(&l->count, 1);
	if (!same_file(&l->owner.exe, &s->owner.exe) || (l->owner.flags | s->owner.flags) & (OWNER_UNKNOWN | OWNER_MISMATCH))
		l->several |= PROGRAMS;
	else if (!same_user(&l->owner, &s->owner))
		l->several |= PROCESSES;
	return 0;
}

static __always_inline int bound(struct bpf_sock *sk)
{
	__u64 cookie = bpf_get_socket_cookie(sk);
	__u32 protocol = sk->protocol;
	struct socket_state *s = bpf_map_lookup_elem(&sockets, &cookie);
	if (protocol == IPPROTO_MPTCP)
		protocol = PROTO_TCP;
	if (!s) { /* the kernel made it: for who calls bind() now, as with MPTCP, or for itself */
		struct owner o = { .cookie = cookie };
		current_owner(&o);
		if (!o.exe.inode)
			o = kernel_itself(cookie);
		if (is_foreign(bpf_get_netns_cookie(sk)))
			o.flags |= OWNER_FOREIGN;
		s = keep(cookie, &o, SOCKET_INNER | SOCKET_USED);
		if (!s)
			return 0;
	} else if (!(s->flags & SOCKET_USED)) {
		struct owner o = { .cookie = cookie };
		current_owner(&o);
		o.flags |= s->owner.flags & OWNER_FOREIGN;
		change_owner(s, &o);
	}
	if (has_ports(protocol))
		receives(s, sk->src_port, protocol);
	return 1;
}

SEC("cgroup/post_bind4") int post_bind4(struct bpf_sock *sk) { return bound(sk); }
SEC("cgroup/post_bind6") int post_bind6(struct bpf_sock *sk) { return bound(sk); }

static __always_inline void tell_close(__u64 cookie, const struct socket_state *s)
{
	struct close_event *e = event_space(sizeof(*e));
	if (e) {
		e->head.kind = EVENT_CLOSE;
		e->head.tgid = s->owner.tgid;
		e->head.start = s->owner.start;
		e->cookie = cookie;
		e->when = bpf_ktime_get_boot_ns();
		e->sent = s->first.sent;
		e->received = s->first.received;
		e->packets_sent = s->first.packets_sent;
		e->packets_received = s->first.packets_received;
		e->several = s->flags & SOCKET_SEVERAL;
		e->pad = 0;
	}
	/* In this order: who still finds the socket will get to see its end. */
	bpf_map_delete_elem(&sockets, &cookie);
	if (e)
		bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
}

static __always_inline void receives_no_more(struct socket_state *s)
{
	struct listener_key k = { .port = s->port, .protocol = s->protocol };
	if (!s->port)
		return;
	s->port = 0;
	struct listener *l = bpf_map_lookup_elem(&listeners, &k);
	if (l && __sync_fetch_and_add(&l->count, -1) <= 1)
		bpf_map_delete_elem(&listeners, &k);
}

/* Whether a connection in this state may still have data to send, and its last segment. */
static __always_inline bool has_to_say(__u32 state)
{
	return state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT || state == TCP_FIN_WAIT1 ||
	       state == TCP_LAST_ACK || state == TCP_CLOSING;
}

SEC("cgroup/sock_release") int sock_release(struct bpf_sock *sk)
{
	__u64 cookie = bpf_get_socket_cookie(sk);
	struct socket_state *s = bpf_map_lookup_elem(&sockets, &cookie);
	if (!s)
		return 1;
	receives_no_more(s);
	if (s->inner) {
		struct socket_state *inner = bpf_map_lookup_elem(&sockets, &s->inner);
		if (inner && (last_verdict(&inner->first) != ALLOW || inner->flags & SOCKET_SAID_ALL)) /* no last segment */
			tell_close(s->inner, inner);
		else if (inner)
			inner->flags |= SOCKET_RELEASED;
	}
	if (s->first.protocol == PROTO_TCP && !(s->flags & SOCKET_SAID_ALL) && has_to_say(sk->state)) {
		s->flags |= SOCKET_RELEASED; /* it ends with its last segment: see `sent` */
		return 1;
	}
	tell_close(cookie, s);
	return 1;
}
