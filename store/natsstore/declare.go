package natsstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hanse-go/hanse/store"
	"github.com/nats-io/nats.go/jetstream"
)

// Keys of the metadata of a stream.
const (
	metaVersion = "hanse-store"
	metaType    = "hanse-type"

	metaVersionNow = "1"
)

// headroom is what a message may have besides its value: the subject and headers.
const headroom = 8 << 10

// Declare implements [store.Driver].
func (s *Store) Declare(ctx context.Context, info store.BucketInfo) error {
	js, err := s.jetStream()
	if err != nil {
		return err
	}
	b := &bucket{info: info, kv: s.kvName(info.Name)}
	if err := s.persist(ctx, func(ctx context.Context) error { return s.declare(ctx, js, b) }); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets == nil {
		s.buckets = make(map[string]*bucket)
	}
	s.buckets[info.Name] = b
	return nil
}

// declare makes the stream of a bucket be as it is declared, and keeps it in b.
func (s *Store) declare(ctx context.Context, js jetstream.JetStream, b *bucket) error {
	for {
		have, err := js.Stream(ctx, "KV_"+b.kv)
		switch {
		case err == nil:
			b.stream, err = s.adapt(ctx, js, b, have)
			return err
		case !errors.Is(err, jetstream.ErrStreamNotFound):
			return err
		}
		config := s.config(b)
		b.stream, err = js.CreateStream(ctx, config)
		if code(err) == codeOnlyInClusters && b.info.Limits.Replicas == 0 {
			config.Replicas, config.AllowDirect = 1, true
			b.stream, err = js.CreateStream(ctx, config)
		}
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // else another was faster
			return err
		}
	}
}

// config is that of a new stream, in a cluster where nothing else is said.
func (s *Store) config(b *bucket) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name:              "KV_" + b.kv,
		Description:       "bucket " + b.info.Name + " of a system of Hanse",
		Subjects:          []string{"$KV." + b.kv + ".>"},
		MaxMsgsPerSubject: 1,
		MaxMsgs:           -1,
		MaxConsumers:      -1,
		Discard:           jetstream.DiscardNew,
		Storage:           jetstream.FileStorage,
		Replicas:          3,
		DenyDelete:        true,
		AllowRollup:       true,
		FirstSeq:          uint64(time.Now().UnixMilli()),
		Duplicates:        2 * time.Minute,
		Metadata:          map[string]string{metaVersion: metaVersionNow, metaType: b.info.Type},
	}
	s.set(&c, b)
	return c
}

// set sets what may change later.
func (s *Store) set(c *jetstream.StreamConfig, b *bucket) {
	c.MaxBytes = b.info.Limits.MaxBytes
	c.MaxMsgSize = -1
	if size := b.info.Limits.MaxSize; size > 0 {
		c.MaxMsgSize = int32(min(size+headroom, 1<<31-1))
	}
	if n := b.info.Limits.Replicas; n > 0 {
		c.Replicas = n
	}
	c.AllowMsgTTL = true
	c.SubjectDeleteMarkerTTL = s.markerTTL()
	// A node that is not the leader may not have heard of the last write: where there are some, who reads asks the leader.
	c.AllowDirect = c.Replicas <= 1
}

// adapt changes a stream that is there to what is declared, or says why it cannot.
func (s *Store) adapt(ctx context.Context, js jetstream.JetStream, b *bucket, have jetstream.Stream) (jetstream.Stream, error) {
	info := have.CachedInfo()
	config := info.Config
	drift := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{store.ErrDrift}, args...)...)
	}
	switch {
	case config.MaxMsgsPerSubject != 1 || !config.AllowRollup || config.Storage != jetstream.FileStorage || config.MaxAge != 0:
		return nil, drift("the key-value bucket %s of NATS was not made by Hanse: it must keep 1 value for each key, in files and for ever (nats kv rm %s removes it and what is in it)", b.kv, b.kv)
	case config.Metadata[metaVersion] != "" && config.Metadata[metaVersion] != metaVersionNow:
		return nil, drift("it was made by another version of Hanse (format %s; this one knows %s)", config.Metadata[metaVersion], metaVersionNow)
	case config.Metadata[metaType] != "" && config.Metadata[metaType] != b.info.Type:
		return nil, drift("it has values of type %s, not %s: use another name", config.Metadata[metaType], b.info.Type)
	}
	before := config
	s.set(&config, b)
	if config.MaxBytes == before.MaxBytes && config.MaxMsgSize == before.MaxMsgSize && config.Replicas == before.Replicas &&
		config.AllowMsgTTL == before.AllowMsgTTL && config.SubjectDeleteMarkerTTL == before.SubjectDeleteMarkerTTL && config.AllowDirect == before.AllowDirect {
		return have, nil
	}
	if config.MaxBytes > 0 && uint64(config.MaxBytes) < info.State.Bytes {
		return nil, drift("Limits.MaxBytes is %d, and it has %d bytes: delete some, or allow more", config.MaxBytes, info.State.Bytes)
	}
	return js.UpdateStream(ctx, config)
}

// again declares a bucket that may be gone.
func (s *Store) again(ctx context.Context, b *bucket) (*bucket, error) {
	js, err := s.jetStream()
	if err != nil {
		return nil, err
	}
	fresh := &bucket{info: b.info, kv: b.kv}
	if err := s.declare(ctx, js, fresh); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets[b.info.Name] = fresh
	return fresh, nil
}
