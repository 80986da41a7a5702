package natsevents

import (
	"strconv"
	"strings"

	"github.com/hanse-go/hanse/events/driver"
)

// partitions is how many parts the keys of a topic have. It bounds how many members of an ordered group can work at a time, and cannot
// change: a key would get to another partition, and lose its order.
const partitions = 16

// lane is where a message goes within its topic: 0 is for messages without a key, 1 + N is partition N.
func lane(key string) int {
	if key == "" {
		return 0
	}
	return 1 + driver.Partition(key, partitions)
}

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
