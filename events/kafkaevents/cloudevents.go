package kafkaevents

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/hanse-go/hanse/events"
	"github.com/twmb/franz-go/pkg/kgo"
)

// CloudEvents is the codec of the binding of CloudEvents to Kafka. It writes the binary mode: each attribute in a header that begins with ce_,
// datacontenttype in content-type, the data as the value, the key as the record's key. It reads that and the structured mode in
// JSON; of a record that is no event of CloudEvents it makes one without type.
type CloudEvents struct{}

const attributePrefix = "ce_"

// Encode implements [Codec].
func (CloudEvents) Encode(m *events.Message) (*kgo.Record, error) {
	r := &kgo.Record{Value: m.Data, Headers: make([]kgo.RecordHeader, 0, 9+len(m.Extensions)+len(m.Metadata))}
	if m.Key != "" {
		r.Key = []byte(m.Key)
	}
	set := func(name, value string) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	err := m.EachAttribute(func(name, value string) {
		if name != "partitionkey" || utf8.ValidString(value) { // else it is the record's key alone
			set(attributePrefix+name, strings.ToValidUTF8(value, "�"))
		}
	})
	if err != nil {
		return nil, err
	}
	if m.ContentType != "" {
		set("content-type", m.ContentType)
	}
	for name, value := range m.Metadata {
		if reserved(name) {
			return nil, fmt.Errorf("metadata %q: the name is reserved", name)
		}
		set(name, value)
	}
	return r, nil
}

func reserved(name string) bool {
	return name == "content-type" || strings.HasPrefix(name, attributePrefix)
}

// Decode implements [Codec].
func (CloudEvents) Decode(r *kgo.Record) (*events.Message, error) {
	m := &events.Message{Key: string(r.Key), Data: r.Value}
	for _, h := range r.Headers {
		name, value := strings.ToLower(h.Key), string(h.Value)
		switch attribute, is := strings.CutPrefix(name, attributePrefix); {
		case name == "content-type":
			m.ContentType = value
		case !is:
			m.SetMetadata(name, value)
		case !utf8.ValidString(value):
			return nil, fmt.Errorf("its attribute %s is no UTF-8", attribute)
		default:
			if err := m.SetAttribute(attribute, value); err != nil {
				return nil, err
			}
		}
	}
	return m.Unpack()
}
