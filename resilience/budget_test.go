package resilience_test

import (
	"testing"
	"time"

	"github.com/hanse-go/hanse/resilience"
)

func TestBudget(t *testing.T) {
	now := time.Now()
	take := func(b *resilience.Budget) (n int) {
		for n < 10000 && b.Take(now) {
			n++
		}
		return n
	}
	var b resilience.Budget
	if n := take(&b); n != resilience.BudgetReserve {
		t.Errorf("without calls: %d", n)
	}
	for range 1000 {
		b.Call(now)
	}
	if n := take(&b); n != 190-resilience.BudgetReserve {
		t.Errorf("of 1000 calls: %d more", n)
	}
	if got, want := b.State(now), (resilience.BudgetState{Calls: 1000, Again: 190}); got != want {
		t.Errorf("state %+v, want %+v", got, want)
	}
	now = now.Add(9 * time.Second)
	if n := take(&b); n != 0 {
		t.Errorf("9 s later: %d", n)
	}
	now = now.Add(2 * time.Second)
	if n := take(&b); n != resilience.BudgetReserve {
		t.Errorf("11 s later: %d", n)
	}

	b = resilience.Budget{}
	b.Set(50)
	for range 100 {
		b.Call(now)
	}
	if n := take(&b); n != 40 {
		t.Errorf("of 100 calls at 50 percent: %d", n)
	}
	b.Set(-1)
	if n := take(&b); n != 10000 || b.State(now).Left != -1 {
		t.Errorf("without a limit: %d, %+v", n, b.State(now))
	}
}
