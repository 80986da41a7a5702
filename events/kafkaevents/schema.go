package kafkaevents

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/hanse-go/hanse/events"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// schemas is what the topic of schemas says. Its one partition keeps all that was ever to be a schema, in the order in which everybody reads it:
// a record that names the schema before it (by its offset and 1; 0 for none) is the next one, and one that names an older one came too late.
type schemas struct {
	mu     sync.Mutex
	topic  *topic // nil until it is there
	denied bool   // it may not be made
	next   int64  // offset to be read
	last   map[string]schema
}

type schema struct {
	text     []byte
	revision uint64
}

// beforeHeader names the schema before.
const beforeHeader = "before"

var _ events.SchemaKeeper = (*Broker)(nil)

// LoadSchema implements [events.SchemaKeeper].
func (b *Broker) LoadSchema(ctx context.Context, topic string) (text []byte, revision uint64, err error) {
	err = b.withSchemas(ctx, func(s *schemas) error {
		text, revision = s.last[topic].text, s.last[topic].revision
		return nil
	})
	return text, revision, err
}

// StoreSchema implements [events.SchemaKeeper].
func (b *Broker) StoreSchema(ctx context.Context, topic string, text []byte, revision uint64) (ok bool, err error) {
	producer, err := b.producer(defaultBatch)
	if err != nil {
		return false, err
	}
	var number uint64 // the revision that this will be, if it is the first one
	err = b.withSchemas(ctx, func(s *schemas) error {
		if ok = s.denied; ok || s.last[topic].revision != revision {
			return nil
		}
		r := &kgo.Record{
			Topic: s.topic.name, Key: []byte(topic), Value: text,
			Headers: []kgo.RecordHeader{{Key: beforeHeader, Value: strconv.AppendUint(nil, revision, 10)}},
		}
		if err := producer.ProduceSync(ctx, r).FirstErr(); err != nil {
			return fmt.Errorf("store the schema of topic %s: %w", topic, s.topic.refused(err, ctx))
		}
		number = uint64(r.Offset) + 1
		return nil
	})
	if err != nil || number == 0 {
		return ok, err
	}
	err = b.withSchemas(ctx, func(s *schemas) error {
		ok = s.last[topic].revision == number
		return nil
	})
	return ok, err
}

// withSchemas calls f with what is known now. A cluster that does not let the topic be made has no schemas, and nothing is checked.
func (b *Broker) withSchemas(ctx context.Context, f func(*schemas) error) error {
	s := &b.schemas
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.topic == nil && !s.denied {
		if err := b.makeSchemas(ctx); err != nil {
			return fmt.Errorf("the topic of schemas: %w", err)
		}
	}
	if !s.denied {
		if err := b.patiently(ctx, func(ctx context.Context, a *kadm.Client) error { return b.readSchemas(ctx, a) }); err != nil {
			return fmt.Errorf("read the schemas of topics: %w", err)
		}
	}
	return f(s)
}

func (b *Broker) makeSchemas(ctx context.Context) error {
	if b.opts.NoSchemas {
		b.schemas.denied = true
		return nil
	}
	t := &topic{
		info: events.TopicInfo{Name: "schemas", Limits: events.Limits{MaxAge: -1, MaxBytes: -1, MaxMessages: -1}.WithDefaults()},
		name: b.opts.System + "._schemas", partitions: 1,
	}
	err := b.patiently(ctx, func(ctx context.Context, a *kadm.Client) error { return b.makeTopic(ctx, a, t) })
	if errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed) {
		b.opts.Logger.Warn("events: the types of messages are not checked against what topics carry, for the topic that keeps their schemas cannot be made: "+
			"let it be made, or set Options.NoSchemas", "topic", t.name, "error", err)
		b.schemas.denied = true
		return nil
	}
	if err == nil {
		b.schemas.topic = t
	}
	return err
}

// readSchemas reads what is new in the topic of schemas.
func (b *Broker) readSchemas(ctx context.Context, a *kadm.Client) error {
	s := &b.schemas
	name := s.topic.name
	first, err := listed(a.ListStartOffsets(ctx, name))
	if err != nil {
		return err
	}
	ends, err := listed(a.ListEndOffsets(ctx, name))
	if err != nil {
		return err
	}
	start, _ := first.Lookup(name, 0)
	end, _ := ends.Lookup(name, 0)
	if s.next = max(s.next, start.Offset); s.next >= end.Offset {
		return nil
	}
	client, err := kgo.NewClient(b.clientOpts(
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{name: {0: kgo.NewOffset().At(s.next)}}),
	)...)
	if err != nil {
		return err
	}
	defer client.Close()
	for s.next < end.Offset {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(s.take)
	}
	return nil
}

// take takes a record over, unless it came too late.
func (s *schemas) take(r *kgo.Record) {
	if r.Offset < s.next {
		return
	}
	s.next = r.Offset + 1
	for _, h := range r.Headers {
		if h.Key != beforeHeader {
			continue
		}
		before, err := strconv.ParseUint(string(h.Value), 10, 64)
		if err != nil || before != s.last[string(r.Key)].revision {
			return
		}
		if s.last == nil {
			s.last = make(map[string]schema)
		}
		s.last[string(r.Key)] = schema{r.Value, uint64(r.Offset) + 1}
		return
	}
}
