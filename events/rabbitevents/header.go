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
	attribute := func(name, value string) {
		if value != "" {
			h[prefix+name] = value
		}
	}
	attribute("specversion", "1.0")
	attribute("id", m.ID)
	attribute("source", m.Source)
	attribute("type", m.Type)
	attribute("subject", m.Subject)
	attribute("dataschema", m.DataSchema)
	attribute("partitionkey", m.Key)
	if !m.Time.IsZero() {
		attribute("time", m.Time.UTC().Format(time.RFC3339Nano)) // AMQP's own form has no fractions of seconds
	}
	for name, value := range m.Extensions {
		switch {
		case known(name):
			return amqp.Publishing{}, fmt.Errorf("extension %q: it is an attribute, set its field", name)
		case len(prefix)+len(name) > shortText:
			return amqp.Publishing{}, fmt.Errorf("extension %.20q…: the name has more than %d bytes", name, shortText-len(prefix))
		}
		h[prefix+name] = value
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

func known(attribute string) bool {
	switch attribute {
	case "specversion", "id", "source", "type", "subject", "time", "dataschema", "datacontenttype", "partitionkey":
		return true
	}
	return false
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
			read(e, strings.ToLower(attribute), text)
		case reserved(name):
		default:
			if e.Metadata == nil {
				e.Metadata = make(map[string]string)
			}
			e.Metadata[strings.ToLower(name)] = text
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

// read takes an attribute.
func read(e *events.Message, name, value string) {
	switch name {
	case "specversion":
	case "id":
		e.ID = value
	case "source":
		e.Source = value
	case "type":
		e.Type = value
	case "subject":
		e.Subject = value
	case "dataschema":
		e.DataSchema = value
	case "partitionkey":
		e.Key = value
	case "datacontenttype":
		if e.ContentType == "" {
			e.ContentType = value
		}
	case "time":
		if at, err := time.Parse(time.RFC3339Nano, value); err == nil { // else that of the property
			e.Time = at
		}
	default:
		if e.Extensions == nil {
			e.Extensions = make(map[string]string)
		}
		e.Extensions[name] = value
	}
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
