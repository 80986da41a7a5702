package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/telemetry/collector"
)

func numbers(calls, errors float64, p50, p95 time.Duration) collector.Numbers {
	return collector.Numbers{Calls: calls, Errors: errors, P50: p50, P95: p95}
}

// busy is a system of which not all is told.
func busy() *dashboard.Top {
	cpu, memory := 1.5, int64(64<<20)
	return &dashboard.Top{
		Services: []dashboard.TopService{
			{Name: "cart", Ready: 2, Want: 2, Numbers: numbers(1250, 50, time.Millisecond, 12*time.Millisecond), CPU: &cpu, Memory: &memory},
			{Name: "email", Ready: 1, Want: 1, Numbers: numbers(0.001, 0, time.Second, time.Second), Within: "cart"},
			{Name: "loadgen"},
			{Name: "orders", Ready: 1, Want: 3},
			{Name: "reviews", Want: 1, Failed: 1},
		},
		Methods: []collector.ServiceMethod{
			{Service: "cart", Name: "shop.v1.Carts/Get", Kind: "rpc", Numbers: numbers(1250, 50, time.Millisecond, 12*time.Millisecond)},
			{Service: "email", Name: "orders.placed", Kind: "event", Numbers: numbers(0.001, 0, time.Second, time.Second)},
		},
	}
}

// TestTopText holds what people read.
func TestTopText(t *testing.T) {
	const want = `SERVICE  READY       CALLS  ERRORS      P50      P95      CPU  MEMORY
cart     2          1250/s   4.0 %  1.00 ms  12.0 ms    150 %  64 MiB
email    1        < 0.01/s     0 %   1.00 s   1.00 s  in cart
loadgen  stopped         0
orders   1/3             0
reviews  0/1 ✗           0

METHOD               SERVICE     CALLS  ERRORS      P50      P95
Carts/Get            cart       1250/s   4.0 %  1.00 ms  12.0 ms
event orders.placed  email    < 0.01/s     0 %   1.00 s   1.00 s
`
	if got := plain(topText(busy())); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := topText(new(dashboard.Top)); !strings.HasPrefix(got, "Nothing runs, and nothing was told in that time.\n") {
		t.Errorf("of nothing:\n%s", got)
	}
}

func TestTopOrder(t *testing.T) {
	cpu, memory := []float64{1, 2}, []int64{2, 1}
	list := []dashboard.TopService{
		{Name: "a", Numbers: numbers(1, 0.5, 0, 2)},
		{Name: "b", Numbers: numbers(3, 0, 0, 1), CPU: &cpu[0], Memory: &memory[0]},
		{Name: "c", Numbers: numbers(2, 0, 0, 3), CPU: &cpu[1], Memory: &memory[1]},
	}
	for order, want := range map[string]string{"calls": "bca", "errors": "abc", "p95": "cab", "cpu": "cba", "memory": "bca", "name": "abc"} {
		sorted := slices.Clone(list)
		slices.SortStableFunc(sorted, topOrder(order))
		got := ""
		for _, s := range sorted {
			got += s.Name
		}
		if got != want {
			t.Errorf("by %s: %s, want %s", order, got, want)
		}
	}
	if len(topOrders) != 6 {
		t.Errorf("orders that are not tested: %q", topOrders)
	}
}
