package driver_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/events/driver"
)

func TestWindow(t *testing.T) {
	w := driver.Window{Events: 8, Bytes: 100}
	enter := func(size int) <-chan struct{} { t.Helper(); return w.Enter(size) }
	if enter(1000) != nil {
		t.Fatal("an event larger than all is not let in alone")
	}
	full := enter(1)
	if full == nil || enter(1) != full {
		t.Fatal("a second one is let in with it, or does not wait with the others")
	}
	w.Leave(1000)
	select {
	case <-full:
	default:
		t.Fatal("who waits is not told that there is room")
	}
	for i := range 8 {
		if enter(10) != nil {
			t.Fatalf("event %d is not let in", i)
		}
	}
	full = enter(10)
	for n := 8; n > 6; n-- {
		select {
		case <-full:
			t.Fatalf("there is room for many already with %d of 8", n)
		default:
		}
		if full == nil {
			t.Fatal("there is room for 9 of 8")
		}
		w.Leave(10)
	}
	select {
	case <-full:
	default:
		t.Fatal("no room with 6 of 8")
	}
	if enter(40) != nil {
		t.Error("100 bytes of 100 are too many")
	}
	if full = enter(1); full == nil {
		t.Fatal("101 bytes of 100 are let in")
	}
	w.Leave(10) // 5 and 40: 90 bytes
	select {
	case <-full:
		t.Error("there is room for many already with 90 of 100 bytes")
	default:
	}
	w.Leave(40)
	<-full
}

// Whoever waits gets in at last, and never more than the window has.
func TestWindowShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		w := driver.Window{Events: 4, Bytes: 30}
		n, most, all := 0, 0, []int(nil)
		var each sync.WaitGroup
		for i := range 50 {
			each.Go(func() {
				for {
					mu.Lock()
					room := w.Enter(10)
					if room == nil {
						break
					}
					mu.Unlock()
					<-room
				}
				n++
				most = max(most, n)
				all = append(all, i)
				mu.Unlock()
				time.Sleep(time.Duration(1+i%7) * time.Second) // on its way
				mu.Lock()
				n--
				w.Leave(10)
				mu.Unlock()
			})
		}
		each.Wait()
		if slices.Sort(all); most != 3 || len(slices.Compact(all)) != 50 {
			t.Errorf("at most %d were in at a time, want 3; %d were in at all, want 50", most, len(all))
		}
	})
}
