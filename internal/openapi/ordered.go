package openapi

import (
	"bytes"
	"encoding/json"
	"slices"
)

// Map is a JSON object whose keys keep the order in which they were set. The zero value is empty.
type Map[V any] struct {
	keys   []string
	values map[string]V
}

// Set sets the value of a key.
func (m *Map[V]) Set(key string, v V) {
	if m.values == nil {
		m.values = map[string]V{}
	}
	if _, ok := m.values[key]; !ok {
		m.keys = append(m.keys, key)
	}
	m.values[key] = v
}

// Get returns the value of a key; without one, the zero value.
func (m Map[V]) Get(key string) V { return m.values[key] }

// Has reports whether there is the key.
func (m Map[V]) Has(key string) bool { _, ok := m.values[key]; return ok }

// Keys returns the keys in their order.
func (m Map[V]) Keys() []string { return slices.Clone(m.keys) }

// Len returns the number of keys.
func (m Map[V]) Len() int { return len(m.keys) }

// IsZero reports whether there is nothing, for omitzero.
func (m Map[V]) IsZero() bool { return len(m.keys) == 0 }

// sort puts the keys in alphabetical order.
func (m *Map[V]) sort() { slices.Sort(m.keys) }

// MarshalJSON writes the object.
func (m Map[V]) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, key := range m.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		k, err := marshal(key)
		if err != nil {
			return nil, err
		}
		v, err := marshal(m.values[key])
		if err != nil {
			return nil, err
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// marshal is json.Marshal without the escapes that HTML wants.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Types are the JSON types that a value may have.
type Types []string

// MarshalJSON writes one type as a string, and more as an array.
func (t Types) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// JSON writes the document for people to read, too: indented, and with a newline at its end.
func (d *Document) JSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(d)
	return b.Bytes(), err
}
