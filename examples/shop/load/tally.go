package load

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// tally counts what becomes of the requests of a run.
type tally struct {
	shop  *shop
	rate  float64
	start time.Time

	mu      sync.Mutex
	all     counts
	recent  histogram // since the last progress
	methods map[string]*counts
}

// counts are those of one method, or of all.
type counts struct {
	sent, notSent, ok, failed, retried uint64
	latency                            histogram
	problems                           map[string]uint64
}

// maxProblems is how many different problems of a method are told apart.
const maxProblems = 20

func (c *counts) problem(text string) {
	if _, known := c.problems[text]; !known && len(c.problems) >= maxProblems {
		text = "other problems"
	}
	c.problems[text]++
}

func newTally(s *shop, rate float64) *tally {
	return &tally{shop: s, rate: rate, start: time.Now(), methods: make(map[string]*counts)}
}

// of returns the counts of a method. The caller holds t.mu.
func (t *tally) of(s step) *counts {
	c := t.methods[s.method]
	if c == nil {
		c = &counts{problems: make(map[string]uint64)}
		t.methods[s.method] = c
	}
	return c
}

func (t *tally) sent(s step) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all.sent++
	t.of(s).sent++
}

func (t *tally) notSent(s step) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.of(s)
	c.problem("not sent: too many requests wait for an answer")
	for _, c := range []*counts{&t.all, c} {
		c.notSent++
		c.failed++
	}
}

func (t *tally) ended(s step, call *call, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.of(s)
	if err != nil {
		c.problem(describe(err))
	}
	t.recent.add(call.latency)
	for _, c := range []*counts{&t.all, c} {
		if err == nil {
			c.ok++
		} else {
			c.failed++
		}
		c.retried += uint64(max(call.info.Attempts-1, 0))
		c.latency.add(call.latency)
	}
}

// describe says what went wrong, in words that are the same for each request that met it, as far as that goes.
func describe(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Code().String() + ": " + s.Message()
	}
	return err.Error()
}

// tick calls f every second until ctx ends.
func (t *tally) tick(ctx context.Context, f func(Progress)) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	last, lastSent := t.start, uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			t.mu.Lock()
			p := Progress{
				Elapsed: now.Sub(t.start),
				Rate:    float64(t.all.sent-lastSent) / now.Sub(last).Seconds(),
				Counts:  t.all.Counts(),
				P50:     t.recent.quantile(.5),
				P99:     t.recent.quantile(.99),
			}
			last, lastSent, t.recent = now, t.all.sent, histogram{}
			t.mu.Unlock()
			p.Retried = t.shop.retried()
			f(p)
		}
	}
}

// Counts returns the exported part.
func (c *counts) Counts() Counts {
	return Counts{Sent: c.sent, NotSent: c.notSent, OK: c.ok, Failed: c.failed, Retried: c.retried}
}

func (t *tally) report() *Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	elapsed := time.Since(t.start)
	r := &Report{
		Started: t.start, Elapsed: Milliseconds(elapsed), Asked: t.rate,
		Counts: t.all.Counts(), Latency: latencyOf(&t.all.latency), Methods: []Method{},
	}
	r.Retried = t.shop.retried() // also those of streams that went on
	for name, c := range t.methods {
		m := Method{Name: strings.TrimPrefix(name, "/"), Safe: safe(name), Counts: c.Counts(), Latency: latencyOf(&c.latency)}
		for text, n := range c.problems {
			m.Problems = append(m.Problems, Problem{Text: text, Count: n})
		}
		slices.SortFunc(m.Problems, func(a, b Problem) int { return int(b.Count) - int(a.Count) })
		r.Methods = append(r.Methods, m)
	}
	slices.SortFunc(r.Methods, func(a, b Method) int { return strings.Compare(a.Name, b.Name) })
	return r
}

// safe reports whether a method's contract says that it may be sent again.
func safe(method string) bool {
	name := strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", ".")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return false
	}
	o, _ := d.Options().(*descriptorpb.MethodOptions)
	return o.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
}
