package natsevents

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/nats-io/nats.go/jetstream"
)

// bucket stores all that is put.
type bucket struct {
	jetstream.KeyValue
	put chan string
}

func (b *bucket) Put(_ context.Context, key string, _ []byte) (uint64, error) {
	b.put <- key
	return 1, nil
}

// record is an update of a bucket.
type record struct {
	jetstream.KeyValueEntry
	key string
}

func (r record) Key() string                     { return r.key }
func (r record) Operation() jetstream.KeyValueOp { return jetstream.KeyValuePut }

// A watch that does not tell of the member's own signs of life is given up, before others would be taken for dead or alive by it; one that
// does is kept.
func TestDeafWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lease = 6 * time.Second
		kv := &bucket{put: make(chan string, 100)}
		s := &lanes{
			b: &Broker{opts: Options{Lease: lease, Logger: slog.New(slog.DiscardHandler)}, link: t.Context()}, info: events.SubscriptionInfo{Topic: "t", Group: "g"},
			me: "me", key: "group.t.g", kv: kv, look: make(chan struct{}, 1), ready: make(chan struct{}, 1), parts: make(map[int]*part),
			records: make(map[int]entry), seen: make(map[string]time.Time),
		}
		for n := range partitions { // the other one has all, and is alive
			s.records[n] = entry{partRecord: partRecord{Owner: "other"}}
		}
		updates := make(chan jetstream.KeyValueEntry, 10)
		ended := make(chan error, 1)
		go func() { ended <- s.tend(t.Context(), updates) }()
		updates <- nil // all is known
		began := time.Now()
		for time.Since(began) < time.Minute {
			updates <- record{key: "group.t.g.member.other"}
			select {
			case key := <-kv.put:
				updates <- record{key: key}
			case err := <-ended:
				t.Fatalf("a watch that works ended after %v: %v", time.Since(began), err)
			}
		}
		silent := time.Now()
		for {
			select {
			case <-kv.put:
				continue
			case err := <-ended:
				if took := time.Since(silent); !errors.Is(err, errDeaf) || took > lease {
					t.Errorf("a watch that went silent ended after %v: %v", took, err)
				}
			}
			return
		}
	})
}
