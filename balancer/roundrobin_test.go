package balancer_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
)

func TestRoundRobin(t *testing.T) {
	byID := make(map[string]*balancer.Candidate)
	for _, id := range strings.Split("a b c d e f", " ") {
		byID[id] = &balancer.Candidate{Instance: discovery.Instance{ID: id}}
	}
	set := func(ids string) []*balancer.Candidate {
		var list []*balancer.Candidate
		for _, id := range ids {
			list = append(list, byID[string(id)])
		}
		return list
	}
	for _, c := range []struct {
		name  string
		steps []string // "set: picks"
	}{
		{"one", []string{"a: aaa"}},
		{"in turn", []string{"abc: abcabcab"}},
		{"new one comes last", []string{"abc: ab", "abcd: cabdcabd"}},
		{"order of the set does not matter", []string{"abc: a", "cba: bcabca"}},
		{"gone one is skipped", []string{"abcd: ab", "acd: cdacda"}},
		{"next one is gone", []string{"abcd: ab", "abd: dabdab"}},
		{"left out for one call", []string{"abc: a", "ac: c", "abc: bacbac"}},
		{"all new", []string{"ab: a", "cd: cdcd"}},
		{"back again", []string{"abc: abc", "a: aaaa", "abc: bcabca"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var rr balancer.RoundRobin
			for _, step := range c.steps {
				ids, want, _ := strings.Cut(step, ": ")
				list := set(ids)
				var got string
				for range want {
					got += rr.Pick(list).Instance.ID
				}
				if got != want {
					t.Errorf("of %s: got %s, want %s", ids, got, want)
				}
			}
		})
	}
}

func TestRoundRobinForgetsThoseThatAreGone(t *testing.T) {
	var rr balancer.RoundRobin
	stays := &balancer.Candidate{Instance: discovery.Instance{ID: "stays"}}
	for i := range 1000 { // rolling restarts
		comes := &balancer.Candidate{Instance: discovery.Instance{ID: fmt.Sprint(i)}}
		list := []*balancer.Candidate{stays, comes}
		if first, second := rr.Pick(list), rr.Pick(list); first == second {
			t.Fatalf("round %d: %s was picked twice", i, first.Instance.ID)
		}
	}
}

func TestRoundRobinConcurrent(t *testing.T) {
	const pickers, rounds, n = 8, 300, 6
	var rr balancer.RoundRobin
	var list []*balancer.Candidate
	for i := range n {
		list = append(list, &balancer.Candidate{Instance: discovery.Instance{ID: fmt.Sprint(i)}})
	}
	var mu sync.Mutex
	counts := make(map[*balancer.Candidate]int)
	var wg sync.WaitGroup
	for range pickers {
		wg.Go(func() {
			for range rounds {
				c := rr.Pick(list)
				mu.Lock()
				counts[c]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, c := range list {
		if counts[c] != pickers*rounds/n {
			t.Errorf("%s was picked %d times, want %d", c.Instance.ID, counts[c], pickers*rounds/n)
		}
	}
}
