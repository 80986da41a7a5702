package events

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestLatest compares the last time that was missed with that found by going through all of them.
func TestLatest(t *testing.T) {
	for _, s := range []Schedule{
		Interval(time.Second), Interval(7 * time.Minute), Cron("* * * * *"), Cron("@monthly"), Cron("*/7 2,3 * * *").In("Europe/Berlin"), Cron("30 * * * *").In("Europe/Berlin"),
		Cron("0 0 29 2 *"),
	} {
		for range 20 {
			since := time.Date(2026, 1, 1, 0, 0, 0, rand.IntN(1e9), time.UTC).Add(rand.N(365 * 24 * time.Hour))
			latest := s.Next(since)
			now := latest.Add(rand.N(latest.Sub(since)*100 + 1))
			if rand.IntN(10) == 0 {
				now = latest
			}
			for next := latest; !next.After(now); next = s.Next(next) {
				latest = next
			}
			if got := s.latest(since, now); !got.Equal(latest) {
				t.Errorf("%s: from %v to %v it is %v, want %v", s, since, now, got, latest)
			}
		}
	}
}
