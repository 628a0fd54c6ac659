package api

import (
	"context"
	"errors"
	"io"

	"sekisho/app/api/sekishopb"
)

// Lists are the blocklists and how they are.
func (c *Client) Lists(ctx context.Context) ([]ListState, error) {
	var all []ListState
	err := read(ctx, c, sekishopb.SekishoClient.Lists, &sekishopb.Empty{}, func(m *sekishopb.ListState) error {
		all = append(all, UnpackListState(m))
		return nil
	})
	return all, err
}

// KnownLists is the catalogue.
func (c *Client) KnownLists(ctx context.Context) ([]KnownList, error) {
	var all []KnownList
	err := read(ctx, c, sekishopb.SekishoClient.KnownLists, &sekishopb.Empty{}, func(m *sekishopb.KnownList) error {
		all = append(all, KnownList{List: UnpackList(m.GetList()), About: m.GetAbout(), Home: m.GetHome(), Licence: m.GetLicence(), Zone: m.GetZone()})
		return nil
	})
	return all, err
}

// SaveList adds or changes a list; administrators only.
func (c *Client) SaveList(ctx context.Context, l List, add bool) error {
	_, err := call(ctx, c, sekishopb.SekishoClient.SaveList, &sekishopb.SaveListRequest{List: PackList(l), Add: add})
	return err
}

// RemoveList forgets a list and its copy; administrators only.
func (c *Client) RemoveList(ctx context.Context, id string) error {
	_, err := call(ctx, c, sekishopb.SekishoClient.RemoveList, &sekishopb.ListID{Id: text(id)})
	return err
}

// UpdateLists fetches now; administrators only. f is called from the calling goroutine.
func (c *Client) UpdateLists(ctx context.Context, id string, f func(ListProgress)) error {
	return read(ctx, c, sekishopb.SekishoClient.UpdateLists, &sekishopb.ListID{Id: text(id)}, func(m *sekishopb.ListProgress) error {
		f(ListProgress{List: m.GetList(), Stage: m.GetStage(), Done: m.GetDone(), Total: m.GetTotal()})
		return nil
	})
}

// ImportList sends a list's text in pieces; administrators only.
func (c *Client) ImportList(ctx context.Context, id string, r io.Reader) error {
	stub, err := c.stub()
	if err != nil {
		return err
	}
	under, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := stub.ImportList(under)
	if err != nil {
		return c.fail(ctx, err)
	}
	buffer := make([]byte, chunk)
	for first := true; ; first = false {
		n, err := io.ReadFull(r, buffer)
		if n > 0 || first {
			sent := stream.Send(&sekishopb.ImportListChunk{Id: text(id), Content: buffer[:n]})
			if errors.Is(sent, io.EOF) {
				break // the service said why; CloseAndRecv tells
			}
			if sent != nil {
				return c.fail(ctx, sent)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return Errorf(Failed, "the list can't be read: %v", err)
		}
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		return c.fail(ctx, err)
	}
	return nil
}

// TestLists looks a host name or an address up.
func (c *Client) TestLists(ctx context.Context, what string) ([]ListHit, error) {
	m, err := call(ctx, c, sekishopb.SekishoClient.TestLists, &sekishopb.ListQuestion{What: text(what)})
	if err != nil {
		return nil, err
	}
	var all []ListHit
	for _, h := range m.GetHits() {
		all = append(all, ListHit{h.GetList(), h.GetName(), h.GetCategory(), h.GetAction(), h.GetEntry(), h.GetMatched()})
	}
	return all, nil
}

// SenderLists are the DNS-based lists in use.
func (c *Client) SenderLists(ctx context.Context) (SenderLists, error) {
	m, err := call(ctx, c, sekishopb.SekishoClient.SenderLists, &sekishopb.Empty{})
	if err != nil {
		return SenderLists{}, err
	}
	s, err := UnpackSenderLists(m)
	if err != nil {
		return SenderLists{}, unreadable(err)
	}
	return s, nil
}

// SetSenderLists changes them; administrators only.
func (c *Client) SetSenderLists(ctx context.Context, s SenderLists) error {
	_, err := call(ctx, c, sekishopb.SekishoClient.SetSenderLists, PackSenderLists(s))
	return err
}
