package view

import (
	"math"
	"testing"
	"time"
)

func TestBytes(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 KB", 1449: "1.4 KB", 9949: "9.9 KB", 9950: "10 KB",
		999_499: "999 KB", 999_500: "1.0 MB", 23_000_000: "23 MB", 5_000_000_000: "5.0 GB",
		math.MaxUint64: "18 EB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := Number(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	type pair struct{ en, ja string }
	for i, want := range []pair{{"09:05", "09:05"}, {"2 Nov, 12:00", "11/2 12:00"}, {"3 Nov 2025", "2025/11/3"}} {
		at := []time.Time{noon.Add(-2*time.Hour - 55*time.Minute), noon.AddDate(0, 0, -1), noon.AddDate(-1, 0, 0)}[i]
		speak(t, "en")
		if got := Moment(at, noon); got != want.en {
			t.Errorf("%v: %q, want %q", at, got, want.en)
		}
		speak(t, "ja")
		if got := Moment(at, noon); got != want.ja {
			t.Errorf("%v: %q, want %q", at, got, want.ja)
		}
	}
	for d, want := range map[time.Duration]pair{
		-time.Second: {"just now", "たった今"}, time.Minute: {"1 minute ago", "1 分前"}, 59*time.Minute + 59*time.Second: {"59 minutes ago", "59 分前"},
		2 * time.Hour: {"2 hours ago", "2 時間前"}, 30 * time.Hour: {"1 day ago", "1 日前"}, 40 * 24 * time.Hour: {"24 Sep, 12:00", "9/24 12:00"},
	} {
		speak(t, "en")
		if got := Ago(noon.Add(-d), noon); got != want.en {
			t.Errorf("%v: %q, want %q", d, got, want.en)
		}
		speak(t, "ja")
		if got := Ago(noon.Add(-d), noon); got != want.ja {
			t.Errorf("%v: %q, want %q", d, got, want.ja)
		}
	}
	for d, want := range map[time.Duration]pair{
		0: {"ended", "終了"}, time.Second: {"1 minute left", "残り 1 分"}, 54*time.Minute - 1: {"54 minutes left", "残り 54 分"},
		90 * time.Minute: {"2 hours left", "残り 2 時間"}, 72 * time.Hour: {"3 days left", "残り 3 日"},
	} {
		speak(t, "en")
		if got := Left(d); got != want.en {
			t.Errorf("%v: %q, want %q", d, got, want.en)
		}
		speak(t, "ja")
		if got := Left(d); got != want.ja {
			t.Errorf("%v: %q, want %q", d, got, want.ja)
		}
	}
}
