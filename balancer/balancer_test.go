package balancer_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"go.uber.org/goleak"
	"google.golang.org/grpc/metadata"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a simulated instance.
type server struct {
	*balancer.Candidate
	mu      sync.Mutex
	latency func(call int) time.Duration
	outcome balancer.Outcome
	calls   int
}

func newServer(id string, weight int, latency time.Duration) *server {
	return &server{
		Candidate: &balancer.Candidate{Instance: discovery.Instance{Service: "cart", ID: id, Weight: weight, State: discovery.Ready}},
		latency:   func(int) time.Duration { return latency },
	}
}

// serve takes one call, in the bubble's time.
func (s *server) serve() {
	s.mu.Lock()
	call := s.calls
	s.calls++
	s.mu.Unlock()
	took := s.latency(call)
	s.Begin()
	time.Sleep(took)
	s.Done(time.Now(), took, s.outcome)
}

func candidates(servers []*server) []*balancer.Candidate {
	var list []*balancer.Candidate
	for _, s := range servers {
		list = append(list, s.Candidate)
	}
	return list
}

// load lets callers call at the same time, each so many times with a pause in between, and returns how often each server was called.
func load(p balancer.Picker, servers []*server, callers, calls int, pause time.Duration) []int {
	list := candidates(servers)
	before := make([]int, len(servers))
	for i, s := range servers {
		before[i] = s.calls
	}
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range calls {
				servers[slices.Index(list, p.Pick(list))].serve()
				time.Sleep(pause)
			}
		})
	}
	wg.Wait()
	counts := make([]int, len(servers))
	for i, s := range servers {
		counts[i] = s.calls - before[i]
	}
	return counts
}

// openLoad starts a call every interval, whether or not earlier ones have ended, and returns how often each server was called.
func openLoad(p balancer.Picker, servers []*server, calls int, interval time.Duration) []int {
	list := candidates(servers)
	counts := make([]int, len(servers))
	var wg sync.WaitGroup
	for range calls {
		i := slices.Index(list, p.Pick(list))
		counts[i]++
		wg.Go(servers[i].serve)
		time.Sleep(interval)
	}
	wg.Wait()
	return counts
}

// between fails the test unless the share of the calls is in bounds.
func between(t *testing.T, what string, counts []int, of int, least, most float64) {
	t.Helper()
	total := 0
	for _, n := range counts {
		total += n
	}
	if share := float64(counts[of]) / float64(total); share < least || share > most {
		t.Errorf("%s: server %d got %.3f of %v, want %.3f to %.3f", what, of, share, counts, least, most)
	}
}

func TestP2CEqualServersShareEqually(t *testing.T) {
	for _, callers := range []int{1, 40} {
		synctest.Test(t, func(t *testing.T) {
			var servers []*server
			for i := range 5 {
				servers = append(servers, newServer(fmt.Sprint(i), 0, 10*time.Millisecond))
			}
			counts := load(new(balancer.P2C), servers, callers, 8000/callers, time.Millisecond)
			for i := range servers {
				between(t, fmt.Sprintf("%d callers", callers), counts, i, 0.17, 0.23)
			}
		})
	}
}

func TestP2CWeights(t *testing.T) {
	for _, callers := range []int{1, 60} {
		synctest.Test(t, func(t *testing.T) {
			servers := []*server{newServer("a", 1, 10*time.Millisecond), newServer("b", 2, 10*time.Millisecond), newServer("c", 5, 10*time.Millisecond)}
			counts := load(new(balancer.P2C), servers, callers, 12000/callers, time.Millisecond)
			what := fmt.Sprintf("%d callers", callers)
			between(t, what, counts, 0, 0.08, 0.18)
			between(t, what, counts, 1, 0.19, 0.33)
			between(t, what, counts, 2, 0.54, 0.70)
		})
	}
}

func TestP2CSlowServerGetsLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := []*server{newServer("a", 0, 5*time.Millisecond), newServer("b", 0, 5*time.Millisecond), newServer("slow", 0, 100*time.Millisecond)}
		counts := load(new(balancer.P2C), servers, 16, 4000, time.Millisecond)
		between(t, "slow server", counts, 2, 0.0001, 0.04)
		between(t, "fast server", counts, 0, 0.4, 0.6)

		servers[2].latency = func(int) time.Duration { return 5 * time.Millisecond } // it recovers
		load(new(balancer.P2C), servers, 16, 4000, time.Millisecond)
		counts = load(new(balancer.P2C), servers, 16, 1000, time.Millisecond)
		between(t, "recovered server", counts, 2, 0.28, 0.39)
	})
}

func TestP2CHungServerGetsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := []*server{newServer("a", 0, 5*time.Millisecond), newServer("b", 0, 5*time.Millisecond), newServer("hung", 0, 5*time.Millisecond)}
		p := new(balancer.P2C)
		load(p, servers, 4, 200, time.Millisecond)
		servers[2].latency = func(int) time.Duration { return time.Minute }
		servers[2].outcome = balancer.Abandoned // the callers give up
		counts := openLoad(p, servers, 10000, time.Millisecond)
		between(t, "hung server", counts, 2, 0, 0.005)
	})
}

func TestP2CNewServerStartsFairly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := []*server{newServer("a", 0, 5*time.Millisecond), newServer("b", 0, 5*time.Millisecond), newServer("c", 0, 5*time.Millisecond)}
		p := new(balancer.P2C)
		load(p, servers, 8, 1000, time.Millisecond)
		servers = append(servers, newServer("new", 0, 5*time.Millisecond))
		counts := load(p, servers, 8, 5, time.Millisecond)
		between(t, "first 40 calls", counts, 3, 0.05, 0.55)
		counts = load(p, servers, 8, 500, time.Millisecond)
		between(t, "next 4000 calls", counts, 3, 0.2, 0.3)
	})
}

// The first answers of a new process are slow. That must not keep it from ever being asked again.
func TestP2CNewServerMayWarmUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := []*server{newServer("a", 0, 5*time.Millisecond), newServer("b", 0, 5*time.Millisecond)}
		p := new(balancer.P2C)
		load(p, servers, 8, 1000, time.Millisecond)
		cold := newServer("cold", 0, 0)
		cold.latency = func(call int) time.Duration {
			if call < 6 {
				return 400 * time.Millisecond
			}
			return 5 * time.Millisecond
		}
		servers = append(servers, cold)
		load(p, servers, 8, 500, time.Millisecond)
		counts := load(p, servers, 8, 500, time.Millisecond)
		between(t, "warm server", counts, 2, 0.28, 0.39)
	})
}

func TestP2CFailingFastServerGetsLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := []*server{newServer("a", 0, 5*time.Millisecond), newServer("b", 0, 5*time.Millisecond), newServer("broken", 0, 10*time.Microsecond)}
		servers[2].outcome = balancer.Failed
		counts := load(new(balancer.P2C), servers, 8, 4000, time.Millisecond)
		between(t, "broken server", counts, 2, 0, 0.02)
	})
}

// A caller that gives up says nothing about the instance, however long it waited.
func TestAbandonedNeverCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newServer("a", 0, 0).Candidate
		for range 20 {
			c.Begin()
			c.Done(time.Now(), 5*time.Millisecond, balancer.Succeeded)
		}
		want := c.Latency()
		for range 100 {
			c.Begin()
			c.Done(time.Now(), time.Hour, balancer.Abandoned)
		}
		if got := c.Latency(); got != want || c.InFlight() != 0 {
			t.Errorf("latency %v, %d in flight; want %v and none", got, c.InFlight(), want)
		}

		servers := []*server{newServer("a", 0, 5*time.Millisecond), newServer("b", 0, 5*time.Millisecond)}
		servers[1].outcome = balancer.Abandoned
		counts := load(new(balancer.P2C), servers, 1, 4000, time.Millisecond)
		between(t, "server whose callers give up", counts, 1, 0.45, 0.55)
	})
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newServer("a", 0, 0).Candidate
		expect := func(what string, least, most time.Duration) {
			t.Helper()
			if got := c.Latency(); got < least || got > most {
				t.Errorf("%s: %v, want %v to %v", what, got, least, most)
			}
		}
		answer := func(n int, took time.Duration, outcome balancer.Outcome) {
			for range n {
				c.Begin()
				time.Sleep(10 * time.Millisecond)
				c.Done(time.Now(), took, outcome)
			}
		}
		const ms = time.Millisecond
		expect("nothing known", 0, 0)
		answer(20, 10*ms, balancer.Succeeded)
		expect("constant", 10*ms, 10*ms)
		answer(1, 50*ms, balancer.Succeeded)
		expect("a rise counts at once", 50*ms, 50*ms)
		answer(100, 10*ms, balancer.Succeeded)
		expect("a fall counts slowly", 35*ms, 48*ms)
		answer(2000, 10*ms, balancer.Succeeded)
		expect("a fall counts in the end", 10*ms, 12*ms)
		answer(1, 0, balancer.Failed)
		expect("a failure", 90*ms, 130*ms)
		answer(100, 0, balancer.Failed)
		expect("failures have a limit", time.Second, 5*time.Second)
		time.Sleep(time.Minute)
		expect("forgotten without calls", 0, ms)
	})
}

func TestP2CPicksAnyOfTheSet(t *testing.T) {
	var all []*balancer.Candidate
	for i := range 7 {
		all = append(all, newServer(fmt.Sprint(i), i%3, 0).Candidate)
	}
	p := new(balancer.P2C)
	for n := 1; n <= len(all); n++ {
		for _, set := range [][]*balancer.Candidate{all[:n], all[len(all)-n:]} { // the same length, another set
			picked := make(map[*balancer.Candidate]int)
			for range 2000 {
				c := p.Pick(set)
				if !slices.Contains(set, c) {
					t.Fatalf("%d candidates: picked one that is not among them", n)
				}
				picked[c]++
			}
			if len(picked) != n {
				t.Errorf("only %d of %d candidates were ever picked", len(picked), n)
			}
		}
	}
}

// The two that are compared are never the same one, so the worse of two is never picked.
func TestP2CComparesTwo(t *testing.T) {
	for _, weights := range [][2]int{{1, 1}, {1, 3}, {3, 1}} {
		busy, idle := newServer("busy", weights[0], 0).Candidate, newServer("idle", weights[1], 0).Candidate
		for range 100 {
			busy.Begin()
		}
		for _, set := range [][]*balancer.Candidate{{busy, idle}, {idle, busy}} {
			var p balancer.P2C
			for range 200 {
				if p.Pick(set) != idle {
					t.Fatalf("weights %v: the busy one was picked", weights)
				}
			}
		}
	}
}

func ExampleP2C() {
	picker := new(balancer.P2C)
	candidates := []*balancer.Candidate{
		{Instance: discovery.Instance{Service: "cart", ID: "busy"}},
		{Instance: discovery.Instance{Service: "cart", ID: "idle"}},
	}
	for range 5 {
		candidates[0].Begin() // five calls are in flight there
	}
	fmt.Println(picker.Pick(candidates).Instance.ID)
	// Output: idle
}

func BenchmarkPick(b *testing.B) {
	var list, weighted []*balancer.Candidate
	for i := range 10 {
		list = append(list, newServer(fmt.Sprint(i), 0, 0).Candidate)
		weighted = append(weighted, newServer(fmt.Sprint(i), i, 0).Candidate)
	}
	for _, c := range slices.Concat(list, weighted) {
		for range 20 {
			c.Begin()
			c.Done(time.Now(), time.Millisecond, balancer.Succeeded)
		}
	}
	for _, bench := range []struct {
		name   string
		picker balancer.Picker
		list   []*balancer.Candidate
	}{
		{"P2C", new(balancer.P2C), list},
		{"P2C/weighted", new(balancer.P2C), weighted},
		{"RoundRobin", new(balancer.RoundRobin), list},
		{"Random", new(balancer.Random), list},
		{"Weighted", new(balancer.Weighted), weighted},
		{"ConsistentHash", &balancer.ConsistentHash{Key: "x-user"}, list},
		{"ConsistentHash/weighted", &balancer.ConsistentHash{Key: "x-user"}, weighted},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			ctx := metadata.NewOutgoingContext(b.Context(), metadata.Pairs("x-user", "4711"))
			for b.Loop() {
				balancer.Pick(ctx, "/m", bench.picker, bench.list)
			}
		})
	}
}

func BenchmarkBeginDone(b *testing.B) {
	c := newServer("a", 0, 0).Candidate
	b.ReportAllocs()
	for b.Loop() {
		c.Begin()
		c.Done(time.Now(), time.Millisecond, balancer.Succeeded)
	}
}
