package balancer_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"google.golang.org/grpc/metadata"
)

// keyed is the context of a call with the key.
func keyed(key string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "x-user", key)
}

// owners tells which candidate each of n keys goes to while there is no load.
func owners(p *balancer.ConsistentHash, list []*balancer.Candidate, n int) []*balancer.Candidate {
	owners := make([]*balancer.Candidate, n)
	for i := range owners {
		owners[i] = p.PickFor(keyed(fmt.Sprint("user-", i)), "/m", list)
	}
	return owners
}

func share(owners []*balancer.Candidate, c *balancer.Candidate) float64 {
	n := 0
	for _, o := range owners {
		if o == c {
			n++
		}
	}
	return float64(n) / float64(len(owners))
}

func newCandidates(weights ...int) []*balancer.Candidate {
	var list []*balancer.Candidate
	for i, w := range weights {
		list = append(list, newServer(fmt.Sprint("i", i), w, 0).Candidate)
	}
	return list
}

// Only the keys of an instance that goes move, and only those that one that comes takes; the order of the candidates does not matter.
func TestConsistentHashMovesFewKeys(t *testing.T) {
	const keys = 20000
	for _, weights := range [][]int{{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 2, 3, 4, 1, 2, 3, 4, 1, 2}} {
		list := newCandidates(weights...)
		sum := 0
		for _, w := range weights {
			sum += w
		}
		p := &balancer.ConsistentHash{Key: "x-user"}
		before := owners(p, list, keys)
		for i, c := range list {
			if got, want := share(before, c), float64(weights[i])/float64(sum); math.Abs(got-want) > 0.15*want {
				t.Errorf("%v: instance %d has %.3f of the keys, want %.3f", weights, i, got, want)
			}
		}
		gone := list[3]
		fewer := slices.Delete(slices.Clone(list), 3, 4)
		slices.Reverse(fewer)
		taken := make(map[*balancer.Candidate]int)
		for i, now := range owners(p, fewer, keys) {
			if before[i] != gone && now != before[i] {
				t.Fatalf("%v: key %d moved, and its instance is there", weights, i)
			}
			if before[i] == gone {
				taken[now]++
			}
		}
		if len(taken) != len(fewer) {
			t.Errorf("%v: the keys of the one that went are with %d of %d others", weights, len(taken), len(fewer))
		}
		if moved := share(before, gone); moved > 1.15*float64(weights[3])/float64(sum) {
			t.Errorf("%v: %.3f of the keys moved", weights, moved)
		}
	}
}

// Callers of every version and machine must agree.
func TestConsistentHashNeverChanges(t *testing.T) {
	for _, test := range []struct {
		weights []int
		want    string
	}{
		{[]int{1, 1, 1, 1, 1}, "01104100243324432312"},
		{[]int{1, 2, 3, 1, 2}, "22104100241324432212"},
	} {
		var got string
		for _, c := range owners(&balancer.ConsistentHash{Key: "x-user"}, newCandidates(test.weights...), 20) {
			got += c.Instance.ID[1:]
		}
		if got != test.want {
			t.Errorf("%v: %s, want %s", test.weights, got, test.want)
		}
	}
}

func TestConsistentHashBoundsLoad(t *testing.T) {
	for _, test := range []struct {
		bound float64
		most  int64 // of 100 calls with one key, over 4 instances
	}{{0, 32}, {2, 50}, {1, 25}, {0.5, 25}, {-1, 100}} {
		p := &balancer.ConsistentHash{Key: "x-user", Bound: test.bound}
		list := newCandidates(1, 1, 1, 1)
		first := p.PickFor(keyed("hot"), "/m", list)
		for range 100 {
			p.PickFor(keyed("hot"), "/m", list).Begin()
		}
		got := int64(first.InFlight())
		if got > test.most || got < test.most-1 {
			t.Errorf("bound %v: the key's own instance has %d of 100 calls, want %d", test.bound, got, test.most)
		}
		total := 0
		for _, c := range list {
			for range c.InFlight() {
				c.Done(time.Now(), 0, balancer.Succeeded)
				total++
			}
		}
		if total != 100 {
			t.Errorf("%d calls", total)
		}
		if again := p.PickFor(keyed("hot"), "/m", list); again != first {
			t.Errorf("bound %v: the key does not come back when the load is gone", test.bound)
		}
	}
}

// Without the key, calls spread.
func TestConsistentHashWithoutKey(t *testing.T) {
	list := newCandidates(1, 1, 1)
	for _, test := range []struct {
		p   *balancer.ConsistentHash
		ctx context.Context
	}{
		{&balancer.ConsistentHash{Key: "x-user"}, context.Background()},
		{&balancer.ConsistentHash{Key: "x-user"}, metadata.AppendToOutgoingContext(context.Background(), "x-other", "1")},
		{new(balancer.ConsistentHash), keyed("1")},
	} {
		seen := make(map[*balancer.Candidate]bool)
		for range 200 {
			seen[test.p.PickFor(test.ctx, "/m", list)] = true
		}
		if len(seen) != 3 {
			t.Errorf("%d of 3 instances were picked", len(seen))
		}
	}
}

func TestRandomAndWeightedFollowWeights(t *testing.T) {
	for _, test := range []struct {
		name   string
		picker balancer.Picker
		exact  bool
	}{{"Random", new(balancer.Random), false}, {"Weighted", new(balancer.Weighted), true}} {
		for _, weights := range [][]int{{1}, {0, 0, 0}, {5, 1, 1}, {1, 2, 3, 4}} {
			list := newCandidates(weights...)
			sum := 0
			for _, w := range weights {
				sum += max(w, 1)
			}
			rounds := 1000
			counts := make(map[*balancer.Candidate]int)
			for range rounds * sum {
				counts[test.picker.Pick(list)]++
			}
			for i, c := range list {
				want := rounds * max(weights[i], 1)
				if test.exact && counts[c] != want || math.Abs(float64(counts[c]-want)) > 0.15*float64(want) {
					t.Errorf("%s %v: instance %d got %d calls, want %d", test.name, weights, i, counts[c], want)
				}
			}
		}
	}
}

func TestWeightedIsSmooth(t *testing.T) {
	list := newCandidates(5, 1, 1)
	var w balancer.Weighted
	var got string
	for range 14 {
		got += w.Pick(list).Instance.ID[1:]
	}
	if want := "00102000010200"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What is owed stays when the set changes: nobody gets a flood, and nobody starves, however often one is left out.
func TestWeightedWhileTheSetChanges(t *testing.T) {
	list := newCandidates(1, 1, 2)
	var w balancer.Weighted
	counts := make(map[*balancer.Candidate]int)
	for i := range 4000 {
		set := list
		if i%3 == 0 { // a call that failed at one goes to the others
			set = []*balancer.Candidate{list[0], list[2]}
		}
		counts[w.Pick(set)]++
	}
	for i, want := range []int{1000, 1000, 2000} {
		if got := counts[list[i]]; math.Abs(float64(got-want)) > 350 {
			t.Errorf("instance %d got %d, want about %d", i, got, want)
		}
	}
	for range 300 { // rolling restarts
		comes := newServer("new", 1, time.Millisecond).Candidate
		set := []*balancer.Candidate{list[0], comes}
		if a, b := w.Pick(set), w.Pick(set); a == b {
			t.Fatal("the same one twice")
		}
	}
}
