package mainwindow

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/assets"
	"sekisho/ui/sample"
	"sekisho/ui/text"
	"sekisho/ui/theme"
	"sekisho/ui/view"
	"sekisho/ui/widget"
)

// picture draws a page as Preview shows it.
func picture(t *testing.T, language, shade, page string) (fyne.Window, fyne.CanvasObject) {
	t.Helper()
	app := test.NewTempApp(t)
	if err := text.SetLanguage(language); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = text.SetLanguage("en") })
	app.Settings().SetTheme(theme.New(shade))
	service := sample.NewService(sample.Connections(), sample.Rules())
	o, err := Preview(t.Context(), service, sample.Clock{}, Options{}, page, true)
	if err != nil {
		t.Fatal(err)
	}
	w := test.NewTempWindow(t, o)
	w.SetPadded(false)
	w.Resize(Size)
	return w, o
}

// TestGolden compares the pages with the pictures in testdata. English only: which
// font draws Japanese depends on the machine.
func TestGolden(t *testing.T) {
	for _, page := range []string{Connections, Rules} {
		for _, shade := range []string{"light", "dark"} {
			t.Run(page+"-"+shade, func(t *testing.T) {
				w, _ := picture(t, "en", shade, page)
				test.AssertImageMatches(t, page+"-"+shade+".png", w.Canvas().Capture())
			})
		}
	}
}

// TestThemeChangesWhileOpen holds that a window that turns dark looks as one that was
// opened dark.
func TestThemeChangesWhileOpen(t *testing.T) {
	for _, page := range []string{Connections, Rules} {
		w, _ := picture(t, "en", "light", page)
		fyne.CurrentApp().Settings().SetTheme(theme.New("dark"))
		test.AssertImageMatches(t, page+"-dark.png", w.Canvas().Capture())
	}
}

// TestWordsFit measures in both languages all that has a fixed room.
func TestWordsFit(t *testing.T) {
	for _, language := range assets.Languages() {
		t.Run(language, func(t *testing.T) {
			_, o := picture(t, language, "light", Connections)
			fits := func(s string, points float32, bold bool, room float32) {
				t.Helper()
				if w := fyne.MeasureText(s, points, fyne.TextStyle{Bold: bold}).Width; w > room {
					t.Errorf("%q is %.0f wide in %.0f", s, w, room)
				}
			}
			cells := place(Size.Width - sideWidth - 42)
			for _, c := range view.Columns {
				fits(columnName(c), 12, true, cells[c].width)
			}
			var keys map[string]any
			if err := json.Unmarshal(assets.Translation(language), &keys); err != nil {
				t.Fatal(err)
			}
			for key := range keys {
				if strings.HasPrefix(key, "by.") && key != "by.list" && !strings.HasSuffix(key, ".text") {
					fits(text.T(key), theme.Medium, false, columnWidths[view.ColumnBy])
				}
				if strings.HasPrefix(key, "page.") {
					fits(text.T(key), theme.Normal, true, sideWidth-24-44)
				}
			}
			fits(text.T("connections.search"), theme.Normal, false, 380-44)
			fits(text.T("rules.search"), theme.Normal, false, 380-44)
			for _, ago := range []time.Duration{0, 40 * 24 * time.Hour, 400 * 24 * time.Hour} {
				fits(view.Moment(sample.Now.Add(-ago), sample.Now), theme.Medium, false, cells[view.ColumnSince].width)
			}
			for _, n := range []uint64{999, 999_000, 99_900_000_000} {
				fits(view.Bytes(n), theme.Medium, false, cells[view.ColumnSent].width)
			}
			for _, o := range test.LaidOutObjects(o) {
				if b, ok := o.(*widget.Btn); ok && b.Visible() && b.Size().Width < b.MinSize().Width {
					t.Errorf("the button %q is cut", b.Label)
				}
			}
		})
	}
}

// TestStripFits says every mode, with two kinds of news beside it, without a cut.
func TestStripFits(t *testing.T) {
	for _, language := range assets.Languages() {
		s := shown(t, language, "light", Connections)
		for _, m := range api.Modes {
			s.w.StatusChanged(api.Status{Mode: m, Enforcing: m != api.ModeOff, Waiting: 12, ModeUntil: sample.Now.Add(time.Hour)})
			s.until("the mode", func() bool { return s.w.strip.status.Mode == m && s.w.strip.status.Waiting == 12 })
			if got := s.w.strip.mode.Shown(); got != s.w.strip.mode.S {
				t.Errorf("%s: cut to %q", language, got)
			}
		}
		s.service.Stop()
		s.until("the strip to say so", func() bool { s.clock.advance(pace); return s.w.strip.away })
		if got := s.w.strip.mode.Shown(); got != s.w.strip.mode.S {
			t.Errorf("%s: cut to %q", language, got)
		}
	}
}

// TestNarrowWindowDropsColumns holds that program and destination keep their room.
func TestNarrowWindowDropsColumns(t *testing.T) {
	for _, width := range []float32{480, 600, 700, 800, 960, 1600} {
		cells := place(width)
		if room := cells[view.ColumnProgram].width + cells[view.ColumnDestination].width; room < 240 {
			t.Errorf("%.0f wide: %.0f for program and destination", width, room)
		}
		end := float32(0)
		for _, c := range view.Columns {
			if at := cells[c]; at.width > 0 {
				if at.x < end {
					t.Errorf("%.0f wide: column %d overlaps", width, c)
				}
				end = at.x + at.width
			}
		}
		if end > width {
			t.Errorf("%.0f wide: columns end at %.0f", width, end)
		}
	}
}

// BenchmarkTick is half a second of a busy machine with 100,000 connections on screen:
// 1,000 of them changed, the list sorted by traffic, the page drawn.
func BenchmarkTick(b *testing.B) {
	app := test.NewTempApp(b)
	app.Settings().SetTheme(theme.New("light"))
	flows := make([]flow.Flow, 100_000)
	samples := sample.Connections()
	for i := range flows {
		flows[i] = samples[i%len(samples)]
		flows[i].ID = fmt.Sprint("f", i)
		flows[i].Bytes.Received = uint64(i * 7919 % len(flows))
	}
	o, err := Preview(b.Context(), sample.NewService(nil, nil), sample.Clock{}, Options{}, Connections, false)
	if err != nil {
		b.Fatal(err)
	}
	w := test.NewTempWindow(b, o)
	w.Resize(Size)
	var page *connectionsPage
	for _, o := range test.LaidOutObjects(o) {
		if h, ok := o.(*header); ok {
			page = h.page
			page.sort(view.ColumnReceived.Natural())
		}
	}
	page.sync(flows, nil)
	for i := 0; b.Loop(); i++ {
		batch := flows[i*1000%len(flows):][:1000]
		for j := range batch {
			batch[j].Bytes.Received += uint64(j)
		}
		page.apply(batch)
	}
}
