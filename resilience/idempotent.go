package resilience

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// ReplayedKey is in the header of a reply that was kept, with the value "1".
const ReplayedKey = "hanse-replayed"

// Idempotency says how long a server keeps the replies to calls that carry an [IdempotencyKey]. See [Idempotent].
type Idempotency struct {
	Keep time.Duration // Default: 10 min. -1: keys are ignored
}

var defaultIdempotency = Idempotency{Keep: 10 * time.Minute}

func (i Idempotency) check() error { return notBelow("Idempotency.Keep", i.Keep) }

// Idempotent keeps the first reply to each call that carries an [IdempotencyKey], and gives it again to those that come with the same key,
// for the same method and from the same caller. Other calls pass by. It is a [grpc.UnaryServerInterceptor]; servers of package rpc have one
// behind their other interceptors. The zero value works.
//
//   - While the first call runs, the others wait for it, each as long as its own deadline allows.
//   - Kept are replies, and the errors InvalidArgument, NotFound, AlreadyExists, FailedPrecondition and OutOfRange, which are answers.
//     After another error, or a panic, the next call runs: whoever gets such an error may try again. So a handler that had an effect
//     and fails after it may have it twice, unless it does both in one transaction.
//   - The same key with another request is a mistake, InvalidArgument.
//   - What is given again has its message and its status, and not the header and trailers that the handler had set. It has a header of
//     its own, [ReplayedKey].
//   - Callers are told apart by Caller. Those that nobody knows are one, so in a system without identities keys must be unguessable.
//   - Replies that are not protobuf messages are not kept, nor are streams.
//   - The store in memory forgets when the process ends, and other instances know nothing of it. For effects that must not happen twice
//     in any case use a Store that they share.
type Idempotent struct {
	Keep   time.Duration                    // how long replies are kept. 0: 10 min
	Store  ReplyStore                       // nil: a MemoryReplies of its own
	Caller func(ctx context.Context) string // who calls; nil: everyone is the same
	Counts *Counts                          // counts what it does; may be nil

	mu      sync.Mutex
	memory  *MemoryReplies
	flights map[string]chan struct{} // of calls that run here, by key of the store; closed when they have ended
}

// ReplyStore keeps replies by key. Keys hold the method, the caller and the caller's key. Its methods are safe for concurrent use.
type ReplyStore interface {
	// Claim returns what is kept under key. When nothing is, it reserves the key for whoever called, for at most lease, and returns
	// nil. When another holds it, which may be in another process, the error is ErrClaimed.
	Claim(ctx context.Context, key string, lease time.Duration) (kept []byte, err error)

	// Keep stores a reply under a key that was claimed, and Drop gives the claim up.
	Keep(ctx context.Context, key string, reply []byte, keep time.Duration) error
	Drop(ctx context.Context, key string) error
}

// ErrClaimed is the error of [ReplyStore].Claim for a key whose first call still runs.
var ErrClaimed = errors.New("resilience: the first call with this key still runs")

// What becomes of calls with keys.
const (
	Replayed      Reason = "idempotent-replayed"  // a kept reply was given again
	ReplayWaited  Reason = "idempotent-waited"    // a call waited for the first one
	ReplayClash   Reason = "idempotent-mismatch"  // a key came with another request
	ReplayNotKept Reason = "idempotent-not-kept"  // the store failed to keep a reply
	ReplayForgot  Reason = "idempotent-forgotten" // the store in memory was full, and lost its oldest reply
)

const (
	longestKey = 255
	lease      = time.Minute // of a call without deadline
)

var _ grpc.UnaryServerInterceptor = (*Idempotent)(nil).Intercept

// Intercept is the interceptor.
func (i *Idempotent) Intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	return i.Do(ctx, i.Keep, req, info, handler)
}

// Do is Intercept with a time to keep the reply for, 0 for the default.
func (i *Idempotent) Do(ctx context.Context, keep time.Duration, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	keys := metadata.ValueFromIncomingContext(ctx, IdempotencyKey)
	request, ok := req.(proto.Message)
	if len(keys) == 0 || keep < 0 || !ok {
		return handler(ctx, req)
	}
	if len(keys) > 1 || keys[0] == "" || len(keys[0]) > longestKey {
		return nil, status.Errorf(codes.InvalidArgument, "the metadata key %s has one value of 1 to %d bytes", IdempotencyKey, longestKey)
	}
	if keep == 0 {
		keep = defaultIdempotency.Keep
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "the request cannot be told from others: %v", err)
	}
	caller := ""
	if i.Caller != nil {
		caller = i.Caller(ctx)
	}
	c := &keyed{i: i, key: info.FullMethod + "\x00" + caller + "\x00" + keys[0], request: sha256.Sum256(data), keep: keep}
	return c.do(ctx, func() (any, error) { return handler(ctx, req) })
}

// keyed is one call with a key.
type keyed struct {
	i       *Idempotent
	key     string
	request [sha256.Size]byte
	keep    time.Duration
}

func (i *Idempotent) count(ctx context.Context, r Reason) {
	if i.Counts == nil {
		Annotate(ctx, r)
		return
	}
	i.Counts.Note(ctx, r)
}

func (i *Idempotent) store() ReplyStore {
	if i.Store != nil {
		return i.Store
	}
	if i.memory == nil {
		i.memory = &MemoryReplies{Counts: i.Counts}
	}
	return i.memory
}

func (c *keyed) do(ctx context.Context, run func() (any, error)) (any, error) {
	i := c.i
	for waited := false; ; {
		i.mu.Lock()
		store := i.store()
		first := i.flights[c.key]
		if first == nil {
			if i.flights == nil {
				i.flights = make(map[string]chan struct{})
			}
			i.flights[c.key] = make(chan struct{})
			i.mu.Unlock()
			return c.first(ctx, store, run)
		}
		i.mu.Unlock()
		if !waited {
			waited = true
			i.count(ctx, ReplayWaited)
		}
		select {
		case <-first:
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	}
}

// first is do for the only call with this key that is here.
func (c *keyed) first(ctx context.Context, store ReplyStore, run func() (any, error)) (any, error) {
	defer func() {
		c.i.mu.Lock()
		defer c.i.mu.Unlock()
		close(c.i.flights[c.key])
		delete(c.i.flights, c.key)
	}()
	held := lease
	if deadline, ok := ctx.Deadline(); ok {
		held = max(time.Until(deadline), time.Second)
	}
	kept, err := store.Claim(ctx, c.key, held)
	switch {
	case errors.Is(err, ErrClaimed):
		return nil, status.Error(codes.Aborted, "the first call with this "+IdempotencyKey+" still runs in another instance: try again")
	case err != nil:
		return nil, status.Errorf(codes.Unavailable, "whether this call was made before cannot be found out now: %v", err)
	case kept != nil:
		return c.again(ctx, kept)
	}
	// What follows does not depend on whether the caller is still there.
	aside := context.WithoutCancel(ctx)
	ended := false
	defer func() {
		if !ended { // the handler has panicked
			store.Drop(aside, c.key)
		}
	}()
	reply, err := run()
	ended = true
	record, ok := c.record(reply, err)
	if !ok {
		store.Drop(aside, c.key) // else the claim ends with its lease
		return reply, err
	}
	if store.Keep(aside, c.key, record, c.keep) != nil {
		c.i.count(ctx, ReplayNotKept)
	}
	return reply, err
}

// A record is the hash of the request, and a google.rpc.Status or, behind the name of its type, a message.
const (
	recordStatus = 's'
	recordReply  = 'r'
)

// record writes down how a call ended, if that is kept.
func (c *keyed) record(reply any, err error) ([]byte, bool) {
	record := append([]byte(nil), c.request[:]...)
	if err != nil {
		st, ok := status.FromError(err)
		if !ok || !isAnswer(st.Code()) {
			return nil, false
		}
		data, err := proto.Marshal(st.Proto())
		return append(append(record, recordStatus), data...), err == nil
	}
	m, ok := reply.(proto.Message)
	if !ok {
		return nil, false
	}
	name := m.ProtoReflect().Descriptor().FullName()
	if t, err := protoregistry.GlobalTypes.FindMessageByName(name); err != nil || t != m.ProtoReflect().Type() || len(name) > 255 {
		return nil, false // it could not be made again
	}
	record = append(append(append(record, recordReply), byte(len(name))), name...)
	record, err = proto.MarshalOptions{AllowPartial: true}.MarshalAppend(record, m)
	return record, err == nil
}

// isAnswer reports whether an error says what the call came to, and would say so again.
func isAnswer(c codes.Code) bool {
	switch c {
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition, codes.OutOfRange:
		return true
	}
	return false
}

// again gives what is kept.
func (c *keyed) again(ctx context.Context, kept []byte) (any, error) {
	broken := status.Error(codes.Internal, "the reply that was kept for this "+IdempotencyKey+" cannot be read")
	if len(kept) < sha256.Size+1 {
		return nil, broken
	}
	if [sha256.Size]byte(kept) != c.request {
		c.i.count(ctx, ReplayClash)
		return nil, status.Error(codes.InvalidArgument, "this "+IdempotencyKey+" was used with another request: use a new one for each thing to be done")
	}
	kind, data := kept[sha256.Size], kept[sha256.Size+1:]
	if kind == recordStatus {
		var st spb.Status
		if proto.Unmarshal(data, &st) != nil {
			return nil, broken
		}
		c.replayed(ctx)
		return nil, status.ErrorProto(&st)
	}
	if kind != recordReply || len(data) == 0 || len(data) < 1+int(data[0]) {
		return nil, broken
	}
	t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(data[1 : 1+data[0]]))
	if err != nil {
		return nil, broken
	}
	m := t.New().Interface()
	if (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(data[1+int(data[0]):], m) != nil {
		return nil, broken
	}
	c.replayed(ctx)
	return m, nil
}

func (c *keyed) replayed(ctx context.Context) {
	c.i.count(ctx, Replayed)
	grpc.SetHeader(ctx, metadata.Pairs(ReplayedKey, "1")) // an error says that this is no call of gRPC
}
