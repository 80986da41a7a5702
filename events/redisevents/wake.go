package redisevents

import (
	"sync"

	"github.com/redis/go-redis/v9"
)

// wakes passes on what is said on the channels of topics: that there is something to fetch, or that the members of an ordered group changed. Over one
// connection for all. Nothing depends on it but how soon something is seen.
type wakes struct {
	b *Broker

	mu     sync.Mutex
	pubsub *redis.PubSub // nil while nobody listens
	by     map[string]map[*member]struct{}
	closed bool
}

func newWakes(b *Broker) *wakes { return &wakes{b: b, by: make(map[string]map[*member]struct{})} }

// join has a member woken by the channel of its topic. It reports false when the broker was closed.
func (w *wakes) join(m *member) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	channel := m.topic.record
	first := len(w.by[channel]) == 0
	if first {
		w.by[channel] = make(map[*member]struct{})
	}
	w.by[channel][m] = struct{}{}
	if w.pubsub == nil {
		w.pubsub = w.b.client.Subscribe(w.b.work)
		all := w.pubsub.ChannelWithSubscriptions()
		w.b.routines.Go(func() { w.listen(all) })
	}
	if first {
		_ = w.pubsub.Subscribe(w.b.work, channel) // what fails is done again with the next connection
	}
	return true
}

func (w *wakes) leave(m *member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	channel := m.topic.record
	delete(w.by[channel], m)
	if len(w.by[channel]) == 0 && !w.closed {
		delete(w.by, channel)
		_ = w.pubsub.Unsubscribe(w.b.work, channel)
	}
}

func (w *wakes) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.pubsub != nil {
		_ = w.pubsub.Close() // of its connection, which is given up
	}
}

func (w *wakes) listen(all <-chan any) {
	for said := range all {
		w.mu.Lock()
		switch said := said.(type) {
		case *redis.Message:
			for m := range w.by[said.Channel] {
				m.woken(said.Payload == "members")
			}
		case *redis.Subscription: // what was said before was not heard
			for m := range w.by[said.Channel] {
				m.woken(true)
			}
		}
		w.mu.Unlock()
	}
}
