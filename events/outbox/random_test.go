package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/outbox"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TestRandom does what comes, by a seed: it commits and rolls back, starts and stops relays, and has the broker be away, refuse keys, and say no to what it has
// stored. In the end exactly what was committed is with the broker, in the order of each key.
func TestRandom(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		for range 3 {
			seed := rand.Uint64()
			if err := randomRun(t, d, rand.New(rand.NewPCG(seed, 0))); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		}
	})
}

func randomRun(t *testing.T, d database, r *rand.Rand) error {
	db := d.migrated(t)
	run(t, db, `DELETE FROM hanse_outbox_refused`)
	broker := &recorder{}
	const keys = 5
	var next [keys]int
	var want []string
	publishSome := func(n int, commit bool) error {
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		now := next
		var texts []string
		var msgs []*wrapperspb.StringValue
		key := r.IntN(keys) // one, so that transactions of PostgreSQL do not meet in a deadlock
		for range n {
			texts = append(texts, fmt.Sprintf("k%d %d", key, now[key]))
			msgs = append(msgs, wrapperspb.String(texts[len(texts)-1]))
			now[key]++
		}
		if err := outbox.PublishAll(t.Context(), tx, text, msgs); err != nil || !commit {
			return err
		}
		next, want = now, append(want, texts...)
		return tx.Commit()
	}
	faults := []func(*events.Message) error{
		nil,
		func(*events.Message) error { return fmt.Errorf("away: %w", context.DeadlineExceeded) },
		func(m *events.Message) error {
			if m.Key == "k0" || m.Key == "k3" {
				return errors.New("not these")
			}
			return nil
		},
		func(m *events.Message) error { // it was stored nevertheless
			if !slices.ContainsFunc(broker.all, func(other *events.Message) bool { return other.Identity() == m.Identity() }) {
				broker.all = append(broker.all, m)
			}
			return errors.New("the answer was lost")
		},
		func(m *events.Message) error { return events.ErrFull },
	}
	var stops []func()
	var relaying sync.WaitGroup
	start := func() {
		ctx, cancel := context.WithCancel(context.Background())
		stops = append(stops, cancel)
		own, batch, host := d.open(t), 1+r.IntN(8), hostOf(t, broker)
		relaying.Go(func() {
			relay := &outbox.Relay{DB: own, Batch: batch, Lease: time.Second, Poll: 5 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)}
			if err := relay.Run(ctx, host); err != nil {
				t.Error(err)
			}
		})
	}
	defer func() {
		for _, stop := range stops {
			stop()
		}
		relaying.Wait()
	}()
	for range 60 {
		var err error
		switch n := r.IntN(10); {
		case n < 5:
			err = publishSome(1+r.IntN(4), r.IntN(4) > 0)
		case n < 7 && len(stops) < 3:
			start()
		case n == 7 && len(stops) > 0:
			i := r.IntN(len(stops))
			stops[i]()
			stops = slices.Delete(stops, i, i+1)
		case n == 8:
			broker.refuseAs(faults[r.IntN(len(faults))])
		default:
			<-time.After(time.Duration(r.IntN(20)) * time.Millisecond)
		}
		if err != nil {
			return err
		}
	}
	broker.refuseAs(nil)
	start()
	eventually(t, "an empty outbox", func() bool { return count(t, db, "hanse_outbox") == 0 })
	got := broker.texts(t)
	if err := inOrder(got); err != nil {
		return err
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("published %s, want %s", strings.Join(got, ","), strings.Join(want, ","))
	}
	if n := count(t, db, "hanse_outbox_refused"); n != 0 {
		return fmt.Errorf("%d events were set aside", n)
	}
	return nil
}
