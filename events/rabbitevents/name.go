package rabbitevents

import (
	"cmp"
	"strconv"

	"github.com/hanse-go/hanse/events/driver"
)

// names are what things of a system are called on the server. They cannot meet, for ":" is in no topic's name, and "." in no system's.
type names struct{ system string }

// exchange is that of a topic, and for dead letters also the queue that keeps them.
func (n names) exchange(topic string) string { return n.system + "." + topic }

// info is the queue with the record of a topic, and lock the one that who changes it has for itself.
func (n names) info(topic string) string { return n.exchange(topic) + ":info" }
func (n names) lock(topic string) string { return n.exchange(topic) + ":lock" }

// group is the queue of a group, or of an ordered one the exchange that divides its events among the queues of the partitions.
func (n names) group(topic, group string) string { return n.exchange(topic) + ":" + group }

func part(group string, n int) string { return group + ":" + strconv.Itoa(n) }

// rest is the exchange, and members the one over which the members of an ordered group tell that they are there.
func rest(group string) string    { return group + ":rest" }
func members(group string) string { return group + ":members" }

// each is the queue of a subscription without a group.
func (n names) each(topic, member string) string { return n.exchange(topic) + "::" + member }

// routingKey is that of the partition of a key, or of an ID where there is no key.
func routingKey(key, id string, partitions int) string {
	return partKey(driver.Partition(cmp.Or(key, id), partitions))
}

func partKey(n int) string { return "p" + strconv.Itoa(n) }
