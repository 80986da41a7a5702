package http2_test

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/http2"
)

type jobFunc func(w *http2.Worker)

func (f jobFunc) Run(w *http2.Worker) { f(w) }

func TestWorkersRunAll(t *testing.T) {
	var p http2.Workers
	var ran atomic.Int32
	var pushing sync.WaitGroup
	for range 10 {
		pushing.Go(func() {
			for n := range 100 {
				batch := make([]http2.Job, n)
				for i := range batch {
					batch[i] = jobFunc(func(*http2.Worker) { ran.Add(1) })
				}
				p.Push(batch)
			}
		})
	}
	pushing.Wait()
	p.Close()
	if n := ran.Load(); n != 10*99*50 {
		t.Errorf("%d jobs ran", n)
	}
	p.Close()
}

func TestWorkersBeginInOrder(t *testing.T) {
	var p http2.Workers
	var order []int
	var batch []http2.Job
	for i := range 200 { // one worker runs them all: none blocks
		batch = append(batch, jobFunc(func(*http2.Worker) { order = append(order, i) }))
	}
	old := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(old)
	p.Push(batch)
	p.Close()
	for i, n := range order {
		if i != n {
			t.Fatalf("job %d ran as number %d", n, i)
		}
	}
}

// TestBlockedJobs checks that jobs that block hold up no other, whatever their number and place.
func TestBlockedJobs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p http2.Workers
		stop := make(chan struct{})
		var ran, blocked atomic.Int32
		var batch []http2.Job
		for i := range 300 {
			batch = append(batch, jobFunc(func(*http2.Worker) {
				if i%3 != 1 {
					blocked.Add(1)
					<-stop
				}
				ran.Add(1)
			}))
		}
		p.Push(batch)
		wait()
		if ran.Load() != 100 || blocked.Load() != 200 {
			t.Errorf("%d ran, %d are blocked", ran.Load(), blocked.Load())
		}
		p.Push(batch[1:2])
		wait()
		if ran.Load() != 101 {
			t.Error("a job that came later did not run")
		}
		close(stop)
		p.Close()
		if ran.Load() != 301 {
			t.Errorf("%d ran", ran.Load())
		}
	})
}

// TestWorkersPassTheTime holds that a job finds when the one before it has ended, if that has told, and only right after it.
func TestWorkersPassTheTime(t *testing.T) {
	old := runtime.GOMAXPROCS(1) // one worker runs them all
	defer runtime.GOMAXPROCS(old)
	bubble(t, func(t *testing.T) {
		var p http2.Workers
		end := time.Now()
		var got []time.Time
		tells := jobFunc(func(w *http2.Worker) { got, w.After = append(got, w.Before), end })
		tellsNot := jobFunc(func(w *http2.Worker) { got = append(got, w.Before) })
		p.Push([]http2.Job{tells})
		wait()
		p.Push([]http2.Job{tells, tells, tellsNot, tells})
		p.Close()
		if want := []time.Time{{}, {}, end, end, {}}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestGoexit(t *testing.T) {
	var p http2.Workers
	var ran atomic.Int32
	var batch []http2.Job
	for i := range 50 {
		batch = append(batch, jobFunc(func(*http2.Worker) {
			ran.Add(1)
			if i%2 == 0 {
				runtime.Goexit()
			}
		}))
	}
	p.Push(batch)
	p.Close()
	if n := ran.Load(); n != 50 {
		t.Errorf("%d jobs ran", n)
	}
}

func TestIdleWorkersEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := http2.Workers{IdleTime: time.Minute}
		stop := make(chan struct{})
		seen := make(map[*http2.Worker]bool)
		var mu sync.Mutex
		push := func() {
			var batch []http2.Job
			for range 10 {
				batch = append(batch, jobFunc(func(w *http2.Worker) {
					mu.Lock()
					seen[w] = true
					w.Local = "made once"
					mu.Unlock()
					<-stop
				}))
			}
			p.Push(batch)
			wait()
		}
		push()
		close(stop)
		wait()
		push()
		if len(seen) != 10 {
			t.Errorf("%d workers for two times ten jobs", len(seen))
		}
		time.Sleep(3 * time.Minute) // the bubble ends only if they do
		one := make(chan any, 1)
		p.Push([]http2.Job{jobFunc(func(w *http2.Worker) { one <- w.Local })})
		if local := <-one; local != nil {
			t.Error("the worker that came last is an old one")
		}
		time.Sleep(3 * time.Minute)
	})
}
