/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where to: the destination of a packet, read at the network header.
 */
#pragma once
#include "decide.h"

#define PROTO_ICMP 1
#define PROTO_IGMP 2
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_ICMPV6 58

struct packet {
	__u8 address[16];
	__u16 port, source_port;
	__u8 protocol, type; /* type: of an ICMP message */
	__u16 transport;     /* offset of the transport header */
	__u8 source[16];
};

static __always_inline bool has_ports(__u8 p)
{
	return p == PROTO_TCP || p == PROTO_UDP || p == 136 || p == 132 || p == 33;
}

static __always_inline int read_packet(struct __sk_buff *skb, struct packet *p)
{
	__u8 first = 0, next = 0;
	__u32 off;
	if (bpf_skb_load_bytes(skb, 0, &first, 1))
		return -1;
	if (first >> 4 == 4) {
		p->address[10] = p->address[11] = p->source[10] = p->source[11] = 0xff;
		if (bpf_skb_load_bytes(skb, 9, &next, 1) || bpf_skb_load_bytes(skb, 12, p->source + 12, 4) ||
		    bpf_skb_load_bytes(skb, 16, p->address + 12, 4))
			return -1;
		off = (first & 15) * 4;
		__u16 frag = 0;
		bpf_skb_load_bytes(skb, 6, &frag, 2);
		if (frag & bpf_htons(0x1fff)) { /* not the first fragment: no transport header */
			p->protocol = next;
			return 0;
		}
	} else {
		if (bpf_skb_load_bytes(skb, 6, &next, 1) || bpf_skb_load_bytes(skb, 8, p->source, 16) ||
		    bpf_skb_load_bytes(skb, 24, p->address, 16))
			return -1;
		off = 40;
#pragma unroll
		for (int i = 0; i < 4; i++) {
			__u8 h[2];
			if (next != 0 && next != 43 && next != 44 && next != 60)
				break;
			if (bpf_skb_load_bytes(skb, off, h, 2))
				return -1;
			off += next == 44 ? 8 : (h[1] + 1) * 8;
			next = h[0];
		}
	}
	p->protocol = next;
	p->transport = off;
	if (has_ports(next)) {
		__u16 ports[2] = {};
		if (bpf_skb_load_bytes(skb, off, ports, 4))
			return -1;
		p->source_port = bpf_ntohs(ports[0]);
		p->port = bpf_ntohs(ports[1]);
	} else if (next == PROTO_ICMP || next == PROTO_ICMPV6) {
		bpf_skb_load_bytes(skb, off, &p->type, 1);
	}
	return 0;
}

/* Messages that the kernel itself sends, on sockets that no program owns. */
static __always_inline bool kernel_made(const struct packet *p)
{
	switch (p->protocol) {
	case PROTO_TCP: /* resets and the last acknowledgement of a closed connection */
	case PROTO_IGMP:
		return true;
	case PROTO_ICMP: /* unreachable, quench, time exceeded, parameter problem, and replies to a ping */
		return p->type == 3 || p->type == 4 || p->type == 11 || p->type == 12 || p->type == 0;
	case PROTO_ICMPV6: /* errors, replies to a ping, multicast listeners, neighbour discovery */
		return p->type < 5 || p->type == 129 || (p->type >= 130 && p->type <= 137) || p->type == 143;
	}
	return false;
}
