package natsevents

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/nats-io/nats.go/jetstream"
)

// bucket is one whose records a test takes.
type bucket struct {
	jetstream.KeyValue
	put      chan string // keys
	revision uint64
	refuse   bool // another member was faster
}

func (b *bucket) Put(_ context.Context, key string, _ []byte) (uint64, error) {
	b.put <- key
	b.revision++
	return b.revision, nil
}

func (b *bucket) Update(_ context.Context, _ string, _ []byte, _ uint64) (uint64, error) {
	if b.refuse {
		return 0, jetstream.ErrKeyExists
	}
	b.revision++
	return b.revision, nil
}

// record is an update of a bucket.
type record struct {
	jetstream.KeyValueEntry
	key      string
	revision uint64
}

func (r record) Key() string                     { return r.key }
func (r record) Revision() uint64                { return r.revision }
func (r record) Operation() jetstream.KeyValueOp { return jetstream.KeyValuePut }

const ownKey, otherKey = "group.t.g.member.me", "group.t.g.member.other"

// newLanes returns a member of a group whose lease is 6 s.
func newLanes(t *testing.T, kv *bucket) *lanes {
	return &lanes{
		b:    &Broker{opts: Options{Lease: 6 * time.Second, Logger: slog.New(slog.DiscardHandler)}, link: t.Context()},
		info: events.SubscriptionInfo{Topic: "t", Group: "g", MaxInFlight: 10, AckWait: time.Minute},
		me:   "me", key: "group.t.g", kv: kv, look: make(chan struct{}, 1), ready: make(chan struct{}, 1), parts: make(map[int]*part),
		records: make(map[int]entry), seen: make(map[string]sign),
	}
}

// A watch that does not tell of the member's own signs of life is given up, before others would be taken for dead or alive by it; one that
// does is kept.
func TestDeafWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := &bucket{put: make(chan string, 100)}
		s := newLanes(t, kv)
		for n := range partitions { // the other one has all, and is alive
			s.records[n] = entry{partRecord: partRecord{Owner: "other"}}
		}
		updates := make(chan jetstream.KeyValueEntry, 10)
		ended := make(chan error, 1)
		go func() { ended <- s.tend(t.Context(), updates) }()
		updates <- nil // all is known
		began := time.Now()
		for time.Since(began) < time.Minute {
			updates <- record{key: otherKey}
			select {
			case key := <-kv.put:
				updates <- record{key: key, revision: kv.revision}
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
				if took := time.Since(silent); !errors.Is(err, errDeaf) || took > s.b.opts.Lease {
					t.Errorf("a watch that went silent ended after %v: %v", took, err)
				}
			}
			return
		}
	})
}

// A member whose lease had ended hands out nothing, though it is heard of again, before it has written the record of the partition: the news that
// another one has it may come later than the answer to a sign of life.
func TestLeaseHadEnded(t *testing.T) {
	for name, taken := range map[string]bool{"taken over": true, "left alone": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kv := &bucket{put: make(chan string, 100)}
				s := newLanes(t, kv)
				if err := s.beat(t.Context()); err != nil {
					t.Fatal(err)
				}
				p := s.newPart(0, 1, 1, position{})
				p.pull = &puller{b: s.b, consumer: "c", lock: &s.mu, stopped: true}
				s.parts[0] = p
				for seq := range uint64(3) {
					k := &kept{p: p, pull: p.pull, at: place{sequence: seq + 1}}
					p.pending[seq+1] = k
					p.queue(k)
				}
				next := func(what string) (some []events.Delivery) {
					ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
					defer cancel()
					some, err := s.Next(ctx, 1)
					if got := err == nil; got != (what == "") {
						t.Errorf("%s: %v, %v", what, some, err)
					}
					return slices.Clone(some)
				}
				valid := func(d events.Delivery) bool { return d.(events.Leased).Valid() }
				held := next("")[0]
				if !valid(held) {
					t.Error("it is not valid in time")
				}
				time.Sleep(s.b.opts.Lease * 3 / 4)
				if valid(held) {
					t.Error("it is valid when the lease has ended")
				}
				next("the lease has ended")
				kv.refuse = taken
				if err := s.beat(t.Context()); err != nil {
					t.Fatal(err)
				}
				if valid(held) {
					t.Error("it is valid though another member may have it")
				}
				next("another member may have it")
				s.mend(t.Context())
				if taken {
					next("another member has it")
					select {
					case <-held.Lost():
					default:
						t.Error("it is not lost")
					}
					return
				}
				if !valid(held) {
					t.Error("it is not valid though the record says that it is")
				}
				next("")
				time.Sleep(s.b.opts.Lease / 4)
				if err := s.beat(t.Context()); err != nil {
					t.Fatal(err)
				}
				next("") // the lease has not ended since
			})
		})
	}
}

// Who is silent is told by when this member's own sign of life was sent, not by when it came back: the next one of the other may be right behind it.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := &bucket{put: make(chan string, 100)}
		s := newLanes(t, kv)
		lease := s.b.opts.Lease
		beat := func() (came func()) {
			if err := s.beat(t.Context()); err != nil {
				t.Fatal(err)
			}
			own := record{key: ownKey, revision: kv.revision}
			return func() { s.note(own) }
		}
		beat()()
		s.note(record{key: otherKey, revision: 100})
		for range 3 {
			time.Sleep(lease / 4)
			beat()()
		}
		time.Sleep(lease/4 - 1)
		came := beat()
		time.Sleep(lease / 4)
		last := beat()
		came()
		if !s.alive("other") {
			t.Error("it is taken for dead by a sign of life that was sent before its lease ended")
		}
		last()
		if s.alive("other") {
			t.Error("it is taken for alive though its lease has ended")
		}
		for range 2 {
			s.note(record{key: otherKey, revision: 101})
			time.Sleep(lease)
			beat()() // after an interruption, in which nobody's signs of life may have come
			if !s.alive("other") {
				t.Error("it is taken for dead after an interruption")
			}
		}
	})
}
