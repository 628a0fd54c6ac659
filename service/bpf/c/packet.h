/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where from and where to: the headers of a packet, read at the network header.
 */
#pragma once
#include "conversation.h"

#define PROTO_ICMP 1
#define PROTO_IGMP 2
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_ICMPV6 58
#define PROTO_DCCP 33
#define PROTO_SCTP 132
#define PROTO_UDPLITE 136

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_ACK 16

struct packet {
	__u8 address[16], source[16];
	__u16 port, source_port;
	__u8 protocol, type; /* type: of an ICMP message */
	__u8 flags;          /* of TCP */
	__u8 later;          /* a fragment that isn't the first: it has no transport header */
	__u8 routed;         /* it names stations on its way: its address is not where it goes */
	__u32 base;          /* offset of the network header: set before it is read, 0 for most */
	__u32 transport;     /* offset of the transport header */
	__u32 payload;       /* bytes behind it */
	__u32 seq;           /* of TCP */
};

static __always_inline bool is_multicast(const __u8 *address)
{
	const __u32 *a = (const __u32 *)address;
	if (!a[0] && !a[1] && a[2] == bpf_htonl(0xffff))
		return address[12] >= 224; /* 255.255.255.255 too */
	return address[0] == 0xff;
}

/* The sequence number in a header of TCP. */
static __always_inline __u32 sequence(const __u8 *b)
{
	return (__u32)b[4] << 24 | (__u32)b[5] << 16 | (__u32)b[6] << 8 | b[7];
}

static __always_inline bool has_ports(__u8 p)
{
	return p == PROTO_TCP || p == PROTO_UDP || p == PROTO_UDPLITE || p == PROTO_SCTP || p == PROTO_DCCP;
}

/* Whether LSRR or SSRR of RFC 791 may be among the options: any byte of that value counts,
 * or options before it could hide it. */
__noinline int source_routed(struct __sk_buff *skb, __u32 base, __u32 end)
{
	for (__u32 at = 20; at < 60; at += 4) {
		__u8 o[4];
		if (at >= end || bpf_skb_load_bytes(skb, base + at, o, 4))
			return 0;
		if (o[0] == 131 || o[0] == 137 || o[1] == 131 || o[1] == 137 ||
		    o[2] == 131 || o[2] == 137 || o[3] == 131 || o[3] == 137)
			return 1;
	}
	return 0;
}

__noinline int read_packet(struct __sk_buff *skb, struct packet *p)
{
	__u8 b[20];
	__u8 next = 0;
	__u32 off;
	if (!p || bpf_skb_load_bytes(skb, p->base, b, 20))
		return -1;
	if (b[0] >> 4 == 4) {
		p->address[10] = p->address[11] = p->source[10] = p->source[11] = 0xff;
		__builtin_memcpy(p->source + 12, b + 12, 4);
		__builtin_memcpy(p->address + 12, b + 16, 4);
		next = b[9];
		off = (b[0] & 15) * 4;
		if (b[6] & 0x1f || b[7])
			p->later = 1;
		if (off > 20)
			p->routed = source_routed(skb, p->base, off);
		off += p->base;
	} else {
		if (bpf_skb_load_bytes(skb, p->base + 8, p->source, 16) || bpf_skb_load_bytes(skb, p->base + 24, p->address, 16))
			return -1;
		next = b[6];
		off = p->base + 40;
		for (int i = 0; i < 8; i++) {
			__u8 h[4];
			if (next != 0 && next != 43 && next != 44 && next != 51 && next != 60)
				break;
			if (bpf_skb_load_bytes(skb, off, h, 4))
				return -1;
			if (next == 43 && h[3])
				p->routed = 1;
			if (next == 44 && (h[2] | (h[3] & 0xf8)))
				p->later = 1;
			off += next == 44 ? 8 : next == 51 ? (h[1] + 2) * 4 : (h[1] + 1) * 8;
			next = h[0];
			if (p->later)
				break;
		}
		/* Who hides the rest behind more of them is not read: what isn't known is refused. */
		if (!p->later && (next == 0 || next == 43 || next == 44 || next == 51 || next == 60))
			return -1;
	}
	p->protocol = next;
	p->transport = off;
	if (p->later) {
		p->payload = skb->len > off ? skb->len - off : 0;
		return 0;
	}
	__u32 header = 8;
	if (next == PROTO_TCP) {
		if (bpf_skb_load_bytes(skb, off, b, 14))
			return -1;
		p->flags = b[13];
		p->seq = sequence(b);
		header = (b[12] >> 4) * 4;
	} else if (bpf_skb_load_bytes(skb, off, b, 4)) {
		if (has_ports(next))
			return -1;
		b[0] = 0;
		header = 0;
	}
	if (has_ports(next)) {
		p->source_port = b[0] << 8 | b[1];
		p->port = b[2] << 8 | b[3];
	} else if (next == PROTO_ICMP || next == PROTO_ICMPV6) {
		p->type = b[0];
	} else {
		header = 0;
	}
	off += header;
	p->payload = skb->len > off ? skb->len - off : 0;
	return 0;
}

/* A usual packet, by the first bytes of its header: IPv4 without options and whole, or IPv6
 * without extension headers. 4, 6 or 0. */
static __always_inline int usual(const __u8 *b)
{
	if (b[0] == 0x45)
		return *(const __u16 *)(b + 6) & bpf_htons(0x3fff) ? 0 : 4;
	return b[0] >> 4 == 6 ? 6 : 0;
}

/* Whether a usual packet is of a socket's first conversation. Nearly all are; reading all of
 * a packet takes longer than everything else that is done with it. */
static __always_inline bool of_first4(const struct socket_state *s, const __u8 *b, bool out)
{
	const __u32 *a = (const __u32 *)s->first.address;
	return s->first.protocol == b[9] && a[3] == *(const __u32 *)(b + (out ? 16 : 12)) &&
	       s->first.port == bpf_ntohs(*(const __u16 *)(b + (out ? 22 : 20))) &&
	       a[2] == bpf_htonl(0xffff) && !a[0] && !a[1];
}

static __always_inline bool of_first6(const struct socket_state *s, const __u8 *b, bool out)
{
	const __u32 *a = (const __u32 *)s->first.address, *p = (const __u32 *)(b + (out ? 24 : 8));
	return s->first.protocol == b[6] && a[0] == p[0] && a[1] == p[1] && a[2] == p[2] && a[3] == p[3] &&
	       s->first.port == bpf_ntohs(*(const __u16 *)(b + (out ? 42 : 40)));
}

/* Whether that conversation was allowed, by all that holds now. */
static __always_inline bool first_passes(const struct socket_state *s)
{
	struct control *c = control();
	const struct owner *o = &s->owner;
	return c && decided(&s->first, o->tgid, o->start, o->exec_id, c->generation) == ALLOW && !(o->flags & OWNER_FOREIGN);
}

/* Whether the current task uses a socket and may send to its first conversation. */
static __always_inline bool first_is_ours(const struct socket_state *s)
{
	struct task_struct *t = bpf_get_current_task_btf();
	const struct owner *o = &s->owner;
	return o->tgid == t->tgid && o->exec_id == (__u32)t->self_exec_id &&
	       o->start == t->group_leader->start_boottime && first_passes(s);
}

static __always_inline struct ends leaving(const struct packet *p)
{
	struct ends e = { .port = p->port, .local_port = p->source_port, .protocol = p->protocol, .direction = OUT };
	__builtin_memcpy(e.address, p->address, 16);
	return e;
}

static __always_inline struct ends arriving(const struct packet *p)
{
	struct ends e = { .port = p->source_port, .local_port = p->port, .protocol = p->protocol, .direction = IN };
	__builtin_memcpy(e.address, p->source, 16);
	return e;
}

/* TCP segments that begin nothing; a raw socket's count like any packet. */
static __always_inline bool goes_on(const struct packet *p)
{
	return p->protocol == PROTO_TCP && !p->later && !(p->flags & TCP_SYN);
}

/* A listener's answer to who connects; or that of one who connects to who connects to it. */
static __always_inline bool is_synack(const struct packet *p)
{
	return p->protocol == PROTO_TCP && !p->later && (p->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
}

static __always_inline bool is_error(const struct packet *p)
{
	if (p->protocol == PROTO_ICMPV6)
		return p->type < 5;
	return p->protocol == PROTO_ICMP && (p->type == 3 || p->type == 4 || p->type == 11 || p->type == 12);
}

/* Messages that the kernel itself sends and takes, on sockets that no program owns: what
 * every machine needs. */
static __always_inline bool housekeeping(const struct packet *p)
{
	switch (p->protocol) {
	case PROTO_TCP: /* resets, the last acknowledgement of a closed connection, the first of a new one */
		return goes_on(p) || is_synack(p);
	case PROTO_IGMP:
		return true;
	case PROTO_ICMP: /* unreachable, quench, time exceeded, parameter problem, and replies to a ping */
		return is_error(p) || p->type == 0;
	case PROTO_ICMPV6: /* errors, replies to a ping, multicast listeners, neighbour discovery */
		return is_error(p) || p->type == 129 || (p->type >= 130 && p->type <= 137) || p->type == 143;
	}
	return false;
}

static __always_inline struct owner kernel_itself(__u64 cookie)
{
	struct owner o = { .cookie = cookie, .flags = OWNER_KERNEL };
	return o;
}

/* Whether a packet's socket is one of the kernel's own, as those of tunnels are. */
static __always_inline bool of_the_kernel(struct __sk_buff *skb)
{
	struct bpf_sock *at = skb->sk;
	struct sock *sk = 0;
	/* By way of memory: the verifier lets nobody look into what skb->sk is. */
	return !at || bpf_probe_read_kernel(&sk, sizeof(sk), &at) || BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock);
}
