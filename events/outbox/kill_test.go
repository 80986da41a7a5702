//go:build unix

package outbox_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestKill kills relays again and again, and freezes others for longer than their lease, while events are published: all arrive, and those of a key in
// their order, whatever was repeated.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	onEach(t, func(t *testing.T, d database) {
		db := d.migrated(t)
		broker := &recorder{}
		c := child{Driver: d.driver, Source: d.source, Broker: broker.serve(t), Lease: time.Second}
		const keys, harms = 8, 10
		enough := make(chan struct{})
		var published [keys]int
		var publishing sync.WaitGroup
		for k := range keys {
			publishing.Go(func() {
				for i := 0; ; i++ {
					if err := publishOne(t.Context(), db, fmt.Sprintf("k%d %d", k, i)); err != nil {
						t.Error(err)
						return
					}
					published[k]++
					select {
					case <-enough:
						return
					case <-time.After(time.Duration(rand.IntN(100)) * time.Millisecond):
					}
				}
			})
		}
		running := []*process{c.start(t), c.start(t)}
		for n := range harms {
			<-time.After(time.Duration(100+rand.IntN(300)) * time.Millisecond)
			i := rand.IntN(len(running))
			if n%5 != 4 {
				running[i].kill()
				running[i] = c.start(t)
				continue
			}
			if err := running[i].cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Error(err)
			}
			<-time.After(1200 * time.Millisecond)
			if err := running[i].cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Error(err)
			}
		}
		close(enough)
		publishing.Wait()
		want := 0
		for _, n := range published {
			want += n
		}
		eventually(t, "an empty outbox", func() bool { return count(t, db, "hanse_outbox") == 0 })
		for _, p := range running {
			p.kill()
		}
		texts := broker.texts(t)
		if err := inOrder(texts); err != nil || len(texts) != want {
			t.Errorf("%d events, want %d: %v", len(texts), want, err)
		}
		t.Logf("%d events, of which %d were given to the broker again", len(texts), broker.given-len(texts))
	})
}
