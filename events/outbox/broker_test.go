package outbox_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// recorder is a broker that remembers what it was given, and keeps nothing twice.
type recorder struct {
	events.Memory

	mu     sync.Mutex
	all    []*events.Message // that were stored
	given  int
	refuse func(m *events.Message) error // nil: nothing
}

func (b *recorder) Publish(ctx context.Context, topic string, m *events.Message, done func(error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.given++
	if b.refuse != nil {
		if err := b.refuse(m); err != nil {
			done(err)
			return
		}
	}
	if !slices.ContainsFunc(b.all, func(other *events.Message) bool { return other.Identity() == m.Identity() }) {
		b.all = append(b.all, m)
	}
	done(nil)
}

func (b *recorder) refuseAs(f func(m *events.Message) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse = f
}

// texts returns what was stored.
func (b *recorder) texts(t *testing.T) (all []string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.all {
		all = append(all, textOf(t, m))
	}
	return all
}

func (b *recorder) messages() []*events.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.all)
}

func textOf(t *testing.T, m *events.Message) string {
	t.Helper()
	var s wrapperspb.StringValue
	if err := proto.Unmarshal(m.Data, &s); err != nil {
		t.Fatal(err)
	}
	return s.GetValue()
}

// inOrder reports what is out of order: texts are "KEY NUMBER", and those of a key begin with 0.
func inOrder(texts []string) error {
	next := make(map[string]int)
	for _, s := range texts {
		key, number, _ := cut(s)
		if want := fmt.Sprint(next[key]); number != want {
			return fmt.Errorf("%q comes where %s %s was expected", s, key, want)
		}
		next[key]++
	}
	return nil
}

// hostOf returns a host that declares the topic.
func hostOf(t *testing.T, broker events.Broker) *events.Bus {
	t.Helper()
	bus := &events.Bus{Broker: broker, Source: "hanse:///orders"}
	text.Declare(bus)
	return bus
}
