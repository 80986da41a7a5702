package natsevents

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Options are what a broker can be told. The zero value works.
type Options struct {
	// System tells systems apart that share a server: those with different names never meet. Default: "default".
	System string

	// Dedup is for how long the server remembers the IDs of events, to keep only one of those that are the same. It takes memory there, about
	// 150 bytes for each. Default: 2 minutes; at least 100 ms.
	Dedup time.Duration

	// Lease is how long a member of an ordered group may be silent before others take its keys over. Default: 6 s; at least 1 s.
	Lease time.Duration

	// MaxPending is how many events may be on their way to the server, not yet acknowledged; Publish waits when there are more.
	// Default: 4096.
	MaxPending int

	// Logger gets a warning when the server goes away, and what else passes by itself. Default: [slog.Default].
	Logger *slog.Logger
}

const (
	// apiTimeout is for a single request to the server, so that one that got lost is repeated before the caller's time is over.
	apiTimeout = 5 * time.Second

	// mostUnsettled is how many deliveries of a group may be unsettled, of all its members together. The server keeps them in memory.
	mostUnsettled = 1 << 16
)

// Broker keeps events on JetStream. It is made by [New].
type Broker struct {
	conn  *nats.Conn
	js    jetstream.JetStream
	opts  Options
	names names
	err   error // what is wrong with the options
	out   *publisher

	topics sync.Map    // name → *topic, those that were declared here
	up     atomic.Bool // the connection is there, as far as is known: asking it may take as long as it tries to come back

	mu       sync.Mutex
	sources  map[source]struct{}
	status   chan nats.Status // nil until the broker is used
	link     context.Context  // ends when the connection breaks; there is a new one when it is back
	broke    context.CancelFunc
	closed   bool
	work     context.Context // ends with Close
	stop     context.CancelFunc
	routines sync.WaitGroup
}

var (
	_ events.Broker       = (*Broker)(nil)
	_ events.SchemaKeeper = (*Broker)(nil)
	_ events.Admin        = (*Broker)(nil)
)

// source is what a broker tells that the connection is back.
type source interface{ reconnected() }

// topic is one that was declared here.
type topic struct {
	info   events.TopicInfo
	stream string
	lanes  [1 + partitions]string // the subjects
	due    [1 + partitions]string // and those of what is due
	later  string                 // below which schedules are
}

// New returns a broker over a connection, which stays the caller's and is closed after the broker. It should reconnect for ever
// (nats.MaxReconnects(-1)) and keep nothing while it is away (nats.ReconnectBufSize(-1)). What is wrong with the options is the error
// of every use.
func New(conn *nats.Conn, opts Options) *Broker {
	opts.System = cmp.Or(opts.System, "default")
	opts.Dedup = cmp.Or(opts.Dedup, 2*time.Minute)
	opts.Lease = cmp.Or(opts.Lease, 6*time.Second)
	opts.MaxPending = cmp.Or(opts.MaxPending, 4096)
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	b := &Broker{conn: conn, opts: opts, names: names{driver.Token(opts.System)}, sources: make(map[source]struct{})}
	b.work, b.stop = context.WithCancel(context.Background())
	b.js, b.err = jetstream.New(conn, jetstream.WithDefaultTimeout(apiTimeout))
	b.err = errors.Join(opts.check(), b.err)
	b.out = newPublisher(b)
	return b
}

func (o Options) check() error {
	switch {
	case o.Dedup < 100*time.Millisecond:
		return fmt.Errorf("natsevents: Dedup %v: want at least 100ms", o.Dedup)
	case o.Lease < time.Second:
		return fmt.Errorf("natsevents: Lease %v: want at least 1s", o.Lease)
	case o.MaxPending < 1:
		return fmt.Errorf("natsevents: MaxPending %d: want at least 1", o.MaxPending)
	}
	return nil
}

// Close ends what the broker does by itself. Events on their way fail. It comes when nothing is published any more and all
// subscriptions are closed, and before the connection is closed.
func (b *Broker) Close() {
	b.mu.Lock()
	b.closed = true
	status := b.status
	b.mu.Unlock()
	b.stop()
	if status != nil {
		b.conn.RemoveStatusListener(status)
	}
	b.routines.Wait()
	b.out.close()
}

var errClosed = errors.New("the broker was closed")

// use begins to follow the connection, once.
func (b *Broker) use() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil:
		return b.err
	case b.closed:
		return errClosed
	case b.status != nil:
		return nil
	}
	if err := b.out.listen(); err != nil {
		return fmt.Errorf("listen for acknowledgements: %w", err)
	}
	b.status = b.conn.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	b.up.Store(b.conn.IsConnected())
	b.link, b.broke = context.WithCancel(b.work)
	b.routines.Go(func() { b.follow(b.status) })
	b.routines.Go(b.out.run)
	return nil
}

// follow passes on that the connection breaks and comes back.
func (b *Broker) follow(status <-chan nats.Status) {
	away := time.Time{}
	for {
		select {
		case <-b.work.Done():
			return
		case s, ok := <-status:
			if !ok {
				return
			}
			b.up.Store(s == nats.CONNECTED)
			switch s {
			case nats.RECONNECTING, nats.DISCONNECTED:
				b.mu.Lock()
				b.broke()
				b.mu.Unlock()
				if away.IsZero() {
					away = time.Now()
					b.opts.Logger.Warn("events: the broker is away; publishers wait, deliveries pause")
				}
			case nats.CONNECTED:
				if !away.IsZero() {
					b.opts.Logger.Info("events: the broker is back", "after", time.Since(away).Round(time.Millisecond))
					away = time.Time{}
				}
				b.out.kick()
				b.mu.Lock()
				b.broke()
				b.link, b.broke = context.WithCancel(b.work)
				for s := range b.sources {
					s.reconnected()
				}
				b.mu.Unlock()
			}
		}
	}
}

// isUp says whether the connection is there.
func (b *Broker) isUp() bool { return b.up.Load() && b.conn.IsConnected() }

func (b *Broker) join(s source) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errClosed
	}
	b.sources[s] = struct{}{}
	return nil
}

func (b *Broker) left(s source) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.sources, s)
}

// topic returns one that was declared, here or by another program.
func (b *Broker) topic(ctx context.Context, name string) (*topic, error) {
	if t, ok := b.topics.Load(name); ok {
		return t.(*topic), nil
	}
	if err := b.use(); err != nil {
		return nil, err
	}
	var info events.TopicInfo
	err := b.patiently(ctx, func(ctx context.Context) (err error) {
		info, err = b.find(ctx, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("topic %q: %w", name, err)
	}
	t, _ := b.topics.LoadOrStore(name, b.newTopic(info))
	return t.(*topic), nil
}

// Publish implements [events.Broker].
func (b *Broker) Publish(ctx context.Context, name string, m *events.Message, done func(error)) {
	t, err := b.topic(ctx, name)
	if err != nil {
		done(err)
		return
	}
	msg, err := t.outgoing(m)
	if err != nil {
		done(err)
		return
	}
	b.out.publish(ctx, msg, t, lane(m.Key), done)
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
	case s.Group == "" || s.Ordered:
		return b.subscribeLanes(ctx, t, s)
	default:
		return b.subscribeShared(ctx, t, s)
	}
}

// request bounds a single request to the server: by apiTimeout, and by the end of the connection, for no answer comes then.
func (b *Broker) request(ctx context.Context) (context.Context, context.CancelFunc) {
	once, cancel := context.WithTimeout(ctx, apiTimeout)
	b.mu.Lock()
	stop := context.AfterFunc(b.link, cancel)
	b.mu.Unlock()
	return once, func() {
		stop()
		cancel()
	}
}

// patiently repeats what failed because the server was away, until ctx ends.
func (b *Broker) patiently(ctx context.Context, f func(ctx context.Context) error) error {
	for failures := 1; ; failures++ {
		once, cancel := b.request(ctx)
		err := f(once)
		cancel()
		if err == nil || !passing(err) {
			return err
		}
		again, answered := errors.AsType[againError](err)
		switch {
		case failures != 3:
		case answered:
			b.opts.Logger.Warn("events: the broker cannot do it yet; trying on", "err", again)
		default:
			b.opts.Logger.Warn("events: the broker does not answer; trying on", "err", err)
		}
		select {
		case <-time.After(driver.RetryDelay(failures)):
		case <-ctx.Done():
			if answered {
				return fmt.Errorf("%w: %w", context.Cause(ctx), again)
			}
			return fmt.Errorf("the broker does not answer (%w): %w", err, context.Cause(ctx))
		}
	}
}

// MessagingSystem implements [events.System].
func (*Broker) MessagingSystem() string { return "nats" }
