//go:build unix

package e2e_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
)

// probe calls one safe method, mostly of the catalog, at a steady rate, whether answers come or not, and keeps what became of each call.
type probe struct {
	t     *testing.T
	began time.Time
	stop  context.CancelFunc
	done  chan struct{}

	mu    sync.Mutex
	calls []probeCall
}

// probeCall is one call of a probe.
type probeCall struct {
	due      time.Time
	latency  time.Duration // from due to the answer
	attempts int
	instance string
	err      error
}

// startProbe calls perSecond times a second, each call within limit, until end.
func startProbe(t *testing.T, perSecond int, limit time.Duration) *probe {
	t.Helper()
	t.Setenv("HANSE_SYSTEM", "shop")
	t.Setenv("HANSE_LOG_LEVEL", "warn")
	app, err := hanse.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { app.Close() })
	return startProbeFrom(t, app, perSecond, limit)
}

// startProbeFrom calls from an app.
func startProbeFrom(t *testing.T, app *hanse.App, perSecond int, limit time.Duration) *probe {
	t.Helper()
	catalog := catalogv1.NewCatalogClient(app.Conn("catalog"))
	return startProbeOf(t, perSecond, limit, func(ctx context.Context, info *hanse.CallInfo) error {
		_, err := catalog.GetProduct(ctx, &catalogv1.GetProductRequest{Id: "east-frisian-blend"}, info)
		return err
	})
}

// startProbeOf makes calls of another kind.
func startProbeOf(t *testing.T, perSecond int, limit time.Duration, call func(context.Context, *hanse.CallInfo) error) *probe {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p := &probe{t: t, began: time.Now(), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		var all sync.WaitGroup
		defer all.Wait()
		every := time.NewTicker(time.Second / time.Duration(perSecond))
		defer every.Stop()
		for n := 0; ; n++ {
			due := p.began.Add(time.Duration(n) * time.Second / time.Duration(perSecond))
			for time.Until(due) > 0 { // what the ticker dropped is sent at once
				select {
				case <-every.C:
				case <-ctx.Done():
					return
				}
			}
			if ctx.Err() != nil {
				return
			}
			all.Go(func() {
				ctx, cancel := context.WithDeadline(context.Background(), due.Add(limit))
				defer cancel()
				var info hanse.CallInfo
				err := call(ctx, &info)
				c := probeCall{due: due, latency: time.Since(due), attempts: info.Attempts, instance: info.Instance, err: err}
				p.mu.Lock()
				p.calls = append(p.calls, c)
				p.mu.Unlock()
			})
		}
	}()
	t.Cleanup(func() {
		stop()
		<-p.done
	})
	return p
}

// between returns the calls that were due from one moment to another.
func (p *probe) between(from, to time.Time) (calls probeCalls) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.calls {
		if !c.due.Before(from) && c.due.Before(to) {
			calls = append(calls, c)
		}
	}
	return calls
}

// end ends the calls and returns all of them.
func (p *probe) end() probeCalls {
	p.stop()
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

type probeCalls []probeCall

func (calls probeCalls) failed() (n int, first error) {
	for _, c := range calls {
		if c.err != nil {
			if n++; first == nil {
				first = c.err
			}
		}
	}
	return n, first
}

// attempts counts each time that a call went to an instance.
func (calls probeCalls) attempts() (n int) {
	for _, c := range calls {
		n += c.attempts
	}
	return n
}

// latency returns a quantile.
func (calls probeCalls) latency(q float64) time.Duration {
	if len(calls) == 0 {
		return 0
	}
	sorted := slices.SortedFunc(slices.Values(calls), func(a, b probeCall) int { return int(a.latency - b.latency) })
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].latency
}
