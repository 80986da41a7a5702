package redisevents

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/redis/go-redis/v9"
)

var (
	errClosed = errors.New("the broker was closed")
	errGone   = errors.New("the topic was deleted on the broker")
)

// awayError is one of a request that may go well another time.
type awayError struct{ error }

func (e *awayError) Unwrap() error { return e.error }

// passing says whether an error goes away by itself.
func passing(err error) bool {
	var away *awayError
	return errors.As(err, &away) || errors.Is(err, errAgain)
}

// transient says whether the error of a request goes away by itself: all that does not come from the server, but for a client that was closed and a certificate that is
// not trusted, and what a server says when it starts or when another one takes over.
func transient(err error) bool {
	if err == nil || errors.Is(err, redis.ErrClosed) {
		return false
	}
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return false
	}
	var answer redis.Error
	if !errors.As(err, &answer) {
		return true
	}
	for _, prefix := range []string{
		"LOADING", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "NOREPLICAS", "BUSY ", "MOVED", "ASK", "NOSCRIPT", "ERR max number of clients reached",
	} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// errAgain asks for a repetition.
var errAgain = errors.New("once more")

// explain says what can be done about an answer of the server.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case redis.HasErrorPrefix(err, "HANSEGONE"), redis.HasErrorPrefix(err, "NOGROUP"):
		return fmt.Errorf("%w: %w", errGone, err)
	case redis.HasErrorPrefix(err, "OOM"):
		return fmt.Errorf("%w: the server has no memory left (maxmemory): give it more, or keep less with Limits.MaxAge and Limits.MaxBytes: %w", events.ErrFull, err)
	case redis.HasErrorPrefix(err, "MISCONF"):
		return fmt.Errorf("%w: the server cannot write to its disk: %w", events.ErrFull, err)
	case redis.HasErrorPrefix(err, "NOAUTH"), redis.HasErrorPrefix(err, "WRONGPASS"):
		return fmt.Errorf("the broker wants another user or password (redis.Options.Username, Password): %w", err)
	case redis.HasErrorPrefix(err, "NOPERM"), strings.Contains(err.Error(), "The user executing the script"):
		return fmt.Errorf("the broker does not let this user do that; it needs ~{SYSTEM:* &{SYSTEM:* +@read +@write +@scripting +@pubsub +info +config|get +time +ping: %w", err)
	}
	return err
}

// link logs that the server is away, and that it is back.
type link struct {
	log *slog.Logger

	mu       sync.Mutex
	failures int
	since    time.Time
	answered time.Time
}

// note takes the outcome of a request that began then, and returns its error.
func (l *link) note(begun time.Time, err error) error {
	passes := transient(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !passes:
		if l.failures >= logAfter {
			l.log.Info("events: the broker is back", "after", time.Since(l.since).Round(time.Millisecond))
		}
		l.failures, l.answered = 0, time.Now()
	case begun.Before(l.answered), isDial(err) && begun.Before(l.answered.Add(keptDial)): // it says nothing of the server of now
	case errors.Is(err, context.Canceled):
	default:
		if l.failures++; l.failures == 1 {
			l.since = time.Now()
		}
		if l.failures == logAfter {
			l.log.Warn("events: the broker does not answer; publishers wait, deliveries pause", "err", err)
		}
	}
	if passes {
		return &awayError{err}
	}
	return err
}

// keptDial is for how long a client that could not connect may answer with that, without trying: it tries once in a second.
const keptDial = 1500 * time.Millisecond

func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// logAfter is how many failures in a row are more than one that the next request mends.
const logAfter = 2

// away says whether the last requests failed.
func (l *link) away() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failures >= logAfter
}

func isGone(err error) bool { return errors.Is(explain(err), errGone) }
