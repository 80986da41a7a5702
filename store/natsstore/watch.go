package natsstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hanse-go/hanse/internal/backoff"
	"github.com/hanse-go/hanse/store"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Watch implements [store.Driver].
func (s *Store) Watch(ctx context.Context, name string, info store.WatchInfo, notify func(store.Update) bool) error {
	b, err := s.bucket(name)
	if err != nil {
		return err
	}
	w := &watch{store: s, bucket: b, info: info, notify: notify, last: info.After, resume: info.After > 0}
	pause := backoff.Policy{Min: 50 * time.Millisecond, Max: longestPause}
	for failures := 0; ; {
		began := time.Now()
		err := w.run(ctx)
		switch {
		case w.left:
			return nil
		case ctx.Err() != nil:
			if _, limited := ctx.Deadline(); limited && err != nil && !w.synced {
				return s.away(ctx, err)
			}
			return ctx.Err()
		case !passes(err):
			return explain(err)
		}
		if time.Since(began) > longestPause {
			failures = 0
		}
		if failures++; failures == 3 {
			s.logger().Warn("watch has lost touch with the store; it is tried on", "bucket", name, "error", err)
		}
		timer := time.NewTimer(pause.Delay(failures))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// errAnew says that a watch must ask again from where it was.
var errAnew = errors.New("messages were missed")

// watch is one Watch, over any number of consumers.
type watch struct {
	store  *Store
	bucket *bucket
	info   store.WatchInfo
	notify func(store.Update) bool

	last   uint64    // the revision up to which all was told
	resume bool      // from last; else it begins with what there is
	sure   time.Time // when all was told up to last; zero: not known
	told   bool      // something
	synced bool
	left   bool // notify wants no more
}

// tell tells an update, and reports whether more is wanted.
func (w *watch) tell(u store.Update) bool {
	w.told = true
	w.left = !w.notify(u)
	return !w.left
}

// run tells what one consumer has, until there is trouble.
func (w *watch) run(ctx context.Context) (err error) {
	js, err := w.store.jetStream()
	if err != nil {
		return err
	}
	switch conn := w.store.Conn; {
	case conn.IsClosed():
		return nats.ErrConnectionClosed
	case !conn.IsConnected():
		return nats.ErrDisconnected
	}
	ctx, cancel := w.whileConnected(ctx)
	defer func() {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		cancel()
	}()
	if w.bucket, err = w.store.again(ctx, w.bucket); err != nil {
		return err
	}
	info := w.bucket.stream.CachedInfo()
	if w.resume {
		if w.resume, err = w.knowsDeletions(ctx, js, info); err != nil {
			w.resume = true
			return err
		}
	}
	anew := !w.resume
	if anew {
		w.last = 0
		if (w.told || w.info.After > 0) && !w.tell(store.Update{Kind: store.Reset}) {
			return nil
		}
		w.synced = false
	}
	consumer, err := js.CreateConsumer(ctx, "KV_"+w.bucket.kv, w.consumer())
	if err != nil {
		return err
	}
	defer w.forget(js, consumer)
	next, stop, err := messages(consumer)
	if err != nil {
		return err
	}
	defer stop()
	pending := consumer.CachedInfo().NumPending
	current := false // all was told that was there when the consumer began
	for received := uint64(0); ; {
		if !current && received >= pending {
			current, w.resume = true, true
			w.last = max(w.last, info.State.LastSeq)
			if !w.synced {
				w.synced = true
				if !w.tell(store.Update{Kind: store.Synced}) {
					return nil
				}
			}
		}
		if current {
			w.sure = time.Now()
		}
		m, err := next(ctx)
		if err != nil {
			return err
		}
		if m == nil {
			continue
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if received++; meta.Sequence.Consumer != received {
			return errAnew
		}
		if meta.NumPending == 0 {
			pending = received
		}
		u, ok := w.update(m, meta)
		if ok && !(anew && !current && u.Kind == store.Deleted) && !w.tell(u) {
			return nil
		}
		w.last = max(w.last, meta.Sequence.Stream)
	}
}

// consumer is the one that has what is to be told.
func (w *watch) consumer() jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{
		AckPolicy:         jetstream.AckNonePolicy,
		DeliverPolicy:     jetstream.DeliverLastPerSubjectPolicy,
		FilterSubject:     "$KV." + w.bucket.kv + ".>",
		HeadersOnly:       w.info.KeysOnly,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: time.Minute,
	}
	if w.info.Key != "" {
		c.FilterSubject = w.bucket.subject(w.info.Key)
	}
	if w.resume {
		c.DeliverPolicy = jetstream.DeliverByStartSequencePolicy
		c.OptStartSeq = w.last + 1
	}
	return c
}

// update is what a message tells; none when it is not about what is watched.
func (w *watch) update(m jetstream.Msg, meta *jetstream.MsgMetadata) (store.Update, bool) {
	key, err := unescape(strings.TrimPrefix(m.Subject(), "$KV."+w.bucket.kv+"."))
	if err != nil || !w.matches(key) {
		return store.Update{}, false
	}
	u := store.Update{Kind: store.Put, Record: store.Record{Key: key, Value: m.Data(), Revision: meta.Sequence.Stream, Time: meta.Timestamp}}
	if isDeletion(m.Headers()) {
		u.Kind, u.Value = store.Deleted, nil
	}
	return u, true
}

func (w *watch) matches(key string) bool {
	if w.info.Key != "" {
		return key == w.info.Key
	}
	return strings.HasPrefix(key, w.info.Prefix)
}

// knowsDeletions reports whether the bucket still has all deletions that came after w.last.
func (w *watch) knowsDeletions(ctx context.Context, js jetstream.JetStream, info *jetstream.StreamInfo) (bool, error) {
	// Deletions become as old as the marker's TTL. Clocks may differ by the half of that.
	young := time.Now().Add(-w.store.markerTTL() / 2)
	switch {
	case w.last > info.State.LastSeq:
		return false, nil // it is of another bucket, which had the name before
	case w.last == info.State.LastSeq, w.last >= info.Config.FirstSeq && info.Created.After(young), w.sure.After(young):
		return true, nil
	}
	// They are there when all that came after w.last is young.
	consumer, err := js.CreateConsumer(ctx, "KV_"+w.bucket.kv, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &young,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: 5 * time.Second,
	})
	if err != nil {
		return false, err
	}
	defer w.forget(js, consumer)
	return w.last >= consumer.CachedInfo().Delivered.Stream, nil // the last one that is older
}

// forget takes a consumer away; if it cannot, the server does that later.
func (w *watch) forget(js jetstream.JetStream, c jetstream.Consumer) {
	if w.store.Conn.Status() != nats.CONNECTED {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = js.DeleteConsumer(ctx, "KV_"+w.bucket.kv, c.CachedInfo().Name)
}

// whileConnected returns a context that ends also when the connection is lost: what the server sends then is lost, too.
func (w *watch) whileConnected(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	conn := w.store.Conn
	lost := conn.StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	stop := make(chan struct{})
	go func() {
		select {
		case <-lost:
			cancel(fmt.Errorf("%w: %w", errAnew, nats.ErrDisconnected))
		case <-stop:
		}
		conn.RemoveStatusListener(lost)
	}()
	return ctx, func() {
		close(stop)
		cancel(nil)
	}
}

const (
	look          = 30 * time.Second // how long is waited for a message at a time
	pullMessages  = 256
	pullExpiry    = 30 * time.Second
	pullHeartbeat = 5 * time.Second
)

// messages returns what waits for the next message of a consumer; it returns nil when there is none for a while.
func messages(c jetstream.Consumer) (next func(context.Context) (jetstream.Msg, error), stop func(), err error) {
	it, err := c.Messages(jetstream.PullMaxMessages(pullMessages), jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(pullHeartbeat))
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context) (jetstream.Msg, error) {
		looking, cancel := context.WithTimeout(ctx, look)
		defer cancel()
		m, err := it.Next(jetstream.NextContext(looking))
		if err != nil && looking.Err() != nil {
			return nil, ctx.Err()
		}
		return m, err
	}, it.Stop, nil
}
