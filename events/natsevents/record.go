package natsevents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
	"github.com/nats-io/nats.go/jetstream"
)

// The bucket of a system holds, for each ordered group, a record of the group, one of each partition, and one of each member; and the
// schemas of topics. Keys:
//
//	group.TOPIC.GROUP.start        groupRecord
//	group.TOPIC.GROUP.part.N       partRecord
//	group.TOPIC.GROUP.member.ID    time of the last sign of life
//	schema.TOPIC
const recordVersion = 1

// markerTTL is how long the bucket remembers that a member has left.
const markerTTL = time.Minute

// groupRecord says that a group keeps the order of keys, and where it began.
type groupRecord struct {
	Version    int       `json:"version"`
	Partitions int       `json:"partitions"`
	Start      uint64    `json:"start,omitempty"` // sequence
	StartTime  time.Time `json:"start_time,omitzero"`
}

// partRecord says who has a partition, and how far it has got. The owner's consumer knows the latter better while it is there.
type partRecord struct {
	Version  int    `json:"version"`
	Owner    string `json:"owner,omitempty"` // member; "" is nobody
	Epoch    uint64 `json:"epoch"`           // grows with each consumer
	Consumer string `json:"consumer,omitempty"`
	Before   string `json:"before,omitempty"` // the consumer before, which may still be there
	position
}

// position is how far a partition has got: all up to Max is settled, but for Unsettled, and delivery begins at Start.
type position struct {
	Start     uint64    `json:"start,omitempty"`
	StartTime time.Time `json:"start_time,omitzero"` // instead of Start
	Max       uint64    `json:"max,omitempty"`
	Unsettled []uint64  `json:"unsettled,omitempty"`
}

// position is where the partitions of the group begin.
func (r *groupRecord) position() position { return position{Start: r.Start, StartTime: r.StartTime} }

func groupKey(t *topic, group string) string {
	return "group." + strings.ReplaceAll(t.info.Name, ".", "_") + "." + driver.Token(group)
}

// bucket returns the bucket of the system, and makes it when it is not there.
func (b *Broker) bucket(ctx context.Context) (jetstream.KeyValue, error) {
	kv, err := b.js.KeyValue(ctx, b.names.bucket())
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return kv, err
	}
	config := jetstream.KeyValueConfig{
		Bucket:         b.names.bucket(),
		Description:    "who has which part of an ordered group, and schemas of topics",
		History:        1,
		Storage:        jetstream.FileStorage,
		LimitMarkerTTL: markerTTL,
		Replicas:       3,
	}
	kv, err = b.js.CreateKeyValue(ctx, config)
	if isCode(err, codeNoReplicas) {
		config.Replicas = 1
		kv, err = b.js.CreateKeyValue(ctx, config)
	}
	if errors.Is(err, jetstream.ErrBucketExists) {
		return b.js.KeyValue(ctx, b.names.bucket())
	}
	return kv, tooFew(err, config.Replicas)
}

// hasOrdered says whether a group is there that keeps the order of keys.
func (b *Broker) hasOrdered(ctx context.Context, t *topic, group string) (bool, error) {
	kv, err := b.js.KeyValue(ctx, b.names.bucket())
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = kv.Get(ctx, groupKey(t, group)+".start")
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, nil
	}
	return err == nil, err
}

// makeOrdered makes the record of an ordered group, or reads the one that is there.
func (b *Broker) makeOrdered(ctx context.Context, t *topic, info events.SubscriptionInfo) (jetstream.KeyValue, groupRecord, error) {
	var r groupRecord
	kv, err := b.bucket(ctx)
	if err != nil {
		return nil, r, err
	}
	key := groupKey(t, info.Group) + ".start"
	entry, err := kv.Get(ctx, key)
	switch {
	case err == nil:
		return kv, r, r.read(entry.Value())
	case !errors.Is(err, jetstream.ErrKeyNotFound):
		return nil, r, err
	}
	if _, err := consumerInfo(ctx, b, t.stream, driver.Token(info.Group)); err == nil {
		return nil, r, fmt.Errorf("%w: the group %q of the topic %s does not keep the order of keys; subscribe it in that way, or by another name", events.ErrDrift, info.Group, t.info.Name)
	} else if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, r, err
	}
	r = groupRecord{Version: recordVersion, Partitions: partitions}
	switch at := info.Start; {
	case at.Sequence > 0:
		r.Start = at.Sequence
	case !at.Time.IsZero():
		r.StartTime = at.Time
	case at.All:
		r.Start = 1
	default:
		s, err := b.js.Stream(ctx, t.stream)
		if err != nil {
			return nil, r, err
		}
		r.Start = s.CachedInfo().State.LastSeq + 1
	}
	data, err := json.Marshal(r)
	if err != nil {
		return nil, r, err
	}
	if _, err = kv.Create(ctx, key, data); errors.Is(err, jetstream.ErrKeyExists) || conflict(err) {
		if entry, err = kv.Get(ctx, key); err != nil { // another member was faster
			return nil, r, err
		}
		return kv, r, r.read(entry.Value())
	}
	return kv, r, err
}

func (r *groupRecord) read(data []byte) error {
	if err := json.Unmarshal(data, r); err != nil {
		return fmt.Errorf("the record of the group cannot be read: %w", err)
	}
	if r.Version != recordVersion || r.Partitions != partitions {
		return fmt.Errorf("%w: the record of the group is of version %d with %d partitions, and this program knows version %d with %d", events.ErrDrift, r.Version, r.Partitions, recordVersion, partitions)
	}
	return nil
}

// put writes the record of a partition if it is the one of the revision still, 0 for none. ok is false when it is not.
func (b *Broker) put(ctx context.Context, kv jetstream.KeyValue, key string, r partRecord, revision uint64) (next uint64, ok bool, err error) {
	r.Version = recordVersion
	data, err := json.Marshal(r)
	if err != nil {
		return 0, false, err
	}
	ctx, cancel := b.request(ctx)
	defer cancel()
	if revision == 0 {
		next, err = kv.Create(ctx, key, data)
	} else {
		next, err = kv.Update(ctx, key, data, revision)
	}
	if errors.Is(err, jetstream.ErrKeyExists) || conflict(err) {
		return 0, false, nil
	}
	return next, err == nil, err
}

// LoadSchema implements [events.SchemaKeeper].
func (b *Broker) LoadSchema(ctx context.Context, topic string) (schema []byte, revision uint64, err error) {
	if err := b.use(); err != nil {
		return nil, 0, err
	}
	err = b.patiently(ctx, func(ctx context.Context) error {
		kv, err := b.bucket(ctx)
		if err != nil {
			return err
		}
		entry, err := kv.Get(ctx, schemaKey(topic))
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil
		}
		if err == nil {
			schema, revision = entry.Value(), entry.Revision()
		}
		return err
	})
	return schema, revision, explain(err)
}

// StoreSchema implements [events.SchemaKeeper].
func (b *Broker) StoreSchema(ctx context.Context, topic string, schema []byte, revision uint64) (ok bool, err error) {
	if err := b.use(); err != nil {
		return false, err
	}
	err = b.patiently(ctx, func(ctx context.Context) error {
		kv, err := b.bucket(ctx)
		if err != nil {
			return err
		}
		if revision == 0 {
			_, err = kv.Create(ctx, schemaKey(topic), schema)
		} else {
			_, err = kv.Update(ctx, schemaKey(topic), schema, revision)
		}
		if errors.Is(err, jetstream.ErrKeyExists) || conflict(err) {
			return nil
		}
		ok = err == nil
		return err
	})
	return ok, explain(err)
}

func schemaKey(topic string) string { return "schema." + strings.ReplaceAll(topic, ".", "_") }

func partKey(prefix string, n int) string { return prefix + ".part." + strconv.Itoa(n) }
