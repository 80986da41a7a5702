package redisevents

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
)

// partitions is how many parts the keys of a topic have. It bounds how many members of an ordered group can work at a time, and cannot
// change: a key would get to another partition, and lose its order.
const partitions = 16

// topic is one that was declared here, or found.
type topic struct {
	info    events.TopicInfo
	base    string   // what its keys begin with
	record  string   // key of its record, and the name of its channel
	waiting string   // key that is there when a member waits
	due     string   // events that are due later, by time,
	later   string   // and by name
	lanes   []string // the streams: without a key, and then of each partition
}

func newTopic(system string, info events.TopicInfo) *topic {
	base := "{" + system + ":" + info.Name + "}"
	t := &topic{info: info, base: base, record: base + ":topic", waiting: base + ":waiting", due: base + ":due", later: base + ":later", lanes: []string{base}}
	if info.Keyed {
		for n := range partitions {
			t.lanes = append(t.lanes, base+":"+strconv.Itoa(n))
		}
	}
	return t
}

// lane is where an event goes.
func (t *topic) lane(key string) int {
	if key == "" || len(t.lanes) == 1 {
		return 0
	}
	return 1 + driver.Partition(key, partitions)
}

// keys returns keys of the topic, and then those of the lanes.
func (t *topic) keys(keys ...string) []string { return append(keys, t.lanes...) }

func (t *topic) schema() string { return t.base + ":schema" }

// groups is the set of the names of groups.
func (t *topic) groups() string { return t.base + ":groups" }

// topicsKey is the set of the names of topics. No topic has an empty name.
func (b *Broker) topicsKey() string { return "{" + b.system + ":}:topics" }

// identity is the key that says that an event was published. It is a hash, for IDs may have any length.
func (t *topic) identity(m *events.Message) string {
	sum := sha256.Sum256([]byte(m.Identity()))
	return t.base + ":id:" + base64.RawURLEncoding.EncodeToString(sum[:16])
}

// group is the keys of a group.
type group struct {
	name    string
	record  string
	held    string // what is held or to be delivered again, by time
	members string // by the end of their lease
	parts   string // whose each partition is
}

func (t *topic) group(name string) group {
	base := t.base + ":group:" + name
	return group{name: name, record: base, held: base + ":held", members: base + ":members", parts: base + ":parts"}
}
