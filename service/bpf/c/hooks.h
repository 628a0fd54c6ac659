/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The hooks of the cgroup: who opens, connects and sends. They record the owner of
 * each socket and refuse at once what is known to be blocked; whether a packet leaves
 * is decided by the classifier, which sees every packet.
 */
#pragma once
#include "packet.h"


#define SOCK_RAW 3
#define IPPROTO_TCP 6
#define IPPROTO_MPTCP 262

/* Records a socket's owner; 0 if there is no room: a socket without an owner could not be
 * told from one that is not ours. */
static __always_inline int keep(__u64 cookie, const struct owner *o)
{
	struct socket_state s = { .owner = *o };
	if (!bpf_map_update_elem(&sockets, &cookie, &s, BPF_ANY))
		return 1;
	count(SOCKETS_FULL);
	return 0;
}

static __always_inline int to(struct bpf_sock_addr *ctx, const __u8 *address)
{
	__u32 proto = ctx->protocol;
	if (proto == IPPROTO_MPTCP)
		proto = IPPROTO_TCP;
	__u16 port = bpf_ntohs((__u16)ctx->user_port);
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct control *c = control();
	struct owner o = { .cookie = cookie };
	current_owner(&o);
	if (c && bpf_get_netns_cookie(ctx) != c->netns)
		o.flags |= OWNER_FOREIGN;

	__u32 v = decide(&o, address, port, proto);
	if (o.flags & OWNER_FOREIGN && v != ALLOW) {
		if (v == ASK)
			count(FOREIGN_REFUSED);
		v = BLOCK;
	}
	struct socket_state *s = bpf_map_lookup_elem(&sockets, &cookie);
	struct owner *old = s ? &s->owner : 0;
	bool same = old && old->tgid == o.tgid && old->start == o.start && old->exec_id == o.exec_id;
	if (v != ASK) {
		if (!same || old->shown != v || !same_destination(old, address, port, proto))
			show_flow(&o, address, port, proto, v);
		o.shown = v;
		o.port = port;
		o.protocol = proto;
		__builtin_memcpy(o.address, address, 16);
	}
	if (v == BLOCK) {
		/* A program that tries again and again is told of once. The owner stays who it
		 * was: what others may do with the socket is not changed by who may not. */
		if (same)
			*old = o;
		return 0;
	}
	if (old) { /* in place: an update would allocate */
		*old = o;
		return 1;
	}
	return keep(cookie, &o);
}

static __always_inline int to4(struct bpf_sock_addr *ctx)
{
	__u8 a[16] = { [10] = 0xff, [11] = 0xff };
	__u32 ip = ctx->user_ip4;
	__builtin_memcpy(a + 12, &ip, 4);
	return to(ctx, a);
}

static __always_inline int to6(struct bpf_sock_addr *ctx)
{
	__u32 a[4] = { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] };
	return to(ctx, (__u8 *)a);
}

SEC("cgroup/connect4") int connect4(struct bpf_sock_addr *ctx) { return to4(ctx); }
SEC("cgroup/connect6") int connect6(struct bpf_sock_addr *ctx) { return to6(ctx); }
SEC("cgroup/sendmsg4") int sendmsg4(struct bpf_sock_addr *ctx) { return to4(ctx); }
SEC("cgroup/sendmsg6") int sendmsg6(struct bpf_sock_addr *ctx) { return to6(ctx); }

/* Every socket gets its creator as first owner: raw, ping and UDP-Lite sockets are seen
 * in no other hook. */
SEC("cgroup/sock_create") int sock_create(struct bpf_sock *sk)
{
	struct owner o = { .cookie = bpf_get_socket_cookie(sk) };
	current_owner(&o);
	if (sk->type == SOCK_RAW) {
		struct control *c = control();
		struct program *p = bpf_map_lookup_elem(&programs, &o.exe);
		bool known = c && p && p->generation == c->generation && !p->per_process && !o.flags;
		if (known && p->verdict == BLOCK)
			return 0;
		if (c && bpf_get_netns_cookie(sk) != c->netns && !(known && p->verdict == ALLOW)) {
			count(FOREIGN_REFUSED);
			return 0;
		}
	}
	return keep(o.cookie, &o);
}

SEC("cgroup/sock_release") int sock_release(struct bpf_sock *sk)
{
	__u64 cookie = bpf_get_socket_cookie(sk);
	struct socket_state *s = bpf_map_lookup_elem(&sockets, &cookie);
	if (!s)
		return 1;
	struct close_event e = {
		.head = { .kind = EVENT_CLOSE, .tgid = s->owner.tgid, .start = s->owner.start },
		.cookie = cookie, .when = bpf_ktime_get_boot_ns(), .sent = s->sent, .received = s->received,
	};
	/* In this order: who still finds the socket will get to see its end. */
	bpf_map_delete_elem(&sockets, &cookie);
	emit(&e, sizeof(e));
	return 1;
}
