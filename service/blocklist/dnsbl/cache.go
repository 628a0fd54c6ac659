package dnsbl

import (
	"container/list"
	"time"
)

// cache keeps answers until they end; when it is full the one that wasn't used for
// longest goes. The checker's lock guards it.
type cache struct {
	size int
	at   map[question]*list.Element
	used *list.List // of *kept, the newest first
}

type kept struct {
	question
	listing *Listing // nil: not listed
	until   time.Time
}

func newCache(size int) *cache {
	return &cache{size: size, at: map[question]*list.Element{}, used: list.New()}
}

func (c *cache) get(q question, now time.Time) (*Listing, bool) {
	e := c.at[q]
	if e == nil {
		return nil, false
	}
	k := e.Value.(*kept)
	if !now.Before(k.until) {
		c.drop(e)
		return nil, false
	}
	c.used.MoveToFront(e)
	return k.listing, true
}

func (c *cache) put(q question, l *Listing, until time.Time) {
	if e := c.at[q]; e != nil {
		c.drop(e)
	}
	for c.used.Len() >= c.size {
		c.drop(c.used.Back())
	}
	c.at[q] = c.used.PushFront(&kept{q, l, until})
}

func (c *cache) drop(e *list.Element) {
	delete(c.at, e.Value.(*kept).question)
	c.used.Remove(e)
}
