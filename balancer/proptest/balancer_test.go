package proptest_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"google.golang.org/grpc/metadata"
	"pgregory.net/rapid"
)

func candidates(t *rapid.T, least int) []*balancer.Candidate {
	var list []*balancer.Candidate
	for i := range rapid.IntRange(least, 12).Draw(t, "n") {
		c := &balancer.Candidate{Instance: discovery.Instance{
			ID:     fmt.Sprint("i", i),
			Weight: rapid.IntRange(0, 9).Draw(t, "weight"),
			Host:   rapid.SampledFrom([]string{"", "h", "g"}).Draw(t, "host"),
			Zone:   rapid.SampledFrom([]string{"", "y", "z"}).Draw(t, "zone"),
		}}
		for range rapid.IntRange(0, 40).Draw(t, "in flight") {
			c.Begin()
		}
		list = append(list, c)
	}
	return list
}

func with(key string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "x-key", key)
}

// Whatever the set, every picker answers with one of it.
func TestPickIsOneOfTheSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"p2c", "random", "round-robin", "weighted", "hash:x-key", "weighted,locality=off", "p2c,warm-up=1h"}).Draw(t, "policy")
		policy, err := balancer.ParsePolicy(text)
		if err != nil {
			t.Fatal(err)
		}
		chooser, all := policy.NewChooser(), candidates(t, 1)
		for range 20 { // sets that change, as they do when calls fail somewhere
			set := slices.DeleteFunc(slices.Clone(all), func(*balancer.Candidate) bool { return rapid.Bool().Draw(t, "left out") })
			from := balancer.Locality{Host: rapid.SampledFrom([]string{"", "h"}).Draw(t, "at host"), Zone: rapid.SampledFrom([]string{"", "z"}).Draw(t, "at zone")}
			got := chooser.Choose(with(rapid.String().Draw(t, "key")), "/m", "", from.Tiers(set))
			if len(set) == 0 && got != nil || len(set) > 0 && !slices.Contains(set, got) {
				t.Fatalf("%s: picked one that is not among %d", text, len(set))
			}
		}
	})
}

// A round of weighted turns gives each exactly its weight, wherever it begins.
func TestWeightedIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, w := candidates(t, 1), new(balancer.Weighted)
		sum := 0
		for _, c := range list {
			sum += max(c.Instance.Weight, 1)
		}
		for range rapid.IntRange(0, 3).Draw(t, "rounds") * sum {
			w.Pick(list)
		}
		counts := make(map[*balancer.Candidate]int)
		for range sum {
			counts[w.Pick(list)]++
		}
		for _, c := range list {
			if counts[c] != max(c.Instance.Weight, 1) {
				t.Fatalf("weight %d, %d turns of %d", c.Instance.Weight, counts[c], sum)
			}
		}
	})
}

// The order of the candidates does not matter for a key, and one that goes moves no key but its own.
func TestHashIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &balancer.ConsistentHash{Key: "x-key", Bound: -1}
		list, key := candidates(t, 2), rapid.String().Draw(t, "key")
		owner := h.PickFor(with(key), "/m", list)
		if other := h.PickFor(with(key), "/m", rapid.Permutation(list).Draw(t, "order")); other != owner {
			t.Fatalf("%s in another order, %s before", other.Instance.ID, owner.Instance.ID)
		}
		gone := rapid.SampledFrom(list).Draw(t, "gone")
		rest := slices.DeleteFunc(slices.Clone(list), func(c *balancer.Candidate) bool { return c == gone })
		if now := h.PickFor(with(key), "/m", rest); gone != owner && now != owner {
			t.Fatalf("%s went, and the key moved from %s to %s", gone.Instance.ID, owner.Instance.ID, now.Instance.ID)
		}
	})
}

// Nobody gets more than the bound allows.
func TestHashBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := candidates(t, 2)
		bound := rapid.Float64Range(1, 3).Draw(t, "bound")
		c := (&balancer.ConsistentHash{Key: "x-key", Bound: bound}).PickFor(with(rapid.String().Draw(t, "key")), "/m", list)
		inflight, weights := 1, 0
		for _, c := range list {
			inflight += c.InFlight()
			weights += max(c.Instance.Weight, 1)
		}
		fair := float64(inflight) * float64(max(c.Instance.Weight, 1)) / float64(weights)
		if got := float64(c.InFlight() + 1); got > 1 && got >= bound*fair+1 {
			t.Fatalf("%v in flight, %v is its part, the bound %v", got, fair, bound)
		}
	})
}

// The version of a call is one that is there, as long as one with a share is; a key's does not depend on the order of the shares.
func TestSplitVersion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := discovery.Split{Service: "cart", Sticky: rapid.SampledFrom([]string{"", "x-key"}).Draw(t, "sticky")}
		left := 100
		for i := range rapid.IntRange(1, 5).Draw(t, "versions") {
			p := rapid.IntRange(0, left).Draw(t, "percent")
			left -= p
			rules.Shares = append(rules.Shares, discovery.SplitShare{Version: fmt.Sprint("v", i), Percent: float64(p)})
		}
		rules.Shares[0].Percent += float64(left)
		if err := rules.Validate(); err != nil {
			t.Fatal(err)
		}
		there := make(map[string]bool)
		any := false
		for _, s := range rules.Shares {
			there[s.Version] = rapid.Bool().Draw(t, "there")
			any = any || there[s.Version] && s.Percent > 0
		}
		has := func(v string) bool { return there[v] }
		none := func(string) bool { return false }
		ctx := with(rapid.String().Draw(t, "key"))
		got, ok := balancer.NewSplit(rules).Version(ctx, has, none)
		if ok != any || ok != there[got] {
			t.Fatalf("%q, %t; there are %v", got, ok, there)
		}
		if rules.Sticky != "" {
			rules.Shares = rapid.Permutation(rules.Shares).Draw(t, "order")
			if again, _ := balancer.NewSplit(rules).Version(ctx, has, none); again != got {
				t.Fatalf("%q in another order, %q before", again, got)
			}
		}
	})
}
