package bpf

// x86 and arm64 use one object: nothing here reads registers, and CO-RE finds the offsets.
//go:generate go tool bpf2go -target bpfel -cc clang -cflags "-O2 -g -Wall -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu -Wno-unused-function -Wno-compare-distinct-pointer-types" -no-global-types -type executable -type process -type owner -type program -type subject -type exact_key -type exact -type head -type query -type control -type event -type exec_event -type args_event -type fork_event -type flow_event -type close_event -type task_record -type file_record -type socket_record -type socket_state -type verdict -type owner_flag -type event_kind -type counter -type control_flag kernel c/sekisho.c
