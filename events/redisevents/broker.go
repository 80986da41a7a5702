package redisevents

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
	"github.com/redis/go-redis/v9"
)

// Options are what a broker can be told. The zero value works.
type Options struct {
	// System tells systems apart that share a server: those with different names never meet. Default: "default".
	System string

	// NoSync takes a server as it is that may lose what it has acknowledged, when it or its machine crashes. By default Declare refuses one that
	// does not write each event to its disk first (appendonly yes, appendfsync always).
	NoSync bool

	// Dedup is for how long the server remembers the IDs of events, to keep only one of those that are the same. It takes memory there, about
	// 150 bytes for each. Default: 2 minutes; at least 100 ms.
	Dedup time.Duration

	// Lease is how long a member of an ordered group may be silent before others take its keys over. Default: 6 s; at least 1 s.
	Lease time.Duration

	// MaxPending is how many events may be on their way to the server, not yet acknowledged; Publish waits when there are more.
	// Default: 4096.
	MaxPending int

	// Poll is after how long a member that was not woken looks for events by itself: for those that other programs add. Default: 500 ms; at
	// least 10 ms.
	Poll time.Duration

	// Logger gets a warning when the server goes away, and what else passes by itself. Default: [slog.Default].
	Logger *slog.Logger
}

// Broker keeps events in Redis. It is made by [New].
type Broker struct {
	client redis.UniversalClient
	opts   Options
	system string
	err    error // what is wrong with the options
	link   link
	out    *publisher
	wakes  *wakes

	topics sync.Map // name → *topic, those that were declared or found here

	mu       sync.Mutex
	begun    bool
	closed   bool
	checked  map[string]bool // masters whose settings were looked at
	work     context.Context // ends with Close
	stop     context.CancelFunc
	routines sync.WaitGroup
}

var (
	_ events.Broker       = (*Broker)(nil)
	_ events.SchemaKeeper = (*Broker)(nil)
	_ events.Admin        = (*Broker)(nil)
)

// New returns a broker over a client, which stays the caller's and is closed after the broker. A *redis.Ring is refused, for its servers know
// nothing of each other. What is wrong with the options is the error of every use.
func New(client redis.UniversalClient, opts Options) *Broker {
	opts.System = cmp.Or(opts.System, "default")
	opts.Dedup = cmp.Or(opts.Dedup, 2*time.Minute)
	opts.Lease = cmp.Or(opts.Lease, 6*time.Second)
	opts.MaxPending = cmp.Or(opts.MaxPending, 4096)
	opts.Poll = cmp.Or(opts.Poll, 500*time.Millisecond)
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	b := &Broker{client: client, opts: opts, system: driver.Token(opts.System), link: link{log: opts.Logger}, checked: make(map[string]bool)}
	b.work, b.stop = context.WithCancel(context.Background())
	b.err = opts.check()
	if _, ring := client.(*redis.Ring); ring {
		b.err = errors.Join(b.err, errors.New("redisevents: a redis.Ring cannot keep events: use a client of one server, of a Sentinel or of a cluster"))
	}
	b.out = newPublisher(b)
	b.wakes = newWakes(b)
	return b
}

func (o Options) check() error {
	switch {
	case o.Dedup < 100*time.Millisecond:
		return fmt.Errorf("redisevents: Dedup %v: want at least 100ms", o.Dedup)
	case o.Lease < time.Second:
		return fmt.Errorf("redisevents: Lease %v: want at least 1s", o.Lease)
	case o.MaxPending < 1:
		return fmt.Errorf("redisevents: MaxPending %d: want at least 1", o.MaxPending)
	case o.Poll < 10*time.Millisecond:
		return fmt.Errorf("redisevents: Poll %v: want at least 10ms", o.Poll)
	}
	return nil
}

// Close ends what the broker does by itself. Events on their way fail. It comes when nothing is published any more and all
// subscriptions are closed, and before the client is closed.
func (b *Broker) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.stop()
	b.wakes.close()
	b.routines.Wait()
	b.out.close()
}

// use begins what the broker does by itself, once.
func (b *Broker) use() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil:
		return b.err
	case b.closed:
		return errClosed
	case b.begun:
		return nil
	}
	b.begun = true
	b.routines.Go(b.out.run)
	b.routines.Go(b.tidy)
	return nil
}

// topic returns one that was declared, here or by another program.
func (b *Broker) topic(ctx context.Context, name string) (*topic, error) {
	if t, ok := b.topics.Load(name); ok {
		return t.(*topic), nil
	}
	if err := b.use(); err != nil {
		return nil, err
	}
	if err := driver.CheckTopic(name); err != nil {
		return nil, err
	}
	var found *topic
	err := b.patiently(ctx, func(ctx context.Context) error {
		r, err := b.load(ctx, newTopic(b.system, events.TopicInfo{Name: name}))
		if err == nil && r.revision == 0 {
			return errors.New("it was not declared")
		}
		if err == nil {
			info := r.TopicInfo
			info.Name = name
			found = newTopic(b.system, info)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("topic %q: %w", name, explain(err))
	}
	t, _ := b.topics.LoadOrStore(name, found)
	return t.(*topic), nil
}

// Publish implements [events.Broker].
func (b *Broker) Publish(ctx context.Context, name string, m *events.Message, done func(error)) {
	t, err := b.topic(ctx, name)
	if err != nil {
		done(err)
		return
	}
	b.out.publish(ctx, t, m, done)
}

// Subscribe implements [events.Broker].
func (b *Broker) Subscribe(ctx context.Context, s events.SubscriptionInfo) (events.Source, error) {
	if err := b.use(); err != nil {
		return nil, err
	}
	t, err := b.topic(ctx, s.Topic)
	if err != nil {
		return nil, err
	}
	s.MaxInFlight = max(s.MaxInFlight, 1)
	switch {
	case s.Group == "":
		return b.subscribeEach(ctx, t, s)
	case s.Ordered:
		return b.subscribeOrdered(ctx, t, s)
	default:
		return b.subscribeShared(ctx, t, s)
	}
}

// patiently repeats what failed because the server was away, until ctx ends.
func (b *Broker) patiently(ctx context.Context, f func(ctx context.Context) error) error {
	for failures := 1; ; failures++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := f(ctx)
		if !passing(err) {
			return err
		}
		select {
		case <-time.After(driver.RetryDelay(failures)):
		case <-ctx.Done():
			return fmt.Errorf("the broker does not answer (%w): %w", err, context.Cause(ctx))
		case <-b.work.Done():
			return errClosed
		}
	}
}

// MessagingSystem implements [events.System].
func (*Broker) MessagingSystem() string { return "redis" }
