package hanse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Backplane is the NATS that carries events, stores and the registry of a system: a [NATS] that runs elsewhere, or an embednats.Server inside
// of the process.
type Backplane interface {
	// Run runs what the app has of it, until ctx ends, and returns when that has ended. An error before that stops the app.
	Run(ctx context.Context) error
	// Connect returns a new connection, which the caller closes. It waits until Run has got so far, and returns an error when ctx ends
	// before or when there is nothing to wait for, such as a wrong token. The app's options are applied last.
	Connect(ctx context.Context, opts ...nats.Option) (*nats.Conn, error)
}

// privateBackplane is implemented by a [Backplane] that may be of no use for other processes: it is no registry then.
type privateBackplane interface {
	Private() bool
}

// isShared reports whether other processes may find each other by the app's backplane.
func (a *App) isShared() bool {
	if a.Backplane == nil {
		return false
	}
	p, ok := a.Backplane.(privateBackplane)
	return !ok || !p.Private()
}

// link is the one connection that an app has with its backplane, made when it is needed first. It is made again for ever.
type link struct {
	app     *App
	dialing chan struct{} // holds a value while somebody connects

	mu     sync.Mutex
	nc     *nats.Conn
	closed bool
	away   bool // as was told last
}

// backplane returns the app's link, nil without a backplane.
func (a *App) backplane() *link {
	if a.Backplane == nil {
		return nil
	}
	a.linkMu.Lock()
	defer a.linkMu.Unlock()
	if a.link == nil {
		a.link = &link{app: a, dialing: make(chan struct{}, 1)}
	}
	return a.link
}

// errAppClosed is returned for a connection that is wanted too late.
var errAppClosed = errors.New("the App is closed")

// have returns the connection, nil when there is none.
func (l *link) have() (*nats.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errAppClosed
	}
	return l.nc, nil
}

// conn returns the connection with the backplane. When that is not reached it returns one that tries on; what is wrong in another way, such as
// a token, is an error.
func (l *link) conn(ctx context.Context) (*nats.Conn, error) {
	if nc, err := l.have(); nc != nil || err != nil {
		return nc, err
	}
	select {
	case l.dialing <- struct{}{}:
		defer func() { <-l.dialing }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if nc, err := l.have(); nc != nil || err != nil {
		return nc, err
	}
	nc, err := l.app.Backplane.Connect(ctx, l.options()...)
	if isAway(err) {
		l.tell(false, err)
		nc, err = l.app.Backplane.Connect(ctx, append(l.options(), nats.RetryOnFailedConnect(true))...)
	}
	if err != nil {
		return nil, fmt.Errorf("backplane %s: %w", shown(l.app.Backplane), err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		nc.Close()
		return nil, errAppClosed
	}
	l.nc = nc
	return nc, nil
}

// options are those of the app's connection.
func (l *link) options() []nats.Option {
	return []nats.Option{
		nats.Name(l.name()),
		nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond), nats.ReconnectJitter(250*time.Millisecond, 500*time.Millisecond),
		nats.IgnoreAuthErrorAbort(), // a token may be put right
		nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(2),
		nats.ConnectHandler(func(*nats.Conn) { l.tell(true, nil) }),
		nats.ReconnectHandler(func(*nats.Conn) { l.tell(true, nil) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { l.tell(false, err) }),
		nats.ErrorHandler(l.trouble),
	}
}

// name is what the servers call the connection, for people.
func (l *link) name() string {
	name := programName()
	if l.app.System != "" {
		name = l.app.System + "/" + name
	}
	return name
}

// tell logs that the connection is there, or that it is not, once for each change.
func (l *link) tell(connected bool, err error) {
	l.mu.Lock()
	news := l.away == connected && !l.closed
	l.away = !connected
	l.mu.Unlock()
	switch log := l.app.logger().With("backplane", shown(l.app.Backplane)); {
	case !news:
	case connected:
		log.Info("connected to the backplane again")
	default:
		log.Warn("not connected to the backplane; calls go on, and it is tried on", "error", err)
	}
}

// trouble takes what has no caller to tell it to.
func (l *link) trouble(_ *nats.Conn, sub *nats.Subscription, err error) {
	attrs := []any{"error", err}
	if sub != nil {
		attrs = append(attrs, "subject", sub.Subject)
	}
	l.app.logger().Warn("the backplane complains", attrs...)
}

// reason returns why the backplane cannot be used at the moment, "" when it can.
func (l *link) reason() string {
	if nc, err := l.have(); err == nil && (nc == nil || !nc.IsConnected()) {
		return "not connected to " + shown(l.app.Backplane)
	}
	return ""
}

// close ends the connection, after what was sent.
func (l *link) close() {
	l.mu.Lock()
	nc := l.nc
	l.closed = true
	l.mu.Unlock()
	if nc == nil {
		return
	}
	if nc.IsConnected() {
		_ = nc.FlushTimeout(time.Second) // what cannot be sent now is lost, and was not acknowledged
	}
	nc.Close()
}

// isAway reports whether a connection could not be made because nobody is there, who may come.
func isAway(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && strings.HasSuffix(op.Op, " error") {
		return false // "remote error", "local error": somebody does not like a certificate
	}
	var network net.Error
	return errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) || errors.As(err, &network)
}

// shown says which backplane it is, without secrets.
func shown(b Backplane) string {
	if s, ok := b.(fmt.Stringer); ok {
		return s.String()
	}
	return fmt.Sprintf("%T", b)
}

// runningBackplane is what a run has of the app's backplane.
type runningBackplane struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // after done
}

// startBackplane starts the app's backplane, if it has one, and connects.
func (r *run) startBackplane(ctx context.Context) error {
	if r.app.Backplane == nil {
		return nil
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b := &runningBackplane{cancel: cancel, done: make(chan struct{})}
	r.backplane = b
	go func() {
		defer close(b.done)
		b.err = protect(r.log, "the backplane", func() error { return r.app.Backplane.Run(background) })
		if b.err == nil && background.Err() == nil {
			b.err = errors.New("it has ended")
		}
	}()
	if d := orDefault(r.app.StartTimeout, defaultStartTimeout); d > 0 {
		var end context.CancelFunc
		ctx, end = context.WithTimeout(ctx, d)
		defer end()
	}
	if _, err := r.app.backplane().conn(ctx); err != nil {
		select {
		case <-b.done: // it says more
			if b.err != nil {
				return fmt.Errorf("backplane: %w", b.err)
			}
		default:
		}
		return err
	}
	r.background.Go(func() {
		select {
		case <-b.done:
			r.fail(fmt.Errorf("backplane: %w", b.err))
		case <-r.tasks.ctx.Done(): // the app stops
		}
	})
	return nil
}

// stopBackplane ends the app's backplane, after all that used it.
func (r *run) stopBackplane() error {
	if r.backplane == nil {
		return nil
	}
	b := r.backplane
	select {
	case <-b.done:
		return nil // why has been told
	default:
	}
	b.cancel()
	if <-b.done; b.err != nil {
		return fmt.Errorf("backplane: %w", b.err)
	}
	return nil
}
