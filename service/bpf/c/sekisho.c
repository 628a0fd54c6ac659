/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * All programs in one object, so that they share their maps.
 */
#include "hooks.h"
#include "classifier.h"
#include "processes.h"
#include "traffic.h"
#include "link.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Keeps the types in the object's BTF, from which bpf2go makes the Go ones. */
#define KEEP(kind, t) const kind t *keep_##t __attribute__((unused))
KEEP(struct, accept_event);
KEEP(struct, args_event);
KEEP(struct, close_event);
KEEP(struct, conversation);
KEEP(struct, conversation_key);
KEEP(struct, event);
KEEP(struct, exec_event);
KEEP(struct, file_record);
KEEP(struct, flow_event);
KEEP(struct, frame_scope);
KEEP(struct, held_packet);
KEEP(struct, listener);
KEEP(struct, listener_key);
KEEP(struct, fork_event);
KEEP(struct, socket_record);
KEEP(struct, socket_state);
KEEP(struct, task_record);
KEEP(enum, verdict);
KEEP(enum, owner_flag);
KEEP(enum, event_kind);
KEEP(enum, counter);
KEEP(enum, control_flag);
KEEP(enum, socket_flag);
KEEP(enum, direction);
KEEP(enum, several);
