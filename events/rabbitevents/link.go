package rabbitevents

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// heartbeat is how often both sides say that they are there. The server ends a connection after two in vain, and then gives what its consumers
	// held to others.
	heartbeat = 5 * time.Second

	// dialTimeout bounds one attempt to connect.
	dialTimeout = 10 * time.Second
)

// link is a connection that is made again for ever.
type link struct {
	b    *Broker
	what string // it is for

	mu      sync.Mutex
	conn    *amqp.Connection // nil while there is none
	up      chan struct{}    // closed when there is one
	err     error            // why there is none
	fatal   error            // why there will be none; nil once there was one
	was     bool             // there was one
	blocked chan struct{}    // closed when the server takes events again; nil while it does
}

func newLink(b *Broker, what string) *link { return &link{b: b, what: what, up: make(chan struct{})} }

// get waits for the connection.
func (l *link) get(ctx context.Context) (*amqp.Connection, error) {
	for {
		l.mu.Lock()
		conn, up, err, fatal := l.conn, l.up, l.err, l.fatal
		l.mu.Unlock()
		switch {
		case conn != nil:
			return conn, nil
		case fatal != nil:
			return nil, fatal
		}
		select {
		case <-up:
		case <-l.b.work.Done():
			return nil, errClosed
		case <-ctx.Done():
			if err == nil {
				err = errors.New("no answer yet")
			}
			return nil, fmt.Errorf("the broker is away (%w): %w", err, context.Cause(ctx))
		}
	}
}

// run makes the connection, again and again, until the broker is closed.
func (l *link) run() {
	ctx := l.b.work
	for failures, next := 0, 0; ctx.Err() == nil; next++ {
		conn, err := l.dial(ctx, l.b.servers[next%len(l.b.servers)])
		if err != nil {
			failures++
			l.failed(err, failures >= 2*len(l.b.servers))
			pause(ctx, driver.RetryDelay((failures+len(l.b.servers)-1)/len(l.b.servers)))
			continue
		}
		failures = 0
		l.follow(ctx, conn)
	}
}

// follow sees to a connection until it ends.
func (l *link) follow(ctx context.Context, conn *amqp.Connection) {
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	blocked := conn.NotifyBlocked(make(chan amqp.Blocking, 4))
	l.mu.Lock()
	l.conn, l.err, l.fatal, l.was = conn, nil, nil, true
	close(l.up)
	l.mu.Unlock()
	l.b.note(l, nil)
	for {
		select {
		case <-ctx.Done():
			_ = conn.CloseDeadline(time.Now().Add(time.Second)) // nobody needs it any more
			l.down(errClosed)
			for range closed { // until all is over
			}
			return
		case how, ok := <-blocked:
			if ok {
				l.block(how)
			} else {
				blocked = nil
			}
		case err, ok := <-closed:
			cause := errors.New("the connection was closed")
			if ok && err != nil {
				cause = err
			}
			l.down(cause)
			l.b.note(l, cause)
			return
		}
	}
}

func (l *link) down(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.err, l.up = nil, why, make(chan struct{})
	if l.blocked != nil {
		close(l.blocked)
		l.blocked = nil
	}
}

func (l *link) failed(err error, often bool) {
	l.mu.Lock()
	l.err = err
	if !l.was && final(err) {
		l.fatal = err
		close(l.up) // who waits, waits in vain
		l.up = make(chan struct{})
	}
	l.mu.Unlock()
	if often {
		l.b.note(l, err)
	}
}

// hopeless says whether there never was a connection, and time will not mend that.
func (l *link) hopeless() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal != nil
}

// block notes that the server takes no events, or takes them again.
func (l *link) block(how amqp.Blocking) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case how.Active && l.blocked == nil:
		l.blocked = make(chan struct{})
		l.b.opts.Logger.Warn("events: the broker takes no events, for it is low on memory or disk; publishers wait", "reason", how.Reason)
	case !how.Active && l.blocked != nil:
		close(l.blocked)
		l.blocked = nil
		l.b.opts.Logger.Info("events: the broker takes events again")
	}
}

// free returns what is closed when the server takes events again, nil when it does.
func (l *link) free() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.blocked
}

func (l *link) dial(ctx context.Context, to server) (*amqp.Connection, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName("hanse " + l.b.opts.System + " " + l.what)
	config := amqp.Config{Heartbeat: heartbeat, Properties: properties, Locale: "en_US"}
	if l.b.opts.TLS != nil {
		config.TLSClientConfig = l.b.opts.TLS.Clone()
	}
	stop := func() bool { return true }
	config.Dial = func(network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		deadline, _ := ctx.Deadline()
		if err := conn.SetDeadline(deadline); err != nil { // the library takes it back when it is connected
			return nil, errors.Join(err, conn.Close())
		}
		stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
		return conn, nil
	}
	conn, err := amqp.DialConfig(to.url, config)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", to.host, err)
	}
	return conn, nil
}

// final says whether an error of a first attempt to connect is one that time does not mend.
func final(err error) bool {
	var (
		amqpErr  *amqp.Error
		unknown  x509.UnknownAuthorityError
		host     x509.HostnameError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
		noRecord tls.RecordHeaderError
	)
	if errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid) || errors.As(err, &verify) || errors.As(err, &noRecord) {
		return true
	}
	return errors.Is(err, amqp.ErrCredentials) || errors.Is(err, amqp.ErrSASL) || errors.Is(err, amqp.ErrVhost) ||
		errors.As(err, &amqpErr) && amqpErr.Code == amqp.NotAllowed
}

// passing says whether an error is one that goes away by itself: that of a connection or channel that is gone, and of a server that is
// not whole yet.
func passing(err error) bool {
	if errors.Is(err, events.ErrDrift) || errors.Is(err, events.ErrUnsupported) || errors.Is(err, errClosed) {
		return false
	}
	var e *amqp.Error
	if !errors.As(err, &e) {
		var network net.Error
		return errors.Is(err, amqp.ErrClosed) || errors.As(err, &network) || errors.Is(err, net.ErrClosed)
	}
	switch e.Code {
	case amqp.NotFound, amqp.AccessRefused, amqp.PreconditionFailed, amqp.ResourceLocked, amqp.NotImplemented, amqp.NotAllowed, amqp.CommandInvalid, amqp.SyntaxError:
		return down(e)
	}
	return true
}

// down says whether something is not found because the server that has it is away.
func down(e *amqp.Error) bool {
	return e.Code == amqp.NotFound && (contains(e.Reason, "is down or inaccessible") || contains(e.Reason, "timeout"))
}

func isCode(err error, code int) bool {
	var e *amqp.Error
	return errors.As(err, &e) && e.Code == code && !down(e)
}
