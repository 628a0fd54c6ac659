package view

import (
	"testing"

	"sekisho/app/flow"
	"sekisho/app/prompt"
)

func waiting(ids ...string) []prompt.Prompt {
	var out []prompt.Prompt
	for _, id := range ids { // "curl1": program curl, id curl1
		name := id[:len(id)-1]
		out = append(out, prompt.Prompt{ID: id, Flow: flow.Flow{Process: &flow.Process{Program: flow.Program{Path: "/bin/" + name, Name: name}}}})
	}
	return out
}

func current(q *Queue) string {
	p, _ := q.Current()
	return p.ID
}

func TestQueue(t *testing.T) {
	language(t, "en")
	var q Queue
	step := func(name, want, others string) {
		t.Helper()
		if got := current(&q); got != want || q.Others() != others {
			t.Errorf("%s: %q on screen, %q; want %q, %q", name, got, q.Others(), want, others)
		}
	}
	step("empty", "", "")
	q.Set(waiting("curl1"))
	step("one", "curl1", "")
	q.Set(waiting("curl1", "git1", "curl2", "git2"))
	step("more", "curl1", "3 more are waiting: curl, git (2)")
	q.Step(1)
	step("next is of the same program", "curl2", "3 more are waiting: curl, git (2)")
	q.Step(-2)
	step("and around", "git2", "3 more are waiting: curl (2), git")
	q.Step(1)
	q.Set(waiting("git1", "curl2", "git2"))
	step("answered: the next of its program", "curl2", "2 more are waiting: git (2)")
	q.Later()
	step("later", "git1", "2 more are waiting: git, curl")
	q.Set(waiting("curl2", "git1", "git2", "ssh1"))
	step("a new one does not push in", "git1", "3 more are waiting: curl, git, ssh")
	q.Later()
	q.Later()
	q.Later()
	step("all later", "", "4 more are waiting: curl, git (2), ssh")
	q.Set(waiting("curl2", "git1", "git2", "ssh1"))
	step("they stay away", "", "4 more are waiting: curl, git (2), ssh")
	q.Set(waiting("curl2", "git1", "git2", "ssh1", "nc1"))
	step("a new one shows itself", "nc1", "4 more are waiting: curl, git (2), ssh")
	q.Later()
	q.Recall()
	step("recalled", "curl2", "4 more are waiting: git (2), ssh, nc")
	if q.Len() != 5 {
		t.Errorf("%d wait", q.Len())
	}
}
