package rabbitevents

import (
	"context"
	"fmt"
	"time"

	"github.com/hanse-go/hanse/events"
	amqp "github.com/rabbitmq/amqp091-go"
)

// eachGone is after how long without a sign of life the server forgets the queue of a subscription without a group.
const eachGone = time.Minute

// makeGroup makes the queues of a group, or looks whether they are what they should be.
func (b *Broker) makeGroup(ctx context.Context, t *topic, s events.SubscriptionInfo) error {
	return b.edit(ctx, t.info.Name, func(ch *amqp.Channel, r *record) (*record, error) {
		changed := false
		if r == nil { // the server lost it
			if !t.declared {
				return nil, errUndeclared
			}
			var err error
			if r, err = b.makeTopic(ch, t, nil); err != nil {
				return nil, err
			}
			changed = true
		}
		g, there := r.Groups[s.Group]
		switch {
		case !there && s.Start != (events.Start{}):
			return nil, fmt.Errorf("%w: the group %q of the topic %s is new, and RabbitMQ keeps no events for a group that is not there: leave events.Start out", events.ErrUnsupported, s.Group, t.info.Name)
		case there && g.Ordered != s.Ordered:
			kept, wanted := "does not keep", "with"
			if g.Ordered {
				kept, wanted = "keeps", "without"
			}
			return nil, fmt.Errorf("%w: the group %q of the topic %s %s the order of keys, and is subscribed %s it: use another name, or delete the queues of the group when they are empty (%s…)",
				events.ErrDrift, s.Group, t.info.Name, kept, wanted, b.names.group(t.info.Name, s.Group))
		case r.Partitions != b.opts.Partitions:
			return nil, fmt.Errorf("%w: the topic %s has %d partitions, and Options.Partitions is %d", events.ErrDrift, t.info.Name, r.Partitions, b.opts.Partitions)
		}
		g.Ordered = s.Ordered
		t := b.newTopic(r.info()) // as the queues are
		if err := b.makeQueues(ch, t, s.Group, g); err != nil {
			return nil, err
		}
		if there && !changed {
			return nil, nil
		}
		if r.Groups == nil {
			r.Groups = make(map[string]groupRecord)
		}
		r.Groups[s.Group] = g
		return r, nil
	})
}

// makeQueues makes the queues of a group, and then binds them to the topic.
func (b *Broker) makeQueues(ch *amqp.Channel, t *topic, group string, g groupRecord) error {
	name, args := b.names.group(t.info.Name, group), queueArgs(t.info.Limits)
	if !g.Ordered {
		return b.makeQueue(ch, name, args, t.exchange)
	}
	other := rest(name)
	if err := ch.ExchangeDeclare(other, amqp.ExchangeFanout, true, false, true, false, nil); err != nil {
		return drift(err, "the exchange "+other, "delete it")
	}
	if err := ch.ExchangeDeclare(name, amqp.ExchangeTopic, true, false, true, false, amqp.Table{"alternate-exchange": other}); err != nil {
		return drift(err, "the exchange "+name, "delete it")
	}
	args["x-single-active-consumer"] = true
	for n := range b.opts.Partitions {
		if err := b.makeQueue(ch, part(name, n), args, name, "#."+partKey(n)); err != nil {
			return err
		}
	}
	if err := ch.QueueBind(part(name, 0), "", other, false, nil); err != nil {
		return fmt.Errorf("bind the queue %s to %s: %w", part(name, 0), other, err)
	}
	if err := ch.ExchangeBind(name, "", t.exchange, false, nil); err != nil {
		return fmt.Errorf("bind the exchange %s to %s: %w", name, t.exchange, err)
	}
	return nil
}

// makeEach makes the queue of a subscription without a group. It outlives the connection, so that nothing is missed while that is made
// again, and not for long.
func (b *Broker) makeEach(ctx context.Context, t *topic, s events.SubscriptionInfo) error {
	args := amqp.Table{"x-expires": int32(eachGone.Milliseconds())}
	limitArgs(args, t.info.Limits, 0)
	name := b.names.each(t.info.Name, s.Member)
	if len(name) > shortText {
		return fmt.Errorf("the name of the member, %q, is too long for a queue", s.Member)
	}
	makeIt := func(ctx context.Context, ch *amqp.Channel) error { return b.makeQueue(ch, name, args, t.exchange) }
	err := b.admin(ctx, makeIt)
	if isCode(err, amqp.NotFound) && t.declared { // the server lost the topic
		if err = b.Declare(ctx, t.info); err == nil {
			err = b.admin(ctx, makeIt)
		}
	}
	return err
}
