package outbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hanse-go/hanse/events"
)

// row is an event in the outbox.
type row struct {
	seq        int64
	topic      string
	lane       string // events of the same lane keep their order
	attributes string
	data       []byte
}

const attributesVersion = 1

// attributes is a message without its data.
type attributes struct {
	Version     int               `json:"version"`
	ID          string            `json:"id"`
	Source      string            `json:"source,omitempty"`
	Type        string            `json:"type"`
	Subject     string            `json:"subject,omitempty"`
	Time        time.Time         `json:"time,omitzero"`
	ContentType string            `json:"datacontenttype"`
	DataSchema  string            `json:"dataschema,omitempty"`
	Key         string            `json:"partitionkey,omitempty"`
	Extensions  map[string]string `json:"extensions,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Due         time.Time         `json:"due,omitzero"`
}

// errNewer says that a row was written by a newer version of this package, whose relay will move it.
var errNewer = errors.New("it was written by a newer version of the program, which has to publish it")

func newRow(topic string, m *events.Message) (row, error) {
	if err := checkText(m); err != nil {
		return row{}, err
	}
	text, err := json.Marshal(attributes{
		Version: attributesVersion, ID: m.ID, Source: m.Source, Type: m.Type, Subject: m.Subject, Time: m.Time, ContentType: m.ContentType,
		DataSchema: m.DataSchema, Key: m.Key, Extensions: m.Extensions, Metadata: m.Metadata, Due: m.Due,
	})
	if err != nil {
		return row{}, err
	}
	data := m.Data
	if data == nil {
		data = []byte{}
	}
	return row{topic: topic, lane: laneOf(m), attributes: string(text), data: data}, nil
}

// laneOf returns the lane of a message. PostgreSQL has no zero bytes in texts; that two keys then have one lane does no harm.
func laneOf(m *events.Message) string {
	if m.Key == "" {
		return "#" + strings.ReplaceAll(m.ID, "\x00", "")
	}
	return "=" + strings.ReplaceAll(m.Key, "\x00", "")
}

// checkText refuses what JSON would not carry as it is.
func checkText(m *events.Message) error {
	bad := func(what string) error { return fmt.Errorf("%s is not valid UTF-8", what) }
	for what, s := range map[string]string{"its ID": m.ID, "its subject": m.Subject, "its key": m.Key} {
		if !utf8.ValidString(s) {
			return bad(what)
		}
	}
	for what, all := range map[string]map[string]string{"extension ": m.Extensions, "metadata ": m.Metadata} {
		for name, s := range all {
			if !utf8.ValidString(s) {
				return bad(what + name)
			}
		}
	}
	return nil
}

// message reads what newRow wrote.
func (r *row) message() (*events.Message, error) {
	var a attributes
	if err := json.Unmarshal([]byte(r.attributes), &a); err != nil {
		return nil, fmt.Errorf("its attributes cannot be read: %w", err)
	}
	if a.Version > attributesVersion {
		return nil, errNewer
	}
	return &events.Message{
		ID: a.ID, Source: a.Source, Type: a.Type, Subject: a.Subject, Time: a.Time, ContentType: a.ContentType, DataSchema: a.DataSchema, Key: a.Key,
		Extensions: a.Extensions, Metadata: a.Metadata, Data: r.data, Due: a.Due,
	}, nil
}
