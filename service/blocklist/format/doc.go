// Package format reads blocklists as they are published: it says which format a text
// has and gives its entries, one by one, with what was left out and why.
//
// It is not for fetching or keeping lists (package blocklist) nor for looking anything
// up (package compiled). It trusts no list: a text that is no list, or one with an entry
// that would cut the machine off, is refused as a whole with a *Refusal; an entry that
// merely makes no sense here is skipped and counted. Whatever a list says, an entry can
// only block, or take back what the same list blocks.
//
// Goroutines: nothing is shared between calls and none is started.
package format
