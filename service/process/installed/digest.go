package installed

import (
	"crypto/md5"  //nolint:gosec // dpkg's sums are of this kind
	"crypto/sha1" //nolint:gosec // and apk's
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Algorithm is how a package manager sums files up.
type Algorithm string

// MD5 and SHA1 are broken for two files that one person makes; nobody knows how to make
// another file of the same sum for one that a distribution made.
const (
	MD5    Algorithm = "md5"
	SHA1   Algorithm = "sha1"
	SHA256 Algorithm = "sha256"
	SHA384 Algorithm = "sha384"
	SHA512 Algorithm = "sha512"
)

// Digest is what was in a file when it was packed.
type Digest struct {
	Algorithm Algorithm
	Hex       string // lower case
}

// IsZero reports whether nothing is known.
func (d Digest) IsZero() bool { return d == Digest{} }

// New makes the hash by which a file is compared with the digest; nil if there is none.
func (a Algorithm) New() hash.Hash {
	switch a {
	case MD5:
		return md5.New() //nolint:gosec // see above
	case SHA1:
		return sha1.New() //nolint:gosec // see above
	case SHA256:
		return sha256.New()
	case SHA384:
		return sha512.New384()
	case SHA512:
		return sha512.New()
	}
	return nil
}

// digest is sum, in hex, if it is one of the algorithm's.
func digest(a Algorithm, sum string) Digest {
	sum = strings.ToLower(sum)
	h := a.New()
	if h == nil || len(sum) != 2*h.Size() {
		return Digest{}
	}
	if _, err := hex.DecodeString(sum); err != nil {
		return Digest{}
	}
	return Digest{a, sum}
}

func inode(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// locked reports whether somebody holds a lock (fcntl) on a file.
func locked(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	l := unix.Flock_t{Type: unix.F_WRLCK}
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l) == nil && l.Type != unix.F_UNLCK
}
