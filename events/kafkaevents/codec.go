package kafkaevents

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hanse-go/hanse/events"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Codec makes records of a topic of events, and back. Its methods may be called concurrently.
type Codec interface {
	// Encode returns a record with key, value and headers; the topic is set by the broker. Records with the same key have the same partition,
	// so events with the same key must get the same.
	Encode(m *events.Message) (*kgo.Record, error)

	// Decode reads a record. Without an ID the event gets the place of the record for one, and without a time that of the record. A record for
	// which it returns an error is delivered as it is, with the type "kafka.undecodable" and the error in its metadata kafka-error;
	// package events makes it a dead letter.
	Decode(r *kgo.Record) (*events.Message, error)
}

// Plain is the codec of topics whose records are bare data, as those of other programs often are: the value is the data, the key the key, and
// headers are metadata. A record that is read and written again has the same key, value and headers.
type Plain struct {
	// Type is that of all events, the full name of a message such as shop.orders.v1.Placed.
	Type string

	// ContentType is that of all data. Default: application/json.
	ContentType string

	// Source is that of all events. Default: kafka:TOPIC.
	Source string

	// ID is the header that has the ID of the event. Default: the event's place in the topic is its ID, and IDs of published events are not kept.
	ID string
}

const (
	// headersMetadata has the headers of a record as they were, where metadata cannot say it: with names in another order, or twice.
	headersMetadata = "kafka-headers"

	errorMetadata   = "kafka-error"
	undecodableType = "kafka.undecodable"
)

// Decode implements [Codec].
func (c Plain) Decode(r *kgo.Record) (*events.Message, error) {
	m := &events.Message{
		Source: cmp.Or(c.Source, "kafka:"+r.Topic), Type: c.Type, ContentType: cmp.Or(c.ContentType, "application/json"),
		Key: string(r.Key), Data: r.Value,
	}
	if c.ID != "" {
		for _, h := range r.Headers {
			if h.Key == c.ID {
				m.ID = string(h.Value)
			}
		}
	}
	faithful := true
	for i, h := range r.Headers {
		if m.Metadata == nil {
			m.Metadata = make(map[string]string, len(r.Headers)+1)
		}
		m.Metadata[h.Key] = string(h.Value)
		faithful = faithful && h.Value != nil && h.Key != headersMetadata && (i == 0 || r.Headers[i-1].Key < h.Key)
	}
	if !faithful {
		m.Metadata[headersMetadata] = packHeaders(r.Headers)
	}
	return m, nil
}

// Encode implements [Codec].
func (c Plain) Encode(m *events.Message) (*kgo.Record, error) {
	if content := cmp.Or(c.ContentType, "application/json"); m.ContentType != "" && m.ContentType != content {
		return nil, fmt.Errorf("its data is %s, and the topic's is %s", m.ContentType, content)
	}
	r := &kgo.Record{Value: m.Data}
	if m.Key != "" {
		r.Key = []byte(m.Key)
	}
	names := make([]string, 0, len(m.Metadata)+1)
	for name := range m.Metadata {
		names = append(names, name)
	}
	if _, has := m.Metadata[c.ID]; c.ID != "" && !has && m.ID != "" {
		names = append(names, c.ID)
	}
	slices.Sort(names)
	original, _ := unpackHeaders(m.Metadata[headersMetadata])
	r.Headers = append(r.Headers, original...)
	for _, name := range names {
		value, has := m.Metadata[name]
		if !has {
			value = m.ID
		}
		if name == headersMetadata && original != nil || slices.ContainsFunc(original, func(h kgo.RecordHeader) bool { return h.Key == name && string(h.Value) == value }) {
			continue
		}
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	return r, nil
}

// packHeaders writes headers into a value of metadata.
func packHeaders(all []kgo.RecordHeader) string {
	var b []byte
	for _, h := range all {
		b = binary.AppendUvarint(b, uint64(len(h.Key)))
		b = append(b, h.Key...)
		b = binary.AppendVarint(b, int64(lengthOf(h.Value)))
		b = append(b, h.Value...)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func lengthOf(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}

var errHeaders = errors.New("no headers")

func unpackHeaders(text string) ([]kgo.RecordHeader, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	var all []kgo.RecordHeader
	for len(b) > 0 {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > uint64(len(b)-used) {
			return nil, errHeaders
		}
		h := kgo.RecordHeader{Key: string(b[used : used+int(n)])}
		b = b[used+int(n):]
		length, used := binary.Varint(b)
		if used <= 0 || length < -1 || length > int64(len(b)-used) {
			return nil, errHeaders
		}
		b = b[used:]
		if length >= 0 {
			h.Value = slices.Clone(b[:length])
			if h.Value == nil {
				h.Value = []byte{}
			}
			b = b[length:]
		}
		all = append(all, h)
	}
	return all, nil
}

// decode reads a record, also one that cannot be read.
func (t *topic) decode(r *kgo.Record) *events.Message {
	m, err := t.codec.Decode(r)
	if err != nil || m == nil {
		m = undecodable(r, err)
	}
	if m.ID == "" {
		m.ID = r.Topic + "/" + strconv.Itoa(int(r.Partition)) + "/" + strconv.FormatInt(r.Offset, 10)
	}
	if m.Time.IsZero() {
		m.Time = r.Timestamp
	}
	return m
}

// undecodable is the message for a record that cannot be read: with its bytes, so that a dead letter has them.
func undecodable(r *kgo.Record, err error) *events.Message {
	reason := "the codec returned nothing"
	if err != nil {
		reason = err.Error()
	}
	m := &events.Message{
		Source: "kafka:" + r.Topic, Type: undecodableType, ContentType: "application/octet-stream", Key: string(r.Key), Data: r.Value,
		Metadata: map[string]string{errorMetadata: oneLine(reason)},
	}
	for _, h := range r.Headers {
		name := strings.ToLower(h.Key)
		if reserved(name) || name == errorMetadata || strings.HasPrefix(name, "hanse-") {
			name = "kafka-" + name
		}
		m.Metadata[name] = string(h.Value)
	}
	return m
}

// oneLine makes a text fit for a header.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "�"))
	for n := 1000; len(text) > n; n-- {
		if utf8.RuneStart(text[n]) {
			return text[:n] + "…"
		}
	}
	return text
}
