package proptest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/resilience"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"
)

// A bucket never gives more than its burst and what has come since, and what it promises it keeps.
func TestRateIsABucket(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			perSecond := rapid.Float64Range(0.1, 1e5).Draw(r, "per second")
			burst := rapid.IntRange(1, 50).Draw(r, "burst")
			l := resilience.NewRateLimiter(resilience.Rate{PerSecond: perSecond, Burst: burst})
			began := time.Now()
			given := 0
			for range rapid.IntRange(1, 60).Draw(r, "steps") {
				if rapid.Bool().Draw(r, "wait") {
					time.Sleep(time.Duration(rapid.IntRange(0, int(3e9/perSecond)+1).Draw(r, "pause")))
				}
				after, ok := l.Allow()
				if !ok && rapid.Bool().Draw(r, "as told") {
					time.Sleep(after - 1)
					if _, early := l.Allow(); early {
						r.Fatal("a token came before its time")
					}
					time.Sleep(time.Nanosecond)
					if _, ok = l.Allow(); !ok {
						r.Fatalf("there is none after %v", after)
					}
				}
				if ok {
					given++
				}
				if most := float64(burst) + time.Since(began).Seconds()*perSecond*1.001 + 1e-6; float64(given) > most+0.5 {
					r.Fatalf("%d tokens in %v, at most %v", given, time.Since(began), most)
				}
				if s := l.State(); s.Tokens < 0 || s.Tokens > s.Burst {
					r.Fatalf("%+v", s)
				}
			}
		})
	})
}

// model is what a limiter is compared with: tickets that were let in, and those that wait.
type model struct {
	*resilience.Limiter
	calls map[*ticket]bool // true: runs
	told  []*ticket
}

type ticket struct {
	resilience.Ticket
	shed resilience.Reason
	m    *model
	told int
}

func (t *ticket) Resume(shed resilience.Reason) {
	t.told++
	t.shed = shed
	t.m.told = append(t.m.told, t)
}

// Whatever happens, a limiter tells each call once, counts right, and has nothing left in the end.
func TestLimiterLosesNoCall(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			m := &model{Limiter: resilience.NewLimiter(resilience.Limit{Delay: 5 * time.Millisecond, Wait: 50 * time.Millisecond, Least: 2}, nil), calls: map[*ticket]bool{}}
			settle := func() {
				synctest.Wait() // the limiter's own timer
				for _, c := range m.told {
					running, known := m.calls[c]
					if !known || running || c.told != 1 {
						r.Fatalf("a call that did not wait was told, or one twice")
					}
					if c.shed == "" {
						m.calls[c] = true
					} else {
						delete(m.calls, c)
					}
				}
				m.told = nil
			}
			count := func() (running, waiting int) {
				for _, runs := range m.calls {
					if runs {
						running++
					} else {
						waiting++
					}
				}
				return running, waiting
			}
			release := func(told bool) bool {
				for c, runs := range m.calls {
					if runs {
						delete(m.calls, c)
						m.Release(time.Now(), &c.Ticket, told)
						settle()
						return true
					}
				}
				return false
			}
			for range rapid.IntRange(1, 40).Draw(r, "steps") {
				switch rapid.IntRange(0, 3).Draw(r, "what") {
				case 0, 1:
					for range rapid.IntRange(1, 60).Draw(r, "calls") {
						c := &ticket{m: m}
						p := resilience.Priority(rapid.IntRange(-1, 1).Draw(r, "priority"))
						turn, why := m.Take(time.Now(), &c.Ticket, p, c)
						switch turn {
						case resilience.RunsNow:
							m.calls[c] = true
						case resilience.Waits:
							m.calls[c] = false
						case resilience.IsShed:
							if why == "" {
								r.Fatal("shed without a reason")
							}
						}
						settle()
					}
				case 2:
					for range rapid.IntRange(1, 60).Draw(r, "ends") {
						release(rapid.Bool().Draw(r, "told"))
					}
				case 3:
					time.Sleep(time.Duration(rapid.IntRange(1, 300).Draw(r, "ms")) * time.Millisecond)
					settle()
				}
				running, waiting := count()
				if s := m.State(); s.Running != running || s.Waiting != waiting {
					r.Fatalf("%+v, and there are %d that run and %d that wait", s, running, waiting)
				}
			}
			for release(true) {
			}
			if s := m.State(); s.Running != 0 || s.Waiting != 0 || len(m.calls) != 0 {
				r.Fatalf("in the end: %+v, %d calls", s, len(m.calls))
			}
			time.Sleep(time.Second) // the timer's end
		})
	})
}

// Of calls with keys the handler runs once for each key whose reply is kept, and equal calls get equal answers.
func TestIdempotentAgainstAMap(t *testing.T) {
	type kept struct {
		what  string
		reply string
		code  codes.Code
		until time.Time
	}
	answers := []codes.Code{codes.OK, codes.OK, codes.NotFound, codes.Unavailable, codes.Internal, codes.InvalidArgument}
	rapid.Check(t, func(r *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			const keep = time.Minute
			i := &resilience.Idempotent{Keep: keep}
			ran := 0
			model := map[string]kept{}
			for range rapid.IntRange(1, 80).Draw(r, "steps") {
				if rapid.IntRange(0, 4).Draw(r, "wait") == 0 {
					time.Sleep(time.Duration(rapid.IntRange(1, 90).Draw(r, "s")) * time.Second)
				}
				key, method := rapid.SampledFrom([]string{"a", "b", ""}).Draw(r, "key"), rapid.SampledFrom([]string{"/m", "/n"}).Draw(r, "method")
				what, code := rapid.SampledFrom([]string{"x", "y"}).Draw(r, "request"), rapid.SampledFrom(answers).Draw(r, "answer")
				ctx := t.Context()
				if key != "" {
					ctx = metadata.NewIncomingContext(ctx, metadata.Pairs(resilience.IdempotencyKey, key))
				}
				before := ran
				got, err := i.Intercept(ctx, wrapperspb.String(what), &grpc.UnaryServerInfo{FullMethod: method}, func(context.Context, any) (any, error) {
					ran++
					if code != codes.OK {
						return nil, status.Error(code, what)
					}
					return wrapperspb.String(what + "!"), nil
				})
				id := method + " " + key
				had, ok := model[id]
				ok = ok && time.Now().Before(had.until)
				switch {
				case ok && had.what != what:
					if status.Code(err) != codes.InvalidArgument || ran != before {
						r.Fatalf("another request: %v", err)
					}
				case ok:
					if ran != before || status.Code(err) != had.code || err == nil && got.(*wrapperspb.StringValue).Value != had.reply {
						r.Fatalf("not given again: %v, %v, not %+v", got, err, had)
					}
				default:
					if ran != before+1 || status.Code(err) != code {
						r.Fatalf("not run: %v", err)
					}
					if key != "" && (code == codes.OK || code == codes.NotFound || code == codes.InvalidArgument) {
						model[id] = kept{what, what + "!", code, time.Now().Add(keep)}
					}
				}
			}
		})
	})
}
