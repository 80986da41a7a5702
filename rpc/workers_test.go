package rpc

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

type jobFunc func(w *worker)

func (f jobFunc) run(w *worker) { f(w) }

// work runs f as a call of s would be run, and waits for it.
func work(t *testing.T, s *Server, f func()) {
	c := &activeCall{}
	if err := s.begin(c); err != nil {
		t.Error(err)
		return
	}
	c.worker.jobs <- jobFunc(func(w *worker) { f(); w.done <- struct{}{} })
	<-c.worker.done
	s.end(c)
}

func (s *Server) idleWorkers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for w := s.workers.idle; w != nil; w = w.next {
		n++
	}
	if n != s.workers.n {
		panic("wrong count")
	}
	return n
}

func TestWorkersAreUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{}
		s.Start()
		defer s.Stop()
		for range 100 {
			work(t, s, func() {})
		}
		if n := s.idleWorkers(); n != 1 {
			t.Errorf("%d workers for one call at a time", n)
		}
	})
}

func TestBlockedWorkersHoldUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{}
		s.Start()
		defer s.Stop()
		release := make(chan struct{})
		var wg sync.WaitGroup
		for range 3 * maxIdleWorkers {
			wg.Go(func() { work(t, s, func() { <-release }) })
		}
		synctest.Wait()
		work(t, s, func() {})
		close(release)
		wg.Wait()
		if n := s.idleWorkers(); n != maxIdleWorkers {
			t.Errorf("%d workers are kept, not %d", n, maxIdleWorkers)
		}
	})
}

func TestIdleWorkersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{}
		s.Start()
		defer s.Stop()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { work(t, s, func() { time.Sleep(time.Millisecond) }) })
		}
		wg.Wait()
		if n := s.idleWorkers(); n != 10 {
			t.Fatalf("%d workers", n)
		}
		for range 10 { // one is busy, nine have nothing to do
			time.Sleep(workerIdleTime / 4)
			work(t, s, func() {})
		}
		if n := s.idleWorkers(); n != 1 {
			t.Errorf("%d workers are left, not the one that has work", n)
		}
		time.Sleep(3 * workerIdleTime)
		if n := s.idleWorkers(); n != 0 {
			t.Errorf("%d workers are left", n)
		}
		work(t, s, func() {})
		if n := s.idleWorkers(); n != 1 {
			t.Errorf("%d workers after another call", n)
		}
		time.Sleep(3 * workerIdleTime)
		if n := s.idleWorkers(); n != 0 {
			t.Errorf("%d workers are left after another call", n)
		}
	})
}

func TestStopEndsIdleWorkers(t *testing.T) {
	for name, stop := range map[string]func(*Server){"stop": (*Server).Stop, "drain": func(s *Server) { s.Drain(t.Context()) }} {
		t.Run(name, func(t *testing.T) {
			s := &Server{}
			s.Start()
			work(t, s, func() {})
			stop(s)
			if n := s.idleWorkers(); n != 0 { // that they have ended, goleak finds
				t.Errorf("%d workers", n)
			}
		})
	}
}
