//go:build unix

package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/shop/load"
)

// traffic is the load of a test.
type traffic struct {
	t     *testing.T
	sent  atomic.Uint64 // as of the last second
	began time.Time
	stop  context.CancelFunc
	done  chan struct{}

	report *load.Report
	err    error
}

// rate is how many requests a second the tests send.
func rate() float64 {
	if full || chaos {
		return 200
	}
	return 60
}

// timeout is how long a request may take. In the short form other tests may have the machine.
func timeout() time.Duration {
	if full || chaos {
		return 5 * time.Second
	}
	return 20 * time.Second
}

// begin sends visitors to the shop until end.
func begin(t *testing.T) *traffic {
	t.Helper()
	t.Setenv("HANSE_SYSTEM", "shop")
	t.Setenv("HANSE_LOG_LEVEL", "error")
	app, err := hanse.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { app.Close() })
	return beginFrom(t, app)
}

// beginFrom sends visitors from an app.
func beginFrom(t *testing.T, app *hanse.App) *traffic {
	t.Helper()
	tr := &traffic{t: t, began: time.Now(), done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	tr.stop = stop
	l := &load.Load{App: app, Rate: rate(), Timeout: timeout(), Progress: func(p load.Progress) {
		tr.sent.Store(p.Sent)
		if full {
			t.Log(p)
		}
	}}
	go func() {
		defer close(tr.done)
		tr.report, tr.err = l.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-tr.done
	})
	return tr
}

// flowing waits until n more requests were sent.
func (tr *traffic) flowing(s *system, n uint64) {
	tr.t.Helper()
	goal := tr.sent.Load() + n
	s.await(tr.t, "requests are sent", func() bool {
		select {
		case <-tr.done:
			tr.t.Fatalf("the load has ended: %v", tr.err)
		default:
		}
		return tr.sent.Load() >= goal
	})
}

// end ends the traffic, which must have lost nothing.
func (tr *traffic) end() *load.Report {
	tr.t.Helper()
	tr.stop()
	<-tr.done
	if tr.err != nil {
		tr.t.Fatal(tr.err)
	}
	r := tr.report
	tr.t.Logf("%v in %v, p50 %v, p99 %v, max %v; machine load %s", r.Counts, time.Duration(r.Elapsed).Round(100*time.Millisecond),
		r.Latency.P50, r.Latency.P99, r.Latency.Most, machineLoad())
	if r.Failed > 0 || r.NotSent > 0 {
		var table strings.Builder
		r.WriteTo(&table)
		tr.t.Errorf("%d of %d requests failed, %d of them of methods marked as safe:\n%s", r.Failed, r.Sent+r.NotSent, r.FailedSafe(), &table)
	}
	if r.OK == 0 {
		tr.t.Error("nothing was sent")
	}
	return r
}

func machineLoad() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}

// readers open pages of the storefront, at a steady rate, until end.
type readers struct {
	t      *testing.T
	stop   context.CancelFunc
	all    sync.WaitGroup
	opened atomic.Int64
	failed output
}

// read sends readers to the storefront. Each opens one page, on a connection of its own, and is replaced by the next.
func read(t *testing.T, s *system, perSecond int) *readers {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &readers{t: t, stop: stop}
	pages := []string{"/", "/goods/all", "/search?q=tea", "/products/east-frisian-blend", "/cart", "/orders"}
	address := s.page(t)
	client := &http.Client{Timeout: timeout(), Transport: &http.Transport{DisableKeepAlives: true}}
	r.all.Go(func() {
		every := time.NewTicker(time.Second / time.Duration(perSecond))
		defer every.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
			r.all.Go(func() { r.open(client, address+pages[n%len(pages)]) })
		}
	})
	t.Cleanup(func() {
		stop()
		r.all.Wait()
	})
	return r
}

func (r *readers) open(client *http.Client, address string) {
	r.opened.Add(1)
	resp, err := client.Get(address)
	if err != nil {
		fmt.Fprintln(&r.failed, err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil || resp.StatusCode != http.StatusOK:
		fmt.Fprintln(&r.failed, address, resp.Status, err)
	case strings.Contains(string(body), "at the moment"):
		fmt.Fprintln(&r.failed, address, "misses something")
	}
}

// end ends the reading. No page may have failed or missed anything.
func (r *readers) end() {
	r.t.Helper()
	r.stop()
	r.all.Wait()
	failed := r.failed.String()
	r.t.Logf("%d pages opened, %d failed", r.opened.Load(), strings.Count(failed, "\n"))
	if failed != "" {
		r.t.Errorf("pages that failed:\n%s", failed)
	}
}
