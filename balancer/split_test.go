package balancer_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"google.golang.org/grpc/metadata"
)

func shares(pairs ...any) (list []discovery.SplitShare) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, discovery.SplitShare{Version: pairs[i].(string), Percent: float64(pairs[i+1].(int))})
	}
	return list
}

// none says that no version comes.
func none(string) bool { return false }

func TestSplit(t *testing.T) {
	sends := func(pairs ...string) context.Context {
		return metadata.AppendToOutgoingContext(context.Background(), pairs...)
	}
	match := []discovery.SplitMatch{{Header: "x-canary", Value: "1", Version: "v2"}, {Header: "x-canary", Version: "v3"}, {Header: "x-tester", Version: "v1"}}
	all := []string{"v1", "v2", "v3"}
	for _, test := range []struct {
		name string
		ctx  context.Context
		rule discovery.Split
		has  []string
		want map[string]float64
	}{
		{"shares", sends(), discovery.Split{Shares: shares("v1", 90, "v2", 10)}, all, map[string]float64{"v1": 0.9, "v2": 0.1}},
		{"all to one", sends(), discovery.Split{Shares: shares("v1", 100, "v2", 0)}, all, map[string]float64{"v1": 1}},
		{"header and value", sends("x-canary", "1"), discovery.Split{Match: match, Shares: shares("v1", 100)}, all, map[string]float64{"v2": 1}},
		{"any value", sends("x-canary", "0"), discovery.Split{Match: match, Shares: shares("v1", 100)}, all, map[string]float64{"v3": 1}},
		{"the first decides", sends("x-tester", "", "x-canary", "1"), discovery.Split{Match: match}, all, map[string]float64{"v2": 1}},
		{"the first value counts", sends("x-canary", "2", "x-canary", "1"), discovery.Split{Match: match}, all, map[string]float64{"v3": 1}},
		{"nothing matches", sends("x-other", "1"), discovery.Split{Match: match, Shares: shares("v1", 50, "v3", 50)}, all, map[string]float64{"v1": 0.5, "v3": 0.5}},
		{"no shares", sends(), discovery.Split{Match: match}, all, map[string]float64{"": 1}},
		{"one has no instance", sends(), discovery.Split{Shares: shares("v1", 40, "v2", 20, "v3", 40)}, []string{"v1", "v2"}, map[string]float64{"v1": 0.667, "v2": 0.333}},
		{"none has an instance", sends(), discovery.Split{Shares: shares("v1", 90, "v2", 10)}, nil, map[string]float64{"": 1}},
		{"the rest has none", sends(), discovery.Split{Shares: shares("v1", 100, "v2", 0)}, []string{"v2"}, map[string]float64{"": 1}},
		{"match without instance", sends("x-canary", "1"), discovery.Split{Match: match, Shares: shares("v1", 100)}, []string{"v1", "v3"}, map[string]float64{"v1": 1}},
		{"strict match", sends("x-canary", "1"), discovery.Split{Match: match, Shares: shares("v1", 100), Strict: true}, []string{"v1"}, map[string]float64{"v2": 1}},
		{"strict shares", sends(), discovery.Split{Shares: shares("v1", 90, "v2", 10), Strict: true}, nil, map[string]float64{"v1": 0.9, "v2": 0.1}},
		{"sticky without the key", sends(), discovery.Split{Shares: shares("v1", 90, "v2", 10), Sticky: "x-user"}, all, map[string]float64{"v1": 0.9, "v2": 0.1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			const n = 20000
			s := balancer.NewSplit(test.rule)
			got := make(map[string]float64)
			for range n {
				v, ok := s.Version(test.ctx, func(v string) bool { return slices.Contains(test.has, v) }, none)
				if got[v] += 1.0 / n; ok != (v != "" || len(test.rule.Shares) == 0) {
					t.Fatalf("%q, %t", v, ok)
				}
			}
			for v, share := range got {
				if math.Abs(share-test.want[v]) > 0.02 {
					t.Errorf("got %v, want %v", got, test.want)
				}
			}
		})
	}
	if balancer.NewSplit(discovery.Split{Service: "cart"}) != nil {
		t.Error("rules where there are none")
	}
}

// A tester's call waits for the version that it was meant for, where that is about to come; others do not.
func TestSplitThatComes(t *testing.T) {
	s := balancer.NewSplit(discovery.Split{Match: []discovery.SplitMatch{{Header: "x-user", Version: "v2"}}, Shares: shares("v1", 1, "v2", 99)})
	v2 := func(v string) bool { return v == "v2" }
	v1 := func(v string) bool { return v == "v1" }
	if v, ok := s.Version(keyed("1"), v1, v2); v != "v2" || !ok {
		t.Error(v, ok)
	}
	if v, ok := s.Version(context.Background(), v1, v2); v != "v1" || !ok {
		t.Error(v, ok)
	}
}

// A key keeps its version: while nothing changes always, and when shares change as far as these allow.
func TestSplitIsSticky(t *testing.T) {
	const keys = 20000
	versions := func(has func(string) bool, list []discovery.SplitShare) (of []string) {
		s := balancer.NewSplit(discovery.Split{Shares: list, Sticky: "x-user"})
		for i := range keys {
			v, _ := s.Version(keyed(fmt.Sprint("user-", i)), has, none)
			of = append(of, v)
		}
		return of
	}
	all := func(string) bool { return true }
	before := versions(all, shares("v1", 90, "v2", 10))
	if !slices.Equal(before, versions(all, shares("v1", 90, "v2", 10))) {
		t.Error("not sticky")
	}
	portion := func(of []string, v string) float64 {
		n := 0
		for _, got := range of {
			if got == v {
				n++
			}
		}
		return float64(n) / keys
	}
	if got := portion(before, "v2"); math.Abs(got-0.1) > 0.01 {
		t.Errorf("v2 has %.3f of the keys", got)
	}
	after := versions(all, shares("v2", 30, "v1", 70))
	if got := portion(after, "v2"); math.Abs(got-0.3) > 0.015 {
		t.Errorf("v2 has %.3f of the keys", got)
	}
	for i := range keys {
		if before[i] == "v2" && after[i] != "v2" {
			t.Fatalf("key %d went back", i)
		}
	}
	gone := versions(func(v string) bool { return v != "v3" }, shares("v1", 60, "v2", 20, "v3", 20))
	whole := versions(all, shares("v1", 60, "v2", 20, "v3", 20))
	for i := range keys {
		if whole[i] != "v3" && gone[i] != whole[i] || gone[i] == "v3" {
			t.Fatalf("key %d moved from %s to %s", i, whole[i], gone[i])
		}
	}
}

func BenchmarkSplit(b *testing.B) {
	ctx := metadata.AppendToOutgoingContext(context.Background(), "x-user", "4711")
	has := map[string]bool{"v1": true, "v2": true}
	for _, bench := range []struct {
		name string
		rule discovery.Split
	}{
		{"shares", discovery.Split{Shares: shares("v1", 90, "v2", 10)}},
		{"header", discovery.Split{Match: []discovery.SplitMatch{{Header: "x-user", Value: "4711", Version: "v2"}}}},
		{"sticky", discovery.Split{Shares: shares("v1", 90, "v2", 10), Sticky: "x-user"}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := balancer.NewSplit(bench.rule)
			b.ReportAllocs()
			for b.Loop() {
				s.Version(ctx, func(v string) bool { return has[v] }, none)
			}
		})
	}
}
