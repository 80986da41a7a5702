package events

import (
	"maps"
	"strings"
)

const (
	groupHeader      = "hanse-group"      // the only group that handles the event
	redeliveryHeader = "hanse-redelivery" // tells it from the first delivery
)

// Redelivery returns the message to be published to its topic once more so that one group handles it again, and no other does; "" is for all
// instances of SubscribeEach. Each redelivery has a name of its own; a broker tells it from the others by that. What m says of having been a dead letter
// is left out.
func (m *Message) Redelivery(group, name string) *Message {
	again := *m
	again.Metadata = maps.Clone(m.Metadata)
	maps.DeleteFunc(again.Metadata, func(name, _ string) bool { return strings.HasPrefix(name, deadHeader) })
	again.SetMetadata(groupHeader, group)
	again.SetMetadata(redeliveryHeader, name)
	return &again
}

// OnlyFor returns the group that the message was published for once more, and whether it was.
func (m *Message) OnlyFor() (group string, ok bool) {
	group, ok = m.Metadata[groupHeader]
	return group, ok
}

// Identity tells the message from others, for brokers that keep one of several that are the same.
func (m *Message) Identity() string {
	s := m.Source + "#" + m.ID
	if again := m.Metadata[redeliveryHeader]; again != "" {
		s += "#" + again
	}
	return s
}
