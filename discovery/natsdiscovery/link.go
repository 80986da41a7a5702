package natsdiscovery

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// link tells of each change of the connection, from the first that joins to the last that leaves.
type link struct {
	nc *nats.Conn

	mu      sync.Mutex
	users   int
	end     func()
	changed chan struct{} // closed and replaced at each change

	connection context.Context // ends when the connection breaks, and is replaced then
	broke      context.CancelFunc
}

// join has changes told until leave is called.
func (l *link) join() (leave func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users++; l.users == 1 {
		l.end = l.listen()
	}
	return func() {
		l.mu.Lock()
		l.users--
		var end func()
		if l.users == 0 {
			end = l.end
		}
		l.mu.Unlock()
		if end != nil {
			end()
		}
	}
}

func (l *link) listen() (end func()) {
	status := l.nc.StatusChanged(nats.CONNECTED, nats.DISCONNECTED, nats.RECONNECTING)
	over := make(chan struct{})
	var listening sync.WaitGroup
	listening.Go(func() {
		for {
			select {
			case now, open := <-status:
				if !open {
					return
				}
				l.tell(now)
			case <-over:
				return
			}
		}
	})
	return func() {
		l.nc.RemoveStatusListener(status)
		close(over)
		listening.Wait()
	}
}

func (l *link) tell(now nats.Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
	if l.connection != nil && now != nats.CONNECTED {
		l.broke()
		l.connection = nil
	}
}

// whole returns a context that ends when the connection breaks.
func (l *link) whole() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.connection == nil {
		l.connection, l.broke = context.WithCancel(context.Background())
	}
	return l.connection
}

// changes returns what is closed at the next change.
func (l *link) changes() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// wait waits for d, for the channel to be closed, or for the end of ctx.
func wait(ctx context.Context, d time.Duration, c <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c:
	case <-ctx.Done():
	}
}
