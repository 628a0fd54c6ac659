package hello

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
)

// initialKeys take the protection off a client's initial packets (RFC 9001, 5; RFC 9369,
// 3.3). Everybody who saw the first packet can make them: it hides nothing, it only
// keeps those out who do not take the trouble.
type initialKeys struct {
	version uint32
	packet  cipher.AEAD
	iv      [12]byte
	header  cipher.Block
	next    uint64 // the packet number after the largest that was opened
}

var (
	salt1 = []byte("\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a")
	salt2 = []byte("\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9")
)

func newInitialKeys(version uint32, dcid []byte) *initialKeys {
	salt, prefix := salt1, "quic "
	if version == quic2 {
		salt, prefix = salt2, "quicv2 "
	}
	// No size here depends on the packet, so that none of these can fail.
	initial := must(hkdf.Extract(sha256.New, dcid, salt))
	client := expand(initial, "client in", sha256.Size)
	k := &initialKeys{version: version}
	k.packet = must(cipher.NewGCM(must(aes.NewCipher(expand(client, prefix+"key", 16)))))
	k.header = must(aes.NewCipher(expand(client, prefix+"hp", 16)))
	copy(k.iv[:], expand(client, prefix+"iv", 12))
	return k
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// expand is HKDF-Expand-Label of RFC 8446, 7.1, without a context.
func expand(secret []byte, label string, size int) []byte {
	label = "tls13 " + label
	info := binary.BigEndian.AppendUint16(nil, uint16(size))
	info = append(info, byte(len(label)))
	info = append(info, label...)
	info = append(info, 0)
	return must(hkdf.Expand(sha256.New, secret, string(info), size))
}

// open is what a packet holds; false if these are not its keys, or it is damaged.
func (k *initialKeys) open(p long) ([]byte, bool) {
	const sample = 16
	if p.version != k.version || len(p.packet) < p.number+4+sample {
		return nil, false
	}
	var mask [sample]byte
	k.header.Encrypt(mask[:], p.packet[p.number+4:p.number+4+sample])
	first := p.packet[0] ^ mask[0]&0x0f
	size := int(first&3) + 1
	header := append([]byte(nil), p.packet[:p.number+size]...)
	header[0] = first
	for i := range size {
		header[p.number+i] ^= mask[1+i]
	}
	number := packetNumber(k.next, header[p.number:])
	nonce := k.iv
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], number)
	for i := range n {
		nonce[4+i] ^= n[i]
	}
	payload, err := k.packet.Open(nil, nonce[:], p.packet[p.number+size:], header)
	if err != nil {
		return nil, false
	}
	k.next = max(k.next, number+1)
	return payload, true
}
