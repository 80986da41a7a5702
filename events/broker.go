package events

import (
	"cmp"
	"context"
	"time"
)

// Broker keeps the messages of topics and delivers them to groups. It is what a driver implements; programs use [Topic]. What it must
// hold is written here and tested by package eventstest. Its methods may be called concurrently.
//
// Retries, dead letters, the order of handlers, concurrency and draining are not a broker's: package events does that in the same way on
// all.
type Broker interface {
	// Declare makes the topic be there as it is declared, or says why it cannot: it may be called again and by many processes at once. A
	// topic that is there with other settings is changed where no message is lost by it; else the error wraps [ErrDrift] and says which
	// setting is what, and what to do.
	Declare(ctx context.Context, t TopicInfo) error

	// Publish stores m in a topic that was declared. It may return before m is stored; done is called once, from any goroutine, when m is
	// stored as durably as the broker was told to (nil), or when that is known to have failed or ctx has ended (the message may then be stored
	// nevertheless). Messages of one key that are published one after the other, without waiting for done, are stored in that order. Nobody
	// changes m, or what it refers to, from then on: a broker may keep it.
	Publish(ctx context.Context, topic string, m *Message, done func(error))

	// Subscribe joins a group of a topic that was declared, and makes the group when it is new. The context bounds the call alone.
	Subscribe(ctx context.Context, s SubscriptionInfo) (Source, error)
}

// SchemaKeeper is a broker that keeps a few kilobytes beside a topic: the schema of what it carries, against which a message type is checked
// before it is published. With other brokers nothing is checked.
type SchemaKeeper interface {
	// LoadSchema returns what was stored last, and its revision; nil and 0 when there is nothing yet.
	LoadSchema(ctx context.Context, topic string) (schema []byte, revision uint64, err error)

	// StoreSchema replaces the schema of the revision, 0 for none. It reports false when that is not the latest any more.
	StoreSchema(ctx context.Context, topic string, schema []byte, revision uint64) (ok bool, err error)
}

// TopicInfo is what a broker is told of a topic.
type TopicInfo struct {
	Name string

	// Limits have their defaults filled in, see [Limits.WithDefaults].
	Limits Limits

	// Keyed says that messages have keys, and that messages of the same key are to be delivered in order.
	Keyed bool

	// Delayed says that some messages may have a time when they are due.
	Delayed bool
}

// Limits bound what a topic keeps. A message that is over its age goes; one that would be over MaxBytes or MaxMessages is refused with
// [ErrFull], so that nothing is lost silently.
type Limits struct {
	// MaxAge is how long events are kept, handled or not. Default: 7 days; -1: for ever.
	MaxAge time.Duration

	// MaxBytes is how much the topic may take on the broker's disks. Default: 1 GiB; -1: no limit.
	MaxBytes int64

	// MaxMessages is how many events the topic may keep. Default and -1: no limit.
	MaxMessages int64

	// MaxSize is the most bytes that one event may have. Default: 1 MiB; -1: what the broker takes.
	MaxSize int

	// Replicas is on how many nodes of a cluster the events are kept. Default: 3 on a cluster of three or more, 1 on a single node.
	Replicas int

	// DropOldest makes room by dropping the oldest events, handled or not, where MaxBytes or MaxMessages would be exceeded.
	DropOldest bool
}

// WithDefaults returns the limits with numbers instead of zeros, but for Replicas, whose default the broker knows.
func (l Limits) WithDefaults() Limits {
	l.MaxAge = cmp.Or(l.MaxAge, 7*24*time.Hour)
	l.MaxBytes = cmp.Or(l.MaxBytes, 1<<30)
	l.MaxMessages = cmp.Or(l.MaxMessages, -1)
	l.MaxSize = cmp.Or(l.MaxSize, 1<<20)
	return l
}

// SubscriptionInfo is what a broker is told of a subscription.
type SubscriptionInfo struct {
	Topic string

	// Group shares the messages: each goes to one of its members. "" is for one that gets all messages for itself, beginning now, and
	// leaves nothing behind when it is closed.
	Group string

	// Member names this instance in the group; it is unique.
	Member string

	// Start is where a new group begins. A group that is there goes on where it was.
	Start Start

	// AckWait is how long after a delivery, or its last Extend, the broker waits until it delivers the message again.
	AckWait time.Duration

	// MaxInFlight is the most deliveries that this member holds unsettled.
	MaxInFlight int

	// Ordered says that messages of the same key are wanted in their order: only one member holds unsettled messages of a key at a time,
	// it gets them in the order in which they were stored, and when it is gone the next one gets them again from the first unsettled on.
	Ordered bool
}

// Start says where a new group begins. The zero value is with what is published from now on.
type Start struct {
	All      bool      // with the oldest message that is kept
	Time     time.Time // with the first one stored at or after it
	Sequence uint64    // with the one of this number
}

// Source is a member's part of a group.
type Source interface {
	// Next waits for messages and returns at least one and at most limit of them, or the error of ctx. It is called by one goroutine. After
	// ctx ended no message is lost: those not returned are delivered later, or to others. Trouble that passes is not an error: Next waits,
	// and logs it once. An error other than the context's ends this source: it is closed, and the group joined again. The slice may be used
	// again by the next call.
	Next(ctx context.Context, limit int) ([]Delivery, error)

	// Close leaves the group. What this member holds unsettled is delivered again, to others at once where the broker can do that.
	Close(ctx context.Context) error
}

// Delivery is a message that is in the hands of a member, until one of Ack and Retry settles it. Extend may be called while it is being
// settled, and afterwards, and does nothing then.
type Delivery interface {
	Message() *Message

	// Attempt counts deliveries of the message to the group, from 1. A broker that does not know counts those of this member.
	Attempt() int

	// Sequence is the number of the message in its topic, or 0 when the broker has none.
	Sequence() uint64

	// Ack says that the message was handled. An error means that it may be delivered again.
	Ack(ctx context.Context) error

	// Retry gives the message back, to be delivered again after the time. In an ordered subscription it is not used.
	Retry(ctx context.Context, after time.Duration) error

	// Extend begins AckWait anew.
	Extend(ctx context.Context) error

	// Lost is closed when the message is not this member's any more, for others got it: what is done with it will be done again. It is nil
	// when the broker cannot tell.
	Lost() <-chan struct{}
}

// Leased is a [Delivery] of a broker whose members have what they hold for a time, and must be heard of to keep it.
type Leased interface {
	// Valid reports whether the message is this member's for certain, so that nobody else has it now. While it is not, and Lost is not closed, no
	// handler begins with it.
	Valid() bool
}
