package events

import (
	"errors"

	"google.golang.org/protobuf/proto"
)

// TopicOption is an option of [NewTopic]: the result of [Key], [JSON] or [Delayed], or [Limits].
type TopicOption interface{ applyTopic(*declaration) }

type topicOption func(*declaration)

func (o topicOption) applyTopic(d *declaration) { o(d) }

// Key gives events a key: those of the same key are handled one at a time and in the order in which they were stored, also while members of a
// group come and go. An event whose key is "" has no order. The function is often a getter of the message, such as
// (*ordersv1.Placed).GetOrderId.
func Key[T proto.Message](key func(T) string) TopicOption {
	return topicOption(func(d *declaration) {
		if key == nil {
			d.check(errors.New("the function given to Key is nil"))
			return
		}
		d.key, d.info.Keyed = key, true
	})
}

// JSON has the events carry their message as JSON, for readers that have no protobuf. Subscribers of package events take both at any time.
func JSON() TopicOption { return topicOption(func(d *declaration) { d.json = true }) }

// Delayed lets events be published for a later time, with [At]. Not all brokers can do that.
func Delayed() TopicOption { return topicOption(func(d *declaration) { d.info.Delayed = true }) }

func (l Limits) applyTopic(d *declaration) {
	for _, n := range []struct {
		name  string
		value int64
	}{{"MaxAge", int64(l.MaxAge)}, {"MaxBytes", l.MaxBytes}, {"MaxMessages", l.MaxMessages}, {"MaxSize", int64(l.MaxSize)}} {
		if n.value < -1 {
			d.check(errors.New("Limits." + n.name + " is negative: use -1 for no limit, or 0 for the default"))
		}
	}
	if l.Replicas < 0 {
		d.check(errors.New("Limits.Replicas is negative: use 1 or more, or 0 for the default"))
	}
	d.info.Limits = l
}
