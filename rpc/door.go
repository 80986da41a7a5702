package rpc

import (
	"context"
	"strconv"
	"time"

	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/internal/everywhere"
	"github.com/hanse-go/hanse/resilience"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// door is what the server's policy puts before one method. It is replaced, never changed. The nil door is open.
type door struct {
	path   string
	policy resilience.Policy       // with the defaults filled in
	limit  *resilience.Limiter     // of unary calls from outside; nil: none
	rate   *resilience.RateLimiter // nil: none
	cell   *resilience.Compartment // nil: none
	counts *resilience.Counts
	keyed  grpc.UnaryServerInterceptor // what is around the method, and that of calls with an idempotency key
}

// Why a server did not run a call, besides the reasons of resilience.Limiter.
const (
	rateExceeded resilience.Reason = "rate-limited"   // by Policy.Rate
	bulkheadFull resilience.Reason = "bulkhead-full"  // by Policy.Bulkhead
	cameLate     resilience.Reason = "deadline-spent" // its deadline had passed when its turn came
)

// pushbackKey is the trailer in which a server says when to try again (gRFC A6).
const pushbackKey = "grpc-retry-pushback-ms"

// placeDoors makes the doors of all methods anew. s.mu is held.
func (s *Server) placeDoors(p resilience.Policy) {
	policies := map[string]resilience.Policy{"": p}
	for path, m := range s.methods {
		contract, _ := splitMethod(path)
		if everywhere.Has(contract) { // whoever asks how an overloaded server does must get an answer
			continue
		}
		d := &door{path: path, policy: resilience.Resolve(policies, "", path), counts: &m.counts}
		d.rate, d.cell = resilience.NewRateLimiter(d.policy.Rate), resilience.NewCompartment(d.policy.Bulkhead)
		if keep := d.policy.Idempotency.Keep; keep > 0 && m.unary != nil {
			again := func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
				return s.again.Do(ctx, keep, req, info, next)
			}
			d.keyed = chainUnary(append(m.inner[:len(m.inner):len(m.inner)], again))
		}
		old := m.door.Load()
		switch {
		case m.unary == nil || d.policy.Limit.Delay < 0:
		case old != nil && old.limit != nil && old.policy.Limit == d.policy.Limit:
			d.limit = old.limit // it goes on with what it knows
		default:
			d.limit = resilience.NewLimiter(d.policy.Limit, d.counts)
		}
		if old != nil && old.rate != nil && old.policy.Rate == d.policy.Rate {
			d.rate = old.rate
		}
		if old != nil && old.cell != nil && old.policy.Bulkhead == d.policy.Bulkhead {
			d.cell = old.cell
		}
		m.door.Store(d)
		if old != nil && old.limit != nil && old.limit != d.limit {
			old.limit.Close()
		}
	}
}

// openDoors lets those go on that wait before them. s.mu is held.
func (s *Server) openDoors() {
	for _, m := range s.methods {
		if d := m.door.Load(); d != nil && d.limit != nil {
			d.limit.Close()
		}
	}
}

// SetPolicy replaces the policy of a server that runs: for the calls that come from now on. What limiters have learnt they keep, unless
// their own part of the policy is another one. The error says what is wrong with p, and then nothing has changed.
func (s *Server) SetPolicy(p resilience.Policy) error {
	if err := p.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policy = p
	if s.phase.Load() == serving {
		s.placeDoors(p)
	}
	return nil
}

// CurrentPolicy returns the policy that holds: Policy, or that of the last SetPolicy.
func (s *Server) CurrentPolicy() resilience.Policy {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase.Load() == fresh {
		return s.Policy
	}
	return s.policy
}

// MethodState tells how the policy of one method does.
type MethodState struct {
	Limit    *resilience.LimiterState     `json:"limit,omitempty"`    // nil: not limited
	Rate     *resilience.RateState        `json:"rate,omitempty"`     // nil: no rate limit
	Bulkhead *resilience.BulkheadState    `json:"bulkhead,omitempty"` // nil: no bulkhead
	Counts   map[resilience.Reason]uint64 `json:"counts,omitempty"`   // what was done to calls, and why
}

// PolicyState tells how the policy of a server does, for each method ("/package.Service/Method") that was called.
func (s *Server) PolicyState() map[string]MethodState {
	s.mu.Lock()
	defer s.mu.Unlock()
	states := make(map[string]MethodState)
	for path, m := range s.methods {
		d := m.door.Load()
		if d == nil {
			continue
		}
		state := MethodState{Rate: d.rate.State(), Bulkhead: d.cell.State(), Counts: m.counts.All()}
		if d.limit != nil {
			l := d.limit.State()
			state.Limit = &l
		}
		used := state.Limit != nil && (state.Limit.Done > 0 || state.Limit.Running > 0)
		if used || state.Rate != nil || state.Bulkhead != nil || len(state.Counts) > 0 {
			states[path] = state
		}
	}
	return states
}

// interceptor returns what is around the handler of a unary call to m: m.around, or for a call with an idempotency key that, too.
func (d *door) interceptor(m *method, keyed bool) grpc.UnaryServerInterceptor {
	if keyed && d != nil && d.keyed != nil {
		return d.keyed
	}
	return m.around
}

// whoCalls tells callers apart whose keys are not the same.
func whoCalls(ctx context.Context) string {
	id, _ := identity.Caller(ctx)
	return id.String()
}

// enter lets a call in, which must leave then, or says why not. trailer gets what the caller should know besides.
func (d *door) enter(ctx context.Context, trailer func(metadata.MD) error) error {
	if d == nil {
		return nil
	}
	if after, ok := d.rate.Allow(); !ok {
		d.counts.Note(ctx, rateExceeded)
		ms := (after + time.Millisecond - 1) / time.Millisecond
		trailer(metadata.Pairs(pushbackKey, strconv.FormatInt(int64(ms), 10)))
		return status.Errorf(codes.ResourceExhausted, "%s takes %v calls a second and not more (Rate): try again in %v", d.path, d.policy.Rate.PerSecond, ms*time.Millisecond)
	}
	if !d.cell.Enter() {
		d.counts.Note(ctx, bulkheadFull)
		return shedStatus("%s runs %d calls at once and not more (Bulkhead)", d.path, d.policy.Bulkhead.Calls)
	}
	return nil
}

func (d *door) leave() {
	if d != nil {
		d.cell.Leave()
	}
}

// errShed is the error of a call that the limiter has shed.
func (d *door) errShed(why resilience.Reason) error {
	return shedStatus("%s is overloaded, and this call was one too many (%s)", d.path, why)
}

// shedStatus makes the error of a call that a server with too much to do did not run.
//
// Its code is ResourceExhausted and not Unavailable: gRPC's clients, of all languages, send calls that failed with Unavailable again by
// custom, at once and to all instances in turn, which is the last thing that an overloaded service needs. That no handler has seen it is
// told all the same, so that clients of Hanse may try one other instance within their budget for retries.
func shedStatus(format string, args ...any) error {
	return &notProcessedError{status.Newf(codes.ResourceExhausted, format, args...)}
}

// tells reports whether the latency of a call that ended with err says something about the load.
func tells(err error) bool { return err == nil || status.Code(err) == codes.DeadlineExceeded }

// awaitTurn is for calls that have a goroutine to wait on. The ticket that it returns, t as a rule, is to be released.
func (d *door) awaitTurn(ctx context.Context, t *resilience.Ticket, p resilience.Priority) (*resilience.Ticket, error) {
	if d == nil || d.limit == nil || d.limit.TryTake(time.Now(), t, p) {
		return t, nil
	}
	w := &waiter{turn: make(chan resilience.Reason, 1)}
	turn, why := d.limit.Take(time.Now(), &w.ticket, p, w)
	if turn == resilience.Waits {
		select {
		case why = <-w.turn:
		case <-ctx.Done():
			go func() { // it keeps its place, and gives it back
				if <-w.turn == "" {
					d.limit.Release(time.Now(), &w.ticket, false)
				}
			}()
			return nil, contextStatus(ctx.Err())
		}
	}
	if why != "" {
		resilience.Annotate(ctx, why) // the limiter has counted it
		return nil, d.errShed(why)
	}
	return &w.ticket, nil
}

// release gives back the turn of a call that has ended with err.
func (d *door) release(t *resilience.Ticket, err error) {
	if d != nil && d.limit != nil {
		d.limit.Release(time.Now(), t, tells(err))
	}
}

// waiter has a place in the line of its own, for its call may give up.
type waiter struct {
	ticket resilience.Ticket
	turn   chan resilience.Reason
}

// Resume implements resilience.Resumer.
func (w *waiter) Resume(shed resilience.Reason) { w.turn <- shed }

// sentPriority is the priority in the metadata of a call.
func sentPriority(ctx context.Context) resilience.Priority {
	p := resilience.Normal
	if values := incomingValues(ctx, resilience.PriorityKey); len(values) > 0 {
		p, _ = resilience.ParsePriority(values[len(values)-1])
	}
	return p
}
