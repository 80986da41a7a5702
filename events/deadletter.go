package events

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
)

// The metadata of dead letters.
const (
	deadHeader         = "hanse-dead-" // what all of these begin with
	deadTopicHeader    = deadHeader + "topic"
	deadGroupHeader    = deadHeader + "group"
	deadAttemptsHeader = deadHeader + "attempts"
	deadErrorHeader    = deadHeader + "error"
	deadIDHeader       = deadHeader + "id"
	deadSequenceHeader = deadHeader + "sequence"
	deadTimeHeader     = deadHeader + "time"
)

// DeadLetter is what a message of a topic of dead letters says of how it got there. Its attributes and data are those of the event, but for
// the ID.
type DeadLetter struct {
	Topic    string    // where the event was published
	Group    string    // that could not handle it; empty for one of SubscribeEach
	Attempts int       // how often it was handled
	Error    string    // of the last time
	ID       string    // of the event
	Sequence uint64    // of the event; 0 when the broker had none
	Time     time.Time // when it became a dead letter
}

// DeadLetterOf reads what a message says of how it became a dead letter, and reports whether it is one.
func DeadLetterOf(m *Message) (DeadLetter, bool) {
	of := m.Metadata
	attempts, _ := strconv.Atoi(of[deadAttemptsHeader])
	sequence, _ := strconv.ParseUint(of[deadSequenceHeader], 10, 64)
	at, _ := time.Parse(time.RFC3339Nano, of[deadTimeHeader])
	d := DeadLetter{
		Topic: of[deadTopicHeader], Group: of[deadGroupHeader], Attempts: attempts, Error: of[deadErrorHeader],
		ID: of[deadIDHeader], Sequence: sequence, Time: at,
	}
	return d, d.Topic != "" && d.ID != ""
}

// Redelivery returns the message to be published to d.Topic so that the group handles the event of the dead letter m once more, and no other does. Each
// redelivery has a name of its own; a broker tells it from the others by that.
func (d DeadLetter) Redelivery(m *Message, name string) *Message {
	again := m.Redelivery(d.Group, name)
	again.ID = d.ID
	return again
}

// deadLetter returns the message that an event becomes.
func (s *Subscription) deadLetter(it *item) (topic string, m *Message) {
	dead := *it.message
	dead.ID += "/" + s.group
	if s.group == "" {
		dead.ID += s.bus.memberName()
	}
	dead.Due = time.Time{}
	dead.Metadata = maps.Clone(it.message.Metadata)
	delete(dead.Metadata, groupHeader)
	if again := dead.Metadata[redeliveryHeader]; again != "" { // it died again
		dead.ID += "/" + again
		delete(dead.Metadata, redeliveryHeader)
	}
	for name, value := range map[string]string{
		deadTopicHeader: s.decl.info.Name, deadGroupHeader: s.group, deadAttemptsHeader: strconv.Itoa(it.attempt), deadErrorHeader: oneLine(it.failed.Error()),
		deadIDHeader: it.message.ID, deadSequenceHeader: strconv.FormatUint(it.delivery.Sequence(), 10), deadTimeHeader: time.Now().UTC().Format(time.RFC3339Nano),
	} {
		dead.SetMetadata(name, value)
	}
	return s.decl.info.Name + deadSuffix, &dead
}

// oneLine makes a text fit for a header.
func oneLine(s string) string {
	const most = 1000
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s), "")
}

const buryTimeout = 30 * time.Second

// publishDead stores a dead letter.
func (b *Bus) publishDead(ctx context.Context, name string, m *Message) error {
	ctx, cancel := context.WithTimeoutCause(ctx, buryTimeout, fmt.Errorf("the broker does not answer for %v", buryTimeout))
	defer cancel()
	b.mu.Lock()
	t := b.topics[name]
	b.mu.Unlock()
	broker, err := b.broker(ctx)
	if err != nil {
		return err
	}
	if err := t.declare(ctx, broker); err != nil {
		return err
	}
	return b.await(ctx, broker, name, m)
}
