package resilience_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/resilience"
)

func TestResolve(t *testing.T) {
	const method = "/shop.v1.Cart/Get"
	policies := map[string]resilience.Policy{
		"": {
			Timeout: time.Second,
			Retry:   resilience.Retry{Attempts: 2, Budget: 10},
			Methods: map[string]resilience.Policy{method: {Hedge: resilience.Hedge{After: time.Millisecond}, Timeout: 9 * time.Second}},
		},
		"cart": {
			Retry:   resilience.Retry{Attempts: 5},
			Breaker: resilience.Breaker{Failures: -1},
			Methods: map[string]resilience.Policy{
				"shop.v1.Cart/*": {Timeout: 2 * time.Second, Hedge: resilience.Hedge{Percentile: 90}},
				method:           {Hedge: resilience.Hedge{Percentile: 99}},
			},
		},
	}
	for _, c := range []struct {
		what            string
		service, method string
		read            func(resilience.Policy) any
		want            any
	}{
		{"method over contract", "cart", method, func(p resilience.Policy) any { return p.Hedge.Percentile }, 99.0},
		{"contract over service", "cart", method, func(p resilience.Policy) any { return p.Timeout }, 2 * time.Second},
		{"contract alone", "cart", "/shop.v1.Cart/Put", func(p resilience.Policy) any { return p.Hedge.Percentile }, 90.0},
		{"a field of all, beside one of the service", "cart", method, func(p resilience.Policy) any { return p.Retry.Budget }, 10},
		{"service over all", "cart", method, func(p resilience.Policy) any { return p.Retry.Attempts }, 5},
		{"another method", "cart", "/other.v1.X/Y", func(p resilience.Policy) any { return p.Hedge.Percentile }, 0.0},
		{"method of all", "other", method, func(p resilience.Policy) any { return p.Hedge.After }, time.Millisecond},
		{"method of all over all", "other", method, func(p resilience.Policy) any { return p.Timeout }, 9 * time.Second},
		{"all", "other", "", func(p resilience.Policy) any { return p.Timeout }, time.Second},
		{"off stays off", "cart", method, func(p resilience.Policy) any { return p.Breaker.Failures }, -1},
		{"default beside off", "cart", method, func(p resilience.Policy) any { return p.Breaker.Probes }, 3},
		{"default", "other", "", func(p resilience.Policy) any { return p.Outlier.MaxEjected }, 50},
		{"no methods are left", "cart", method, func(p resilience.Policy) any { return len(p.Methods) }, 0},
	} {
		if got := c.read(resilience.Resolve(policies, c.service, c.method)); got != c.want {
			t.Errorf("%s: got %v, want %v", c.what, got, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	if err := (resilience.Policy{}).Check(); err != nil {
		t.Error(err)
	}
	if err := resilience.Resolve(nil, "", "").Check(); err != nil {
		t.Error("the defaults:", err)
	}
	in := func(key string, p resilience.Policy) resilience.Policy {
		return resilience.Policy{Methods: map[string]resilience.Policy{key: p}}
	}
	for _, c := range []struct {
		policy resilience.Policy
		want   string // parts of the error
	}{
		{resilience.Policy{Timeout: -2}, "Timeout is -2ns"},
		{resilience.Policy{Retry: resilience.Retry{Budget: 101}}, "Retry.Budget is 101"},
		{resilience.Policy{Hedge: resilience.Hedge{Percentile: 100}}, "Hedge.Percentile is 100"},
		{resilience.Policy{Breaker: resilience.Breaker{Open: -1}}, "Breaker.Open"},
		{resilience.Policy{Outlier: resilience.Outlier{Slow: 1}}, "Outlier.Slow is 1"},
		{in("a.B/C", resilience.Policy{}), `Methods["a.B/C"]: the key`},
		{in("/a.B/*", resilience.Policy{}), "the key"},
		{in("/a.B", resilience.Policy{}), "the key"},
		{in("/a.B/C", in("/a.B/C", resilience.Policy{})), "no Methods of its own"},
		{in("/a.B/C", resilience.Policy{Breaker: resilience.Breaker{Calls: 1}}), "belong to the service"},
		{in("/a.B/C", resilience.Policy{Timeout: -3}), `Methods["/a.B/C"]: Timeout`},
	} {
		if err := c.policy.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %s", c.policy, err, c.want)
		}
	}
	if err := in("/a.B/C", resilience.Policy{Timeout: -1}).Check(); err != nil {
		t.Error(err)
	}
	if err := in("a.B/*", resilience.Policy{Hedge: resilience.Hedge{Percentile: 99.9}}).Check(); err != nil {
		t.Error(err)
	}
}

func TestPause(t *testing.T) {
	for _, c := range []struct {
		retry resilience.Retry
		n     int
		most  time.Duration
	}{
		{resilience.Retry{}, 1, 50 * time.Millisecond},
		{resilience.Retry{}, 2, 100 * time.Millisecond},
		{resilience.Retry{}, 1 << 30, time.Second},
		{resilience.Retry{Backoff: -1}, 3, 0},
		{resilience.Retry{Backoff: time.Hour}, 1, time.Second},
		{resilience.Retry{Backoff: time.Hour, MaxBackoff: -1}, 1, time.Hour},
	} {
		var longest time.Duration
		for range 300 {
			d := c.retry.Pause(c.n)
			if d < 0 || d > c.most {
				t.Fatalf("%+v: pause %d is %v", c.retry, c.n, d)
			}
			longest = max(longest, d)
		}
		if longest < c.most*9/10 {
			t.Errorf("%+v: of 300 pauses the longest is %v, want nearly %v", c.retry, longest, c.most)
		}
	}
}
