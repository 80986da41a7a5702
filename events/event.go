package events

import (
	"fmt"
	"maps"
	"mime"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Event is what a handler gets: a message, and what is known about it. It belongs to the handler.
type Event[T proto.Message] struct {
	// Data is the message. Fields that this program's version of the type does not know are kept in it, unless it came as JSON.
	Data T

	ID      string    // unique among the events of Source
	Source  string    // who published it: hanse:///SERVICE for a service of Hanse
	Subject string    // what it is about; may be empty
	Time    time.Time // when it happened, by the publisher's clock
	Key     string    // what it is ordered by; empty when it has no order

	Topic    string
	Group    string // empty in SubscribeEach
	Attempt  int    // counts deliveries to the group, from 1
	Sequence uint64 // its number in the topic; 0 when the broker has none

	Extensions map[string]string // further attributes
	Metadata   map[string]string // headers, by names in lower case
}

const (
	contentProto = "application/protobuf"
	contentJSON  = "application/json"
)

// encode returns the data and its content type.
func (d *declaration) encode(msg proto.Message) ([]byte, string, error) {
	if d.json {
		data, err := protojson.Marshal(msg)
		return data, contentJSON, err
	}
	data, err := proto.Marshal(msg)
	if data == nil && err == nil {
		data = []byte{} // a message without content is not no message
	}
	return data, contentProto, err
}

// decode reads the data of m into msg.
func (d *declaration) decode(m *Message, msg proto.Message) error {
	if _, err := m.Unpack(); err != nil {
		return err
	}
	if m.Type != d.typeName() {
		return fmt.Errorf("it carries a %q, and the topic's messages are %s", m.Type, d.typeName())
	}
	content := m.ContentType
	if content != contentProto && content != contentJSON {
		if bare, _, err := mime.ParseMediaType(content); err == nil {
			content = bare
		}
	}
	var err error
	switch content {
	case contentProto, "application/x-protobuf", "application/vnd.google.protobuf":
		err = proto.Unmarshal(m.Data, msg)
	case contentJSON:
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(m.Data, msg)
	default:
		return fmt.Errorf("its content type is %q: %s and %s can be read", m.ContentType, contentProto, contentJSON)
	}
	if err != nil {
		return fmt.Errorf("its data is no %s: %w", m.Type, err)
	}
	return nil
}

// fill sets everything but the data.
func (e *Event[T]) fill(s *Subscription, it *item) {
	m := it.message
	e.ID, e.Source, e.Subject, e.Time, e.Key = m.ID, m.Source, m.Subject, m.Time, m.Key
	e.Topic, e.Group, e.Attempt, e.Sequence = s.decl.info.Name, s.group, it.attempt, it.delivery.Sequence()
	if len(m.Extensions) > 0 {
		e.Extensions = maps.Clone(m.Extensions)
	}
	if len(m.Metadata) > 0 {
		e.Metadata = maps.Clone(m.Metadata)
	}
}
