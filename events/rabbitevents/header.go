package rabbitevents

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events"
	amqp "github.com/rabbitmq/amqp091-go"
)

// The prefixes of attributes in headers: the one that the binding of CloudEvents to AMQP has, and the one that it had for clients
// of JMS, which is read, too.
const (
	prefix    = "cloudEvents:"
	jmsPrefix = "cloudEvents_"
)

// shortText is the most bytes that a property, or the name of a header, may have.
const shortText = 255

// publishing writes an event as the binding of CloudEvents wants it.
func publishing(m *events.Message) (amqp.Publishing, error) {
	h := make(amqp.Table, 9+len(m.Extensions)+len(m.Metadata))
	for name := range m.Extensions {
		if len(prefix)+len(name) > shortText {
			return amqp.Publishing{}, fmt.Errorf("extension %.20q…: the name has more than %d bytes", name, shortText-len(prefix))
		}
	}
	// The time is text, for AMQP's own form has no fractions of seconds.
	if err := m.EachAttribute(func(name, value string) { h[prefix+name] = value }); err != nil {
		return amqp.Publishing{}, err
	}
	for name, value := range m.Metadata {
		switch {
		case reserved(name):
			return amqp.Publishing{}, fmt.Errorf("metadata %q: the name is reserved", name)
		case len(name) > shortText:
			return amqp.Publishing{}, fmt.Errorf("metadata %.20q…: the name has more than %d bytes", name, shortText)
		}
		h[name] = value
	}
	if len(m.ContentType) > shortText {
		return amqp.Publishing{}, fmt.Errorf("the content type %.20q… has more than %d bytes", m.ContentType, shortText)
	}
	return amqp.Publishing{
		Headers: h, ContentType: m.ContentType, DeliveryMode: amqp.Persistent, Body: m.Data,
		MessageId: short(m.ID), Type: short(m.Type), Timestamp: m.Time,
	}, nil
}

// short leaves out what does not fit: the header has it.
func short(text string) string {
	if len(text) > shortText {
		return ""
	}
	return text
}

// reserved says whether a header has a meaning for RabbitMQ, or is an attribute.
func reserved(name string) bool {
	switch name {
	case "CC", "BCC", "x-death", "x-delivery-count", "x-received-from", "x-stream-offset":
		return true
	}
	for _, of := range []string{prefix, jmsPrefix, "x-first-death-", "x-last-death-"} {
		if strings.HasPrefix(name, of) {
			return true
		}
	}
	return false
}

// message reads what publishing wrote, or what another program did.
func message(d *amqp.Delivery) *events.Message {
	e := &events.Message{ContentType: d.ContentType, Data: d.Body, Time: d.Timestamp}
	for name, value := range d.Headers {
		attribute, ok := strings.CutPrefix(name, prefix)
		if !ok {
			attribute, ok = strings.CutPrefix(name, jmsPrefix)
		}
		text, readable := asText(value)
		switch {
		case !readable:
		case ok:
			if attribute = strings.ToLower(attribute); attribute != "datacontenttype" || e.ContentType == "" {
				_ = e.SetAttribute(attribute, text) // of a time that cannot be read, that of the property is taken
			}
		case reserved(name):
		default:
			e.SetMetadata(strings.ToLower(name), text)
		}
	}
	if e.ID == "" {
		e.ID = d.MessageId
	}
	if e.ID == "" { // it cannot be known when it comes again, and must not be taken for another
		var random [12]byte
		rand.Read(random[:])
		e.ID = "unnamed-" + hex.EncodeToString(random[:])
	}
	if e.Type == "" {
		e.Type = d.Type
	}
	if e.Source == "" {
		e.Source = d.AppId
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	return e
}

// asText returns the canonical text of a value in a header. Lists and tables have none.
func asText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case []byte:
		return string(v), true
	case bool:
		return strconv.FormatBool(v), true
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), true
	case int8, uint8, int16, uint16, int32, uint32, int64, uint64, int, float32, float64:
		return fmt.Sprint(v), true
	}
	return "", false
}

// attempt is how often a message was delivered, with this time.
func attempt(d *amqp.Delivery) int {
	switch n := d.Headers["x-delivery-count"].(type) {
	case int64:
		return int(n) + 1
	case int32:
		return int(n) + 1
	}
	if d.Redelivered {
		return 2 // of a queue that does not count
	}
	return 1
}
