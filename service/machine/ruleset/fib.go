package ruleset

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func (w *world) lookRoute(a attrs) verdict {
	flags, dreg := a.u32(unix.NFTA_FIB_FLAGS), a.u32(unix.NFTA_FIB_DREG)
	addr := w.packet.Dst.Addr()
	if flags&unix.NFTA_FIB_F_SADDR != 0 {
		addr = w.packet.Src.Addr()
	}
	if a.u32(unix.NFTA_FIB_RESULT) == unix.NFT_FIB_RESULT_ADDRTYPE {
		kind, ok := w.fib.Type(addr)
		v := known(native(kind)...)
		if !ok {
			v = unknown(4, "the kind of the address "+addr.String())
		}
		w.regs.store(dreg, v)
		return goOn
	}
	w.regs.store(dreg, w.fibOut(a, addr, flags))
	return goOn
}

// fibOut is the interface that packets to an address leave by; asked with the interface
// that the packet came in through, it is that or none.
func (w *world) fibOut(a attrs, addr Addr, flags uint32) value {
	index, ok := w.fib.Out(addr)
	byName := a.u32(unix.NFTA_FIB_RESULT) == unix.NFT_FIB_RESULT_OIFNAME
	name := ""
	switch in := w.packet.In; {
	case !ok:
		return unknown(16, "the route to "+addr.String())
	case flags&unix.NFTA_FIB_F_IIF != 0 && index != in.Index:
		index = 0
	case index == in.Index:
		name = in.Name
	case byName:
		return unknown(16, "the route to "+addr.String())
	}
	if flags&unix.NFTA_FIB_F_PRESENT != 0 {
		return known(byte(both01(index != 0)))
	}
	if byName {
		return known(ifname(name)...)
	}
	return known(native(uint32(index))...)
}

// Attributes of nft_socket_attributes.
const (
	socketKey   = 1
	socketDreg  = 2
	socketLevel = 3
)

func (w *world) socket(a attrs) verdict {
	const key, dreg, level, cgroupv2 = socketKey, socketDreg, socketLevel, 3
	o := w.packet.Owner
	switch {
	case w.hook == Input || w.hook == Prerouting:
		return w.when(maybe, "whether the packet's socket is found already")
	case !o.Known:
		return stops
	case a.u32(key) != cgroupv2:
		w.regs.store(a.u32(dreg), unknown(4, "a property of the socket"))
		return goOn
	}
	id, deep, ok := cgroupAt(o.Cgroup, int(a.u32(level)))
	switch {
	case !ok:
		w.regs.store(a.u32(dreg), unknown(8, "the program's control group"))
	case !deep:
		return stops
	default:
		w.regs.store(a.u32(dreg), known(binary.NativeEndian.AppendUint64(nil, id)...))
	}
	return goOn
}

// cgroupAt is the number of a cgroup's ancestor at a level below the root; deep is false
// if it lies higher itself.
func cgroupAt(dir string, level int) (id uint64, deep, ok bool) {
	var path []string
	for d := dir; d != "" && d != "/" && d != "."; d = filepath.Dir(d) {
		var fs unix.Statfs_t
		if unix.Statfs(d, &fs) != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
			break
		}
		path = append([]string{d}, path...)
	}
	if len(path) == 0 {
		return 0, false, false
	}
	if level >= len(path) {
		return 0, false, true
	}
	info, err := os.Stat(path[level])
	if err != nil {
		return 0, false, false
	}
	st, isStat := info.Sys().(*syscall.Stat_t)
	return st.Ino, true, isStat && strings.HasPrefix(dir, "/")
}
