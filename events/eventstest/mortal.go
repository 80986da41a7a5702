package eventstest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
)

// Mortal is a broker as a process has it that can be killed: from then on nothing that the process does reaches the broker, and nobody closes its
// sources.
type Mortal struct {
	events.Broker

	once sync.Once
	dead chan struct{}
}

// NewMortal returns a broker that can be killed.
func NewMortal(b events.Broker) *Mortal { return &Mortal{Broker: b, dead: make(chan struct{})} }

// Kill ends it.
func (m *Mortal) Kill() { m.once.Do(func() { close(m.dead) }) }

var errDead = errors.New("the process was killed")

func (m *Mortal) isDead() bool {
	select {
	case <-m.dead:
		return true
	default:
		return false
	}
}

// Publish publishes while m lives.
func (m *Mortal) Publish(ctx context.Context, topic string, msg *events.Message, done func(error)) {
	if m.isDead() {
		done(errDead)
		return
	}
	m.Broker.Publish(ctx, topic, msg, done)
}

// Subscribe joins a group while m lives.
func (m *Mortal) Subscribe(ctx context.Context, s events.SubscriptionInfo) (events.Source, error) {
	if m.isDead() {
		return nil, errDead
	}
	src, err := m.Broker.Subscribe(ctx, s)
	if err != nil {
		return nil, err
	}
	return &mortalSource{src, m}, nil
}

type mortalSource struct {
	events.Source
	m *Mortal
}

func (s *mortalSource) Next(ctx context.Context, limit int) ([]events.Delivery, error) {
	if !s.m.isDead() {
		alive, cancel := context.WithCancel(ctx)
		stop := make(chan struct{})
		var watching sync.WaitGroup
		watching.Go(func() {
			select {
			case <-s.m.dead:
				cancel()
			case <-stop:
			}
		})
		got, err := s.Source.Next(alive, limit)
		close(stop)
		watching.Wait()
		cancel()
		if !s.m.isDead() {
			all := make([]events.Delivery, len(got))
			for i, d := range got {
				all[i] = &mortalDelivery{d, s.m}
			}
			return all, err
		}
	}
	<-ctx.Done() // what was got is lost with the process
	return nil, context.Cause(ctx)
}

func (s *mortalSource) Close(ctx context.Context) error {
	if s.m.isDead() {
		return nil
	}
	return s.Source.Close(ctx)
}

type mortalDelivery struct {
	events.Delivery
	m *Mortal
}

func (d *mortalDelivery) Ack(ctx context.Context) error {
	if d.m.isDead() {
		return errDead
	}
	return d.Delivery.Ack(ctx)
}

func (d *mortalDelivery) Retry(ctx context.Context, after time.Duration) error {
	if d.m.isDead() {
		return errDead
	}
	return d.Delivery.Retry(ctx, after)
}

func (d *mortalDelivery) Extend(ctx context.Context) error {
	if d.m.isDead() {
		return errDead
	}
	return d.Delivery.Extend(ctx)
}
