package rabbitevents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
	amqp "github.com/rabbitmq/amqp091-go"
)

const recordVersion = 1

// record says what a topic is. It is the one message in a queue of its own: who changes it publishes the new one and then acknowledges the
// old one, and a queue that holds one message drops the old one should that fail. Who reads or changes it has an exclusive queue meanwhile, which
// is a lock that ends with its connection.
type record struct {
	Version        int                    `json:"version"`
	Topic          string                 `json:"topic"`
	Limits         limits                 `json:"limits"`
	Keyed          bool                   `json:"keyed,omitempty"`
	Partitions     int                    `json:"partitions"`
	Groups         map[string]groupRecord `json:"groups,omitempty"`
	Schema         []byte                 `json:"schema,omitempty"`
	SchemaRevision uint64                 `json:"schema_revision,omitempty"`

	more map[string]json.RawMessage // what a newer version has written
}

type groupRecord struct {
	Ordered bool `json:"ordered,omitempty"`
}

// limits are those of a topic, as they are kept.
type limits struct {
	MaxAge      time.Duration `json:"max_age"` // nanoseconds
	MaxBytes    int64         `json:"max_bytes"`
	MaxMessages int64         `json:"max_messages"`
	MaxSize     int           `json:"max_size"`
	Replicas    int           `json:"replicas,omitempty"`
	DropOldest  bool          `json:"drop_oldest,omitempty"`
}

// info is what the topic was declared as.
func (r *record) info() events.TopicInfo {
	return events.TopicInfo{Name: r.Topic, Keyed: r.Keyed, Limits: events.Limits(r.Limits)}
}

func (r *record) encode() ([]byte, error) {
	known, err := json.Marshal(r)
	if err != nil || len(r.more) == 0 {
		return known, err
	}
	all := make(map[string]json.RawMessage, len(r.more))
	for name, value := range r.more {
		all[name] = value
	}
	var mine map[string]json.RawMessage
	if err := json.Unmarshal(known, &mine); err != nil {
		return nil, err
	}
	for _, name := range [...]string{"keyed", "groups", "schema", "schema_revision"} { // which are left out when they are empty
		delete(all, name)
	}
	for name, value := range mine {
		all[name] = value
	}
	return json.Marshal(all)
}

func parseRecord(text []byte) (*record, error) {
	r := new(record)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("the record of the topic cannot be read: %w", err)
	}
	if r.Version != recordVersion {
		return nil, fmt.Errorf("the record of the topic is of version %d, and this program knows version %d: use the newer version of Hanse", r.Version, recordVersion)
	}
	return r, json.Unmarshal(text, &r.more)
}

var errUndeclared = errors.New("it was not declared")

// edit calls f with the record of a topic, nil when there is none, and a channel. When f returns a record, it is stored. Nobody else has the
// record meanwhile.
func (b *Broker) edit(ctx context.Context, name string, f func(ch *amqp.Channel, r *record) (*record, error)) error {
	if err := driver.CheckTopic(name); err != nil {
		return err
	}
	return b.admin(ctx, func(ctx context.Context, ch *amqp.Channel) error {
		select { // the lock on the server is the connection's, so it does not keep others of this program out
		case b.records <- struct{}{}:
			defer func() { <-b.records }()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		conn, err := b.in.get(ctx)
		if err != nil {
			return err
		}
		lock, err := b.lock(ctx, conn, name)
		if err != nil {
			return err
		}
		err = b.change(ctx, ch, name, f)
		_, unlockErr := lock.QueueDelete(b.names.lock(name), false, false, false)
		_ = lock.Close()
		if err == nil && unlockErr != nil {
			return nil // it ends with the connection
		}
		return err
	})
}

// lock waits until the record of a topic is this connection's, and returns the channel of the lock.
func (b *Broker) lock(ctx context.Context, conn *amqp.Connection, name string) (*amqp.Channel, error) {
	for failures := 1; ; failures++ {
		ch, err := conn.Channel()
		if err != nil {
			return nil, err
		}
		_, err = ch.QueueDeclare(b.names.lock(name), false, true, true, false, nil)
		if err == nil {
			return ch, nil
		}
		if _ = ch.Close(); !isCode(err, amqp.ResourceLocked) {
			return nil, err
		}
		if !pause(ctx, min(driver.RetryDelay(failures), 200*time.Millisecond)/4) {
			return nil, context.Cause(ctx)
		}
	}
}

// change reads the record, has f change it, and stores it.
func (b *Broker) change(ctx context.Context, ch *amqp.Channel, name string, f func(ch *amqp.Channel, r *record) (*record, error)) error {
	queue := b.names.info(name)
	old, there, err := ch.Get(queue, false)
	if isCode(err, amqp.NotFound) {
		conn, err := b.in.get(ctx)
		if err != nil {
			return err
		}
		if ch, err = conn.Channel(); err != nil { // the answer has closed the other one
			return err
		}
		defer ch.Close()
		return b.store(ctx, ch, queue, amqp.Delivery{}, nil, f)
	}
	if err != nil {
		return err
	}
	if !there {
		// Nobody writes it now, so it was never written; or who did died in the act, and the server is about to put it back.
		for range 5 {
			if !pause(ctx, 50*time.Millisecond) {
				return context.Cause(ctx)
			}
			if old, there, err = ch.Get(queue, false); err != nil {
				return err
			} else if there {
				break
			}
		}
	}
	if !there {
		return b.store(ctx, ch, queue, amqp.Delivery{}, nil, f)
	}
	r, err := parseRecord(old.Body)
	if err != nil {
		_ = old.Nack(false, true)
		return err
	}
	return b.store(ctx, ch, queue, old, r, f)
}

// store stores what f makes of a record.
func (b *Broker) store(ctx context.Context, ch *amqp.Channel, queue string, old amqp.Delivery, r *record, f func(ch *amqp.Channel, r *record) (*record, error)) error {
	next, err := f(ch, r)
	if err != nil || next == nil {
		if r != nil {
			_ = old.Nack(false, true) // a channel that was closed gives it back
		}
		return err
	}
	if r == nil {
		args := amqp.Table{"x-queue-type": "quorum", "x-max-length": int32(1), "x-overflow": "drop-head", "x-delivery-limit": int32(forEver)}
		if _, err := ch.QueueDeclare(queue, true, false, false, false, args); err != nil {
			return err
		}
	}
	text, err := next.encode()
	if err != nil {
		return err
	}
	stored := make(chan error, 1)
	msg := amqp.Publishing{ContentType: "application/json", DeliveryMode: amqp.Persistent, Body: text}
	b.pub.publish(ctx, &outgoing{key: queue, msg: msg, size: len(text), done: func(err error) { stored <- err }})
	if err := <-stored; err != nil {
		if r != nil {
			_ = old.Nack(false, true)
		}
		return fmt.Errorf("store the record of the topic: %w", err)
	}
	if r != nil {
		_ = old.Ack(false) // else the queue has dropped it
	}
	return nil
}

// find returns what a topic was declared as by another program.
func (b *Broker) find(ctx context.Context, name string) (info events.TopicInfo, err error) {
	err = b.edit(ctx, name, func(_ *amqp.Channel, r *record) (*record, error) {
		if r == nil {
			return nil, errUndeclared
		}
		info = r.info()
		return nil, nil
	})
	return info, err
}

// LoadSchema implements [events.SchemaKeeper].
func (b *Broker) LoadSchema(ctx context.Context, name string) (schema []byte, revision uint64, err error) {
	if err := b.use(); err != nil {
		return nil, 0, err
	}
	err = b.edit(ctx, name, func(_ *amqp.Channel, r *record) (*record, error) {
		if r == nil {
			return nil, errUndeclared
		}
		schema, revision = r.Schema, r.SchemaRevision
		return nil, nil
	})
	return schema, revision, err
}

// StoreSchema implements [events.SchemaKeeper].
func (b *Broker) StoreSchema(ctx context.Context, name string, schema []byte, revision uint64) (ok bool, err error) {
	if err := b.use(); err != nil {
		return false, err
	}
	err = b.edit(ctx, name, func(_ *amqp.Channel, r *record) (*record, error) {
		switch {
		case r == nil:
			return nil, errUndeclared
		case r.SchemaRevision != revision:
			ok = false
			return nil, nil
		}
		r.Schema, r.SchemaRevision = schema, revision+1
		ok = true
		return r, nil
	})
	return ok && err == nil, err
}
