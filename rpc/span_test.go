package rpc_test

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
	oteltrace "go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// span counts the events that it is told.
type span struct {
	noop.Span
	mu     sync.Mutex
	events map[string]int
}

func (*span) IsRecording() bool { return true }

func (s *span) AddEvent(name string, _ ...oteltrace.EventOption) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events[name]++
}

// TestSpanTellsReasons holds that the span of a call has what was done to it and why.
func TestSpanTellsReasons(t *testing.T) {
	down := func(context.Context, string) error { return status.Error(codes.Unavailable, "down") }
	bug := func(context.Context, string) error {
		time.Sleep(2 * time.Millisecond)
		return status.Error(codes.Internal, "bug")
	}
	once := func(err func(context.Context, string) error) func(context.Context, string) error {
		failed := false
		return func(ctx context.Context, text string) error {
			if failed {
				return nil
			}
			failed = true
			return err(ctx, text)
		}
	}
	for _, tt := range []struct {
		name      string
		instances int
		policy    resilience.Policy
		method    string
		before    int // calls without a span
		calls     int // calls with it
		hook      func(context.Context, string) error
		others    func(context.Context, string) error
		want      map[string]int
	}{
		{"all is well", 2, resilience.Policy{}, readMethod, 0, 10, nil, nil, map[string]int{}},
		{"repeated", 1, resilience.Policy{}, readMethod, 0, 1, once(down), nil, map[string]int{"hanse.retry-failed": 1}},
		{"no budget", 1, resilience.Policy{Breaker: resilience.Breaker{Failures: -1}}, readMethod, 200, 1, down, nil, map[string]int{"hanse.no-retry-budget": 1}},
		{"broken", 1, resilience.Policy{}, addMethod, 40, 2, down, nil, map[string]int{"hanse.breaker-refused": 2}},
		{"timeout", 1, resilience.Policy{Timeout: 50 * time.Millisecond}, addMethod, 0, 1, takes(time.Minute), nil, map[string]int{"hanse.timeout": 1}},
		{"hedged", 2, resilience.Policy{Hedge: resilience.Hedge{After: 20 * time.Millisecond}}, readMethod, 0, 1, takes(time.Minute), takes(time.Millisecond), map[string]int{"hanse.hedge": 1, "hanse.hedge-won": 1}},
		{"ejected", 3, resilience.Policy{}, addMethod, 0, 300, bug, takes(2 * time.Millisecond), map[string]int{"hanse.ejected-consecutive": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			protected(t, tt.instances, tt.policy, func(t *testing.T, _ *rpc.Client, conn *rpc.Conn, instances []*echoService) {
				for i, e := range instances {
					e.hook = tt.others
					if i == 1 || len(instances) == 1 { // the one that is called next
						e.hook = tt.hook
					}
				}
				for range tt.before {
					callEcho(context.Background(), conn, tt.method, "x")
				}
				s := &span{events: make(map[string]int)}
				ctx := oteltrace.ContextWithSpan(context.Background(), s)
				for range tt.calls {
					callEcho(ctx, conn, tt.method, "x")
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				if !maps.Equal(s.events, tt.want) {
					t.Errorf("events %v, want %v", s.events, tt.want)
				}
			})
		})
	}
}
