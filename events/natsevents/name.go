package natsevents

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// partitions is how many parts the keys of a topic have. It bounds how many members of an ordered group can work at a time, and cannot
// change: a key would get to another partition, and lose its order.
const partitions = 16

// lane is where a message goes within its topic: 0 is for messages without a key, 1 + N is partition N.
func lane(key string) int {
	if key == "" {
		return 0
	}
	// FNV-1a, written out: hash/fnv would make an object for each event.
	sum := uint32(2166136261)
	for i := range len(key) {
		sum = (sum ^ uint32(key[i])) * 16777619
	}
	return 1 + int(sum%partitions)
}

var topicName = regexp.MustCompile(`^[a-z][a-z0-9-]*(\.[a-z0-9-]+)*$`)

// names are what things of a system are called on the server. They cannot meet, for "_" is in no topic's name.
type names struct{ system string }

func (n names) stream(topic string) string {
	return n.system + "_" + strings.ReplaceAll(topic, ".", "_")
}

func (n names) later() string  { return n.system + "__later" }
func (n names) bucket() string { return n.system + "__events" }

// subjects are those of the lanes of a topic below a root: events for what is there, due for what becomes due.
func (n names) subjects(root, topic string) (all [1 + partitions]string) {
	all[0] = n.system + "." + root + "." + topic
	for i := range partitions {
		all[1+i] = all[0] + "._." + strconv.Itoa(i)
	}
	return all
}

// token makes any text a part of a name on the server: bytes other than letters, digits and "-" become "_" and two hexadecimal digits.
func token(text string) string {
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}
