// Package desk is for those who look after the events of a system: it tells topics and groups, reads what is stored, has a group handle
// events once more, and sees to dead letters. It stands behind the command hanse events and the dashboard, whose JSON its types are.
package desk

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events"
)

// Broker is what a desk needs of a broker. That of package natsevents has it all.
type Broker interface {
	events.Broker
	events.Admin
	events.SchemaKeeper
}

// Desk is the events of one system, for who looks after them. Its methods may be called concurrently.
type Desk struct{ Broker }

// DeadSuffix ends the names of topics of dead letters.
const DeadSuffix = ".dead"

// NotFoundError says that there is no topic or group of a name.
type NotFoundError struct {
	Topic string
	Group string   // "" when it is the topic that is missing
	Names []string // that there are
}

func (e *NotFoundError) Error() string {
	if e.Group != "" {
		return fmt.Sprintf("no group %q subscribes %s", e.Group, e.Topic)
	}
	return fmt.Sprintf("there is no topic %q", e.Topic)
}

// answerTimeout is how long the broker may take to say what it has.
const answerTimeout = 10 * time.Second

// Topic is what a topic keeps, and for whom.
type Topic struct {
	Topic      string     `json:"topic"`
	Events     uint64     `json:"events"`
	Bytes      uint64     `json:"bytes"`
	LastMinute uint64     `json:"lastMinute"` // events that came in it
	Waiting    uint64     `json:"waiting"`    // events for later
	First      uint64     `json:"first"`      // numbers
	Last       uint64     `json:"last"`
	FirstTime  *time.Time `json:"firstTime,omitempty"`
	LastTime   *time.Time `json:"lastTime,omitempty"`
	Keyed      bool       `json:"keyed"`
	Delayed    bool       `json:"delayed"`
	Limits     Limits     `json:"limits"`
	Dead       uint64     `json:"dead"` // dead letters
	Groups     []Group    `json:"groups"`
}

// Limits are what a topic may keep; 0 is no limit.
type Limits struct {
	MaxAgeSeconds float64 `json:"maxAgeSeconds"`
	MaxBytes      int64   `json:"maxBytes"`
	MaxEvents     int64   `json:"maxEvents"`
	MaxSize       int     `json:"maxSize"` // of one event
	Replicas      int     `json:"replicas"`
	DropOldest    bool    `json:"dropOldest"`
}

// Group is what a group has still to do.
type Group struct {
	Group    string     `json:"group"`
	Ordered  bool       `json:"ordered"`
	Lag      uint64     `json:"lag"`
	InFlight uint64     `json:"inFlight"`
	Oldest   *time.Time `json:"oldest,omitempty"`
	Members  []string   `json:"members"` // null: not known
}

// Topics tells the topics of these names, by name; without one, all but those of dead letters that nobody subscribes. The error is a
// [NotFoundError] where there is none of a name.
func (d Desk) Topics(ctx context.Context, names ...string) ([]Topic, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	list, err := d.Broker.Topics(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := among(list, name); err != nil {
			return nil, err
		}
	}
	dead := make(map[string]uint64)
	for _, t := range list {
		if topic, ok := strings.CutSuffix(t.Name, DeadSuffix); ok {
			dead[topic] = t.Messages
		}
	}
	all := []Topic{}
	for _, t := range list {
		if len(names) > 0 && !slices.Contains(names, t.Name) {
			continue
		}
		groups, err := d.Groups(ctx, t.Name)
		if err != nil {
			return nil, err
		}
		if len(names) == 0 && strings.HasSuffix(t.Name, DeadSuffix) && len(groups) == 0 {
			continue
		}
		all = append(all, topicOf(t, groups, dead[t.Name]))
	}
	return all, nil
}

func topicOf(t events.TopicState, groups []events.GroupState, dead uint64) Topic {
	l := t.Limits
	topic := Topic{
		Topic: t.Name, Events: t.Messages, Bytes: t.Bytes, LastMinute: t.LastMinute, Waiting: t.Waiting, First: t.First, Last: t.Last,
		FirstTime: some(t.FirstTime), LastTime: some(t.LastTime), Keyed: t.Keyed, Delayed: t.Delayed, Dead: dead, Groups: []Group{},
		Limits: Limits{max(l.MaxAge, 0).Seconds(), max(l.MaxBytes, 0), max(l.MaxMessages, 0), max(l.MaxSize, 0), l.Replicas, l.DropOldest},
	}
	for _, g := range groups {
		topic.Groups = append(topic.Groups, Group{g.Name, g.Ordered, g.Lag, g.InFlight, some(g.Oldest), g.Members})
	}
	return topic
}

// some returns t, nil when it is zero.
func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Topic returns what the broker says of a topic. The error is a [NotFoundError] when there is none of the name.
func (d Desk) Topic(ctx context.Context, name string) (events.TopicState, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	list, err := d.Broker.Topics(ctx)
	if err != nil {
		return events.TopicState{}, err
	}
	return among(list, name)
}

func among(list []events.TopicState, name string) (events.TopicState, error) {
	missing := &NotFoundError{Topic: name}
	for _, t := range list {
		if t.Name == name {
			return t, nil
		}
		missing.Names = append(missing.Names, t.Name)
	}
	return events.TopicState{}, missing
}

// Group returns a group of a topic. The error is a [NotFoundError] when there is none of the name.
func (d Desk) Group(ctx context.Context, topic, name string) (events.GroupState, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	list, err := d.Groups(ctx, topic)
	if err != nil {
		return events.GroupState{}, err
	}
	missing := &NotFoundError{Topic: topic, Group: cmp.Or(name, "(none)")}
	for _, g := range list {
		if g.Name == name {
			return g, nil
		}
		missing.Names = append(missing.Names, g.Name)
	}
	return events.GroupState{}, missing
}

// Schema returns how a topic's data is read; nil when nothing of it is kept.
func (d Desk) Schema(ctx context.Context, topic string) (*events.Schema, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	text, _, err := d.LoadSchema(ctx, topic)
	if err != nil || len(text) == 0 {
		return nil, err
	}
	return events.ParseSchema(text)
}

// PublishOne publishes a message and waits until it is stored.
func (d Desk) PublishOne(ctx context.Context, topic string, m *events.Message) error {
	done := make(chan error, 1)
	d.Publish(ctx, topic, m, func(err error) { done <- err })
	return <-done
}
