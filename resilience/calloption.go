package resilience

import (
	"time"

	"google.golang.org/grpc"
)

// CallOption is a [grpc.CallOption] that gives one call settings of its own, over those of its policy:
//
//	reply, err := client.Search(ctx, req, resilience.WithTimeout(300*time.Millisecond), resilience.WithoutRetry())
//
// Of several, the last one that states a setting counts. Connections that are not Hanse's ignore it.
type CallOption struct {
	grpc.EmptyCallOption

	Timeout time.Duration // 0: as the policy says; -1: none but the context's. Unlike a policy's it also holds when the context has a later deadline
	Retry   Retry         // but for Budget, which belongs to the service
	Hedge   Hedge
}

// WithTimeout ends the call after d, or at the deadline of its context, whichever is first.
func WithTimeout(d time.Duration) CallOption { return CallOption{Timeout: d} }

// WithoutTimeout gives the call all the time that its context leaves it.
func WithoutTimeout() CallOption { return CallOption{Timeout: -1} }

// WithAttempts makes the call at most n times, where it may be repeated at all.
func WithAttempts(n int) CallOption { return CallOption{Retry: Retry{Attempts: n}} }

// WithoutRetry makes the call once. As long as no instance has processed it, it may still go from one to another.
func WithoutRetry() CallOption { return WithAttempts(-1) }

// WithHedge sends the call to a second instance after d. Its method must be marked NO_SIDE_EFFECTS.
func WithHedge(d time.Duration) CallOption { return CallOption{Hedge: Hedge{Percentile: -1, After: d}} }

// WithoutHedge sends the call to one instance at a time.
func WithoutHedge() CallOption { return CallOption{Hedge: Hedge{Percentile: -1, After: -1}} }

// Before returns o with what it leaves open taken from an earlier option.
func (o CallOption) Before(earlier CallOption) CallOption {
	earlier.Timeout = or(o.Timeout, earlier.Timeout)
	earlier.Retry = o.Retry.or(earlier.Retry)
	earlier.Hedge = o.Hedge.or(earlier.Hedge)
	return earlier
}

// Over returns the policy of a call that has the option.
func (o CallOption) Over(p Policy) Policy {
	p.Timeout = or(o.Timeout, p.Timeout)
	budget := p.Retry.Budget
	p.Retry = o.Retry.or(p.Retry)
	p.Retry.Budget = budget
	p.Hedge = o.Hedge.or(p.Hedge)
	return p
}

// These do what under does, without the price of reflection: they are for each call.

func (r Retry) or(base Retry) Retry {
	return Retry{or(r.Attempts, base.Attempts), or(r.Backoff, base.Backoff), or(r.MaxBackoff, base.MaxBackoff), or(r.Budget, base.Budget)}
}

func (h Hedge) or(base Hedge) Hedge {
	return Hedge{or(h.Percentile, base.Percentile), or(h.After, base.After)}
}

func or[N int | float64 | time.Duration](n, base N) N {
	if n != 0 {
		return n
	}
	return base
}
