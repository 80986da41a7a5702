package resilience_test

import (
	"testing"
	"time"

	"github.com/hanse-go/hanse/resilience"
)

func BenchmarkLimiter(b *testing.B) {
	l := resilience.NewLimiter(resilience.Limit{}, nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var t resilience.Ticket
		for pb.Next() {
			l.Take(time.Now(), &t, resilience.Normal, nil)
			l.Release(time.Now(), &t, true)
		}
	})
}
