package config

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a string that is never printed: fmt (whatever the verb), slog, JSON, YAML and text encodings show "[secret]" for it.
// Only [Secret.Reveal] tells what it is. The zero Secret is empty, and prints as an empty string so that a missing one is noticed.
//
// Compare what two secrets reveal, not the secrets: == tells only whether one is a copy of the other.
type Secret struct {
	// A pointer, for fmt cannot call the methods of a Secret in an unexported field: it prints an address then.
	value *string
}

// NewSecret returns a Secret that reveals s.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// Reveal returns the secret itself.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// String returns "[secret]", or "" when s is empty.
func (s Secret) String() string {
	if s.Reveal() == "" {
		return ""
	}
	return "[secret]"
}

// GoString is what %#v prints.
func (s Secret) GoString() string { return fmt.Sprintf("config.Secret(%q)", s.String()) }

// Format prints for every verb of fmt what String returns.
func (s Secret) Format(f fmt.State, verb rune) {
	text := s.String()
	if verb == 'v' && f.Flag('#') {
		text = s.GoString()
	}
	io.WriteString(f, text)
}

// LogValue is what slog logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns what String returns. Encoders of JSON use it as well.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML returns what String returns.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// UnmarshalText makes s reveal the text.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}
