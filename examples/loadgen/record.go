package main

import (
	"cmp"
	"errors"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/status"
)

// recorder counts. It may be used concurrently.
type recorder struct {
	mu      sync.Mutex
	all     counts
	lately  histogram // since the live line was last written
	methods map[string]*counts
	safe    map[string]bool
	errors  map[failure]int
}

type counts struct {
	sent, ok, failed, retried int
	latency                   histogram
}

// failure is a kind of error.
type failure struct{ method, code, message string }

func newRecorder() *recorder {
	return &recorder{methods: make(map[string]*counts), safe: make(map[string]bool), errors: make(map[failure]int)}
}

func (r *recorder) sent(s *step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.methods[s.method] == nil {
		r.methods[s.method] = &counts{}
		r.safe[s.method] = s.safe
	}
	r.all.sent++
	r.methods[s.method].sent++
}

func (r *recorder) done(s *step, took time.Duration, attempts int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lately.add(took)
	for _, c := range []*counts{&r.all, r.methods[s.method]} {
		c.latency.add(took)
		c.retried += max(attempts-1, 0)
		if err == nil {
			c.ok++
		} else {
			c.failed++
		}
	}
	if err != nil {
		r.errors[describeError(s.method, err)]++
	}
}

func describeError(method string, err error) failure {
	if st, ok := status.FromError(err); ok {
		return failure{method, st.Code().String(), st.Message()}
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the URL, which differs from one to the next
	}
	return failure{method, "HTTP", err.Error()}
}

// glance is what the live line shows.
type glance struct {
	sent, ok, failed, retried int
	p50, p99                  time.Duration // since the last glance
}

func (r *recorder) glance() glance {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := glance{r.all.sent, r.all.ok, r.all.failed, r.all.retried, r.lately.quantile(.50), r.lately.quantile(.99)}
	r.lately = histogram{}
	return g
}

func (r *recorder) result(rate float64, took time.Duration) *result {
	r.mu.Lock()
	defer r.mu.Unlock()
	res := &result{Target: rate, Seconds: took.Seconds(), Line: line(r.all)}
	if took > 0 {
		res.Rate = float64(r.all.sent) / took.Seconds()
	}
	for _, name := range slices.Sorted(maps.Keys(r.methods)) {
		c := *r.methods[name]
		res.Methods = append(res.Methods, methodLine{Method: name, Safe: r.safe[name], Line: line(c)})
		if r.safe[name] {
			res.SafeFailed += c.failed
		}
	}
	for f, n := range r.errors {
		res.Errors = append(res.Errors, errorLine{f.method, f.code, f.message, n})
	}
	slices.SortFunc(res.Errors, func(a, b errorLine) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Message, b.Message))
	})
	return res
}

func line(c counts) Line {
	ms := func(d time.Duration) float64 {
		return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
	}
	return Line{
		Sent: c.sent, OK: c.ok, Failed: c.failed, Retried: c.retried,
		P50: ms(c.latency.quantile(.50)), P99: ms(c.latency.quantile(.99)), Max: ms(c.latency.most),
	}
}
