package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
)

// Topics of changes, as the page knows them.
const (
	topicSystem  = "system"
	topicSpans   = "spans"
	topicLogs    = "logs"
	topicMetrics = "metrics"
)

// maxReaders bounds how many pages wait for changes at a time.
const maxReaders = 64

// live tells open pages what has changed, not how: they ask for what they show.
type live struct {
	mu      sync.Mutex
	readers map[*reader]bool
}

// reader is an open page. What changes while it is being written to comes together in one notice.
type reader struct {
	topics map[string]bool // guarded by live.mu
	wake   chan struct{}   // holds one
}

// changed tells all open pages.
func (l *live) changed(topics ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r := range l.readers {
		for _, t := range topics {
			r.topics[t] = true
		}
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

func (l *live) join() (r *reader, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.readers) >= maxReaders {
		return nil, false
	}
	if l.readers == nil {
		l.readers = make(map[*reader]bool)
	}
	r = &reader{topics: make(map[string]bool), wake: make(chan struct{}, 1)}
	l.readers[r] = true
	return r, true
}

// read reports whether pages are open.
func (l *live) read() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.readers) > 0
}

func (l *live) leave(r *reader) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.readers, r)
}

// take returns what has changed since it was last called.
func (l *live) take(r *reader) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	topics := slices.Sorted(maps.Keys(r.topics))
	clear(r.topics)
	return topics
}

// beat is how often something is sent where nothing changes, so that a page that is gone is noticed.
const beat = 15 * time.Second

// apart is the least time between two notices to a page.
const apart = 200 * time.Millisecond

// serveLive is a stream of server-sent events: change, with the topics that have changed.
func (s *Server) serveLive(w http.ResponseWriter, r *http.Request) {
	me, ok := s.live.join()
	if !ok {
		writeError(w, &Error{Status: http.StatusServiceUnavailable, What: fmt.Sprintf("%d pages are open already", maxReaders), Do: "close some"})
		return
	}
	defer s.live.leave(me)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	out := http.NewResponseController(w)
	send := func(text string) bool {
		_ = out.SetWriteDeadline(time.Now().Add(beat)) // one that stalls is given up; not every writer can
		if _, err := w.Write([]byte(text)); err != nil {
			return false
		}
		return out.Flush() == nil
	}
	if !send("retry: 1000\n\n") {
		return
	}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
			if !send(": still here\n\n") {
				return
			}
		case <-me.wake:
			select {
			case <-pause.C:
			case <-r.Context().Done():
				return
			}
			topics, err := json.Marshal(s.live.take(me))
			if err != nil || !send("event: change\ndata: "+string(topics)+"\n\n") {
				return
			}
			pause.Reset(apart)
		}
	}
}

// topicsOf says which topics a notice of the collector is about.
func topicsOf(c collector.Change) (topics []string) {
	if c.Spans > 0 {
		topics = append(topics, topicSpans)
	}
	if c.Logs > 0 {
		topics = append(topics, topicLogs)
	}
	if c.Points > 0 || c.Dropped > 0 {
		topics = append(topics, topicMetrics)
	}
	if len(c.Services) > 0 {
		topics = append(topics, topicSystem)
	}
	return topics
}

// watch passes changes of the collector and of the system to open pages, until ctx ends.
func (s *Server) watch(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	if s.Collector != nil {
		work.Go(func() {
			for c := range s.Collector.Changes(ctx) {
				s.live.changed(topicsOf(c)...)
			}
		})
	}
	if s.System != nil {
		work.Go(func() {
			for range s.System.Changes(ctx) {
				s.live.changed(topicSystem)
			}
		})
		work.Go(func() { s.watchHealth(ctx) })
	}
}
