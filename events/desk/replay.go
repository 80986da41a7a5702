package desk

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
)

// Replay has one group handle events of a topic once more: those from a position on that are stored when it is counted.
type Replay struct {
	Reader *Reader
	Group  string
	From   events.Start
	Last   uint64    // number of the last event; 0: none yet
	Before time.Time // when it was stored; zero: any time

	// Progress, when it is not nil, is told from time to time how many events were counted.
	Progress func(n uint64)
}

// Replayed is what a replay means, and what became of it.
type Replayed struct {
	Topic       string     `json:"topic"`
	Group       string     `json:"group"`
	Events      uint64     `json:"events"`
	Left        uint64     `json:"left"` // redeliveries, which are left out
	First       uint64     `json:"first,omitempty"`
	Last        uint64     `json:"last,omitempty"`
	FirstTime   *time.Time `json:"firstTime,omitempty"`
	LastTime    *time.Time `json:"lastTime,omitempty"`
	Redelivered uint64     `json:"redelivered"`
	Name        string     `json:"name,omitempty"` // what tells these redeliveries from others
}

// Count says which events are meant; nothing happens. The errors of a topic or group that is not there are [NotFoundError].
func (p *Replay) Count(ctx context.Context) (*Replayed, error) {
	d, topic := p.Reader.desk, p.Reader.Topic
	t, err := d.Topic(ctx, topic)
	if err != nil {
		return nil, err
	}
	if _, err := d.Group(ctx, topic, p.Group); err != nil {
		return nil, err
	}
	if p.Last == 0 || p.Last > t.Last { // what comes from now on is not among them, nor what is published here
		p.Last = max(t.Last, 1)
	}
	r := &Replayed{Topic: topic, Group: p.Group}
	return r, p.each(ctx, p.From, func(s events.Stored) error {
		if _, again := s.Message.OnlyFor(); again {
			r.Left++
			return nil
		}
		if r.Events++; r.Events == 1 {
			r.First, r.FirstTime = s.Sequence, &s.Time
		}
		r.Last, r.LastTime = s.Sequence, &s.Time
		if r.Events%1000 == 0 && p.Progress != nil {
			p.Progress(r.Events)
		}
		return nil
	})
}

// each calls f for each event that is meant.
func (p *Replay) each(ctx context.Context, from events.Start, f func(events.Stored) error) error {
	for s, err := range p.Reader.Read(ctx, from, p.Last, p.Before) {
		if err == nil {
			err = f(s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// window is how many redeliveries are on their way at the same time.
const window = 256

// PartError says that a part of something was done.
type PartError struct {
	Done, Of uint64
	At       uint64 // number of the first event of which it is not known that it was; 0 where that cannot be said
	Err      error
}

func (e *PartError) Error() string {
	return fmt.Sprintf("%d of %d events were redelivered: %v", e.Done, e.Of, e.Err)
}

// Unwrap returns why it ended.
func (e *PartError) Unwrap() error { return e.Err }

// Run publishes the events that were counted again, for the group, and notes in r how many. What is on its way is published in its order; after an
// error, a [PartError], nothing more is.
func (p *Replay) Run(ctx context.Context, r *Replayed) error {
	r.Name = "replay-" + strings.ToLower(rand.Text()[:12])
	if r.Events == 0 {
		return nil
	}
	var mu sync.Mutex
	var failed error
	var failedAt uint64 // the first event of which it is not known that it is stored
	room := make(chan struct{}, window)
	err := p.each(ctx, events.Start{Sequence: r.First}, func(s events.Stored) error {
		if _, again := s.Message.OnlyFor(); again {
			return nil
		}
		room <- struct{}{}
		mu.Lock()
		err := failed
		mu.Unlock()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			<-room
			mu.Lock()
			defer mu.Unlock()
			if failedAt == 0 || s.Sequence < failedAt {
				failedAt = s.Sequence
			}
			return err
		}
		p.Reader.desk.Publish(ctx, p.Reader.Topic, s.Message.Redelivery(p.Group, r.Name), func(err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				r.Redelivered++
			} else if failed == nil || s.Sequence < failedAt {
				failed, failedAt = err, s.Sequence
			}
			<-room
		})
		return nil
	})
	for range window { // all have been answered
		room <- struct{}{}
	}
	if failed != nil {
		err = failed
	}
	if err == nil {
		return nil
	}
	return &PartError{Done: r.Redelivered, Of: r.Events, At: failedAt, Err: err}
}
