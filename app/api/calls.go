package api

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	"sekisho/app/api/sekishopb"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// call makes one unary call.
func call[Q, A any](ctx context.Context, c *Client, method func(sekishopb.SekishoClient, context.Context, Q, ...grpc.CallOption) (A, error), q Q) (A, error) {
	var none A
	stub, err := c.stub()
	if err != nil {
		return none, err
	}
	a, err := method(stub, ctx, q)
	if err != nil {
		return none, c.fail(ctx, err)
	}
	return a, nil
}

// read makes one call that is answered by a stream and hands every message to f.
func read[Q, M any](ctx context.Context, c *Client, method func(sekishopb.SekishoClient, context.Context, Q, ...grpc.CallOption) (grpc.ServerStreamingClient[M], error), q Q, f func(*M) error) error {
	stub, err := c.stub()
	if err != nil {
		return err
	}
	// gRPC frees a stream that nobody reads to its end only with its context.
	under, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := method(stub, under, q)
	if err != nil {
		return c.fail(ctx, err)
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return c.fail(ctx, err)
		}
		if err := f(m); err != nil {
			return err
		}
	}
}

// unreadable is the error for a message of the service that makes no sense.
func unreadable(err error) error {
	return Errorf(Failed, "The service sent what this program cannot read (%v); one of them is of another version", err)
}

// Status asks how the firewall is.
func (c *Client) Status(ctx context.Context) (Status, error) {
	m, err := call(ctx, c, sekishopb.SekishoClient.Status, &sekishopb.Empty{})
	if err != nil {
		return Status{}, err
	}
	return UnpackStatus(m), nil
}

// SetMode changes the mode; administrators only.
func (c *Client) SetMode(ctx context.Context, m Mode, span time.Duration) error {
	_, err := call(ctx, c, sekishopb.SekishoClient.SetMode, &sekishopb.SetModeRequest{Mode: text(string(m)), Span: int64(span)})
	return err
}

// Settings asks for the choices that are not rules.
func (c *Client) Settings(ctx context.Context) (Settings, error) {
	m, err := call(ctx, c, sekishopb.SekishoClient.Settings, &sekishopb.Empty{})
	if err != nil {
		return Settings{}, err
	}
	return UnpackSettings(m), nil
}

// SetSettings changes them all; administrators only.
func (c *Client) SetSettings(ctx context.Context, s Settings) error {
	_, err := call(ctx, c, sekishopb.SekishoClient.SetSettings, PackSettings(s))
	return err
}

// Rules lists the rules that the caller may see, in one slice however many there are.
func (c *Client) Rules(ctx context.Context) ([]rule.Rule, error) {
	var rules []rule.Rule
	err := read(ctx, c, sekishopb.SekishoClient.Rules, &sekishopb.Empty{}, func(b *sekishopb.RuleBatch) error {
		for _, m := range b.GetRules() {
			r, err := UnpackRule(m)
			if err != nil {
				return unreadable(err)
			}
			rules = append(rules, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return rules, nil
}

// AddRule saves a rule and returns it as the service keeps it.
func (c *Client) AddRule(ctx context.Context, r rule.Rule, span time.Duration) (rule.Rule, error) {
	return c.saveRule(ctx, sekishopb.SekishoClient.AddRule, r, span)
}

// EditRule replaces the rule with the same id; a zero span leaves a lifetime of the same kind
// as it is.
func (c *Client) EditRule(ctx context.Context, r rule.Rule, span time.Duration) (rule.Rule, error) {
	return c.saveRule(ctx, sekishopb.SekishoClient.EditRule, r, span)
}

func (c *Client) saveRule(ctx context.Context, method func(sekishopb.SekishoClient, context.Context, *sekishopb.SaveRuleRequest, ...grpc.CallOption) (*sekishopb.Rule, error), r rule.Rule, span time.Duration) (rule.Rule, error) {
	m, err := call(ctx, c, method, &sekishopb.SaveRuleRequest{Rule: PackRule(r), Span: int64(span)})
	if err != nil {
		return rule.Rule{}, err
	}
	saved, err := UnpackRule(m)
	if err != nil {
		return rule.Rule{}, unreadable(err)
	}
	return saved, nil
}

// EnableRule switches a rule on or off.
func (c *Client) EnableRule(ctx context.Context, id string, on bool) error {
	_, err := call(ctx, c, sekishopb.SekishoClient.EnableRule, &sekishopb.EnableRuleRequest{Id: text(id), On: on})
	return err
}

// RemoveRule removes a rule for good.
func (c *Client) RemoveRule(ctx context.Context, id string) error {
	_, err := call(ctx, c, sekishopb.SekishoClient.RemoveRule, &sekishopb.RuleID{Id: text(id)})
	return err
}

// ImportRules sends a file of at most MaxImport bytes in pieces; administrators only.
func (c *Client) ImportRules(ctx context.Context, file []byte, replace bool) (int, error) {
	if len(file) > MaxImport {
		return 0, Errorf(BadRequest, "the file has %d bytes; at most %d can be imported, split it", len(file), MaxImport)
	}
	stub, err := c.stub()
	if err != nil {
		return 0, err
	}
	under, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := stub.ImportRules(under)
	if err != nil {
		return 0, c.fail(ctx, err)
	}
	for first := true; first || len(file) > 0; first = false {
		n := min(len(file), chunk)
		err := stream.Send(&sekishopb.ImportChunk{Content: file[:n], Replace: replace})
		if errors.Is(err, io.EOF) {
			break // the service said why; CloseAndRecv tells
		}
		if err != nil {
			return 0, c.fail(ctx, err)
		}
		file = file[n:]
	}
	m, err := stream.CloseAndRecv()
	if err != nil {
		return 0, c.fail(ctx, err)
	}
	return int(m.GetAdded()), nil
}

// Prompts lists the prompts that the caller may answer, missed ones too.
func (c *Client) Prompts(ctx context.Context) ([]prompt.Prompt, error) {
	var prompts []prompt.Prompt
	err := read(ctx, c, sekishopb.SekishoClient.Prompts, &sekishopb.Empty{}, func(b *sekishopb.PromptBatch) error {
		for _, m := range b.GetPrompts() {
			p, err := UnpackPrompt(m)
			if err != nil {
				return unreadable(err)
			}
			prompts = append(prompts, p)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return prompts, nil
}

// Answer settles a prompt; see PackAnswer for what does not travel.
func (c *Client) Answer(ctx context.Context, id string, a prompt.Answer) (*rule.Rule, error) {
	m, err := call(ctx, c, sekishopb.SekishoClient.Answer, PackAnswer(id, a))
	if err != nil || m.GetRule() == nil {
		return nil, err
	}
	r, err := UnpackRule(m.GetRule())
	if err != nil {
		return nil, unreadable(err)
	}
	return &r, nil
}

// Attend reads events and calls f with each from the calling goroutine. It returns nil
// when the service ended the stream without a fault, which it does not do by itself.
func (c *Client) Attend(ctx context.Context, f func(Event)) error {
	return read(ctx, c, sekishopb.SekishoClient.Attend, &sekishopb.Empty{}, eventsTo(f))
}

// Watch is Attend without the offer to answer.
func (c *Client) Watch(ctx context.Context, f func(Event)) error {
	return read(ctx, c, sekishopb.SekishoClient.Watch, &sekishopb.Empty{}, eventsTo(f))
}

func eventsTo(f func(Event)) func(*sekishopb.Event) error {
	return func(m *sekishopb.Event) error {
		e, err := UnpackEvent(m)
		if err != nil {
			return unreadable(err)
		}
		f(e)
		return nil
	}
}

// Connections lists the live flows that the caller may see.
func (c *Client) Connections(ctx context.Context) ([]flow.Flow, error) {
	var flows []flow.Flow
	err := read(ctx, c, sekishopb.SekishoClient.Connections, &sekishopb.Empty{}, func(b *sekishopb.FlowBatch) error {
		for _, m := range b.GetFlows() {
			f, err := UnpackFlow(m)
			if err != nil {
				return unreadable(err)
			}
			flows = append(flows, f)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return flows, nil
}

// FollowConnections calls f from the calling goroutine until the context ends or the service
// lets go of a reader that is too slow.
func (c *Client) FollowConnections(ctx context.Context, f func(flow.Flow)) error {
	return read(ctx, c, sekishopb.SekishoClient.FollowConnections, &sekishopb.Empty{}, flowsTo(f))
}

// Activity calls f with what was decided, the oldest first, from the calling goroutine.
func (c *Client) Activity(ctx context.Context, a ActivityFilter, f func(flow.Flow)) error {
	return read(ctx, c, sekishopb.SekishoClient.Activity, PackFilter(a), flowsTo(f))
}

func flowsTo(f func(flow.Flow)) func(*sekishopb.Flow) error {
	return func(m *sekishopb.Flow) error {
		got, err := UnpackFlow(m)
		if err != nil {
			return unreadable(err)
		}
		f(got)
		return nil
	}
}

// Explain asks what would be decided, and why.
func (c *Client) Explain(ctx context.Context, q Question) (Explanation, error) {
	m, err := call(ctx, c, sekishopb.SekishoClient.Explain, PackQuestion(q))
	if err != nil {
		return Explanation{}, err
	}
	e, err := UnpackExplanation(m)
	if err != nil {
		return Explanation{}, unreadable(err)
	}
	return e, nil
}

// Backup writes everything that is remembered to w; administrators only. After an error
// what was written is of no use.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	return read(ctx, c, sekishopb.SekishoClient.Backup, &sekishopb.Empty{}, func(m *sekishopb.Chunk) error {
		_, err := w.Write(m.GetContent())
		if err != nil {
			return Errorf(Failed, "write the backup: %v", err)
		}
		return nil
	})
}

// Restore sends a backup; administrators only. If r fails, nothing is restored.
func (c *Client) Restore(ctx context.Context, r io.Reader) error {
	stub, err := c.stub()
	if err != nil {
		return err
	}
	// Cancelled on a read error, so that half a file is not taken for a whole one.
	under, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := stub.Restore(under)
	if err != nil {
		return c.fail(ctx, err)
	}
	buffer := make([]byte, chunk)
	for {
		n, readErr := io.ReadFull(r, buffer)
		if readErr != nil && !errors.Is(readErr, io.EOF) && !errors.Is(readErr, io.ErrUnexpectedEOF) {
			return Errorf(Failed, "read the backup: %v", readErr)
		}
		if n > 0 {
			if err := stream.Send(&sekishopb.Chunk{Content: buffer[:n]}); errors.Is(err, io.EOF) {
				break // the service said why; CloseAndRecv tells
			} else if err != nil {
				return c.fail(ctx, err)
			}
		}
		if readErr != nil {
			break
		}
	}
	_, err = stream.CloseAndRecv()
	if err != nil {
		return c.fail(ctx, err)
	}
	return nil
}

// Programs lists the programs that used the network, of those that the caller may see.
func (c *Client) Programs(ctx context.Context) ([]SeenProgram, error) {
	var all []SeenProgram
	err := read(ctx, c, sekishopb.SekishoClient.Programs, &sekishopb.Empty{}, func(m *sekishopb.SeenProgram) error {
		all = append(all, UnpackSeenProgram(m))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}
