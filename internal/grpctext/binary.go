package grpctext

import (
	"encoding/base64"
	"strings"
)

// BinaryKey reports whether the values of a key are bytes.
func BinaryKey(key string) bool { return strings.HasSuffix(key, "-bin") }

// EncodeBinary writes one value of a binary key.
func EncodeBinary(value string) string { return base64.RawStdEncoding.EncodeToString([]byte(value)) }

// DecodeBinary reads one value of a binary key: with padding or without, for both are sent.
func DecodeBinary(s string) (string, error) {
	s = strings.Trim(s, " ")
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	return string(b), err
}
