package balancer_test

import (
	"context"
	"fmt"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"google.golang.org/grpc/metadata"
)

// weighing returns candidates with weights.
func weighing(weights ...int) (list []*balancer.Candidate) {
	for i, w := range weights {
		list = append(list, &balancer.Candidate{Instance: discovery.Instance{Service: "cart", ID: string(rune('a' + i)), Weight: w}})
	}
	return list
}

func ExampleRoundRobin() {
	picker, candidates := new(balancer.RoundRobin), weighing(1, 1, 1)
	for range 4 {
		fmt.Print(picker.Pick(candidates).Instance.ID, " ")
	}
	// Output: a b c a
}

func ExampleWeighted() {
	picker, candidates := new(balancer.Weighted), weighing(5, 1, 1)
	for range 7 {
		fmt.Print(picker.Pick(candidates).Instance.ID, " ")
	}
	// Output: a a b a c a a
}

func ExampleRandom() {
	picker, candidates := new(balancer.Random), weighing(1, 3)
	counts := make(map[string]int)
	for range 4000 {
		counts[picker.Pick(candidates).Instance.ID]++
	}
	fmt.Println(counts["b"] > 2*counts["a"])
	// Output: true
}

func ExampleConsistentHash() {
	picker, candidates := &balancer.ConsistentHash{Key: "x-user"}, weighing(1, 1, 1, 1)
	ctx := metadata.AppendToOutgoingContext(context.Background(), "x-user", "ada")
	first := picker.PickFor(ctx, "/shop.Cart/Get", candidates)
	fmt.Println(picker.PickFor(ctx, "/shop.Cart/Get", candidates) == first)
	// Output: true
}

func ExamplePolicy() {
	policy, err := balancer.ParsePolicy("round-robin,version=v2")
	if err != nil {
		fmt.Println(err)
		return
	}
	old, canary := discovery.Instance{Version: "v1"}, discovery.Instance{Version: "v2"}
	fmt.Println(policy.Filter.Admits(&old), policy.Filter.Admits(&canary))
	// Output: false true
}

func ExampleSplit() {
	split := balancer.NewSplit(discovery.Split{
		Match:  []discovery.SplitMatch{{Header: "x-canary", Value: "1", Version: "v2"}},
		Shares: []discovery.SplitShare{{Version: "v1", Percent: 100}},
	})
	there := func(string) bool { return true }
	coming := func(string) bool { return false }
	tester := metadata.AppendToOutgoingContext(context.Background(), "x-canary", "1")
	for _, ctx := range []context.Context{tester, context.Background()} {
		version, _ := split.Version(ctx, there, coming)
		fmt.Println(version)
	}
	// Output:
	// v2
	// v1
}
