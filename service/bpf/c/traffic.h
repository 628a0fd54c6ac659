/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Traffic: the payload that goes through each socket, counted where it is, and told with
 * the socket's end.
 */
#pragma once
#include "packet.h"

/* What is in a packet behind its headers. This runs for every packet, so it reads the
 * packet in place; extension headers of IPv6 count as payload. */
static __always_inline __u32 payload(struct __sk_buff *skb)
{
	__u8 *at = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	if (at + 40 > end)
		return skb->len > 28 ? skb->len - 28 : 0; /* too short for TCP: 20 of IPv4 and 8 of UDP or ICMP */
	__u32 headers = 40;
	__u8 protocol = at[6];
	if (at[0] >> 4 == 4) {
		headers = (at[0] & 15) * 4;
		protocol = at[9];
	}
	if (protocol == PROTO_TCP) {
		__u8 *tcp = at + headers;
		if (tcp + 13 > end)
			return 0;
		headers += (tcp[12] >> 4) * 4;
	} else {
		headers += 8;
	}
	return skb->len > headers ? skb->len - headers : 0;
}

SEC("cgroup_skb/egress") int sent(struct __sk_buff *skb)
{
	__u32 n = payload(skb);
	if (!n)
		return 1; /* a handshake or an acknowledgement */
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct socket_state *s = bpf_map_lookup_elem(&sockets, &cookie);
	if (s)
		__sync_fetch_and_add(&s->sent, n);
	return 1;
}

SEC("cgroup_skb/ingress") int received(struct __sk_buff *skb)
{
	__u32 n = payload(skb);
	if (!n)
		return 1; /* a handshake or an acknowledgement */
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct socket_state *s = bpf_map_lookup_elem(&sockets, &cookie);
	if (s)
		__sync_fetch_and_add(&s->received, n);
	return 1;
}
