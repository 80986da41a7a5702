package redisevents

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
	"github.com/redis/go-redis/v9"
)

// recordVersion is that of the record of a topic, and of what else a topic has on the server.
const recordVersion = 1

// record is what the server has of a topic's declaration, but for its name.
type record struct {
	events.TopicInfo
	revision uint64 // 0: there is none
}

// Declare implements [events.Broker].
func (b *Broker) Declare(ctx context.Context, info events.TopicInfo) error {
	if err := b.use(); err != nil {
		return err
	}
	if err := driver.CheckTopic(info.Name); err != nil {
		return err
	}
	info.Limits = info.Limits.WithDefaults()
	t := newTopic(b.system, info)
	if _, alone := b.client.(*redis.Client); info.Limits.Replicas > 1 && !alone {
		return fmt.Errorf("%w: Limits.Replicas %d with a cluster of Redis: it cannot be asked whether replicas have an event", events.ErrUnsupported, info.Limits.Replicas)
	}
	err := b.patiently(ctx, func(ctx context.Context) error {
		if err := b.checkServer(ctx, t); err != nil {
			return err
		}
		return b.makeTopic(ctx, t)
	})
	if err != nil {
		return explain(err)
	}
	b.topics.Store(info.Name, t)
	return nil
}

// load reads the record of a topic.
func (b *Broker) load(ctx context.Context, t *topic) (record, error) {
	var r record
	begun := time.Now()
	is, err := b.client.HGetAll(ctx, t.record).Result()
	if err = b.link.note(begun, err); err != nil || is["version"] == "" {
		return r, err
	}
	if is["version"] != strconv.Itoa(recordVersion) {
		return r, fmt.Errorf("%w: the record %s is of version %s, and this program knows %d: a newer one has written it", events.ErrDrift, t.record, is["version"], recordVersion)
	}
	var bad error
	read := func(name string) int64 {
		n, err := strconv.ParseInt(is[name], 10, 64)
		if err != nil {
			bad = errors.Join(bad, fmt.Errorf("the record %s cannot be read: %s is %q", t.record, name, is[name]))
		}
		return n
	}
	r.revision = uint64(read("revision"))
	r.Keyed, r.Delayed = read("partitions") > 0, is["delayed"] == "1"
	if n := read("partitions"); n != 0 && n != partitions {
		return r, fmt.Errorf("%w: the topic has %d partitions, and this program knows %d", events.ErrDrift, n, partitions)
	}
	r.Limits = events.Limits{
		MaxAge: time.Duration(read("max_age")) * time.Millisecond, MaxBytes: read("max_bytes"), MaxMessages: read("max_messages"),
		MaxSize: int(read("max_size")), DropOldest: read("drop_oldest") == 1,
	}
	if r.Limits.MaxAge < 0 {
		r.Limits.MaxAge = -1
	}
	return r, bad
}

// settings are the fields of the record that a declaration makes of the one that is there.
func (t *topic) settings(is record) []any {
	l := t.info.Limits
	age, drop := int64(-1), 0
	delayed := 0
	if t.info.Delayed || is.Delayed {
		delayed = 1
	}
	if l.MaxAge > 0 {
		age = max(l.MaxAge.Milliseconds(), 1)
	}
	if l.DropOldest {
		drop = 1
	}
	return []any{
		"version", recordVersion, "partitions", len(t.lanes) - 1, "max_age", age, "max_bytes", l.MaxBytes, "max_messages", l.MaxMessages,
		"max_size", l.MaxSize, "drop_oldest", drop, "delayed", delayed,
	}
}

// makeTopic makes the record of a topic, or changes it where no event is lost by that.
func (b *Broker) makeTopic(ctx context.Context, t *topic) error {
	if err := b.link.note(time.Now(), b.client.SAdd(ctx, b.topicsKey(), t.info.Name).Err()); err != nil {
		return err
	}
	for {
		is, err := b.load(ctx, t)
		if err != nil {
			return err
		}
		var changes []string
		if is.revision > 0 {
			if changes, err = b.compare(ctx, t, is); err != nil || changes == nil {
				return err
			}
		}
		answer, err := b.eval(ctx, declareScript, []string{t.record}, append([]any{is.revision}, t.settings(is)...)...)
		if err != nil {
			return err
		}
		if answer == int64(1) {
			if changes != nil {
				b.opts.Logger.Info("events: the topic's settings are changed", "topic", t.info.Name, "changes", changes)
			}
			return nil
		} // else another one was faster
	}
}

// compare returns what a declaration changes, or an error when events would be lost by it.
func (b *Broker) compare(ctx context.Context, t *topic, is record) (changes []string, err error) {
	was, want := is.Limits, t.info.Limits
	change := func(setting string, was, want any) {
		if was != want {
			changes = append(changes, fmt.Sprintf("%s %v → %v", setting, was, want))
		}
	}
	change("MaxAge", max(was.MaxAge, -1), max(want.MaxAge.Truncate(time.Millisecond), -1))
	change("MaxBytes", was.MaxBytes, want.MaxBytes)
	change("MaxMessages", was.MaxMessages, want.MaxMessages)
	change("MaxSize", was.MaxSize, want.MaxSize)
	change("DropOldest", was.DropOldest, want.DropOldest)
	change("Delayed", is.Delayed, is.Delayed || t.info.Delayed)
	var drift []string
	refuse := func(format string, args ...any) { drift = append(drift, fmt.Sprintf(format, args...)) }
	if is.Keyed != t.info.Keyed {
		refuse("its events have keys in one declaration and none in the other: declare another topic")
	}
	if changes != nil {
		answer, err := b.eval(ctx, statsScript, t.keys(t.record, t.due))
		if err != nil {
			return nil, err
		}
		all, err := list(answer, 4)
		if err != nil {
			return nil, err
		}
		messages, _ := all[0].(int64)
		bytes, _ := all[2].(int64)
		oldest, _ := all[3].(int64)
		if age := time.Duration(oldest) * time.Millisecond; want.MaxAge > 0 && (was.MaxAge < 0 || want.MaxAge < was.MaxAge) && age >= want.MaxAge {
			refuse("MaxAge is %v on the broker and %v in the declaration, and there are events of %v, which would go: let them age first", was.MaxAge, want.MaxAge, age)
		}
		if want.DropOldest && want.MaxMessages >= 0 && messages > want.MaxMessages {
			refuse("MaxMessages is %d on the broker and %d in the declaration with DropOldest, and there are %d, some of which would go", was.MaxMessages, want.MaxMessages, messages)
		}
		if want.DropOldest && want.MaxBytes >= 0 && bytes > want.MaxBytes {
			refuse("MaxBytes is %d on the broker and %d in the declaration with DropOldest, and there are %d, some of which would go", was.MaxBytes, want.MaxBytes, bytes)
		}
	}
	if drift != nil {
		return nil, fmt.Errorf("%w: topic %s: %s", events.ErrDrift, t.info.Name, strings.Join(drift, "; "))
	}
	return changes, nil
}

// restore makes a topic again that was deleted behind the broker's back.
func (b *Broker) restore(ctx context.Context, t *topic) error {
	is, err := b.load(ctx, t)
	if err != nil || is.revision > 0 {
		return err
	}
	b.opts.Logger.Warn("events: the topic was deleted on the broker, with all its events; it is made again, empty", "topic", t.info.Name)
	return b.makeTopic(ctx, t)
}

// mostAtOnce is how many entries a script drops in one go, so that the server is not held up.
const mostAtOnce = 2000

// tidy drops what is over its age, of all topics that are known here, until the broker is closed.
func (b *Broker) tidy() {
	next := make(map[string]time.Time)
	tick := time.NewTicker(tidyLeast)
	defer tick.Stop()
	for {
		select {
		case <-b.work.Done():
			return
		case <-tick.C:
		}
		b.topics.Range(func(name, v any) bool {
			t := v.(*topic)
			if t.info.Limits.MaxAge <= 0 || time.Now().Before(next[t.info.Name]) || b.link.away() {
				return b.work.Err() == nil
			}
			every := min(max(t.info.Limits.MaxAge/20, tidyLeast), tidyMost)
			answer, err := b.eval(b.work, trimScript, t.keys(t.record, t.waiting), every.Milliseconds()*3/4, mostAtOnce)
			if err == nil && answer == int64(1) {
				every = 0 // there is more
			}
			next[t.info.Name] = time.Now().Add(every) // where it failed, another time will do
			return b.work.Err() == nil
		})
	}
}

// How often topics are tidied up: a twentieth of the age of their events, within these.
const (
	tidyLeast = time.Second
	tidyMost  = 30 * time.Second
)

// LoadSchema implements [events.SchemaKeeper].
func (b *Broker) LoadSchema(ctx context.Context, name string) (schema []byte, revision uint64, err error) {
	t, err := b.topic(ctx, name)
	if err != nil {
		return nil, 0, err
	}
	err = b.patiently(ctx, func(ctx context.Context) error {
		begun := time.Now()
		is, err := b.client.HGetAll(ctx, t.schema()).Result()
		if err = b.link.note(begun, err); err != nil || is["revision"] == "" {
			return err
		}
		schema = []byte(is["schema"])
		revision, err = strconv.ParseUint(is["revision"], 10, 64)
		return err
	})
	return schema, revision, explain(err)
}

// StoreSchema implements [events.SchemaKeeper].
func (b *Broker) StoreSchema(ctx context.Context, name string, schema []byte, revision uint64) (ok bool, err error) {
	t, err := b.topic(ctx, name)
	if err != nil {
		return false, err
	}
	err = b.patiently(ctx, func(ctx context.Context) error {
		answer, err := b.eval(ctx, schemaScript, []string{t.schema()}, revision, schema)
		ok = answer == int64(1)
		return err
	})
	return ok, explain(err)
}
