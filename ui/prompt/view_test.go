package prompt

import (
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"

	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/assets"
	"sekisho/ui/sample"
	"sekisho/ui/text"
	"sekisho/ui/theme"
	"sekisho/ui/view"
	"sekisho/ui/widget"
)

// stage is a view in a window without a display, with a clock that only the test moves.
type stage struct {
	*testing.T
	*View
	window  fyne.Window
	clock   time.Time
	answers []prompt.Answer
	laters  int
	steps   []int

	shortcuts fyne.ShortcutHandler
}

func newStage(t *testing.T, language, shade, name string) *stage {
	t.Helper()
	app := test.NewTempApp(t)
	app.Settings().SetTheme(theme.New(shade))
	if err := text.SetLanguage(language); err != nil {
		t.Fatal(err)
	}
	s := &stage{T: t, clock: sample.Now}
	s.View = New(Actions{
		Answer: func(_ string, a prompt.Answer) { s.answers = append(s.answers, a) },
		Later:  func() { s.laters++ },
		Step:   func(by int) { s.steps = append(s.steps, by) },
		Resize: func() {
			if s.window != nil {
				s.window.Resize(s.Root().MinSize())
			}
		},
	}, func() time.Time { return s.clock })
	s.Show(view.Ask(sample.Prompt(name)), "")
	s.window = test.NewTempWindow(t, s.Root())
	s.window.SetPadded(false)
	s.window.Resize(s.Root().MinSize())
	s.AddShortcuts(shortcutCanvas{s.window.Canvas(), &s.shortcuts})
	return s
}

// wait moves the clock and ticks, as the window does.
func (s *stage) wait(d time.Duration) {
	s.clock = s.clock.Add(d)
	s.Tick()
}

func (s *stage) alt(key fyne.KeyName) {
	s.shortcuts.TypedShortcut(&desktop.CustomShortcut{KeyName: key, Modifier: fyne.KeyModifierAlt})
}

// shortcutCanvas takes shortcuts, which the test canvas does not.
type shortcutCanvas struct {
	fyne.Canvas
	to *fyne.ShortcutHandler
}

func (c shortcutCanvas) AddShortcut(s fyne.Shortcut, f func(fyne.Shortcut)) { c.to.AddShortcut(s, f) }

func (s *stage) choose(seg *widget.Seg, i int) { seg.Select(i) }

func TestGoldens(t *testing.T) {
	for _, name := range []string{"known", "script", "risky"} {
		for _, shade := range []string{"light", "dark"} {
			t.Run(name+"-"+shade, func(t *testing.T) {
				s := newStage(t, "en", shade, name)
				if name == "script" {
					s.Show(s.Question(), text.T("prompt.others", "N", 3, "Programs", "curl (2), Firefox"))
				}
				s.wait(ArmDelay)
				test.AssertImageMatches(t, "prompt-"+name+"-"+shade+".png", s.window.Canvas().Capture())
			})
		}
	}
}

// Japanese pictures differ with the system's fonts, so it is held to its layout: no text
// that carries meaning is cut or reaches out of the window.
func TestNothingIsCut(t *testing.T) {
	for _, language := range assets.Languages() {
		for _, name := range []string{"known", "script", "risky", "incoming", "unknown"} {
			t.Run(name+"-"+language, func(t *testing.T) {
				s := newStage(t, language, "dark", name)
				s.wait(ArmDelay)
				if w := s.Root().MinSize().Width; w > Width+1 {
					t.Errorf("%v wide, want %v", w, Width)
				}
				seen := 0
				walk(s.Root(), fyne.NewPos(0, 0), func(o fyne.CanvasObject, at fyne.Position) {
					x, ok := o.(*widget.Text)
					if !ok || x.S == "" {
						return
					}
					seen++
					if x.Shown() != x.S {
						t.Errorf("cut: %q to %q", x.S, x.Shown())
					}
					if at.X < 0 || at.X+x.Size().Width > Width+1 {
						t.Errorf("%q reaches from %v to %v", x.S, at.X, at.X+x.Size().Width)
					}
				})
				if seen < 8 {
					t.Errorf("%d texts found", seen)
				}
				for _, seg := range []*widget.Seg{s.lifetime, s.scope} {
					if need, have := seg.MinSize().Width, seg.Size().Width; need > have {
						t.Errorf("%q need %v, have %v", seg.Options, need, have)
					}
				}
			})
		}
	}
}

// walk visits what is visible, with its place in the window.
func walk(o fyne.CanvasObject, at fyne.Position, f func(fyne.CanvasObject, fyne.Position)) {
	if !o.Visible() {
		return
	}
	f(o, at)
	var inside []fyne.CanvasObject
	switch c := o.(type) {
	case *fyne.Container:
		inside = c.Objects
	case fyne.Widget:
		inside = test.WidgetRenderer(c).Objects()
	}
	for _, i := range inside {
		walk(i, at.Add(i.Position()), f)
	}
}

func TestNothingCountsBeforeItIsArmed(t *testing.T) {
	s := newStage(t, "en", "light", "known")
	try := func() {
		test.Tap(s.allow)
		test.Tap(s.block)
		test.Tap(s.later)
		s.alt(fyne.KeyA)
		s.alt(fyne.KeyB)
		s.key(&fyne.KeyEvent{Name: fyne.KeyEscape})
	}
	try()
	s.wait(ArmDelay - time.Millisecond)
	try()
	if len(s.answers) != 0 || s.laters != 0 {
		t.Fatalf("answered %v, %d times later", s.answers, s.laters)
	}
	s.wait(time.Millisecond)
	test.Tap(s.allow)
	if len(s.answers) != 1 || s.answers[0].Action != rule.Allow {
		t.Fatalf("answered %v", s.answers)
	}
	test.Tap(s.block) // one answer, not two
	s.wait(time.Minute)
	s.alt(fyne.KeyB)
	if len(s.answers) != 1 {
		t.Fatalf("answered %v", s.answers)
	}
}

func TestOtherContentArmsAgain(t *testing.T) {
	s := newStage(t, "en", "light", "known")
	s.wait(ArmDelay)
	more := sample.Prompt("known")
	more.Flows, more.Generation = 50, 9
	s.Show(view.Ask(more), "")
	if !s.Armed() {
		t.Error("more connections of the same kind made the buttons wait")
	}
	s.choose(s.lifetime, 4)
	s.alt(fyne.KeyA)
	if len(s.answers) != 1 || s.answers[0].Generation != 9 || s.answers[0].Lifetime != rule.Always {
		t.Fatalf("answered %+v, want generation 9", s.answers)
	}
	s.Show(view.Ask(sample.Prompt("risky")), "")
	test.Tap(s.allow)
	s.alt(fyne.KeyA)
	if len(s.answers) != 1 {
		t.Fatal("a click that was meant for the last prompt answered this one")
	}
	s.wait(ArmDelay)
	s.alt(fyne.KeyB)
	if len(s.answers) != 2 || s.answers[1].Action != rule.Block {
		t.Fatalf("answered %+v", s.answers)
	}
	changed := sample.Prompt("risky")
	changed.Warnings = changed.Warnings[:1]
	s.Show(view.Ask(changed), "")
	if s.Armed() {
		t.Error("another warning left the buttons armed")
	}
}

func TestChoicesBecomeTheAnswer(t *testing.T) {
	for li, lifetime := range []struct {
		kind rule.LifetimeKind
		span time.Duration
	}{{rule.Once, 0}, {rule.Quit, 0}, {rule.Until, time.Hour}, {rule.Boot, 0}, {rule.Always, 0}} {
		for si, scope := range sample.Prompt("known").Scopes {
			s := newStage(t, "en", "light", "known")
			s.wait(ArmDelay)
			s.choose(s.lifetime, li)
			s.choose(s.scope, si)
			if got, want := s.preview.S, s.Question().Preview(li, si); got != want || want == "" {
				t.Errorf("preview %q, want %q", got, want)
			}
			test.Tap(s.block)
			want := prompt.Answer{Action: rule.Block, Lifetime: lifetime.kind, For: lifetime.span, Scope: scope, Generation: 1}
			if len(s.answers) != 1 || s.answers[0] != want {
				t.Errorf("answered %+v, want %+v", s.answers, want)
			}
		}
	}
}

func TestKeyboard(t *testing.T) {
	s := newStage(t, "en", "light", "known")
	s.wait(ArmDelay)
	c := s.window.Canvas()
	seen := map[fyne.Focusable]bool{}
	for range 12 {
		c.FocusNext()
		f := c.Focused()
		if f == nil {
			t.Fatal("nothing has the focus")
		}
		if seen[f] {
			break
		}
		seen[f] = true
		if f == fyne.Focusable(s.block) || f == fyne.Focusable(s.later) {
			continue
		}
		f.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
		f.TypedKey(&fyne.KeyEvent{Name: fyne.KeySpace})
		f.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	}
	for _, f := range []fyne.Focusable{s.lifetime, s.scope, s.details.Header, s.block, s.allow, s.later} {
		if !seen[f] {
			t.Errorf("the keyboard does not reach %T", f)
		}
	}
	if len(s.answers) != 0 {
		t.Fatalf("Enter or Space answered: %+v", s.answers)
	}
	if s.laters < 4 {
		t.Errorf("Escape was heard %d times", s.laters)
	}
	s.lifetime.TypedKey(&fyne.KeyEvent{Name: fyne.KeyRight})
	if s.lifetime.Selected != 2 {
		t.Errorf("lifetime %d after the right arrow", s.lifetime.Selected)
	}
	s.block.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if len(s.answers) != 1 || s.answers[0].Action != rule.Block {
		t.Errorf("answered %+v", s.answers)
	}
}

func TestAllowAndBlockWeighTheSame(t *testing.T) {
	for _, name := range []string{"known", "risky"} {
		s := newStage(t, "en", "light", name)
		if a, b := s.allow.Size(), s.block.Size(); a != b || a.Height == 0 {
			t.Errorf("%s: allow is %v, block %v", name, a, b)
		}
		if s.later.Size().Height >= s.allow.Size().Height {
			t.Errorf("%s: later is as tall as allow", name)
		}
	}
}

func TestCountdownAndFailure(t *testing.T) {
	s := newStage(t, "en", "light", "known")
	s.wait(9 * time.Second)
	if s.count.S != "Blocked in 45 s if you don't answer" || s.bar.Value < .749 || s.bar.Value > .751 {
		t.Errorf("%q, %v", s.count.S, s.bar.Value)
	}
	s.alt(fyne.KeyA)
	s.Fail("Could not answer: no service")
	if s.Armed() || !s.problem.Visible() {
		t.Error("a failure is not shown, or armed at once")
	}
	s.wait(ArmDelay)
	s.alt(fyne.KeyA)
	if len(s.answers) != 2 {
		t.Errorf("%d answers, want the second try to count", len(s.answers))
	}
}
