package rpc

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/hanse-go/hanse/rpc/internal/wire"
)

// Limits bounds what clients can make a [Port] hold and do. Of every field 0 is the default, which is safe against clients that mean
// harm and out of the way of those that do not, and -1 switches the limit off. Sizes are in bytes.
//
// Not every [Wire] keeps all of them: the documentation of grpcwire.Wire says which it does not.
type Limits struct {
	// MaxConnections is how many connections of all kinds the port has at once. Those beyond it are closed at once. Default: 10,000.
	MaxConnections int
	// HandshakeTimeout is what a new connection has for TLS, and again for the first bytes, which tell its protocol. Default: 10 s.
	HandshakeTimeout time.Duration
	// HeaderTimeout is what the headers of a request may take from their first byte to the last. Default: 10 s.
	HeaderTimeout time.Duration
	// IdleTimeout ends a connection, gracefully, that has had no request for so long. Default: 15 min for HTTP/2, 2 min for HTTP/1.
	IdleTimeout time.Duration

	// MaxConnectionAge ends a connection, gracefully, when it is so old, give or take a tenth at random: clients that know one address
	// for many instances then spread anew. It is for HTTP/2. Default: off.
	MaxConnectionAge time.Duration
	// MaxConnectionAgeGrace is what the calls of a connection that is too old have to finish. Default: off, as long as they need.
	MaxConnectionAgeGrace time.Duration

	// KeepaliveTime is how long an HTTP/2 client may say nothing before it is asked, by a PING, whether it is there. Default: 1 min.
	KeepaliveTime time.Duration
	// KeepaliveTimeout is how long it has for the answer, before the connection is closed. Default: 20 s.
	KeepaliveTimeout time.Duration
	// MinPingInterval is how often a client may send PINGs of its own, with calls in flight or without. One that does so more often
	// is told to leave (GOAWAY with ENHANCE_YOUR_CALM and "too_many_pings"). Default: 5 s.
	MinPingInterval time.Duration

	// MaxStreams is how many calls and HTTP/2 requests one connection may have in flight. A call counts until its handler has returned,
	// also when the client cancels it. Clients wait or use another connection. Default: 4,096.
	MaxStreams int
	// MaxHeaderListSize is the size of the headers of one request: of names and values and, in HTTP/2, 32 for each; in HTTP/1 up to
	// 4 KiB more may pass. Default: 64 KiB.
	MaxHeaderListSize int
	// MaxRecvMsgSize is the size of one request message, uncompressed, for servers whose own MaxRecvMsgSize is 0. Default: 4 MiB.
	MaxRecvMsgSize int

	// ResetBudget is how many calls of one connection may end at once by RST_STREAM before they were answered, whoever sends it: the
	// client that changes its mind, or this side because of what the client sent. Each second gives half of it back. A client that
	// spends it is told to leave. It should be above MaxStreams, for a client that ends may cancel all that it has. Default: 10,000.
	ResetBudget int
	// ControlBudget is how many frames that bring no call forward (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA) a client may
	// send at once. Each frame with headers or data that it gets gives some back, and so does time. A client that spends it is told to
	// leave. Default: 10,000.
	ControlBudget int

	// MaxQueuedBytes is how much of replies may wait because one client does not take it. Beyond it handlers of that client's calls
	// wait, with the reply that they have returned or give to SendMsg, until it takes some; and no more of its calls begin. One
	// reply may exceed it, and what handlers that run already hold is theirs: MaxStreams bounds it. What a client may send ahead of
	// its handlers is bounded by flow control: 1 MiB for a call, and 16 MiB for a connection. Default: 64 MiB.
	MaxQueuedBytes int
	// MaxQueuedBytesTotal is the same for all connections of the port together, each of which is sure of a small share, 256 KiB.
	// Default: 256 MiB.
	MaxQueuedBytesTotal int
	// StallTimeout is how long a client may take nothing: of the reply of a handler that has ended, and of that of a request over plain
	// HTTP, before it is reset; of what is being written, or of all that waits for it while a handler waits for MaxQueuedBytes, before
	// its connection is closed. A client that takes a little now and then never meets it, and neither does a stream by gRPC whose
	// handler goes on. Default: 1 min.
	StallTimeout time.Duration
}

const (
	defaultMaxRecvMsgSize = 4 << 20
	defaultHTTP1Idle      = 2 * time.Minute
	noLimit               = wire.NoLimit
)

// defaultLimits is what the fields are when they are 0.
var defaultLimits = Limits{
	MaxConnections:   10_000,
	HandshakeTimeout: 10 * time.Second,
	HeaderTimeout:    10 * time.Second,
	IdleTimeout:      15 * time.Minute,

	MaxConnectionAge:      -1,
	MaxConnectionAgeGrace: -1,

	KeepaliveTime:    time.Minute,
	KeepaliveTimeout: 20 * time.Second,
	MinPingInterval:  5 * time.Second,

	MaxStreams:        4096,
	MaxHeaderListSize: 64 << 10,
	MaxRecvMsgSize:    defaultMaxRecvMsgSize,

	ResetBudget:   10_000,
	ControlBudget: 10_000,

	MaxQueuedBytes:      64 << 20,
	MaxQueuedBytesTotal: 256 << 20,
	StallTimeout:        time.Minute,
}

// atLeast is what makes sense: less would refuse honest clients.
var atLeast = Limits{
	KeepaliveTime:     time.Second,
	MaxHeaderListSize: 1 << 10,
	MaxQueuedBytes:    64 << 10,
}

// Check returns what is wrong with the limits, all of it: numbers that are negative but not -1, and those that would refuse every
// client. [Port.Serve] does not begin with them.
func (l Limits) Check() error {
	var errs []error
	given, least := reflect.ValueOf(l), reflect.ValueOf(atLeast)
	for i := range given.NumField() {
		name, value, min := "Limits."+given.Type().Field(i).Name, given.Field(i), least.Field(i)
		switch n := value.Int(); {
		case n < -1:
			errs = append(errs, fmt.Errorf("%s is %v: write 0 for the default (%v), or -1 for no limit", name, value, reflect.ValueOf(defaultLimits).Field(i)))
		case n > 0 && n < min.Int():
			errs = append(errs, fmt.Errorf("%s is %v, and must be at least %v: less would refuse honest clients", name, value, min))
		}
	}
	if l.MaxConnectionAgeGrace > 0 && l.MaxConnectionAge <= 0 {
		errs = append(errs, fmt.Errorf("Limits.MaxConnectionAgeGrace is %v, but there is no MaxConnectionAge that it could follow: set both, or none", l.MaxConnectionAgeGrace))
	}
	if one, all := l.resolve().MaxQueuedBytes, l.resolve().MaxQueuedBytesTotal; errs == nil && one > all && l.MaxQueuedBytes != -1 {
		errs = append(errs, fmt.Errorf("Limits.MaxQueuedBytes of a connection is %d, more than the %d of MaxQueuedBytesTotal for all: lower the one or raise the other", one, all))
	}
	return errors.Join(errs...)
}

// resolve fills in the defaults.
func (l Limits) resolve() wire.Limits {
	resolved := wire.Limits(l)
	fields, defaults := reflect.ValueOf(&resolved).Elem(), reflect.ValueOf(defaultLimits)
	for i := range fields.NumField() {
		field := fields.Field(i)
		if field.Int() == 0 {
			field.Set(defaults.Field(i))
		}
		if field.Int() > 0 {
			continue
		}
		if field.Kind() == reflect.Int {
			field.SetInt(wire.Unlimited)
		} else {
			field.SetInt(0)
		}
	}
	return resolved
}

// limitOr resolves the size limit of a message, of which 0 is the default and -1 is none.
func limitOr(limit, def int) int {
	switch {
	case limit == 0:
		return def
	case limit < 0:
		return noLimit
	}
	return limit
}
