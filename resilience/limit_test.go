package resilience_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/resilience"
)

// call is one call of a simulated server.
type call struct {
	resilience.Ticket
	turn chan resilience.Reason
}

func (c *call) Resume(shed resilience.Reason) { c.turn <- shed }

// server is what a limiter stands before.
type server struct {
	*resilience.Limiter
	counts  resilience.Counts
	handle  func(running int)
	running atomic.Int64
	most    atomic.Int64 // waiting
}

func newServer(cfg resilience.Limit, handle func(running int)) *server {
	s := &server{handle: handle}
	s.Limiter = resilience.NewLimiter(cfg, &s.counts)
	return s
}

// stations is a server that works at n calls at once, for d each; the others wait for each other in the handler, as for a lock or a
// pool of connections.
func stations(n int, d time.Duration) func(int) {
	free := make(chan struct{}, n)
	return func(int) {
		free <- struct{}{}
		time.Sleep(d)
		<-free
	}
}

// do makes a call and reports whether it was answered.
func (s *server) do(p resilience.Priority) bool {
	c := &call{turn: make(chan resilience.Reason, 1)}
	turn, why := s.Take(time.Now(), &c.Ticket, p, c)
	if turn == resilience.Waits {
		if n := s.State().Waiting; int64(n) > s.most.Load() {
			s.most.Store(int64(n))
		}
		why = <-c.turn
	}
	if why != "" {
		return false
	}
	s.handle(int(s.running.Add(1)))
	s.running.Add(-1)
	s.Release(time.Now(), &c.Ticket, true)
	return true
}

// load is what became of calls.
type load struct{ sent, good, shed, late [3]atomic.Int64 }

// offer sends rate calls a second, in even intervals, for d; a call is good when its answer comes within deadline. Every tenth has the
// priority critical and every tenth sheddable.
func (s *server) offer(l *load, rate int, d, deadline time.Duration) {
	s.offerAt(l, at(time.Second/time.Duration(rate)), d, deadline)
}

// offerAt is offer, with these pauses between calls.
func (s *server) offerAt(l *load, pause func() time.Duration, d, deadline time.Duration) {
	end := time.Now().Add(d)
	for i := 0; time.Now().Before(end); i++ {
		p := resilience.Normal
		switch i % 20 {
		case 0:
			p = resilience.Critical
		case 10:
			p = resilience.Sheddable
		}
		go func() {
			of := p - resilience.Sheddable
			l.sent[of].Add(1)
			began := time.Now()
			switch {
			case !s.do(p):
				l.shed[of].Add(1)
			case time.Since(began) > deadline:
				l.late[of].Add(1)
			default:
				l.good[of].Add(1)
			}
		}()
		time.Sleep(pause())
	}
}

func (l *load) goods() (n int64) {
	for i := range l.good {
		n += l.good[i].Load()
	}
	return n
}

func (l *load) all() (n int64) {
	for i := range l.sent {
		n += l.sent[i].Load()
	}
	return n
}

func (l *load) String() string {
	var s string
	for i := range l.sent {
		s += fmt.Sprintf("%v: sent %d good %d shed %d late %d; ", resilience.Priority(i-1), l.sent[i].Load(), l.good[i].Load(), l.shed[i].Load(), l.late[i].Load())
	}
	return s
}

func TestLimiterKeepsAnOverloadedServerAtWork(t *testing.T) {
	for _, server := range []struct {
		stations int
		takes    time.Duration
	}{{1, time.Millisecond}, {2, 4 * time.Millisecond}, {20, 20 * time.Millisecond}, {4, 100 * time.Millisecond}} {
		best := float64(server.stations) / server.takes.Seconds()
		for _, times := range []struct{ load, goodput float64 }{{3, 0.9}, {10, 0.8}} {
			t.Run(fmt.Sprintf("%d×%v/%v-fold", server.stations, server.takes, times.load), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newServer(resilience.Limit{}, stations(server.stations, server.takes))
					var calm, over, after load
					deadline := max(time.Second, 15*server.takes)
					const lasts = 20 * time.Second
					s.offer(&calm, int(best*0.7), 3*time.Second, deadline)
					s.offer(&over, int(best*times.load), lasts, deadline)
					s.offer(&load{}, int(best*0.7), 3*time.Second, deadline)
					s.offer(&after, int(best*0.7), 3*time.Second, deadline)
					time.Sleep(20 * time.Second)
					if calm.goods() != calm.all() {
						t.Error("calls failed before the overload")
					}
					if after.goods() != after.all() {
						t.Error("calls failed 3 s after the overload")
					}
					if got := float64(over.goods()) / (lasts.Seconds() * best); got < times.goodput {
						t.Errorf("goodput %.0f %% of the best: %v; %v", 100*got, &over, s.counts.All())
					}
					if got := float64(over.good[2].Load()) / float64(over.sent[2].Load()); got < 0.99 {
						t.Errorf("%.1f %% of the critical calls were good", 100*got)
					}
					if most := s.most.Load(); most > 1024 {
						t.Errorf("%d calls waited at once", most)
					}
				})
			})
		}
	}
}

// Methods that take some hundred ms, at ten times of what the server can do all at once, whenever that begins and however the calls come:
// what has come until the overload is noticed must be done first; then the server is at work.
func TestLimiterOfSlowMethods(t *testing.T) {
	random := rand.New(rand.NewPCG(10, 200))
	for range 24 {
		n, takes := 4+random.IntN(20), time.Duration(100+random.IntN(101))*time.Millisecond
		calm, atRandom, seed := 3*time.Second+time.Duration(random.Int64N(3e9)), random.IntN(2) == 0, random.Uint64()
		t.Run(fmt.Sprintf("%d×%v, after %v, at random %v", n, takes, calm, atRandom), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				best := float64(n) / takes.Seconds()
				random := rand.New(rand.NewPCG(seed, 0))
				pauses := func(rate float64) func() time.Duration {
					if atRandom {
						return func() time.Duration { return time.Duration(random.ExpFloat64() / rate * 1e9) }
					}
					return at(time.Duration(1e9 / rate))
				}
				s := newServer(resilience.Limit{}, stations(n, takes))
				var before, over, after load
				deadline := 15 * takes
				s.offerAt(&before, pauses(best/2), calm, deadline)
				s.offerAt(&load{}, pauses(10*best), 10*time.Second, deadline)
				const lasts = 10 * time.Second
				s.offerAt(&over, pauses(10*best), lasts, deadline)
				s.offerAt(&load{}, pauses(best/2), 3*time.Second, deadline)
				s.offerAt(&after, pauses(best/2), 3*time.Second, deadline)
				time.Sleep(20 * time.Second)
				for when, l := range map[string]*load{"before": &before, "3 s after": &after} {
					if l.goods() != l.all() {
						t.Errorf("calls failed %s the overload: %v", when, l)
					}
				}
				if got := float64(over.goods()) / (lasts.Seconds() * best); got < 0.8 {
					t.Errorf("goodput %.0f %% of the best: %v; %v", 100*got, &over, s.counts.All())
				}
			})
		})
	}
}

// Quick methods, where the same processor takes the calls in, those that are shed, too: what that leaves is used.
func TestLimiterOfQuickMethods(t *testing.T) {
	const takes, times, lasts = 100 * time.Microsecond, 10, 700 * time.Millisecond
	for _, intake := range []time.Duration{0, takes / 20} {
		t.Run(fmt.Sprint(intake), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var owed atomic.Int64 // time of the processor, for calls that came
				processor := make(chan struct{}, 1)
				s := newServer(resilience.Limit{}, func(int) {
					processor <- struct{}{}
					time.Sleep(takes + time.Duration(owed.Swap(0)))
					<-processor
				})
				s.offer(&load{}, int(time.Second/takes/2), lasts, time.Second)
				pause := func() time.Duration {
					owed.Add(int64(intake))
					return (takes + intake) / times
				}
				s.offerAt(&load{}, pause, lasts, time.Second)
				var over load
				s.offerAt(&over, pause, lasts, time.Second)
				time.Sleep(time.Minute)
				best := lasts.Seconds() / (takes + intake).Seconds()
				left := 1 - (times-1)*float64(intake)/float64(takes)
				if got := float64(over.goods()) / best; got < 0.8*left {
					t.Errorf("goodput %.0f %% of the best, where %.0f %% is left: %v; %v", 100*got, 100*left, &over, s.counts.All())
				}
			})
		})
	}
}

// closed makes n callers call again and again for d, each after think, and returns how many calls were shed and how many were answered.
func (s *server) closed(n int, d time.Duration, think func() time.Duration) (shed, answered int64) {
	var no, yes atomic.Int64
	var all sync.WaitGroup
	end := time.Now().Add(d)
	for range n {
		all.Go(func() {
			for time.Now().Before(end) {
				if s.do(resilience.Normal) {
					yes.Add(1)
				} else {
					no.Add(1)
				}
				time.Sleep(think())
			}
		})
	}
	all.Wait()
	return no.Load(), yes.Load()
}

func at(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

// Handlers that wait for something that is not this server are no overload, whatever their latency does.
func TestLimiterShedsNothingOfAHealthyServer(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	exponential := func(mean time.Duration) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(rnd.ExpFloat64() * float64(mean))
	}
	takes := func(d time.Duration) func(int) { return func(int) { time.Sleep(d) } }
	for _, test := range []struct {
		name   string
		before func(int) // what calls take first, one after another
		handle func(int)
		think  func() time.Duration
		least  float64 // answered of what would be without a limiter
		mean   time.Duration
	}{
		{name: "calls that all take long", handle: takes(time.Second), mean: time.Second, least: 0.95},
		{name: "quick calls become slow", before: takes(time.Millisecond), handle: takes(500 * time.Millisecond), mean: 500 * time.Millisecond, least: 0.9},
		{name: "and a little slow", before: takes(time.Millisecond), handle: takes(150 * time.Millisecond), mean: 150 * time.Millisecond, least: 0.9},
		{name: "one slow, one quick", before: takes(time.Millisecond), handle: func(n int) {
			if n%2 == 0 {
				time.Sleep(400 * time.Millisecond)
			}
		}, think: at(time.Millisecond), least: 0.5, mean: 200 * time.Millisecond},
		{name: "at random", before: takes(time.Millisecond), handle: func(int) { time.Sleep(exponential(300 * time.Millisecond)) }, mean: 300 * time.Millisecond, least: 0.85},
		{name: "long polls", before: takes(time.Millisecond), handle: func(int) { time.Sleep(exponential(20 * time.Second)) }, mean: 20 * time.Second, least: 0.6},
		{name: "slower and slower", handle: func() func(int) {
			began := time.Time{}
			return func(int) {
				if began.IsZero() {
					began = time.Now()
				}
				time.Sleep(time.Millisecond + time.Since(began)/100)
			}
		}(), mean: 300 * time.Millisecond, least: 0.5},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(resilience.Limit{}, test.before)
				if s.handle == nil {
					s.handle = test.handle
				}
				if shed, _ := s.closed(1, time.Second, at(time.Millisecond)); shed > 0 {
					t.Errorf("%d calls were shed at the beginning", shed)
				}
				s.handle = test.handle
				if test.think == nil {
					test.think = at(0)
				}
				const callers, lasts = 200, time.Minute
				shed, answered := s.closed(callers, lasts, test.think)
				if shed > 0 {
					t.Errorf("%d calls were shed: %v", shed, s.counts.All())
				}
				if want := test.least * callers * lasts.Seconds() / test.mean.Seconds(); float64(answered) < want {
					t.Errorf("%d calls were answered, not %.0f: %v", answered, want, s.counts.All())
				}
			})
		})
	}
}
