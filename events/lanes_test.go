package events

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestLanes takes random steps and holds what lanes promise: of each key one event is out, they come in order, keys do not wait for each other,
// and none is lost.
func TestLanes(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		l := lanes{ordered: seed%10 != 0}
		var h held
		keys := 1 + rnd.IntN(6)
		added, left := make(map[string]int), make(map[string]int)
		var out, waiting []*item // taken; waiting to be handled again
		busy := make(map[string]bool)
		now := time.Unix(0, 0)
		number := make(map[*item]int)
		for step := range 400 {
			now = now.Add(time.Second)
			switch what := rnd.IntN(5); {
			case what == 0 || what == 1 && step < 300:
				key := ""
				if k := rnd.IntN(keys); k > 0 {
					key = fmt.Sprint("k", k)
				}
				it := &item{message: &Message{Key: key}}
				added[key]++
				number[it] = added[key]
				h.add(it, now)
				l.add(it)
			case what <= 2:
				it := l.take()
				if it == nil {
					for key, n := range added {
						if n > left[key] && !busy[key] && key != "" && l.ordered {
							t.Fatalf("seed %d: nothing is ready, though %d of %s are there", seed, n-left[key], key)
						}
					}
					continue
				}
				if key := it.message.Key; l.ordered && key != "" {
					if busy[key] {
						t.Fatalf("seed %d: two of %s are out", seed, key)
					}
					if number[it] != left[key]+1 {
						t.Fatalf("seed %d: %s:%d is out after %d", seed, key, number[it], left[key])
					}
					busy[key] = true
				}
				out = append(out, it)
			case what == 3 && len(out) > 0:
				i := rnd.IntN(len(out))
				it := out[i]
				out = append(out[:i], out[i+1:]...)
				if rnd.IntN(3) == 0 {
					waiting = append(waiting, it)
					continue
				}
				key := it.message.Key
				left[key]++
				busy[key] = false
				h.remove(it)
				h.remove(it) // no harm
				l.leave(it)
			case what == 4 && len(waiting) > 0:
				it := waiting[0]
				waiting = waiting[1:]
				busy[it.message.Key] = false // it is ready, and may be taken
				if l.ordered && it.message.Key != "" {
					if number[it] != left[it.message.Key]+1 {
						t.Fatalf("seed %d: another of its key left before it", seed)
					}
				}
				l.again(it)
			case what == 4 && h.first != nil:
				it := h.first
				h.remove(it)
				h.add(it, now)
			}
			n, last := 0, time.Time{}
			for it := h.first; it != nil; it = it.succ {
				if it.since.Before(last) {
					t.Fatalf("seed %d: what is held is not in the order of its time", seed)
				}
				n, last = n+1, it.since
			}
			total := 0
			for key := range added {
				total += added[key] - left[key]
			}
			if n != h.n || n != total {
				t.Fatalf("seed %d: %d are held, counted as %d, and should be %d", seed, n, h.n, total)
			}
		}
		for _, it := range waiting {
			l.again(it)
		}
		for _, it := range out {
			left[it.message.Key]++
			l.leave(it)
		}
		for it := l.take(); it != nil; it = l.take() {
			left[it.message.Key]++
			l.leave(it)
		}
		for key, n := range added {
			if left[key] != n {
				t.Fatalf("seed %d: %d of %d of %q came out", seed, left[key], n, key)
			}
		}
		if len(l.byKey) > 0 || l.ready.n != 0 {
			t.Fatalf("seed %d: lanes are left: %v", seed, l.byKey)
		}
	}
}

func TestRetryDelay(t *testing.T) {
	for _, tt := range []struct {
		retry    Retry
		failures int
		most     time.Duration
	}{
		{Retry{}, 1, time.Second},
		{Retry{}, 3, 4 * time.Second},
		{Retry{}, 50, 5 * time.Minute},
		{Retry{Min: time.Millisecond}, 1, time.Millisecond},
		{Retry{Min: time.Hour}, 1, time.Hour},
		{Retry{Max: 10 * time.Millisecond, Min: 2 * time.Millisecond}, 9, 10 * time.Millisecond},
	} {
		var low, high time.Duration
		low = tt.most
		for range 2000 {
			d := tt.retry.delay(tt.failures)
			low, high = min(low, d), max(high, d)
		}
		if low < 0 || low > tt.most/20 || high > tt.most || high < tt.most*19/20 {
			t.Errorf("%+v after %d failures: %v to %v, want 0 to %v", tt.retry, tt.failures, low, high, tt.most)
		}
	}
}
