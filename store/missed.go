package store

import (
	"cmp"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"sekisho/app/prompt"
)

// MaxMissed is how many missed prompts are kept: the newest.
const MaxMissed = 500

// Missed returns the missed prompts, the newest (by deadline) first.
func (s *Store) Missed() ([]prompt.Prompt, error) {
	var prompts []prompt.Prompt
	err := s.view(func(tx *bbolt.Tx) error {
		prompts = missed(tx.Bucket([]byte(missedBucket)))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read missed prompts: %w", err)
	}
	return prompts, nil
}

// missed skips what it cannot read: Open reports and removes it.
func missed(b *bbolt.Bucket) []prompt.Prompt {
	var prompts []prompt.Prompt
	c := b.Cursor()
	for key, value := c.First(); key != nil; key, value = c.Next() {
		if p, err := decodePrompt(key, value); err == nil {
			prompts = append(prompts, p)
		}
	}
	slices.SortFunc(prompts, func(a, b prompt.Prompt) int {
		return cmp.Or(b.Deadline.Compare(a.Deadline), b.Flow.Time.Compare(a.Flow.Time), cmp.Compare(b.ID, a.ID))
	})
	return prompts
}

// PutMissed keeps prompts in the inbox, each in the place of the one with its id, and
// drops the oldest beyond MaxMissed.
func (s *Store) PutMissed(prompts ...prompt.Prompt) error {
	err := s.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(missedBucket))
		for _, p := range prompts {
			if p.ID == "" || len(p.ID) > maxID {
				return fmt.Errorf("prompt %.20q %w", p.ID, errNoID)
			}
			value, err := encode([]byte(p.ID), newPromptRecord(p))
			if err != nil {
				return err
			}
			if err := b.Put([]byte(p.ID), value); err != nil {
				return err
			}
		}
		kept := missed(b)
		for _, p := range kept[min(len(kept), MaxMissed):] {
			if err := b.Delete([]byte(p.ID)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("save missed prompts: %w", err)
	}
	return nil
}

// DeleteMissed removes prompts from the inbox; those that are not there are no error.
func (s *Store) DeleteMissed(ids ...string) error {
	err := s.update(func(tx *bbolt.Tx) error {
		for _, id := range ids {
			if err := tx.Bucket([]byte(missedBucket)).Delete([]byte(id)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete missed prompts: %w", err)
	}
	return nil
}
