package natsstore_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/store/natsstore"
)

// valid is what NATS takes for a key.
var valid = regexp.MustCompile(`^[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*$`)

func TestEscape(t *testing.T) {
	for key, want := range map[string]string{
		"a":        "a",
		"a.b/c-d_": "a.b/c-d_",
		".a":       "=2Ea",
		"a.":       "a=2E",
		"a..b":     "a.=2Eb",
		"..":       "=2E=2E",
		"=2E":      "=3D2E",
		"*>":       "=2A=3E",
		"é":        "=C3=A9",
	} {
		if got := natsstore.Escape(key); got != want {
			t.Errorf("%q became %q, want %q", key, got, want)
		}
	}
	for _, bad := range []string{"=", "=2", "a=2e", "=GG"} {
		if got, err := natsstore.Unescape(bad); err == nil {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

func FuzzEscape(f *testing.F) {
	for _, key := range []string{"a", ".", "a..b", "=", "a=2Eb", "\x00\xff", strings.Repeat(".", 9)} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if key == "" {
			return
		}
		text := natsstore.Escape(key)
		if !valid.MatchString(text) {
			t.Errorf("%q became %q, which NATS does not take", key, text)
		}
		if back, err := natsstore.Unescape(text); back != key || err != nil {
			t.Errorf("%q became %q and then %q, %v", key, text, back, err)
		}
	})
}
