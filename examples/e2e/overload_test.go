//go:build unix

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	greeterv1 "github.com/hanse-go/hanse/examples/hello/proto/greeter/v1"
	"github.com/hanse-go/hanse/resilience"
)

const (
	millWork = 4 * time.Millisecond
	millWait = time.Second // how long its callers wait
)

// miller has a mill of its own, with one processor, and calls it.
type miller struct {
	t      *testing.T
	pid    int
	client greeterv1.GreeterClient
}

func startMill(t *testing.T) *miller {
	t.Helper()
	bin := build(t, "mill")
	for name, value := range map[string]string{"HANSE_SYSTEM": "mill", "HANSE_REGISTRY": "local:" + filepath.Join(home, "run", "mill"), "HANSE_LOG_LEVEL": "error"} {
		t.Setenv(name, value)
	}
	cmd := exec.Command(bin)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "MILL_WORK="+millWork.String())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("the mill: %v\n%s", err, out.Bytes())
		}
	})
	app, err := hanse.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { app.Close() })
	m := &miller{t: t, pid: cmd.Process.Pid, client: greeterv1.NewGreeterClient(app.Conn("mill"))}
	if err := m.call(context.Background(), time.Now()); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *miller) call(ctx context.Context, due time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, due.Add(millWait))
	defer cancel()
	_, err := m.client.Hello(ctx, &greeterv1.HelloRequest{Name: "corn"})
	return err
}

// best is what the mill does at most in a second, with as many callers as keep it busy.
func (m *miller) best(d time.Duration) float64 {
	var all sync.WaitGroup
	var ok atomic.Int64
	began := time.Now()
	for range 4 {
		all.Go(func() {
			for time.Since(began) < d {
				if m.call(context.Background(), time.Now()) == nil {
					ok.Add(1)
				}
			}
		})
	}
	all.Wait()
	return float64(ok.Load()) / time.Since(began).Seconds()
}

// milled is what became of calls.
type milled struct {
	took                 time.Duration
	sent, ok             int64
	critical, criticalOK int64
	rest, restOK         int64 // those after a while
	mostRSS              int64 // KiB
	errors               sync.Map
}

// pour sends calls at a rate, whether answers come or not. One in critical is critical; after is when the rest begins.
func (m *miller) pour(rate float64, d time.Duration, critical int, after time.Duration) *milled {
	var all sync.WaitGroup
	r := new(milled)
	var ok, criticalOK, restOK atomic.Int64
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for time.Since(began) < d {
		<-tick.C
		for due := int64(time.Since(began).Seconds() * rate); r.sent < due; r.sent++ {
			ctx, isCritical, isRest := context.Background(), critical > 0 && r.sent%int64(critical) == 0, time.Since(began) >= after
			if isCritical {
				ctx = resilience.WithPriority(ctx, resilience.Critical)
				r.critical++
			}
			if isRest {
				r.rest++
			}
			due := time.Now()
			all.Go(func() {
				if err := m.call(ctx, due); err != nil {
					r.errors.LoadOrStore(err.Error(), true)
					return
				}
				ok.Add(1)
				if isCritical {
					criticalOK.Add(1)
				}
				if isRest {
					restOK.Add(1)
				}
			})
		}
		if r.sent%1000 < 10 {
			r.mostRSS = max(r.mostRSS, rss(m.pid))
		}
	}
	r.took = time.Since(began)
	all.Wait()
	r.ok, r.criticalOK, r.restOK = ok.Load(), criticalOK.Load(), restOK.Load()
	return r
}

// rss is the resident memory of a process in KiB; 0: unknown.
func rss(pid int) int64 {
	out, err := exec.Command("ps", "-o", "rss=", "-p", fmt.Sprint(pid)).Output()
	if err != nil {
		return 0
	}
	var n int64
	fmt.Sscan(string(out), &n)
	return n
}

// chaosOverload sends a service several times what it can do.
func chaosOverload(t *testing.T, _ *system, v *verdict) {
	m := startMill(t)
	best := m.best(4 * time.Second)
	for _, o := range []struct{ times, atLeast float64 }{{3, 0.9}, {10, 0.8}} {
		m.pour(best*o.times, 2*time.Second, 40, 0) // until it has noticed
		r := m.pour(best*o.times, spell(), 40, 0)
		goodput := float64(r.ok) / r.took.Seconds() / best
		v.hold(goodput >= o.atLeast, fmt.Sprintf("%.0fx: goodput at least %.0f %% of the best", o.times, 100*o.atLeast), "%.0f %% of %.0f/s", 100*goodput, best)
		share := float64(r.criticalOK) / float64(max(r.critical, 1))
		v.hold(share >= 0.99, "critical calls at least 99 %", "%.1f %% of %d", 100*share, r.critical)
		v.hold(r.mostRSS > 0 && r.mostRSS < 256<<10, "less than 256 MiB of memory", "%d MiB", r.mostRSS>>10)
		back := m.pour(best/2, 6*time.Second, 0, 3*time.Second)
		v.hold(back.rest == back.restOK, "all is well 3 s later", "%d of %d failed", back.rest-back.restOK, back.rest)
		if t.Failed() {
			r.errors.Range(func(text, _ any) bool { t.Log(text); return true })
		}
	}
}
