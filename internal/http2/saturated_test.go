package http2_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/internal/http2"
)

// A reader that is kept busy by what it reads says so; one that waits does not.
func TestSaturated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		said := 0
		work := time.Duration(0)
		r, c := rawServer(t, http2.Config{}, http2.ClientEvents{
			Saturated: func() { said++ },
			EndBatch:  func() { time.Sleep(work) },
		})
		go func() {
			for {
				if _, err := r.read(); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		for range 100 {
			time.Sleep(10 * time.Millisecond)
			r.send(tPing, 1, 0, make([]byte, 8))
		}
		synctest.Wait()
		if said != 0 {
			t.Errorf("a reader that waits said %d times that it is saturated", said)
		}
		work = 10 * time.Millisecond
		for range 100 {
			r.send(tPing, 1, 0, make([]byte, 8))
			time.Sleep(work)
		}
		synctest.Wait()
		if said == 0 || c.Err() != nil {
			t.Errorf("a busy reader said %d times that it is saturated; %v", said, c.Err())
		}
	})
}
