package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
)

// brief writes the shortest program that connects (over IPv4) and ends without waiting:
// machine code, since any compiler's program would take twenty times as long to start
// here, and the shorter it lives the harder it is to see.
func (s *scene) brief(to netip.AddrPort) string {
	code := []byte{
		0xbf, 2, 0, 0, 0, // mov edi, AF_INET
		0xbe, 1, 8, 0, 0, // mov esi, SOCK_STREAM|SOCK_NONBLOCK
		0x31, 0xd2, // xor edx, edx
		0xb8, 41, 0, 0, 0, // mov eax, SYS_socket
		0x0f, 0x05, // syscall
		0x89, 0xc7, // mov edi, eax
		0x48, 0x8d, 0x35, 21, 0, 0, 0, // lea rsi, [address]
		0xba, 16, 0, 0, 0, // mov edx, its size
		0xb8, 42, 0, 0, 0, // mov eax, SYS_connect
		0x0f, 0x05, // syscall
		0x31, 0xff, // xor edi, edi
		0xb8, 60, 0, 0, 0, // mov eax, SYS_exit
		0x0f, 0x05, // syscall
		2, 0, // address: struct sockaddr_in
	}
	code = binary.BigEndian.AppendUint16(code, to.Port())
	code = append(code, to.Addr().AsSlice()...)
	code = append(code, make([]byte, 8)...)

	const base, headers = 0x400000, 64 + 56
	size := uint64(headers + len(code))
	var b bytes.Buffer
	h := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Entry: base + headers, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	copy(h.Ident[:], elf.ELFMAG+string([]byte{byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}))
	p := elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x1000}
	for _, part := range []any{h, p, code} {
		s.must("write a program", binary.Write(&b, binary.LittleEndian, part))
	}
	file := filepath.Join(s.Dir, "brief")
	s.must("write a program", os.WriteFile(file, b.Bytes(), 0o755))
	return file
}
