package view

import (
	"strconv"
	"time"

	"sekisho/ui/text"
)

// Bytes is an amount of traffic in at most three digits and decimal units, as file
// managers count: "0 B", "812 B", "1.4 KB", "23 MB".
func Bytes(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	v, units := float64(n), []string{"KB", "MB", "GB", "TB", "PB", "EB"}
	for i, u := range units {
		v /= 1000
		if v < 9.95 {
			return strconv.FormatFloat(v, 'f', 1, 64) + " " + u
		}
		if v < 999.5 || i == len(units)-1 {
			return strconv.FormatFloat(v, 'f', 0, 64) + " " + u
		}
	}
	return ""
}

// Number is a count with a comma between thousands, as English and Japanese write it.
func Number(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Moment is a time as short as it can be told from now: the clock today, the day
// before that, the year where it isn't this one.
func Moment(t, now time.Time) string {
	t = t.In(now.Location())
	y, d := t.Year(), t.YearDay()
	switch {
	case y == now.Year() && d == now.YearDay():
		return t.Format(text.T("time.layout.clock"))
	case y == now.Year():
		return t.Format(text.T("time.layout.day"))
	}
	return t.Format(text.T("time.layout.year"))
}

// Ago is how long ago t was: "just now", "5 minutes ago"; beyond a month, the day.
func Ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d < time.Minute:
		return text.T("time.ago.now")
	case d < time.Hour:
		return text.T("time.ago.minutes", "N", int(d/time.Minute))
	case d < 24*time.Hour:
		return text.T("time.ago.hours", "N", int(d/time.Hour))
	case d < 30*24*time.Hour:
		return text.T("time.ago.days", "N", int(d/(24*time.Hour)))
	}
	return Moment(t, now)
}

// Left is how long something still lasts, rounded up so that it never says none while
// there is some: "1 minute left", "3 hours left".
func Left(d time.Duration) string {
	up := func(unit time.Duration) int { return int((d + unit - 1) / unit) }
	switch {
	case d <= 0:
		return text.T("time.left.over")
	case d <= time.Hour:
		return text.T("time.left.minutes", "N", up(time.Minute))
	case d <= 48*time.Hour:
		return text.T("time.left.hours", "N", up(time.Hour))
	}
	return text.T("time.left.days", "N", up(24*time.Hour))
}
