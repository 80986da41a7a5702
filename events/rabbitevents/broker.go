package rabbitevents

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
	amqp "github.com/rabbitmq/amqp091-go"
)

// Broker keeps events on RabbitMQ. It is made by [New].
type Broker struct {
	opts    Options
	names   names
	servers []server
	err     error // what is wrong with the options

	in, out *link // in takes deliveries and makes things, out publishes
	pub     *publisher
	records chan struct{} // held while a record is changed here
	topics  sync.Map      // name → *topic

	mu       sync.Mutex
	used     bool
	closed   bool
	away     map[*link]bool
	since    time.Time // when the first link went away
	work     context.Context
	stop     context.CancelFunc
	routines sync.WaitGroup
}

var (
	_ events.Broker       = (*Broker)(nil)
	_ events.SchemaKeeper = (*Broker)(nil)
)

// topic is one that was declared, here or by another program.
type topic struct {
	info     events.TopicInfo
	exchange string
	declared bool        // here
	nobody   atomic.Bool // it was said that nobody gets its events
}

// New returns a broker on the servers of a URL, which are those of one cluster: amqp://USER:PASSWORD@HOST:PORT,HOST:PORT/VHOST, or amqps:// for TLS. It
// connects when it is used. What is wrong with the URL or the options is the error of every use. No error and no log line has the password.
func New(url string, opts Options) *Broker {
	opts.setDefaults()
	b := &Broker{opts: opts, names: names{driver.Token(opts.System)}, records: make(chan struct{}, 1), away: make(map[*link]bool)}
	b.servers, b.err = parseURL(url)
	b.err = errors.Join(b.err, opts.check())
	rand.Shuffle(len(b.servers), func(i, j int) { b.servers[i], b.servers[j] = b.servers[j], b.servers[i] })
	b.work, b.stop = context.WithCancel(context.Background())
	b.in, b.out = newLink(b, "takes"), newLink(b, "publishes")
	b.pub = newPublisher(b)
	return b
}

// Close ends what the broker does, and its connections. Events on their way fail. It comes when nothing is published any more and
// all subscriptions are closed.
func (b *Broker) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.stop()
	b.routines.Wait()
	b.pub.close()
}

var errClosed = errors.New("the broker was closed")

// use begins to connect, once.
func (b *Broker) use() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil:
		return b.err
	case b.closed:
		return errClosed
	case b.used:
		return nil
	}
	b.used = true
	b.routines.Go(b.in.run)
	b.routines.Go(b.out.run)
	b.routines.Go(b.pub.run)
	return nil
}

// spawn runs f until it ends by itself, which it does after Close.
func (b *Broker) spawn(f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.routines.Go(f)
	return true
}

// note logs once that the server is away, and once that it is back.
func (b *Broker) note(l *link, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
	case err != nil:
		if len(b.away) == 0 {
			b.since = time.Now()
			b.opts.Logger.Warn("events: the broker is away; publishers wait, deliveries pause", "error", err)
		}
		b.away[l] = true
	case b.away[l]:
		if delete(b.away, l); len(b.away) == 0 {
			b.opts.Logger.Info("events: the broker is back", "after", time.Since(b.since).Round(time.Millisecond))
		}
	}
}

// topic returns one that was declared, here or by another program.
func (b *Broker) topic(ctx context.Context, name string) (*topic, error) {
	if t, ok := b.topics.Load(name); ok {
		return t.(*topic), nil
	}
	if err := b.use(); err != nil {
		return nil, err
	}
	info, err := b.find(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("topic %q: %w", name, err)
	}
	t, _ := b.topics.LoadOrStore(name, b.newTopic(info))
	return t.(*topic), nil
}

func (b *Broker) newTopic(info events.TopicInfo) *topic {
	return &topic{info: info, exchange: b.names.exchange(info.Name)}
}

// Publish implements [events.Broker].
func (b *Broker) Publish(ctx context.Context, name string, m *events.Message, done func(error)) {
	t, err := b.topic(ctx, name)
	if err != nil {
		done(err)
		return
	}
	o, err := b.outgoing(t, m)
	if err != nil {
		done(err)
		return
	}
	o.done = done
	b.pub.publish(ctx, o)
}

// Subscribe implements [events.Broker].
func (b *Broker) Subscribe(ctx context.Context, s events.SubscriptionInfo) (events.Source, error) {
	t, err := b.topic(ctx, s.Topic)
	if err != nil {
		return nil, err
	}
	s.MaxInFlight = max(s.MaxInFlight, 1)
	if s.Group == "" {
		s.Start = events.Start{}
		if err := b.makeEach(ctx, t, s); err != nil {
			return nil, err
		}
	} else if err := b.makeGroup(ctx, t, s); err != nil {
		return nil, err
	}
	return b.newSource(t, s)
}

// admin runs f with a channel of its own, again and again while the server is away, until ctx ends.
func (b *Broker) admin(ctx context.Context, f func(ctx context.Context, ch *amqp.Channel) error) error {
	for failures := 1; ; failures++ {
		err := b.once(ctx, f)
		if err == nil || !passing(err) {
			return err
		}
		if failures == 3 {
			b.opts.Logger.Warn("events: the broker does not do what it is asked; trying on", "error", err)
		}
		if !pause(ctx, driver.RetryDelay(failures)) {
			return fmt.Errorf("the broker does not answer (%w): %w", err, context.Cause(ctx))
		}
	}
}

// once runs f with a channel. The library's calls know of no context: when ctx ends first, f is left behind, until the connection ends.
func (b *Broker) once(ctx context.Context, f func(ctx context.Context, ch *amqp.Channel) error) error {
	conn, err := b.in.get(ctx)
	if err != nil {
		return err
	}
	result := make(chan error, 1)
	if !b.spawn(func() {
		ch, err := conn.Channel()
		if err == nil {
			err = f(ctx, ch)
			_ = ch.Close() // the server may have closed it
		}
		result <- err
	}) {
		return errClosed
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pause reports false when ctx ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func contains(text, part string) bool { return strings.Contains(text, part) }

// MessagingSystem implements [events.System].
func (*Broker) MessagingSystem() string { return "rabbitmq" }
