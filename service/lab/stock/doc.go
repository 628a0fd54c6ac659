// Package stock boots the kernels that a distribution ships, under qemu, and has the
// real programs filter inside: what the other tests prove on the kernel of the machine
// is proven there on kernels of others. It finds and downloads the kernels with apt,
// packs an initial file system around the program guest, which is the init of the
// virtual machine and does the checks, and reads from the serial line what came of them.
//
// It needs qemu-system-x86_64 and apt, but neither root nor /dev/kvm. Nothing of it is
// part of what is installed. It starts no goroutines that outlive a call; all calls are
// the test's own goroutine's, several tests may boot at once.
package stock
