package desk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events"
)

// Letter is a dead letter.
type Letter struct {
	events.Stored
	Dead events.DeadLetter
}

// Letters are the dead letters of a topic.
type Letters struct {
	Reader *Reader // nil: the topic has no groups, and so never had any

	desk Desk
}

// Letters opens the dead letters of a topic, which is named with or without [DeadSuffix]. The error is a [NotFoundError] when there is no
// such topic.
func (d Desk) Letters(ctx context.Context, topic string) (*Letters, error) {
	live := strings.TrimSuffix(topic, DeadSuffix)
	_, err := d.Topic(ctx, live+DeadSuffix)
	if missing, ok := errors.AsType[*NotFoundError](err); ok && slices.Contains(missing.Names, live) {
		return &Letters{desk: d}, nil
	} else if ok {
		missing.Topic = live
	}
	if err != nil {
		return nil, err
	}
	reader, err := d.reader(ctx, live+DeadSuffix)
	return &Letters{Reader: reader, desk: d}, err
}

// All returns those that pass, oldest first.
func (l *Letters) All(ctx context.Context) (all []Letter, err error) {
	if l.Reader == nil {
		return nil, nil
	}
	for s, err := range l.Reader.Read(ctx, events.Start{All: true}, 0, time.Time{}) {
		if err != nil {
			return nil, err
		}
		if d, ok := events.DeadLetterOf(s.Message); ok {
			all = append(all, Letter{s, d})
		}
	}
	return all, nil
}

// CheckGroups holds that there is somebody for each dead letter to go back to. The error is a [NotFoundError] where there is not.
func (l *Letters) CheckGroups(ctx context.Context, list []Letter) error {
	known := make(map[string]bool)
	for _, one := range list {
		name := one.Dead.Topic + " " + one.Dead.Group
		if one.Dead.Group == "" || known[name] {
			continue
		}
		if _, err := l.desk.Group(ctx, one.Dead.Topic, one.Dead.Group); err != nil {
			return err
		}
		known[name] = true
	}
	return nil
}

// Redeliver publishes the event of a dead letter for its group, and removes the letter. The redelivery is named after the letter, so that
// one that is made twice is the same for the broker.
func (l *Letters) Redeliver(ctx context.Context, one Letter) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	name := fmt.Sprintf("dead-%d-%d", one.Sequence, one.Time.UnixMilli())
	if err := l.desk.PublishOne(ctx, one.Dead.Topic, one.Dead.Redelivery(one.Message, name)); err != nil {
		return err
	}
	return l.Drop(ctx, one)
}

// Drop removes a dead letter for good.
func (l *Letters) Drop(ctx context.Context, one Letter) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return l.desk.Delete(ctx, l.Reader.Topic, one.Sequence)
}
