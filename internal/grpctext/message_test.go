package grpctext

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestMessage(t *testing.T) {
	for plain, want := range map[string]string{
		"":                     "",
		"plain ASCII ~":        "plain ASCII ~",
		"100%":                 "100%25",
		"größe":                "gr%C3%B6%C3%9Fe",
		"line\nbreak\x7f":      "line%0Abreak%7F",
		"\xff":                 "%EF%BF%BD",
		"a\xc3":                "a%EF%BF%BD",
		"🙂":                    "%F0%9F%99%82",
		"%41":                  "%2541",
		"\x00":                 "%00",
		"trailing space ":      "trailing space ",
		strings.Repeat("%", 3): "%25%25%25",
	} {
		got := EncodeMessage(plain)
		if got != want {
			t.Errorf("%q: %q, want %q", plain, got, want)
		}
		if back := DecodeMessage(got); utf8.ValidString(plain) && back != plain {
			t.Errorf("%q came back as %q", plain, back)
		}
	}
	for encoded, want := range map[string]string{
		"%": "%", "%4": "%4", "%zz": "%zz", "a%4": "a%4", "%41%": "A%", "%c3%b6": "ö", "%GG%41": "%GGA",
	} {
		if got := DecodeMessage(encoded); got != want {
			t.Errorf("%q: %q, want %q", encoded, got, want)
		}
	}
}

func FuzzMessage(f *testing.F) {
	for _, s := range []string{"", "größe 100%", "\xff", "%41", "%4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		encoded := EncodeMessage(s)
		for i := range len(encoded) {
			if encoded[i] < ' ' || encoded[i] > '~' {
				t.Fatalf("%q is not printable", encoded)
			}
		}
		if back := DecodeMessage(encoded); back != strings.ToValidUTF8(s, "\ufffd") && back != string([]rune(s)) {
			t.Errorf("%q came back as %q", s, back)
		}
		DecodeMessage(s)
	})
}
