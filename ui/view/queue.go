package view

import (
	"slices"
	"strconv"

	"sekisho/app/prompt"
	"sekisho/ui/text"
)

// Queue is the prompts that wait for an answer, those of one program side by side, and
// the one of them that is on screen. It belongs to one goroutine.
type Queue struct {
	prompts   []prompt.Prompt
	current   string          // id of the one on screen; "" for none
	postponed map[string]bool // "ask later": they don't show themselves again
}

// Set takes the prompts as they are now. The one on screen stays while it waits; when
// it is gone the next one takes its place.
func (q *Queue) Set(prompts []prompt.Prompt) {
	next := ""
	if i := q.index(q.current); i >= 0 {
		for _, p := range append(slices.Clone(q.prompts[i+1:]), q.prompts[:i]...) {
			if contains(prompts, p.ID) && !q.postponed[p.ID] {
				next = p.ID
				break
			}
		}
	}
	q.prompts = grouped(prompts)
	for id := range q.postponed {
		if !contains(prompts, id) {
			delete(q.postponed, id)
		}
	}
	if contains(prompts, q.current) {
		return
	}
	q.current = next
	if q.current == "" {
		q.first()
	}
}

// first puts the first prompt that was not postponed on screen.
func (q *Queue) first() {
	q.current = ""
	for _, p := range q.prompts {
		if !q.postponed[p.ID] {
			q.current = p.ID
			return
		}
	}
}

// Current is the prompt on screen.
func (q *Queue) Current() (prompt.Prompt, bool) {
	if i := q.index(q.current); i >= 0 {
		return q.prompts[i], true
	}
	return prompt.Prompt{}, false
}

// Len counts all that wait, also those that were postponed.
func (q *Queue) Len() int { return len(q.prompts) }

// Step puts the next prompt (or with -1 the one before) on screen.
func (q *Queue) Step(by int) {
	if i := q.index(q.current); i >= 0 {
		n := len(q.prompts)
		q.current = q.prompts[((i+by)%n+n)%n].ID
	}
}

// Later postpones the prompt on screen and goes to the next one that was not. The
// flows go on waiting.
func (q *Queue) Later() {
	if q.current == "" {
		return
	}
	if q.postponed == nil {
		q.postponed = map[string]bool{}
	}
	q.postponed[q.current] = true
	q.first()
}

// Recall forgets what was postponed: somebody asked to see what waits.
func (q *Queue) Recall() {
	clear(q.postponed)
	if q.current == "" {
		q.first()
	}
}

// Others says how many wait besides the one on screen, by program: "3 more are waiting:
// curl (2), Firefox"; "" if there are none.
func (q *Queue) Others() string {
	var names []string
	count, others := map[string]int{}, 0
	for _, p := range q.prompts {
		if p.ID == q.current {
			continue
		}
		others++
		n := ProgramName(p.Flow.Process)
		if count[n]++; count[n] == 1 {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return ""
	}
	for i, n := range names {
		if count[n] > 1 {
			names[i] = n + " (" + strconv.Itoa(count[n]) + ")"
		}
	}
	more := ""
	if len(names) > 3 {
		names, more = names[:3], "…"
	}
	list := names[0]
	for _, n := range names[1:] {
		list += text.T("prompt.list-comma") + n
	}
	return text.T("prompt.others", "N", others, "Programs", list+more)
}

func (q *Queue) index(id string) int {
	return slices.IndexFunc(q.prompts, func(p prompt.Prompt) bool { return id != "" && p.ID == id })
}

func contains(ps []prompt.Prompt, id string) bool {
	return slices.ContainsFunc(ps, func(p prompt.Prompt) bool { return id != "" && p.ID == id })
}

// grouped puts the prompts of one program side by side, programs in the order in which
// they first asked.
func grouped(ps []prompt.Prompt) []prompt.Prompt {
	var order []string
	by := map[string][]prompt.Prompt{}
	for _, p := range ps {
		key := ""
		if p.Flow.Process != nil {
			key = p.Flow.Process.Key()
		}
		if by[key] == nil {
			order = append(order, key)
		}
		by[key] = append(by[key], p)
	}
	out := make([]prompt.Prompt, 0, len(ps))
	for _, key := range order {
		out = append(out, by[key]...)
	}
	return out
}
