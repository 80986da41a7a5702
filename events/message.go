package events

import "time"

// Message is an event as brokers keep and carry it: the attributes of [CloudEvents] 1.0, and the data. A broker sends it in the binary
// mode of its protocol's binding: each attribute in a header with the prefix of the binding, ContentType in the header that the protocol
// has for it, Metadata as further headers, Data as the body.
//
// [CloudEvents]: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
type Message struct {
	// ID is unique among the events of Source. A broker that can tells a second message of the same ID and Source from the first, and
	// keeps one.
	ID string

	// Source says who published it: hanse:///SERVICE for a service of Hanse.
	Source string

	// Type is the full name of the message type, such as shop.orders.v1.Placed.
	Type string

	// Subject is what it is about, within Source. "" is nothing.
	Subject string

	// Time is when it happened.
	Time time.Time

	// ContentType is that of Data: application/protobuf or application/json.
	ContentType string

	// DataSchema is the URI of the schema of Data. "" is none.
	DataSchema string

	// Key is what the event is ordered by, the extension attribute partitionkey. "" is no order.
	Key string

	// Extensions are further attributes, by names of lower-case letters and digits.
	Extensions map[string]string

	// Metadata are headers that are no attributes of CloudEvents: traceparent, tracestate, baggage, and what the publisher added. Names are
	// in lower case.
	Metadata map[string]string

	// Data is the payload.
	Data []byte

	// Due is when it may be delivered first. It is for the broker and not sent. Zero is at once.
	Due time.Time
}
