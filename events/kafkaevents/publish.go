package kafkaevents

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// mostPending and mostBytes are how much may be on its way to the cluster; Publish waits when there is more.
	mostPending = 1 << 14
	mostBytes   = 64 << 20
)

// outgoing is an event on its way.
type outgoing struct {
	over atomic.Bool
	done func(error)
	stop func() bool // of what watches the context
}

func (o *outgoing) finish(err error) {
	if o.over.CompareAndSwap(false, true) {
		o.done(err)
	}
}

// Publish implements [events.Broker].
func (b *Broker) Publish(ctx context.Context, name string, m *events.Message, done func(error)) {
	if err := b.publish(ctx, name, m, done); err != nil {
		done(err)
	}
}

// publish calls done unless it returns an error.
func (b *Broker) publish(ctx context.Context, name string, m *events.Message, done func(error)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t, err := b.topic(ctx, name)
	if err != nil {
		return err
	}
	if limit := t.info.Limits.MaxSize; limit > 0 && len(m.Data) > limit {
		return fmt.Errorf("%w: %d bytes, and the topic %s takes %d: raise Limits.MaxSize, or publish a reference to the data",
			events.ErrTooLarge, len(m.Data), name, limit)
	}
	if m.Due.After(time.Now()) {
		return errDelay
	}
	record, err := t.codec.Encode(m)
	if err != nil {
		return fmt.Errorf("topic %s: the event cannot be made a record: %w", name, err)
	}
	record.Topic = t.name
	producer, err := b.producer(t.maxBatch)
	if err != nil {
		return err
	}
	o := &outgoing{done: done}
	if ctx.Done() != nil {
		o.stop = context.AfterFunc(ctx, func() {
			o.finish(fmt.Errorf("the brokers did not answer, so it is not known to be stored: %w", context.Cause(ctx)))
		})
	}
	producer.Produce(ctx, record, func(_ *kgo.Record, err error) {
		if o.stop != nil {
			o.stop()
		}
		o.finish(t.refused(err, ctx))
	})
	return nil
}

var errDelay = fmt.Errorf("%w: Kafka delivers no event at a time; publish it when it is due, or keep the topic on another broker", events.ErrUnsupported)

// refused says why an event was not stored.
func (t *topic) refused(err error, ctx context.Context) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kgo.ErrClientClosed):
		return errClosed
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return fmt.Errorf("%w: with its headers it is more than the topic takes in a batch, %d bytes (max.message.bytes of %s)", events.ErrTooLarge, t.maxBatch, t.name)
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		t.gone.Store(true)
		return fmt.Errorf("the topic %s is gone from the cluster: %w", t.name, err)
	case ctx.Err() != nil:
		return fmt.Errorf("the brokers did not answer (%w): %w", err, context.Cause(ctx))
	}
	return err
}

// producer returns the client that sends batches of up to so many bytes. Topics with the same limit share it.
func (b *Broker) producer(maxBatch int32) (*kgo.Client, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, errClosed
	}
	if c := b.producers[maxBatch]; c != nil {
		return c, nil
	}
	c, err := kgo.NewClient(b.clientOpts(
		kgo.ProducerBatchMaxBytes(maxBatch),
		kgo.ProducerLinger(0),
		kgo.UnknownTopicRetries(5), // a new topic is not known to all brokers at once
		kgo.MaxBufferedRecords(mostPending), kgo.MaxBufferedBytes(mostBytes),
	)...)
	if err != nil {
		return nil, fmt.Errorf("kafkaevents: %w", err)
	}
	b.producers[maxBatch] = c
	return c, nil
}
