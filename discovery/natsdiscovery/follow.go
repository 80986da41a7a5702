package natsdiscovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	heartbeat = 2 * time.Second // of the server, where nothing changes; two that are missing end a session
	refresh   = time.Minute     // after which all is read again, in case somebody removed keys by hand without a word
)

// change is one of a key.
type change struct {
	key   string
	value []byte
	gone  bool // it was deleted, or its time is over
}

// follower takes what is there, and then what changes.
type follower interface {
	// all takes all keys that there are. refresh says that every change before was told, unless somebody made it without a word.
	all(keys []change, refresh bool)
	// one takes a change.
	one(c change)
	// next returns when expire is to be called; zero: it need not be.
	next() time.Time
	expire()
	// tell tells what is known.
	tell()
}

// follow has f follow the keys that match, until ctx ends.
func (r *Registry) followKeys(ctx context.Context, what string, b bucket, keys string, f follower) {
	leave := r.link.join()
	defer leave()
	failures, told, warned, refresh := 0, false, false, false
	for ctx.Err() == nil {
		changed := r.link.changes()
		s := &session{registry: r, bucket: b, keys: keys, follower: f, changed: changed, refresh: refresh, began: func() {
			failures, told = 0, true
			if warned {
				warned = false
				r.opts.Logger.Info(what + " are read again")
			}
		}}
		err := s.run(ctx)
		refresh = err == nil
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			continue
		}
		if !told {
			told = true
			f.tell() // what is known: nothing. Who has other registries to ask must not wait for this one
		}
		if !s.listed && !warned {
			warned = true
			r.opts.Logger.Warn(what+" cannot be read; the last known ones stay, and it is tried on", "error", r.explain("read "+what, err))
		}
		failures++
		wait(ctx, driver.Backoff(failures, hurry), changed)
	}
}

// session follows keys until the connection changes, the server goes silent, or it is time to read all again.
type session struct {
	registry *Registry
	bucket   bucket
	keys     string
	follower follower
	changed  <-chan struct{}
	refresh  bool   // the session before ended because it was time
	began    func() // is called when all was read
	listed   bool   // all was read
}

var errChanged = errors.New("the connection changed")

func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var consumer jetstream.Consumer
	opening, end := context.WithTimeout(ctx, operation)
	err := s.registry.ask(opening, s.bucket, func(ctx context.Context) (err error) {
		consumer, err = s.registry.js.CreateConsumer(ctx, s.bucket.stream(), jetstream.ConsumerConfig{
			FilterSubject: s.bucket.subject(s.keys), DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, AckPolicy: jetstream.AckNonePolicy,
			MemoryStorage: true, Replicas: 1, InactiveThreshold: 5 * heartbeat,
		})
		return err
	})
	end()
	if err != nil {
		return err
	}
	defer s.drop(consumer.CachedInfo().Name)
	missing := consumer.CachedInfo().NumPending

	messages := make(chan jetstream.Msg, 256)
	failed := make(chan error, 1)
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		select {
		case messages <- m:
		case <-ctx.Done():
		}
	}, jetstream.PullMaxMessages(256), jetstream.PullExpiry(30*time.Second), jetstream.PullHeartbeat(heartbeat),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			select {
			case failed <- err:
			default:
			}
		}))
	if err != nil {
		return err
	}
	defer func() {
		cancel()
		consuming.Stop()
		<-consuming.Closed()
	}()

	there := make(map[string]change)
	enough := time.After(driver.Jitter(2 * max(refresh, 2*s.registry.grace()))) // when nobody stays of who was missed before
	late := time.After(3 * operation)
	var number uint64
	for {
		if missing == 0 && !s.listed {
			s.listed, late = true, nil // what comes now is news
			s.began()
			s.follower.all(slices.Collect(maps.Values(there)), s.refresh)
			there = nil
		}
		var expiry <-chan time.Time
		if next := s.follower.next(); s.listed && !next.IsZero() {
			expiry = time.After(time.Until(next))
		}
		select {
		case m := <-messages:
			meta, err := m.Metadata()
			if number++; err != nil || meta.Sequence.Consumer != number {
				return errors.New("a change was lost")
			}
			c := change{key: s.bucket.key(m.Subject()), value: m.Data(), gone: isGone(m.Headers())}
			if s.listed {
				s.follower.one(c)
				continue
			}
			if there[c.key] = c; c.gone {
				delete(there, c.key)
			}
			if missing--; meta.NumPending == 0 { // some may have gone meanwhile
				missing = 0
			}
		case <-expiry:
			if err := s.look(ctx); err != nil {
				return err
			}
			s.follower.expire()
		case err := <-failed:
			return err
		case <-s.changed:
			return errChanged
		case <-late:
			return context.DeadlineExceeded
		case <-enough:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// look sees whether NATS is there: it is missed after two heartbeats only, and then nobody is to be forgotten.
func (s *session) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, operation)
	defer cancel()
	return s.registry.ask(ctx, s.bucket, func(ctx context.Context) error {
		_, err := s.registry.js.Stream(ctx, s.bucket.stream())
		return err
	})
}

// drop removes the consumer, which would go by itself after a while.
func (s *session) drop(name string) {
	if !s.registry.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.registry.js.DeleteConsumer(ctx, s.bucket.stream(), name)
}

// follow is one watch for all that watch a service here.
func (r *Registry) follow(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	f := &following{registry: r, notify: notify, ignored: make(map[string]string)}
	r.followKeys(ctx, "instances of "+cmp.Or(service, "all services"), r.instances(), "instances."+cmp.Or(service, "*")+".*", f)
	return nil
}

// following follows the instances of one service, or of all.
type following struct {
	registry *Registry
	notify   func([]discovery.Instance)

	view       driver.View
	doubtUntil time.Time         // an instance that vanishes before may be one that had no time yet to announce itself again
	begun      bool              // something was read
	ignored    map[string]string // records that cannot be understood, by key, and why
}

func (f *following) tell()           { f.notify(f.view.List()) }
func (f *following) next() time.Time { return f.view.NextExpiry() }

func (f *following) expire() {
	if f.view.Expire(time.Time{}) {
		f.tell()
	}
}

// grace is how long after NATS was away those who live may not have announced themselves again: they try after up to that.
func (r *Registry) grace() time.Duration { return r.opts.TTL + 2*hurry }

func (f *following) all(keys []change, refresh bool) {
	doubtUntil := time.Now().Add(f.registry.grace()) // what is missing now has gone without a word
	if f.begun && !refresh {
		f.doubtUntil = doubtUntil
	}
	f.begun = true
	var list []discovery.Instance
	for _, c := range keys {
		if inst, ok := f.parse(c); ok {
			list = append(list, inst)
		}
	}
	f.view.Replace(list, doubtUntil)
	f.tell()
}

func (f *following) one(c change) {
	if !c.gone {
		if inst, ok := f.parse(c); ok {
			f.view.Put(inst)
			f.tell()
			return
		}
	}
	service, token, _ := strings.Cut(strings.TrimPrefix(c.key, "instances."), ".")
	f.view.Remove(service, strings.ReplaceAll(token, "/", "."), f.doubtUntil)
	f.tell()
}

// parse reads the record of an instance, and says which one cannot be understood.
func (f *following) parse(c change) (discovery.Instance, bool) {
	inst, err := discovery.ParseRecord(c.value)
	if err == nil && "instances."+inst.Service+"."+idToken(inst.ID) != c.key {
		err = fmt.Errorf("it is the record of instance %s of %s", inst.ID, inst.Service)
	}
	if err == nil {
		delete(f.ignored, c.key)
		return inst, true
	}
	if text := err.Error(); f.ignored[c.key] != text {
		f.ignored[c.key] = text
		f.registry.opts.Logger.Warn("record in NATS ignored", "key", strings.ReplaceAll(c.key, ".", "/"), "error", strings.TrimPrefix(text, "discovery: "))
	}
	return discovery.Instance{}, false
}
