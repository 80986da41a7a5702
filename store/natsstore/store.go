package natsstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/internal/backoff"
	"github.com/hanse-go/hanse/store"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Store is a [store.Driver] on JetStream. Its fields must not change after the first use; its methods may be called concurrently.
type Store struct {
	// Conn is the connection. It should reconnect for ever. The caller closes it.
	Conn *nats.Conn

	// System keeps the buckets of systems that share a cluster apart. Default: default.
	System string

	// Logger is told of watches that have lost touch. Default: [slog.Default].
	Logger *slog.Logger

	mu      sync.Mutex
	js      jetstream.JetStream
	buckets map[string]*bucket
	marker  time.Duration // how long deletions stay; 0: defaultMarker
}

var _ store.Driver = (*Store)(nil)

const (
	defaultSystem = "default"
	defaultMarker = time.Hour
	attemptTime   = 3 * time.Second // for an answer, before it is asked for again
	longestPause  = time.Second     // between two attempts
)

// bucket is one that was declared.
type bucket struct {
	info   store.BucketInfo
	kv     string // its name in JetStream
	stream jetstream.Stream
}

func (b *bucket) subject(key string) string { return "$KV." + b.kv + "." + escape(key) }

// kvName returns the name of a bucket in JetStream. Names of buckets have no '_', and that of a system only before hexadecimal digits.
func (s *Store) kvName(name string) string {
	return token(cmp.Or(s.System, defaultSystem)) + "_store_" + strings.ReplaceAll(name, ".", "_")
}

// jetStream returns what the connection offers.
func (s *Store) jetStream() (jetstream.JetStream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.js != nil {
		return s.js, nil
	}
	if s.Conn == nil {
		return nil, errors.New("natsstore: Store.Conn is nil: give it a connection")
	}
	js, err := jetstream.New(s.Conn)
	if err != nil {
		return nil, err
	}
	s.js = js
	return js, nil
}

// bucket returns one that was declared.
func (s *Store) bucket(name string) (*bucket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	if b == nil {
		return nil, fmt.Errorf("bucket %s was not declared", name)
	}
	return b, nil
}

func (s *Store) markerTTL() time.Duration {
	if s.marker > 0 {
		return s.marker
	}
	return defaultMarker
}

func (s *Store) logger() *slog.Logger {
	if s.Logger != nil {
		return s.Logger
	}
	return slog.Default()
}

// persist does something until it succeeds, fails for good, or ctx ends. Each attempt has a time of its own.
func (s *Store) persist(ctx context.Context, do func(context.Context) error) error {
	pause := backoff.Policy{Min: 50 * time.Millisecond, Max: longestPause}
	var trouble error
	for failures := 1; ; failures++ {
		attempt, cancel := context.WithTimeout(ctx, attemptTime)
		err := do(attempt)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil && !passes(err) {
			return explain(err)
		}
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) || trouble == nil {
			trouble = err
		}
		timer := time.NewTimer(pause.Delay(failures))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return s.away(ctx, trouble)
		}
	}
}

// away says that the time for something is over, and what the trouble was.
func (s *Store) away(ctx context.Context, trouble error) error {
	if status := s.Conn.Status(); status != nats.CONNECTED {
		return fmt.Errorf("%w (the connection to NATS is %v)", ctx.Err(), status)
	}
	if errors.Is(trouble, nats.ErrNoResponders) || errors.Is(trouble, jetstream.ErrNoStreamResponse) {
		return fmt.Errorf("%w (NATS: no JetStream answers; a server has one when it is started with -js)", ctx.Err())
	}
	return fmt.Errorf("%w (NATS: %v)", ctx.Err(), trouble)
}
