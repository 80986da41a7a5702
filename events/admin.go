package events

import (
	"context"
	"iter"
	"time"
)

// Admin is a broker that shows what it keeps, and lets single messages be taken out: for people who look after a system, with `hanse events`.
// A broker need not have it. What of it concerns a topic is an error when there is no topic of that name.
type Admin interface {
	// Topics returns the topics of the system, by name.
	Topics(ctx context.Context) ([]TopicState, error)

	// Groups returns the groups of a topic, by name. Those that get all messages for themselves, and leave nothing behind, are not among them.
	Groups(ctx context.Context, topic string) ([]GroupState, error)

	// Read returns the messages that are stored now, from a position on, in the order of their numbers. No group hears of it. Messages that
	// are not due are not among them. It ends with the first error.
	Read(ctx context.Context, topic string, from Start) iter.Seq2[Stored, error]

	// Delete removes a message from the topic. A member that holds it keeps it. It is no error when there is no such message.
	Delete(ctx context.Context, topic string, sequence uint64) error
}

// TopicState is what a broker keeps of a topic.
type TopicState struct {
	TopicInfo

	Messages    uint64    // that are there
	Bytes       uint64    // of these, as the broker counts them
	Waiting     uint64    // messages besides that are not due
	First, Last uint64    // numbers of the oldest message and of the last that was stored; Last stays when that is deleted
	FirstTime   time.Time // when the oldest was stored; zero when there is none
	LastTime    time.Time // when the last was; zero when there was none
	LastMinute  uint64    // messages that are there and were stored within the last minute
}

// GroupState is what a group has still to do.
type GroupState struct {
	Name     string
	Ordered  bool      // by key
	Lag      uint64    // messages that are not settled, as far as the broker can count them
	InFlight uint64    // of these, in the hands of members
	Oldest   time.Time // when the oldest of them was stored; zero when there is none
	Members  []string  // by name; nil when the broker does not know
}

// Stored is a message in its topic.
type Stored struct {
	Message  *Message
	Sequence uint64    // its number
	Time     time.Time // when it was stored
}
