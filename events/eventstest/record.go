package eventstest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// text is what the events of the cases carry: "KEY:NUMBER".
type text = *wrapperspb.StringValue

func keyOf(m text) string {
	key, _, _ := strings.Cut(m.GetValue(), ":")
	return key
}

// record notes what handlers were given, and holds that each key's events come one at a time and in order.
type record struct {
	e *env

	mu      sync.Mutex
	last    map[string]int    // of each key
	busy    map[string]string // keys of which an event is being handled, and where
	dead    map[string]bool   // who was killed
	again   int               // events that were handled again
	total   int               // different events that were handled
	changed chan struct{}     // closed and replaced when total changes
}

func (e *env) newRecord() *record {
	return &record{e: e, last: make(map[string]int), busy: make(map[string]string), dead: make(map[string]bool), changed: make(chan struct{})}
}

// handler returns the handler of an instance. It takes a moment for each event, so that there is something to hold and to hand over.
func (r *record) handler(where string) func(context.Context, *events.Event[text]) error {
	return func(ctx context.Context, ev *events.Event[text]) error {
		key, _, _ := strings.Cut(ev.Data.GetValue(), ":")
		var n int
		fmt.Sscanf(ev.Data.GetValue(), key+":%d", &n)
		if !r.begin(where, key, n) {
			return errDead
		}
		r.e.moment()
		r.end(where, key, n)
		return nil
	}
}

func (r *record) begin(where, key string, n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead[where] {
		return false
	}
	if other := r.busy[key]; other != "" {
		r.e.Errorf("%s:%d is handled by %s while another of its key is by %s", key, n, where, other)
	}
	if n > r.last[key]+1 {
		r.e.Errorf("%s:%d is handled after %d of its key", key, n, r.last[key])
	}
	r.busy[key] = where
	return true
}

func (r *record) end(where, key string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead[where] {
		return
	}
	delete(r.busy, key)
	if n <= r.last[key] {
		r.again++
		return
	}
	r.last[key] = n
	r.total++
	close(r.changed)
	r.changed = make(chan struct{})
}

// kill has what an instance does not count any more.
func (r *record) kill(where string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead[where] = true
	for key, by := range r.busy {
		if by == where {
			delete(r.busy, key)
		}
	}
}

// until waits until n different events were handled.
func (r *record) until(n int) {
	r.e.Helper()
	for {
		r.mu.Lock()
		total, changed := r.total, r.changed
		r.mu.Unlock()
		if total >= n {
			return
		}
		select {
		case <-changed:
		case <-r.e.ctx.Done():
			r.e.Fatalf("%d of %d events were handled: %v", total, n, context.Cause(r.e.ctx))
		}
	}
}

// moment is what a handler takes.
func (e *env) moment() {
	timer := time.NewTimer(time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.ctx.Done():
	}
}
