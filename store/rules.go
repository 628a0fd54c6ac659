package store

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"sekisho/app/rule"
)

// maxID bounds a rule's, a prompt's and a document's name in bytes.
const maxID = 256

// Use is how often a rule decided, and when last.
type Use struct {
	Hits uint64
	Last time.Time
}

// Rules returns every rule, in the order of their ids.
func (s *Store) Rules() ([]rule.Rule, error) {
	var rules []rule.Rule
	err := s.view(func(tx *bbolt.Tx) error {
		type entry struct{ key, value []byte }
		var all []entry // sorted before they are decoded: a rule is large to move
		err := tx.Bucket([]byte(rulesBucket)).ForEach(func(key, value []byte) error {
			all = append(all, entry{key, value})
			return nil
		})
		if err != nil {
			return err
		}
		slices.SortFunc(all, func(a, b entry) int {
			return cmp.Or(cmp.Compare(len(a.key), len(b.key)), bytes.Compare(a.key, b.key)) // 9 before 10
		})
		rules = make([]rule.Rule, len(all))
		for i, e := range all {
			if rules[i], err = decodeRule(e.key, e.value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	return rules, nil
}

// PutRule saves r and returns it as saved. Without an ID it is a new rule and gets
// the next number; with one it takes the place of the rule that has it, keeps that
// one's hits and last use, and fails with ErrNotFound if there is none.
func (s *Store) PutRule(r rule.Rule) (rule.Rule, error) {
	err := s.update(func(tx *bbolt.Tx) (err error) {
		b := tx.Bucket([]byte(rulesBucket))
		if r.ID != "" && b.Get([]byte(r.ID)) == nil {
			return ErrNotFound
		}
		r, err = putRule(b, r)
		return err
	})
	if err != nil {
		return rule.Rule{}, fmt.Errorf("save rule: %w", err)
	}
	return r, nil
}

// PutRules saves all of rules or, on an error, none, and returns them as saved, in
// the same order. A rule with an ID takes the place of the one that has it, as in
// PutRule, but need not have one; importers clear the ids of another machine.
func (s *Store) PutRules(rules []rule.Rule) ([]rule.Rule, error) {
	return s.putRules(rules, false)
}

// ReplaceRules is PutRules that first removes every rule that there is.
func (s *Store) ReplaceRules(rules []rule.Rule) ([]rule.Rule, error) {
	return s.putRules(rules, true)
}

func (s *Store) putRules(rules []rule.Rule, replace bool) ([]rule.Rule, error) {
	saved := make([]rule.Rule, len(rules))
	err := s.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(rulesBucket))
		if replace {
			if err := clear(b); err != nil {
				return err
			}
		}
		named := map[string]bool{}
		for _, r := range rules {
			if r.ID != "" && named[r.ID] {
				return fmt.Errorf("two rules have the id %q", r.ID)
			}
			named[r.ID] = true
		}
		// Those with an id first, so that no new number takes one of theirs.
		for _, withID := range []bool{true, false} {
			for i, r := range rules {
				if (r.ID != "") != withID {
					continue
				}
				var err error
				if saved[i], err = putRule(b, r); err != nil {
					return fmt.Errorf("rule %d of %d: %w", i+1, len(rules), err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("save rules: %w", err)
	}
	return saved, nil
}

func putRule(b *bbolt.Bucket, r rule.Rule) (rule.Rule, error) {
	if len(r.ID) > maxID {
		return r, errors.New("the rule's id is too long")
	}
	for r.ID == "" {
		n, err := b.NextSequence()
		if err != nil {
			return r, err
		}
		if id := strconv.FormatUint(n, 10); b.Get([]byte(id)) == nil {
			r.ID = id
		}
	}
	key := []byte(r.ID)
	if old := b.Get(key); old != nil {
		was, err := decodeRule(key, old)
		if err != nil {
			return r, err
		}
		r.Hits, r.LastUsed = was.Hits, was.LastUsed
	}
	rec, err := newRuleRecord(r)
	if err != nil {
		return r, err
	}
	value, err := encode(key, rec)
	if err != nil {
		return r, err
	}
	return r, b.Put(key, value)
}

// DeleteRule removes one rule; ErrNotFound if it is not there.
func (s *Store) DeleteRule(id string) error { return s.DeleteRules([]string{id}) }

// DeleteRules removes all of the rules or, if one is not there (ErrNotFound) or the
// disk fails, none.
func (s *Store) DeleteRules(ids []string) error {
	err := s.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(rulesBucket))
		for _, id := range ids {
			if b.Get([]byte(id)) == nil {
				return fmt.Errorf("%w: %q", ErrNotFound, id)
			}
			if err := b.Delete([]byte(id)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete rules: %w", err)
	}
	return nil
}

// AddHits adds to the hits of rules, by id, and moves their last use forward. Rules
// that are gone stay gone.
func (s *Store) AddHits(uses map[string]Use) error {
	err := s.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(rulesBucket))
		for id, use := range uses {
			if err := addHits(b, []byte(id), use); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("save hits: %w", err)
	}
	return nil
}

func addHits(b *bbolt.Bucket, key []byte, use Use) error {
	old := b.Get(key)
	if old == nil {
		return nil
	}
	var rec ruleRecord
	if err := decode(key, old, &rec); err != nil {
		return err
	}
	rec.Hits += use.Hits
	if use.Last.After(rec.LastUsed) {
		rec.LastUsed = use.Last.UTC()
	}
	value, err := encode(key, rec)
	if err != nil {
		return err
	}
	return b.Put(key, value)
}

// clear empties b but keeps its sequence, so that ids are not used again.
func clear(b *bbolt.Bucket) error {
	var keys [][]byte
	err := b.ForEach(func(key, _ []byte) error {
		keys = append(keys, append([]byte(nil), key...))
		return nil
	})
	for _, key := range keys {
		err = errors.Join(err, b.Delete(key))
	}
	return err
}
