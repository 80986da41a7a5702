package natsdiscovery

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/discovery/driver"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// bucket is a key-value bucket of a system. What writes it says on what it builds, and the server that leads decides: a reader is never
// answered by one that is behind.
type bucket struct {
	name    string // such as shop_instances
	storage jetstream.StorageType
}

func (r *Registry) instances() bucket {
	return bucket{r.bucketName("instances"), jetstream.MemoryStorage}
}

// rules is the bucket of split rules, which nobody would put again.
func (r *Registry) rules() bucket { return bucket{r.bucketName("splits"), jetstream.FileStorage} }

// subject is that of a key, or of several with a wildcard.
func (b bucket) subject(key string) string { return "$KV." + b.name + "." + key }

func (b bucket) key(subject string) string { return strings.TrimPrefix(subject, b.subject("")) }

func (b bucket) stream() string { return "KV_" + b.name }

// Headers of NATS.
const (
	operationHeader = "KV-Operation"                                // DEL: the key was deleted
	markerHeader    = "Nats-Marker-Reason"                          // MaxAge: its time is over
	ttlHeader       = "Nats-TTL"                                    // how long the key stays
	lastHeader      = "Nats-Expected-Last-Subject-Sequence"         // on what a message builds
	lastOfHeader    = "Nats-Expected-Last-Subject-Sequence-Subject" // of which subjects that is the last
	ownerHeader     = "Hanse-Owner"                                 // who announced an instance
)

// Codes of errors of JetStream.
const (
	codeNoStream        = 10059
	codeWrongLast       = 10071
	codeWrongLastOther  = 10164 // the same, since 2.11
	codeOnlyInClusters  = 10074
	codeNoJetStream     = 10039
	codeNoJetStreamHere = 10076
)

// code returns that of an error of JetStream, 0 for another error.
func code(err error) int {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return int(api.ErrorCode)
	}
	return 0
}

func isWrongLast(err error) bool {
	return code(err) == codeWrongLast || code(err) == codeWrongLastOther
}

// markerTime is how long it is told that a key is gone.
const markerTime = 30 * time.Second

// ensure makes the bucket, if it is not there.
func (r *Registry) ensure(ctx context.Context, b bucket) error {
	r.mu.Lock()
	made := r.made[b.name]
	r.mu.Unlock()
	if made {
		return nil
	}
	_, err := r.js.Stream(ctx, b.stream())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = r.create(ctx, b)
	}
	if err == nil {
		r.mu.Lock()
		r.made[b.name] = true
		r.mu.Unlock()
	}
	return err
}

func (r *Registry) create(ctx context.Context, b bucket) error {
	config := jetstream.StreamConfig{
		Name: b.stream(), Subjects: []string{b.subject(">")}, Description: "Hanse: the registry of the system " + r.opts.System,
		Storage: jetstream.FileStorage, Replicas: r.opts.Replicas, MaxMsgsPerSubject: 1, MaxMsgSize: 1 << 20, Discard: jetstream.DiscardNew,
		AllowRollup: true, DenyDelete: true, AllowMsgTTL: true, SubjectDeleteMarkerTTL: markerTime,
	}
	if config.Replicas == 0 {
		config.Replicas = 3
	}
	_, err := r.js.CreateStream(ctx, config)
	if code(err) == codeOnlyInClusters && r.opts.Replicas == 0 {
		config.Replicas = 1
		_, err = r.js.CreateStream(ctx, config)
	}
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil // another was faster, and the settings are its own
	}
	return err
}

// forget has the bucket looked for again, after something that may have lost it.
func (r *Registry) forget(b bucket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.made, b.name)
}

// put writes a key and returns its revision. If last is not negative, it is the revision of the last change of all keys that match of.
func (r *Registry) put(ctx context.Context, b bucket, m *nats.Msg, of string, last int64) (uint64, error) {
	if last >= 0 {
		m.Header.Set(lastHeader, strconv.FormatInt(last, 10))
		m.Header.Set(lastOfHeader, b.subject(of))
	}
	ack, err := r.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(1))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// message returns one for put.
func (b bucket) message(key string, value []byte) *nats.Msg {
	m := nats.NewMsg(b.subject(key))
	m.Data = value
	return m
}

// deletion returns one for put that says that the key is gone.
func (b bucket) deletion(key string) *nats.Msg {
	m := b.message(key, nil)
	m.Header.Set(operationHeader, "DEL")
	m.Header.Set(ttlHeader, markerTime.String())
	return m
}

// isGone reports whether a message with these headers says that its key is gone.
func isGone(h nats.Header) bool { return h.Get(operationHeader) != "" || h.Get(markerHeader) != "" }

// last returns the last change of all keys that match, nil if there is none.
func (r *Registry) last(ctx context.Context, b bucket, of string) (*jetstream.RawStreamMsg, error) {
	stream, err := r.js.Stream(ctx, b.stream())
	if err != nil {
		return nil, err
	}
	m, err := stream.GetLastMsgForSubject(ctx, b.subject(of))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	return m, err
}

const (
	hurry     = time.Second     // between two attempts to reach NATS
	operation = 3 * time.Second // for one request
)

// errAway is why nothing is asked, and no answer waited for, without a connection.
var errAway = errors.New("not connected")

// ask has do ask NATS with a bucket that is there. What is asked when the connection breaks is given up: its answer would never come.
func (r *Registry) ask(ctx context.Context, b bucket, do func(context.Context) error) error {
	whole := r.link.whole()
	if !r.nc.IsConnected() {
		return errAway
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(whole, func() { cancel(errAway) })()
	err := r.ensure(ctx, b)
	if err == nil {
		err = do(ctx)
	}
	if err != nil && context.Cause(ctx) == errAway {
		err = errAway
	}
	if err != nil && !isWrongLast(err) {
		r.forget(b)
	}
	return err
}

// try is ask, and again until ctx ends while NATS is not available. do may be done twice.
func (r *Registry) try(ctx context.Context, b bucket, do func(context.Context) error) error {
	for failures := 1; ; failures++ {
		changed := r.link.changes()
		attempt, cancel := context.WithTimeout(ctx, hurry<<min(failures-1, 3))
		err := r.ask(attempt, b, do)
		late := attempt.Err() != nil
		cancel()
		if err == nil || !late && !isTransient(err) {
			return err
		}
		wait(ctx, driver.Backoff(failures, hurry), changed)
		switch {
		case ctx.Err() == nil:
		case late || errors.Is(err, errAway):
			return ctx.Err()
		default:
			return errors.Join(ctx.Err(), err)
		}
	}
}

// isTransient reports whether an error may pass by itself.
func isTransient(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return api.Code >= 500 && code(err) != codeNoJetStream && code(err) != codeNoJetStreamHere || code(err) == codeNoStream
	}
	for _, known := range []error{errAway, errAgain, nats.ErrTimeout, nats.ErrNoResponders, jetstream.ErrNoStreamResponse, nats.ErrDisconnected,
		nats.ErrReconnectBufExceeded, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// explain says what could not be done, where, and what to do next.
func (r *Registry) explain(doing string, err error) error {
	hint := ""
	switch {
	case code(err) == codeNoJetStream || code(err) == codeNoJetStreamHere || errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		hint = "switch JetStream on in the server: nats-server --js, or run hanse hub"
	case errors.Is(err, nats.ErrConnectionClosed):
		hint = "the connection was closed: close it after the last use of the registry"
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errAway) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse):
		hint = "is NATS running and reached from here, with JetStream and a leader, and may this user do it? Try: nats account info --server " + strings.Join(r.hosts(), ",")
	}
	if hint != "" {
		return fmt.Errorf("natsdiscovery: %s in %v: %w: %s", doing, r, err, hint)
	}
	return fmt.Errorf("natsdiscovery: %s in %v: %w", doing, r, err)
}
