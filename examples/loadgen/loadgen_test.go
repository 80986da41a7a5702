package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestHistogram holds every quantile to within one part in thirty-two of the exact one.
func TestHistogram(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{1, 2, 10, 1000} {
		var h histogram
		var exact []time.Duration
		for range n {
			d := time.Duration(random.Int64N(1<<random.IntN(36))) * time.Microsecond
			h.add(d)
			exact = append(exact, d)
		}
		slices.Sort(exact)
		for _, q := range []float64{0, .5, .9, .99, 1} {
			want, got := exact[int(q*float64(n-1))], h.quantile(q)
			if got < want || float64(got) > float64(want)*(1+1./32)+1000 {
				t.Errorf("quantile %v of %d durations = %v, want %v", q, n, got, want)
			}
		}
	}
	if got := (&histogram{}).quantile(.5); got != 0 {
		t.Errorf("quantile of nothing = %v", got)
	}
}

// regular does the same all the time.
type regular struct{ do func(context.Context) (int, error) }

func (c regular) next() *step { return &step{method: "Shop/Visit", safe: true, do: c.do} }

func runPacer(t *testing.T, p *pacer, do func(context.Context) (int, error)) *result {
	t.Helper()
	p.newCustomer = func(uint64) customer { return regular{do} }
	p.rec = newRecorder()
	return p.rec.result(p.rate, p.run(t.Context()))
}

// TestOpenLoop stops the shop for a second and looks whether the stream went on: nothing is left out, and the second shows in the
// latency of all that it held up.
func TestOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		res := runPacer(t, &pacer{rate: 100, duration: 4 * time.Second, sessions: 5, timeout: 5 * time.Second}, func(context.Context) (int, error) {
			if at := time.Since(start); at >= time.Second && at < 2*time.Second {
				time.Sleep(2*time.Second - at)
			}
			return 1, nil
		})
		if res.Sent != 400 || res.OK != 400 || res.Rate < 99 || res.Rate > 101 {
			t.Errorf("sent %d, ok %d at %.1f a second, want 400 at 100", res.Sent, res.OK, res.Rate)
		}
		if res.Max < 990 || res.Max > 1000 {
			t.Errorf("longest %v ms, want a second", res.Max)
		}
		if res.P50 != 0 || res.P99 < 900 {
			t.Errorf("p50 %v ms and p99 %v ms, want 0 and most of a second", res.P50, res.P99)
		}
	})
}

func TestFailuresAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		res := runPacer(t, &pacer{rate: 100, requests: 30, sessions: 3, timeout: time.Second}, func(ctx context.Context) (int, error) {
			switch n.Add(1) % 3 {
			case 0:
				return 3, status.Error(codes.Unavailable, "away")
			case 1:
				<-ctx.Done() // no answer: the timeout counts
				return 1, status.FromContextError(ctx.Err()).Err()
			}
			return 2, nil
		})
		if res.Sent != 30 || res.OK != 10 || res.Failed != 20 || res.SafeFailed != 20 || res.Retried != 30 {
			t.Errorf("got %+v", res.Line)
		}
		if len(res.Errors) != 2 || res.Errors[0].Count != 10 || res.Errors[1].Count != 10 {
			t.Errorf("errors %+v, want ten of two kinds", res.Errors)
		}
		var text, data bytes.Buffer
		if err := errors.Join(res.writeText(&text), res.writeJSON(&data)); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text.String(), "10 × Shop/Visit: Unavailable: away") {
			t.Errorf("the failure is not in the report:\n%s", text.String())
		}
		var back result
		if err := json.Unmarshal(data.Bytes(), &back); err != nil || back.Failed != 20 || back.Methods[0].Method != "Shop/Visit" {
			t.Errorf("JSON %s: %v", data.String(), err)
		}
	})
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{{"--rate", "0"}, {"--rate", "x"}, {"more"}, {"--sessions", "0"}, {"--unknown"}} {
		var stderr bytes.Buffer
		if code := run(args, &stderr, &stderr); code != 2 || stderr.Len() == 0 {
			t.Errorf("%v: exit status %d and %q, want 2 and a reason", args, code, stderr.String())
		}
	}
}

func TestDescribe(t *testing.T) {
	if name, safe := describe(catalogv1.Catalog_GetProduct_FullMethodName); name != "Catalog/GetProduct" || !safe {
		t.Errorf("GetProduct is %q, safe %v", name, safe)
	}
}
