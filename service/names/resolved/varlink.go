package resolved

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
)

// maxMessage bounds one message of the other side, in bytes.
const maxMessage = 1 << 20

// errTooLong means that the other side says more at once than is read.
var errTooLong = errors.New("a message is too long")

// call asks for one method of a varlink service, and passes each reply to f until there
// are no more, f returns an error, or ctx ends. Messages are JSON with a zero byte behind.
func call(ctx context.Context, path, method string, f func(json.RawMessage) error) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	ask, err := json.Marshal(struct {
		Method     string   `json:"method"`
		Parameters struct{} `json:"parameters"`
		More       bool     `json:"more"`
	}{Method: method, More: true})
	if err != nil {
		return err
	}
	if _, err := c.Write(append(ask, 0)); err != nil {
		return fmt.Errorf("call %s: %w", method, err)
	}
	r := bufio.NewReader(c)
	for {
		b, err := message(r)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("read %s: %w", method, err)
		}
		var m struct {
			Parameters json.RawMessage `json:"parameters"`
			Continues  bool            `json:"continues"`
			Error      string          `json:"error"`
		}
		if err := json.Unmarshal(b, &m); err != nil {
			return fmt.Errorf("read %s: %w", method, err)
		}
		if m.Error != "" {
			return fmt.Errorf("call %s: %q", method, m.Error)
		}
		if err := f(m.Parameters); err != nil {
			return err
		}
		if !m.Continues {
			return fmt.Errorf("read %s: %w", method, io.ErrUnexpectedEOF)
		}
	}
}

func message(r *bufio.Reader) ([]byte, error) {
	var b bytes.Buffer
	for {
		part, err := r.ReadSlice(0)
		b.Write(part)
		switch {
		case b.Len() > maxMessage:
			return nil, errTooLong
		case err == nil:
			return bytes.TrimSuffix(b.Bytes(), []byte{0}), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
