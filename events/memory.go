package events

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a broker in the memory of the process: for tests, and for programs that want events among their own services and may lose them when
// they end. It does all that package events asks of a broker, keeps jobs, and works in the virtual time of testing/synctest. The zero value is ready. It must not be
// copied; its methods may be called concurrently.
//
// A program never gets one unless it says so: a [Memory] must be given to a [Bus] or an app by name.
type Memory struct {
	// DedupWindow is how long a second message of the same ID and source is told from the first, and dropped. At least the last 16,384
	// messages of each topic are remembered for that time. Default: 2 min; -1: not at all.
	DedupWindow time.Duration

	topics sync.Map // by name, *memoryTopic
	jobs   memoryJobs
}

const (
	defaultDedupWindow = 2 * time.Minute

	// messageOverhead is counted for each message beside its data.
	messageOverhead = 256
)

var (
	_ Broker       = (*Memory)(nil)
	_ SchemaKeeper = (*Memory)(nil)
	_ Admin        = (*Memory)(nil)
)

// memoryTopic is the messages of a topic and the groups that get them.
type memoryTopic struct {
	mu     sync.Mutex
	info   TopicInfo
	log    memoryLog
	later  dueHeap // messages that are not due
	ahead  int64   // bytes of these
	timer  *time.Timer
	last   time.Time // when the last message was stored
	known  dedup
	groups map[string]*memoryGroup // by name; those of a single member by a name that none can have
	all    []*memoryGroup          // the same
	stats  MemoryStats

	schema   []byte
	revision uint64
}

// MemoryStats is what a [Memory] did with a topic.
type MemoryStats struct {
	Messages   uint64 // that are kept, with those that are not due
	Bytes      int64  // of these
	First      uint64 // number of the first one
	Last       uint64 // number of the last one that was stored
	Duplicates uint64 // that were not stored, for they were there
	Refused    uint64 // for a limit
	Expired    uint64 // that went because of Limits.MaxAge
	Dropped    uint64 // that went because of Limits.DropOldest
}

func (b *Memory) topic(name string) (*memoryTopic, error) {
	t, ok := b.topics.Load(name)
	if !ok {
		return nil, fmt.Errorf("topic %q was not declared", name)
	}
	return t.(*memoryTopic), nil
}

// Stats returns what the broker did with a topic, and whether there is one of that name.
func (b *Memory) Stats(topic string) (MemoryStats, bool) {
	t, err := b.topic(topic)
	if err != nil {
		return MemoryStats{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire(time.Now())
	stats := t.stats
	stats.Messages, stats.Bytes = t.log.count+uint64(len(t.later)), t.log.bytes+t.ahead
	stats.First, stats.Last = t.log.first, t.log.next-1
	return stats, true
}

// Declare makes a topic, or changes its limits.
func (b *Memory) Declare(ctx context.Context, info TopicInfo) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	info.Limits = info.Limits.WithDefaults()
	made := &memoryTopic{info: info, groups: make(map[string]*memoryGroup)}
	made.log.init()
	if window := cmp.Or(b.DedupWindow, defaultDedupWindow); window > 0 {
		made.known.window = window
	}
	there, ok := b.topics.LoadOrStore(info.Name, made)
	if !ok {
		return nil
	}
	t := there.(*memoryTopic)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.change(info)
}

// change applies another declaration where nothing is lost by it.
func (t *memoryTopic) change(info TopicInfo) error {
	now := time.Now()
	t.expire(now)
	was, is := t.info.Limits, info.Limits
	var refused []string
	refuse := func(format string, args ...any) { refused = append(refused, fmt.Sprintf(format, args...)) }
	if t.info.Keyed != info.Keyed {
		refuse("its events have keys in one declaration and none in the other: declare another topic")
	}
	if !info.Delayed && len(t.later) > 0 {
		refuse("%d events wait for their time: keep events.Delayed()", len(t.later))
	}
	if is.MaxAge > 0 && t.log.len() > 0 && now.Sub(t.log.get(t.log.first).at) >= is.MaxAge {
		refuse("MaxAge was %v and is %v, and events that are older would go: let them age first", was.MaxAge, is.MaxAge)
	}
	if is.DropOldest && is.MaxMessages > 0 && t.log.count > uint64(is.MaxMessages) {
		refuse("MaxMessages was %d and is %d with DropOldest, and there are %d, some of which would go", was.MaxMessages, is.MaxMessages, t.log.count)
	}
	if is.DropOldest && is.MaxBytes > 0 && t.log.bytes > is.MaxBytes {
		refuse("MaxBytes was %d and is %d with DropOldest, and there are %d, some of which would go", was.MaxBytes, is.MaxBytes, t.log.bytes)
	}
	if refused != nil {
		return fmt.Errorf("%w: %s", ErrDrift, strings.Join(refused, "; "))
	}
	t.info = info
	return nil
}

// LoadSchema returns what was stored last.
func (b *Memory) LoadSchema(_ context.Context, topic string) ([]byte, uint64, error) {
	t, err := b.topic(topic)
	if err != nil {
		return nil, 0, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.schema), t.revision, nil
}

// StoreSchema replaces the schema of a revision.
func (b *Memory) StoreSchema(_ context.Context, topic string, schema []byte, revision uint64) (bool, error) {
	t, err := b.topic(topic)
	if err != nil {
		return false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.revision != revision {
		return false, nil
	}
	t.schema, t.revision = slices.Clone(schema), revision+1
	return true, nil
}

// Publish stores a message.
func (b *Memory) Publish(ctx context.Context, topic string, m *Message, done func(error)) {
	if ctx.Err() != nil {
		done(context.Cause(ctx))
		return
	}
	t, err := b.topic(topic)
	if err == nil {
		err = t.publish(m)
	}
	done(err)
}

func (t *memoryTopic) publish(m *Message) error {
	now := time.Now()
	size := m.size()
	t.mu.Lock()
	defer t.mu.Unlock()
	if most := t.info.Limits.MaxSize; most > 0 && len(m.Data) > most {
		t.stats.Refused++
		return fmt.Errorf("%w: %d bytes, and Limits.MaxSize is %d", ErrTooLarge, len(m.Data), most)
	}
	identity := t.known.identity(m)
	if t.known.has(identity, now) {
		t.stats.Duplicates++
		return nil
	}
	t.expire(now)
	if err := t.makeRoom(size); err != nil {
		t.stats.Refused++
		return err
	}
	if !m.Due.IsZero() && m.Due.After(now) {
		if !t.info.Delayed {
			return fmt.Errorf("%w: the topic is not declared with events.Delayed()", ErrUnsupported)
		}
		t.later.push(m)
		t.ahead += size
		t.schedule(now)
	} else {
		t.append(m, size, now)
	}
	t.known.add(identity, now)
	return nil
}

func (m *Message) size() int64 {
	return int64(len(m.Data) + len(m.ID) + len(m.Key) + messageOverhead)
}

// append stores a message that is due. The caller holds t.mu.
func (t *memoryTopic) append(m *Message, size int64, now time.Time) {
	t.log.add(m, size, now)
	t.last = now
	for _, g := range t.all {
		g.wakeOne()
	}
}

// expire drops what is too old. The caller holds t.mu.
func (t *memoryTopic) expire(now time.Time) {
	age := t.info.Limits.MaxAge
	if age <= 0 {
		return
	}
	for t.log.len() > 0 && now.Sub(t.log.get(t.log.first).at) >= age {
		t.log.drop()
		t.stats.Expired++
	}
}

// makeRoom refuses a message that is too much, or drops the oldest ones for it. The caller holds t.mu.
func (t *memoryTopic) makeRoom(size int64) error {
	l := &t.info.Limits
	for {
		messages, bytes := t.log.count+uint64(len(t.later)), t.log.bytes+t.ahead
		overMessages := l.MaxMessages > 0 && messages >= uint64(l.MaxMessages)
		if !overMessages && (l.MaxBytes <= 0 || bytes+size <= l.MaxBytes) {
			return nil
		}
		if l.DropOldest && t.log.len() > 0 {
			t.log.drop()
			t.stats.Dropped++
			continue
		}
		if overMessages {
			return fmt.Errorf("%w: it keeps %d events, and Limits.MaxMessages is %d", ErrFull, messages, l.MaxMessages)
		}
		return fmt.Errorf("%w: it keeps %d bytes, and Limits.MaxBytes is %d", ErrFull, bytes, l.MaxBytes)
	}
}

// schedule sets the timer for the next message that becomes due. The caller holds t.mu.
func (t *memoryTopic) schedule(now time.Time) {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	if len(t.later) == 0 {
		return
	}
	t.timer = time.AfterFunc(t.later[0].Due.Sub(now), func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		now := time.Now()
		for len(t.later) > 0 && !t.later[0].Due.After(now) {
			m := t.later.pop()
			t.ahead -= m.size()
			t.append(m, m.size(), now)
		}
		t.schedule(now)
	})
}

// MessagingSystem implements [System].
func (*Memory) MessagingSystem() string { return "memory" }
