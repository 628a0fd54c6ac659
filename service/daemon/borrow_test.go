package daemon_test

import (
	"encoding/json"
	"os"
	"testing"

	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// A socket lends nothing: who sends on it is judged, not who made it.
func TestSocketsLendNothing(t *testing.T) {
	s := newScene(t)
	evil := s.script("evil.py", `
u = socket.socket(fileno=int(sys.argv[1]))
u.sendto(b'evil', TARGET)
time.sleep(0.3)
`)
	for name, text := range map[string]string{
		"inherited": "u = socket.socket(type=socket.SOCK_DGRAM); u.set_inheritable(True)\n",
		"used before": "u = socket.socket(type=socket.SOCK_DGRAM); u.set_inheritable(True)\n" +
			"u.settimeout(2); u.sendto(b'good', TARGET); u.recv(9)\n",
	} {
		t.Run(name, func(t *testing.T) {
			good := s.script("good-"+name+".py", text+"os.spawnv(os.P_WAIT, PYTHON, [PYTHON, HERE + '/evil.py', str(u.fileno())])\n")
			s.allowScript(good)
			c := s.start(python(t), good)
			p := s.prompts(1)[0]
			if p.Flow.Process.Script != evil {
				t.Errorf("asked about %+v", p.Flow.Process.Program)
			}
			_ = c.Wait()
		})
	}
}

// A port lends nothing either: two programs may share one.
func TestPortsLendNothing(t *testing.T) {
	s := newScene(t)
	share := `
u = socket.socket(type=socket.SOCK_DGRAM)
u.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
u.bind(('0.0.0.0', 5555))
`
	good := s.script("good.py", share+"u.connect(TARGET)\nfor i in range(100): u.send(b'good'); time.sleep(0.02)\n")
	evil := s.script("evil.py", share+"u.connect(TARGET)\nfor i in range(20): u.send(b'evil!')\ntime.sleep(1)\n")
	s.allowScript(good)
	wire := s.Remote.Wire()
	g := s.start(python(t), good)
	e := s.start(python(t), evil)
	p := s.prompts(1)[0]
	if p.Flow.Process.Script != evil {
		t.Errorf("asked about %+v", p.Flow.Process.Program)
	}
	_, _ = e.Wait(), g.Wait()
	for _, sent := range wire.Packets(lab.To(s.target.Addr()).From(s.Home.Addr4)) {
		if string(sent.Payload) == "evil!" {
			t.Fatal("it left by the other program's port")
		}
	}
}

// A child that executes nothing is its parent's program.
func TestForkIsTheSameProgram(t *testing.T) {
	s := newScene(t)
	file := s.script("fork.py", "if os.fork() == 0:\n    "+connect+"    os._exit(0)\nsys.exit(os.waitstatus_to_exitcode(os.wait()[1]))\n")
	s.allowScript(file)
	if err := s.start(python(t), file).Wait(); err != nil {
		t.Error(err)
	}
}

// Another user sees and answers what is theirs, and nothing else.
func TestOtherUser(t *testing.T) {
	const uid = 12345
	s := newScene(t)
	program := s.Home.Program("program")
	for _, dir := range []string{s.Dir, s.service.Socket[:len(s.service.Socket)-len("/sekisho.sock")]} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	roots := program.Start(t.Context(), "tcp", s.target.String())
	theirs := program.Command(t.Context(), "udp", "-echo", s.target.String()).As(uid, uid)
	theirs.Args = []string{program.Path, "-echo", "udp", s.target.String()}
	if err := theirs.Start(); err != nil {
		t.Fatal(err)
	}
	var rootsID, theirsID string
	for _, p := range s.prompts(2) {
		if p.Flow.Process.UID == uid {
			theirsID = p.ID
		} else {
			rootsID = p.ID
		}
	}
	r, err := s.service.CtlAs(t.Context(), uid, uid, "--json", "prompts")
	if err != nil || r.Code != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	var seen struct {
		Prompt struct{ ID string }
	}
	if err := json.Unmarshal([]byte(r.Out), &seen); err != nil || seen.Prompt.ID != theirsID {
		var all []struct {
			Prompt struct{ ID string }
		}
		if json.Unmarshal([]byte(r.Out), &all) != nil || len(all) != 1 || all[0].Prompt.ID != theirsID {
			t.Errorf("they see %s, want %s alone", r.Out, theirsID)
		}
	}
	if r, err := s.service.CtlAs(t.Context(), uid, uid, "answer", rootsID, "allow"); err != nil || r.Code == 0 {
		t.Errorf("root's prompt: %+v, %v", r, err)
	}
	if r, err := s.service.CtlAs(t.Context(), uid, uid, "mode", "off"); err != nil || r.Code != 4 {
		t.Errorf("the mode: %+v, %v", r, err)
	}
	if n := s.status().Waiting; n != 2 {
		t.Errorf("%d wait, want both", n)
	}
	if r, err := s.service.CtlAs(t.Context(), uid, uid, "answer", theirsID, "allow", "--for", "always"); err != nil || r.Code != 0 {
		t.Fatalf("their own: %+v, %v", r, err)
	}
	if err := theirs.Wait(); err != nil {
		t.Errorf("their program: %v", err)
	}
	// Their rule is about their own programs: root's still waits, and asks.
	p := s.prompts(1)[0]
	if p.ID != rootsID {
		t.Errorf("%s waits, want %s", p.ID, rootsID)
	}
	s.answer(p, rule.Block, rule.Once, prompt.DefaultScope(p.Flow))
	if out, _ := roots.Wait(); len(out) != 1 || out[0].OK {
		t.Errorf("root's program: %+v", out)
	}
}
