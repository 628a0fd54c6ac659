package stream

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOrder(t *testing.T) {
	type seg struct {
		at int
		b  string
	}
	tests := map[string]struct {
		segs []seg
		want string
		kept int
	}{
		"in order":            {[]seg{{0, "ab"}, {2, "cd"}}, "abcd", 0},
		"the other way round": {[]seg{{2, "cd"}, {0, "ab"}}, "abcd", 0},
		"sent again":          {[]seg{{0, "ab"}, {0, "ab"}, {2, "c"}}, "abc", 0},
		"sent again, longer":  {[]seg{{0, "ab"}, {0, "XXcd"}}, "abcd", 0},
		"the first counts":    {[]seg{{2, "cd"}, {1, "bXYe"}, {0, "ZZZZZZf"}}, "ZbcdeZf", 0},
		"a gap":               {[]seg{{0, "a"}, {2, "c"}, {4, "e"}}, "a", 2},
		"a gap is filled":     {[]seg{{4, "e"}, {2, "c"}, {0, "a"}, {1, "bXdYf"}}, "abcdef", 0},
		"within":              {[]seg{{1, "bcde"}, {2, "XY"}, {0, "a"}}, "abcde", 0},
		"nothing":             {[]seg{{0, ""}, {5, ""}}, "", 0},
	}
	for name, tt := range tests {
		for _, first := range []uint32{0, 1<<32 - 3} {
			o := NewOrder(first)
			var got bytes.Buffer
			for _, s := range tt.segs {
				o.Add(first+uint32(s.at), []byte(s.b), func(b []byte) { got.Write(b) })
			}
			if got.String() != tt.want || o.Kept() != tt.kept || o.Next() != first+uint32(len(tt.want)) || o.Lost() {
				t.Errorf("%s from %d: %q, %d kept, next %d, want %q", name, first, got.String(), o.Kept(), o.Next()-first, tt.want)
			}
		}
	}
}

func TestOrderIsBounded(t *testing.T) {
	never := func([]byte) { t.Error("out of order") }
	o := NewOrder(0)
	for i := range uint32(70) {
		o.Add(2+2*i, []byte("x"), never)
	}
	if !o.Lost() || o.Kept() != 0 {
		t.Errorf("many parts: lost %v, %d kept", o.Lost(), o.Kept())
	}
	o = NewOrder(0)
	o.Add(1, make([]byte, MaxAhead), never)
	if !o.Lost() || o.Kept() != 0 {
		t.Errorf("far ahead: lost %v, %d kept", o.Lost(), o.Kept())
	}
	o = NewOrder(0)
	o.Add(1<<31+5, []byte("forged"), never) // in no window: as if it had not come
	if o.Lost() {
		t.Error("a forgery ended the stream")
	}
}

// However a stream is cut, mixed and sent again, it comes out as it was.
func TestOrderAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "stream")
		first := rapid.SampledFrom([]uint32{0, 1<<32 - 100, 1<<31 - 50}).Draw(t, "first")
		o := NewOrder(first)
		var got []byte
		each := func(b []byte) { got = append(got, b...) }
		for range rapid.IntRange(0, 40).Draw(t, "segments") {
			from := rapid.IntRange(0, len(whole)).Draw(t, "from")
			to := rapid.IntRange(from, len(whole)).Draw(t, "to")
			o.Add(first+uint32(from), whole[from:to], each)
			if !bytes.HasPrefix(whole, got) {
				t.Fatalf("%x is not the beginning of %x", got, whole)
			}
		}
		o.Add(first, whole, each)
		if !bytes.Equal(got, whole) || o.Kept() != 0 {
			t.Fatalf("%x, %d kept, want %x", got, o.Kept(), whole)
		}
	})
}
