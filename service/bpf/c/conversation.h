/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Conversations: what a socket says to each remote end, and who began. An answer belongs
 * to the socket that asked, and to no other one that uses its port.
 */
#pragma once
#include "decide.h"

#define SECOND 1000000000ULL

static __always_inline bool same_address(const __u8 *a, const __u8 *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;
	return x[0] == y[0] && x[1] == y[1];
}

static __always_inline bool with(const struct conversation *c, const struct ends *e)
{
	return c->port == e->port && c->protocol == e->protocol && same_address(c->address, e->address);
}

static __always_inline struct conversation_key key_of(__u64 cookie, const struct ends *e)
{
	struct conversation_key k = { .cookie = cookie, .port = e->port, .protocol = e->protocol };
	__builtin_memcpy(k.address, e->address, 16);
	return k;
}

static __always_inline struct conversation *conversation(struct socket_state *s, const struct ends *e)
{
	if (with(&s->first, e))
		return &s->first;
	if (!(s->flags & SOCKET_SEVERAL))
		return 0;
	struct conversation_key k = key_of(s->owner.cookie, e);
	return bpf_map_lookup_elem(&conversations, &k);
}

static __always_inline struct conversation *begin(struct socket_state *s, const struct ends *e)
{
	struct conversation *c = conversation(s, e);
	if (c)
		return c;
	if (!s->first.protocol) {
		__builtin_memcpy(s->first.address, e->address, 16);
		s->first.port = e->port;
		s->first.direction = e->direction;
		s->first.protocol = e->protocol;
		return &s->first;
	}
	struct conversation_key k = key_of(s->owner.cookie, e);
	s->flags |= SOCKET_SEVERAL;
	bpf_map_update_elem(&conversations, &k, &new_conversation, BPF_NOEXIST);
	c = bpf_map_lookup_elem(&conversations, &k);
	if (c) {
		c->direction = e->direction;
		c->port = e->port;
		c->protocol = e->protocol;
	}
	return c;
}

static __always_inline bool same_user(const struct owner *a, const struct owner *b)
{
	return a->tgid == b->tgid && a->start == b->start && a->exec_id == b->exec_id;
}

/* Generation, process and verdict in one word, so that nobody can find one program's verdict
 * with another's name, or an old one as if it were new, however many write at once: whoever
 * reads a stamp that isn't of the start and exec_id beside it decides anew. */
static __always_inline __u64 stamp_of(__u64 generation, __u32 tgid, __u32 exec_id, __u32 v)
{
	return generation << 32 | (exec_id & 0xff) << 24 | tgid << 2 | v; /* tgid has 22 bits at most */
}

static __always_inline __u32 last_verdict(const struct conversation *c)
{
	return c->stamp & 3;
}

/* What was decided of a conversation for this user; ASK: nothing that still holds. */
static __always_inline __u32 decided(const struct conversation *c, __u32 tgid, __u64 start, __u32 exec_id, __u64 generation)
{
	__u64 v = *(volatile __u64 *)&c->stamp ^ stamp_of(generation, tgid, exec_id, 0);
	return v < 4 && c->start == start && c->exec_id == exec_id ? v : ASK;
}

/* Keeps what was decided, and tells the service if that is news. */
static __always_inline void remember(struct conversation *c, const struct owner *o, const struct ends *e, __u32 v, __u64 generation)
{
	__u64 before = c->stamp, now = stamp_of(generation, o->tgid, o->exec_id, v);
	bool news = (__u32)before != (__u32)now || c->start != o->start || c->exec_id != o->exec_id;
	*(volatile __u64 *)&c->stamp = 0;
	*(volatile __u64 *)&c->start = o->start;
	*(volatile __u32 *)&c->exec_id = o->exec_id;
	*(volatile __u64 *)&c->stamp = now;
	if (news)
		show_flow(o, e, v);
}

/* Makes o the owner of a socket. Who reads it at the same time must not take half of each
 * for one that is known. */
static __always_inline void change_owner(struct socket_state *s, const struct owner *o)
{
	struct owner n = *o;
	n.flags |= OWNER_UNKNOWN | OWNER_MISSING;
	*(volatile __u32 *)&s->owner.flags = n.flags;
	barrier();
	s->owner = n;
	barrier();
	*(volatile __u32 *)&s->owner.flags = o->flags;
}

static __always_inline bool is_owner(const struct socket_state *s, const struct owner *o)
{
	return same_user(&s->owner, o) && same_file(&s->owner.exe, &o->exe);
}

/* Whoever asked a multicast or broadcast address is answered from others, at the port that
 * it asked. */
static __always_inline bool answers_all(const struct socket_state *s, const struct ends *e)
{
	return s->asked_until && s->asked_port == e->port && bpf_ktime_get_boot_ns() < s->asked_until;
}

/* Tells the service of a flow of which somebody else decides how many there are: of one
 * socket once in a second, of all once in 50 us. 1: it was told. */
static __always_inline int show_rarely(struct socket_state *s, const struct owner *o, const struct ends *e, __u32 v)
{
	__u32 zero = 0;
	__u64 now = bpf_ktime_get_boot_ns(), *last = bpf_map_lookup_elem(&shown_last, &zero);
	if (!last || !o || !e)
		return 0;
	if (now - *last < 50000 || (s && now - s->told < SECOND)) {
		count(UNTOLD);
		return 0;
	}
	*last = now;
	if (s)
		s->told = now;
	show_flow(o, e, v);
	return 1;
}

/* What is decided of a packet or call that goes through a socket, for its user. It sets who
 * began. What is allowed becomes one of the socket's conversations; of what is blocked,
 * the first. The user is given, not read from the socket: others may take it over meanwhile. */
__noinline __u32 judge(struct socket_state *s, const struct owner *o, struct ends *e)
{
	struct control *k = control();
	if (!s || !o || !e || !k)
		return ASK;
	struct conversation *c = conversation(s, e);
	if (c) {
		e->direction = c->direction;
		__u32 v = decided(c, o->tgid, o->start, o->exec_id, k->generation);
		if (v != ASK)
			return v;
	}
	__u32 v = decide(o, e);
	if (v != ALLOW && v != BLOCK)
		return ASK;
	if (v == BLOCK && !c && s->first.protocol) {
		show_rarely(s, o, e, v);
		return v;
	}
	if (!is_owner(s, o)) /* another took the socket over meanwhile, and o may be half of each */
		return v;
	c = begin(s, e);
	if (c)
		remember(c, o, e, v, k->generation);
	return v;
}
