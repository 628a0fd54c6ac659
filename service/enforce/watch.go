package enforce

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Watch hears of every change to the nftables of the network namespace that it was opened
// in. One goroutine uses it.
type Watch struct{ c *netlink.Conn }

// OpenWatch begins to listen: no change after it is missed.
func OpenWatch() (*Watch, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("watch nftables: %w", err)
	}
	if err := c.JoinGroup(unix.NFNLGRP_NFTABLES); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("watch nftables: %w", err)
	}
	return &Watch{c}, nil
}

// Close ends the watch.
func (w *Watch) Close() error { return w.c.Close() }

// Next waits for the next change, at most as long as atMost, and returns the name of the
// thread that made it, as the kernel knows it; empty if there was none in that time, or
// it isn't known. An error means that the watch is of no more use, or that ctx is done.
func (w *Watch) Next(ctx context.Context, atMost time.Duration) (string, error) {
	if err := w.c.SetReadDeadline(time.Now().Add(atMost)); err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = w.c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		msgs, err := w.c.Receive()
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return "", nil
		case errors.Is(err, unix.ENOBUFS):
			return "", nil // more than there was room for: something did change
		case err != nil:
			return "", fmt.Errorf("watch nftables: %w", err)
		}
		// The last message of a transaction says who; the others needn't be read.
		for i := len(msgs) - 1; i >= 0; i-- {
			if msgs[i].Header.Type == unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN {
				return generationBy(msgs[i].Data), nil
			}
		}
	}
}

// generationBy reads who made a generation of nftables.
func generationBy(b []byte) string {
	if len(b) < 4 {
		return ""
	}
	a, err := netlink.NewAttributeDecoder(b[4:])
	if err != nil {
		return ""
	}
	for a.Next() {
		if a.Type() == unix.NFTA_GEN_PROC_NAME {
			return a.String()
		}
	}
	return ""
}
