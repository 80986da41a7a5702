package natsevents

import (
	"strings"
	"unicode/utf8"
)

// escape writes a value of an attribute as CloudEvents wants it in headers: a space, a double quote, a percent sign and all but the
// printable characters of ASCII become percent and two hexadecimal digits, for each byte.
func escape(text string) string {
	n := 0
	for i := range len(text) {
		if escaped(text[i]) {
			n++
		}
	}
	if n == 0 {
		return text
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(text) + 2*n)
	for i := range len(text) {
		if c := text[i]; escaped(c) {
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func escaped(c byte) bool { return c <= ' ' || c >= 0x7f || c == '"' || c == '%' }

// unescape is lenient as the specification asks: a value in double quotes is taken out of them, and what is no escape stays as it is.
func unescape(text string) string {
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		text = unquote(text[1 : len(text)-1])
	}
	if strings.IndexByte(text, '%') < 0 {
		return text
	}
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			high, low := digit(text[i+1]), digit(text[i+2])
			if high >= 0 && low >= 0 {
				b = append(b, byte(high<<4|low))
				i += 2
				continue
			}
		}
		b = append(b, text[i])
	}
	if !utf8.Valid(b) {
		return text
	}
	return string(b)
}

func unquote(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		}
		b = append(b, text[i])
	}
	return string(b)
}

func digit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
