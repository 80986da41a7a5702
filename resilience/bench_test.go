package resilience_test

import (
	"testing"
	"time"

	"github.com/hanse-go/hanse/resilience"
)

// BenchmarkClientChain is what the client's side does for a call that succeeds, on top of the call: budget, breaker, and outliers.
func BenchmarkClientChain(b *testing.B) {
	var (
		budget   resilience.Budget
		circuit  resilience.Circuit
		outliers resilience.Outliers
	)
	instance := outliers.Watch("a")
	outliers.Watch("b")
	call := func() {
		start := time.Now()
		pass := circuit.Allow(start)
		budget.Call(start)
		outliers.Check(start)
		if !instance.Admit(start) {
			b.Error("not admitted")
		}
		instance.Begin(start)
		took := time.Since(start)
		end := start.Add(took)
		instance.End(end, took, resilience.Answered)
		circuit.Done(end, pass, resilience.Answered)
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			call()
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				call()
			}
		})
	})
	b.Run("two looks at the clock alone", func(b *testing.B) {
		for b.Loop() {
			start := time.Now()
			_ = time.Since(start)
		}
	})
}
