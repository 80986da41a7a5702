package kafkaevents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Broker keeps events on Kafka. It is made by [New].
type Broker struct {
	opts    Options
	err     error // what is wrong with the options
	trouble *trouble

	topics  sync.Map // name → *topic, those that were declared here, or used
	schemas schemas

	mu        sync.Mutex
	admin     *kgo.Client // nil until the broker is used
	producers map[int32]*kgo.Client
	members   map[*member]struct{}
	closed    bool
	work      context.Context // ends with Close
	stop      context.CancelFunc
	routines  sync.WaitGroup
}

var _ events.Broker = (*Broker)(nil)

// topic is one that was declared here, or is used.
type topic struct {
	info       events.TopicInfo
	name       string // on Kafka
	codec      Codec
	foreign    bool
	declared   bool  // here
	partitions int32 // that were asked for, 0 for any
	maxBatch   int32 // the most bytes of a batch of records

	gone   atomic.Bool // it was deleted on the cluster
	making sync.Mutex  // it again
}

// New returns a broker. It connects when it is used first. What is wrong with the options is the error of every use.
func New(opts Options) *Broker {
	opts = opts.withDefaults()
	b := &Broker{
		opts: opts, err: opts.check(), trouble: newTrouble(opts.Logger),
		producers: make(map[int32]*kgo.Client), members: make(map[*member]struct{}),
	}
	b.work, b.stop = context.WithCancel(context.Background())
	return b
}

// Close ends the connections of the broker. Events on their way fail. It comes when nothing is published any more and all subscriptions
// are closed.
func (b *Broker) Close() {
	b.mu.Lock()
	b.closed = true
	clients := []*kgo.Client{}
	if b.admin != nil {
		clients = append(clients, b.admin)
	}
	for _, p := range b.producers {
		clients = append(clients, p)
	}
	left := make([]*member, 0, len(b.members))
	for m := range b.members {
		left = append(left, m)
	}
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	var leaving sync.WaitGroup
	for _, m := range left {
		leaving.Go(func() { _ = m.Close(ctx) }) // which should have been closed before
	}
	leaving.Wait()
	b.stop()
	b.routines.Wait()
	for _, c := range clients {
		c.Close()
	}
}

var errClosed = fmt.Errorf("the broker was closed: %w", events.ErrClosed)

// use returns the client for requests, made on first use.
func (b *Broker) use() (*kadm.Client, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil:
		return nil, b.err
	case b.closed:
		return nil, errClosed
	case b.admin == nil:
		c, err := kgo.NewClient(b.clientOpts(kgo.MetadataMinAge(50 * time.Millisecond))...) // so that a topic is seen when it was made
		if err != nil {
			return nil, fmt.Errorf("kafkaevents: %w", err)
		}
		b.admin = c
	}
	return kadm.NewClient(b.admin), nil
}

// describe returns what the options say of a topic.
func (b *Broker) describe(info events.TopicInfo) (*topic, error) {
	if b.err != nil {
		return nil, b.err
	}
	if err := driver.CheckTopic(info.Name); err != nil {
		return nil, err
	}
	own := b.opts.Topics[info.Name]
	t := &topic{info: info, name: own.Name, codec: own.Codec, foreign: own.Foreign, partitions: int32(own.Partitions), maxBatch: defaultBatch}
	if t.name == "" {
		t.name = b.opts.TopicName(info.Name)
	}
	if !legalName.MatchString(t.name) || len(t.name) > mostName || t.name == "." || t.name == ".." {
		return nil, fmt.Errorf("topic %q: its name on Kafka, %q, is none that Kafka takes: want up to %d letters, digits, '.', '_' and '-'", info.Name, t.name, mostName)
	}
	if t.codec == nil {
		t.codec = CloudEvents{}
	}
	if t.partitions == 0 {
		t.partitions = int32(b.opts.Partitions)
	}
	return t, nil
}

// topic returns one that was declared, here or by another program.
func (b *Broker) topic(ctx context.Context, name string) (*topic, error) {
	if t, ok := b.topics.Load(name); ok {
		t := t.(*topic)
		if t.gone.Load() {
			return t, b.restore(ctx, t)
		}
		return t, nil
	}
	t, err := b.describe(events.TopicInfo{Name: name, Limits: events.Limits{MaxSize: -1}})
	if err != nil {
		return nil, err
	}
	if err := b.find(ctx, t); err != nil {
		return nil, fmt.Errorf("topic %q: %w", name, err)
	}
	found, _ := b.topics.LoadOrStore(name, t)
	return found.(*topic), nil
}

// Subscribe implements [events.Broker].
func (b *Broker) Subscribe(ctx context.Context, s events.SubscriptionInfo) (events.Source, error) {
	t, err := b.topic(ctx, s.Topic)
	if err != nil {
		return nil, err
	}
	if s.Start.Sequence != 0 {
		return nil, fmt.Errorf("%w: Kafka numbers the events of each partition on its own, so a group cannot begin with a number: let it begin with a time", events.ErrUnsupported)
	}
	s.MaxInFlight = max(s.MaxInFlight, 1)
	m := newMember(b, t, s)
	if err := b.patiently(ctx, m.prepare); err != nil {
		return nil, err
	}
	return m, m.join(ctx)
}

// patiently repeats what failed because brokers were away, until ctx ends.
func (b *Broker) patiently(ctx context.Context, f func(ctx context.Context, a *kadm.Client) error) error {
	a, err := b.use()
	if err != nil {
		return err
	}
	for failures := 1; ; failures++ {
		once, cancel := context.WithTimeout(ctx, requestTimeout)
		stop := context.AfterFunc(b.work, cancel)
		err := f(once, a)
		stop()
		cancel()
		switch {
		case err == nil || !passing(err):
			return err
		case b.work.Err() != nil:
			return errClosed
		case failures == 3 && !errors.Is(err, errAgain):
			b.opts.Logger.Warn("events: the brokers do not answer; trying on", "error", err)
		}
		select {
		case <-time.After(driver.RetryDelay(failures)):
		case <-ctx.Done():
			return fmt.Errorf("the brokers do not answer (%w): %w", err, context.Cause(ctx))
		}
	}
}

const (
	// requestTimeout is for a single step of what is asked of the cluster, so that it is repeated before the caller's time is over.
	requestTimeout = 10 * time.Second

	// leaveTimeout is what a member that nobody closed gets to leave its group.
	leaveTimeout = 10 * time.Second
)

// errAgain asks for a repetition.
var errAgain = errors.New("once more")

// passing says whether an error goes away by itself.
func passing(err error) bool {
	if errors.Is(err, errAgain) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return true
	}
	var answer *kerr.Error
	if errors.As(err, &answer) {
		return answer.Retriable
	}
	var closed *kgo.ErrFirstReadEOF // also of a broker that wants a login; the error says so when the time is over
	return errors.As(err, &closed) || errors.Is(err, io.EOF) || kgo.IsRetryableBrokerErr(err) || isDial(err)
}

// MessagingSystem implements [events.System].
func (*Broker) MessagingSystem() string { return "kafka" }
