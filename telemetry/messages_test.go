package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// notedSpan is a span that keeps what it is told.
type notedSpan struct {
	noop.Span
	off    bool
	events []string
}

func (s *notedSpan) IsRecording() bool { return !s.off }

func (s *notedSpan) AddEvent(name string, options ...trace.EventOption) {
	var b strings.Builder
	b.WriteString(name)
	config := trace.NewEventConfig(options...)
	for _, a := range config.Attributes() {
		fmt.Fprintf(&b, " %s=%s", strings.TrimPrefix(string(a.Key), "hanse.message."), a.Value.String())
	}
	s.events = append(s.events, b.String())
}

func TestMessagesUnary(t *testing.T) {
	failed := errors.New("no")
	for _, tt := range []struct {
		name  string
		off   bool
		limit int
		req   any
		reply any
		err   error
		want  string
	}{
		{"both", false, 100, wrapperspb.String("a"), wrapperspb.Int64(7), nil, `[hanse.request body="a" hanse.response body="7"]`},
		{"an error", false, 100, wrapperspb.String("a"), nil, failed, `[hanse.request body="a"]`},
		{"a long one", false, 10, wrapperspb.String(strings.Repeat("a", 100)), wrapperspb.Int64(7), nil, `[hanse.request body="… 102 bytes" cut=true hanse.response body="7"]`},
		{"not recorded", true, 100, wrapperspb.String("a"), wrapperspb.Int64(7), nil, `[]`},
		{"no protobuf", false, 100, []byte("a"), []byte("b"), nil, `[]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			span := &notedSpan{off: tt.off}
			ctx := trace.ContextWithSpan(t.Context(), span)
			reply, err := telemetry.MessagesUnary(tt.limit)(ctx, tt.req, nil, func(_ context.Context, req any) (any, error) {
				if m, ok := req.(*wrapperspb.StringValue); ok {
					m.Value = "changed by the handler"
				}
				return tt.reply, tt.err
			})
			if fmt.Sprint(reply) != fmt.Sprint(tt.reply) || err != tt.err {
				t.Errorf("%v, %v", reply, err)
			}
			if got := fmt.Sprint(span.events); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// stream is a server's stream of numbers up to n.
type stream struct {
	grpc.ServerStream
	ctx  context.Context
	next int64
	n    int64
}

func (s *stream) Context() context.Context { return s.ctx }

func (s *stream) RecvMsg(m any) error {
	if s.next == s.n {
		return io.EOF
	}
	s.next++
	m.(*wrapperspb.Int64Value).Value = s.next
	return nil
}

func (s *stream) SendMsg(m any) error {
	m.(*wrapperspb.Int64Value).Value = -1 // it belongs to who receives it
	return nil
}

func TestMessagesStream(t *testing.T) {
	for _, off := range []bool{false, true} {
		span := &notedSpan{off: off}
		ss := &stream{ctx: trace.ContextWithSpan(t.Context(), span), n: 12}
		err := telemetry.MessagesStream(100)(nil, ss, nil, func(_ any, ss grpc.ServerStream) error {
			for {
				in := new(wrapperspb.Int64Value)
				if err := ss.RecvMsg(in); err == io.EOF {
					return nil
				} else if err != nil {
					return err
				}
				if err := ss.SendMsg(wrapperspb.Int64(in.Value * 10)); err != nil {
					return err
				}
			}
		})
		if err != nil || ss.next != 12 {
			t.Errorf("%v after %d", err, ss.next)
		}
		var want []string
		for i := 1; i <= 10 && !off; i++ {
			want = append(want, fmt.Sprintf(`hanse.request body="%d"`, i), fmt.Sprintf(`hanse.response body="%d0"`, i))
		}
		if fmt.Sprint(span.events) != fmt.Sprint(want) {
			t.Errorf("got %s, want %s", span.events, want)
		}
	}
}

func TestMessagesConfig(t *testing.T) {
	env := func(value string) func(string) (string, bool) {
		return func(name string) (string, bool) {
			if name != telemetry.MessagesVariable {
				return "", false
			}
			return value, true
		}
	}
	c, err := telemetry.FromEnv(env("4096"))
	if err != nil || c.Messages != 4096 {
		t.Errorf("%d, %v", c.Messages, err)
	}
	if got := (telemetry.Config{}).Over(c).Messages; got != 4096 {
		t.Errorf("what is below does not count: %d", got)
	}
	if got := c.Over(telemetry.Config{Messages: 1}).Messages; got != 4096 {
		t.Errorf("what is above does not count: %d", got)
	}
	if _, err := telemetry.FromEnv(env("all")); err == nil || !strings.Contains(err.Error(), "HANSE_CAPTURE=all") {
		t.Errorf("%v", err)
	}
	if err := (telemetry.Config{Messages: -1}).Check(); err == nil || !strings.Contains(err.Error(), "Config.Messages") {
		t.Errorf("%v", err)
	}
}
