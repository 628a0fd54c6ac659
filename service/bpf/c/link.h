/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Frames of packet sockets (AF_PACKET), which go past IP and all hooks that it has: judged
 * at the network device, while their sender is in the call. Nothing can be held here. What
 * goes past the device's hook as well is refused as an option of the socket.
 */
#pragma once
#include "traffic.h"

#define AF_PACKET 17
#define SOL_PACKET 263
#define PACKET_QDISC_BYPASS 20
#define SOL_XDP 283

#define FRAME_NEXT -1 /* whoever else looks at the device */
#define FRAME_DROP 2

/* Where a device's frames have their network header. */
#define ETHERNET 14
#define BARE 0
#define NOBODY_KNOWS (~0U)

#define VLAN(type) ((type) == 0x8100 || (type) == 0x88a8 || (type) == 0x9100)

/* Whether a packet socket was made where programs are filtered. */
static __always_inline bool in_scope(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct frame_scope *s = bpf_map_lookup_elem(&frame_scopes, &zero);
	return s && (!s->cgroup || bpf_skb_ancestor_cgroup_id(skb, s->level) == s->cgroup);
}

/* Finds the network header behind an Ethernet header, which may be tagged twice. 0: there is
 * none, it is another protocol's frame. */
static __always_inline int find_network(struct __sk_buff *skb, struct packet *p)
{
	__u8 b[2];
	for (int i = 0; i < 3; i++) {
		if (bpf_skb_load_bytes(skb, p->base - 2, b, 2))
			return -1;
		__u16 type = b[0] << 8 | b[1];
		if (!VLAN(type))
			return type == 0x0800 || type == 0x86dd;
		p->base += 4;
	}
	return -1;
}

/* Whoever may send anything anywhere may send what cannot be read, too. */
static __always_inline bool anywhere(const struct owner *o)
{
	struct ends e = { .direction = OUT };
	return decide(o, &e) == ALLOW;
}

static __always_inline bool is_dhcp(const struct packet *p, const struct owner *o, const struct control *c)
{
	return c->flags & DHCP && !o->uid && p->protocol == PROTO_UDP && !p->later &&
	       ((p->source_port == 68 && p->port == 67) || (p->source_port == 546 && p->port == 547));
}

static __always_inline void show_sent(const struct owner *o, const struct ends *e, __u64 generation)
{
	struct conversation_key k = key_of(o->cookie, e);
	struct conversation *c = bpf_map_lookup_elem(&conversations, &k);
	if (!c) {
		bpf_map_update_elem(&conversations, &k, &new_conversation, BPF_NOEXIST);
		c = bpf_map_lookup_elem(&conversations, &k);
	}
	if (c)
		remember(c, o, e, ALLOW, generation);
}

static __always_inline void show_refused(const struct owner *o, const struct ends *e, __u32 v)
{
	__u64 now = bpf_ktime_get_boot_ns(), cookie = o->cookie;
	__u64 *told = bpf_map_lookup_elem(&frames_told, &cookie);
	count(LAST_REFUSED);
	if (told && now - *told < SECOND) {
		count(UNTOLD);
		return;
	}
	bpf_map_update_elem(&frames_told, &cookie, &now, BPF_ANY);
	show_rarely(0, o, e, v);
}

static __noinline int judge_frame(struct __sk_buff *skb, __u32 base)
{
	struct control *c = control();
	struct packet p = { .base = base };
	struct owner o = { .cookie = bpf_get_socket_cookie(skb) };
	int network = -1;
	if (!c || !c->generation || !in_scope(skb))
		return FRAME_NEXT;
	if (skb->ingress_ifindex) { /* from another namespace, over a bridge: not this task's */
		o.flags = OWNER_FORWARDED;
		o.exe.device = ~0U;
	} else {
		current_owner(&o);
	}
	if (base == ETHERNET)
		network = find_network(skb, &p);
	else if (base == BARE)
		network = 1;
	if (!network)
		return FRAME_NEXT;
	if (network < 0 || read_packet(skb, &p) || p.routed) {
		if (anywhere(&o))
			return FRAME_NEXT;
		count(LAST_REFUSED);
		return FRAME_DROP;
	}
	if (is_dhcp(&p, &o, c))
		return FRAME_NEXT;
	struct ends e = leaving(&p);
	__u32 v = decide(&o, &e);
	if (v == ALLOW) {
		show_sent(&o, &e, c->generation);
		return FRAME_NEXT;
	}
	show_refused(&o, &e, v == BLOCK ? BLOCK : ASK);
	return FRAME_DROP;
}

static __always_inline int leaves(struct __sk_buff *skb, __u32 base)
{
	struct bpf_sock *sk = skb->sk;
	if (!sk || sk->family != AF_PACKET)
		return FRAME_NEXT;
	return judge_frame(skb, base);
}

SEC("tc") int frame_ethernet(struct __sk_buff *skb) { return leaves(skb, ETHERNET); }
SEC("tc") int frame_bare(struct __sk_buff *skb) { return leaves(skb, BARE); }
SEC("tc") int frame_unknown(struct __sk_buff *skb) { return leaves(skb, NOBODY_KNOWS); }

/* What takes frames past the device's hook: PACKET_QDISC_BYPASS, and sockets of AF_XDP. */
SEC("cgroup/setsockopt") int option(struct bpf_sockopt *ctx)
{
	if (ctx->optlen > 4096) /* the kernel shows no more of it: as the program gave it */
		ctx->optlen = 0;
	if (ctx->level != SOL_XDP && (ctx->level != SOL_PACKET || ctx->optname != PACKET_QDISC_BYPASS))
		return 1;
	struct control *c = control();
	struct owner o = {};
	if (!c || !c->generation)
		return 1;
	current_owner(&o);
	if (anywhere(&o))
		return 1;
	count(LAST_REFUSED);
	return 0;
}
