package rabbitevents

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events"
	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// forEver is how often the server may deliver an event: how often is decided by the subscription. RabbitMQ 4 drops after 20 times otherwise.
	forEver = math.MaxInt32

	deadSuffix = ".dead"
)

var errDelay = fmt.Errorf("%w: RabbitMQ delivers no event at a later time: leave events.Delayed out", events.ErrUnsupported)

// Declare implements [events.Broker]. The limits of a topic that has groups are settings of their queues, which RabbitMQ cannot change: other ones
// are refused with [events.ErrDrift].
func (b *Broker) Declare(ctx context.Context, info events.TopicInfo) error {
	if err := b.use(); err != nil {
		return err
	}
	if info.Delayed {
		return fmt.Errorf("declare the topic %s: %w", info.Name, errDelay)
	}
	info.Limits = info.Limits.WithDefaults()
	t := b.newTopic(info)
	t.declared = true
	if err := b.edit(ctx, info.Name, func(ch *amqp.Channel, r *record) (*record, error) { return b.makeTopic(ch, t, r) }); err != nil {
		return fmt.Errorf("declare the topic %s: %w", info.Name, err)
	}
	b.topics.Store(info.Name, t)
	return nil
}

// makeTopic makes what a topic is on the server, and returns its record if it changes.
func (b *Broker) makeTopic(ch *amqp.Channel, t *topic, r *record) (*record, error) {
	if err := ch.ExchangeDeclare(t.exchange, amqp.ExchangeFanout, true, false, false, false, nil); err != nil {
		return nil, drift(err, "the exchange "+t.exchange, "delete it, if nobody else needs it, or use another name of the system or the topic")
	}
	if r == nil {
		r = &record{Version: recordVersion, Topic: t.info.Name, Partitions: b.opts.Partitions}
		r.declared(t.info)
		return r, b.keepDead(ch, t)
	}
	if err := b.compare(t, r); err != nil {
		return nil, err
	}
	if err := b.keepDead(ch, t); err != nil {
		return nil, err
	}
	was := *r
	if r.declared(t.info); r.info() == was.info() && r.Partitions == b.opts.Partitions {
		return nil, nil
	}
	r.Partitions = b.opts.Partitions
	b.opts.Logger.Info("events: the topic's settings are changed", "topic", t.info.Name, "from", was.info(), "to", r.info())
	return r, nil
}

func (r *record) declared(info events.TopicInfo) {
	r.Limits, r.Keyed = limits(info.Limits), info.Keyed
}

// compare says what of a declaration cannot be, because the queues of groups are there.
func (b *Broker) compare(t *topic, r *record) error {
	if len(r.Groups) == 0 && !strings.HasSuffix(t.info.Name, deadSuffix) {
		return nil
	}
	var all []string
	refuse := func(setting string, is, want any) {
		all = append(all, fmt.Sprintf("%s is %v there and %v in the declaration", setting, is, want))
	}
	is, want := r.Limits, limits(t.info.Limits)
	if is.MaxAge != want.MaxAge {
		refuse("MaxAge", is.MaxAge, want.MaxAge)
	}
	if is.MaxBytes != want.MaxBytes {
		refuse("MaxBytes", is.MaxBytes, want.MaxBytes)
	}
	if is.MaxMessages != want.MaxMessages {
		refuse("MaxMessages", is.MaxMessages, want.MaxMessages)
	}
	if is.DropOldest != want.DropOldest {
		refuse("DropOldest", is.DropOldest, want.DropOldest)
	}
	if is.Replicas != want.Replicas {
		refuse("Replicas", is.Replicas, want.Replicas)
	}
	if r.Partitions != b.opts.Partitions {
		refuse("Options.Partitions", r.Partitions, b.opts.Partitions)
	}
	if all == nil {
		return nil
	}
	return fmt.Errorf("%w: %s; RabbitMQ cannot change that for queues that are there: keep it as it was, or, when the queues are empty and nobody uses them, delete the exchange %s and the queues whose names begin with it",
		events.ErrDrift, strings.Join(all, ", "), t.exchange)
}

// keepDead makes the queue in which dead letters wait that no group gets.
func (b *Broker) keepDead(ch *amqp.Channel, t *topic) error {
	if !strings.HasSuffix(t.info.Name, deadSuffix) {
		return nil
	}
	return b.makeQueue(ch, t.exchange, queueArgs(t.info.Limits), t.exchange)
}

// makeQueue makes a queue of a topic, and binds it to an exchange, with the given keys.
func (b *Broker) makeQueue(ch *amqp.Channel, name string, args amqp.Table, exchange string, keys ...string) error {
	if _, err := ch.QueueDeclare(name, true, false, false, false, args); err != nil {
		return drift(err, "the queue "+name, "delete it when it is empty, or use another name")
	}
	if keys == nil {
		keys = []string{""}
	}
	for _, key := range keys {
		if err := ch.QueueBind(name, key, exchange, false, nil); err != nil {
			return fmt.Errorf("bind the queue %s to %s: %w", name, exchange, err)
		}
	}
	return nil
}

// queueArgs are the settings of a quorum queue with the limits of a topic.
func queueArgs(l events.Limits) amqp.Table {
	args := amqp.Table{"x-queue-type": "quorum", "x-delivery-limit": int32(forEver), "x-quorum-initial-group-size": int32(3)}
	if l.Replicas > 0 {
		args["x-quorum-initial-group-size"] = int32(l.Replicas)
	}
	limitArgs(args, l, 1)
	return args
}

// limitArgs adds the limits of a topic to the settings of a queue. A quorum queue refuses when it has more than its maximum, others when they would
// have: over is what the former has more.
func limitArgs(args amqp.Table, l events.Limits, over int64) {
	args["x-overflow"] = "reject-publish"
	if l.DropOldest {
		args["x-overflow"], over = "drop-head", 0
	}
	if l.MaxAge > 0 {
		args["x-message-ttl"] = max(l.MaxAge.Milliseconds(), 1)
	}
	if l.MaxBytes > 0 {
		args["x-max-length-bytes"] = l.MaxBytes
	}
	if l.MaxMessages > 0 {
		args["x-max-length"] = l.MaxMessages - over
	}
}

// drift says what is to be done about something that is there with other settings. The server's answer has the values.
func drift(err error, what, remedy string) error {
	var e *amqp.Error
	if errors.As(err, &e) && e.Code == amqp.PreconditionFailed && contains(e.Reason, "inequivalent") {
		return fmt.Errorf("%w: %s is there with other settings (%s): %s", events.ErrDrift, what, e.Reason, remedy)
	}
	return fmt.Errorf("make %s: %w", what, err)
}

// restore makes a topic again whose exchange was deleted behind the broker's back, and binds its groups to it.
func (b *Broker) restore(exchange string) (err error) {
	err = fmt.Errorf("the exchange %s is gone, and was not declared here", exchange)
	b.topics.Range(func(_, value any) bool {
		t := value.(*topic)
		if t.exchange != exchange {
			return true
		}
		ctx, cancel := context.WithTimeout(b.work, 10*time.Second)
		defer cancel()
		b.opts.Logger.Warn("events: the topic was deleted on the broker; it is made again, with the groups that it had", "topic", t.info.Name)
		err = b.edit(ctx, t.info.Name, func(ch *amqp.Channel, r *record) (*record, error) {
			changed, err := b.makeTopic(ch, t, r)
			if err != nil || r == nil {
				return changed, err
			}
			for name, g := range r.Groups {
				if err := b.makeQueues(ch, t, name, g); err != nil {
					return nil, err
				}
			}
			return changed, nil
		})
		return false
	})
	return err
}
