/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Traffic: the payload that goes through each socket, counted where it is, and told with
 * the socket's end.
 */
#pragma once
#include "packet.h"

static __always_inline __u32 payload(struct __sk_buff *skb)
{
	struct packet p = {};
	if (read_packet(skb, &p))
		return 0;
	__u32 headers = p.transport;
	if (p.protocol == PROTO_TCP) {
		__u8 doff = 0;
		bpf_skb_load_bytes(skb, p.transport + 12, &doff, 1);
		headers += (doff >> 4) * 4;
	} else if (p.protocol == PROTO_UDP || p.protocol == 136) {
		headers += 8;
	}
	return skb->len > headers ? skb->len - headers : 0;
}

SEC("cgroup_skb/egress") int sent(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct socket_state *s = bpf_map_lookup_elem(&sockets, &cookie);
	if (s)
		__sync_fetch_and_add(&s->sent, payload(skb));
	return 1;
}

SEC("cgroup_skb/ingress") int received(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct socket_state *s = bpf_map_lookup_elem(&sockets, &cookie);
	if (s)
		__sync_fetch_and_add(&s->received, payload(skb));
	return 1;
}
