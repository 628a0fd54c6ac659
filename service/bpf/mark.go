package bpf

// RejectMark is put on a held packet that is to be refused: the packet then runs through
// our nftables chain again and meets the rule that answers its sender. Only a program
// with CAP_NET_ADMIN could set it, and would get nothing but a refusal.
const RejectMark = 0x5e000000
