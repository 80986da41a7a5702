package config_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/hanse-go/hanse/config"
)

func TestSecretNeverPrints(t *testing.T) {
	const hidden = "hunter2"
	s := config.NewSecret(hidden)
	type outer struct {
		Public  config.Secret
		private config.Secret
		Pointer *config.Secret
		List    []config.Secret
		Map     map[string]config.Secret
	}
	o := outer{s, s, &s, []config.Secret{s}, map[string]config.Secret{"k": s}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10.2f", "%p", "%T"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, s, &s, o, &o)
	}
	fmt.Fprint(&out, s, o, s.String(), s.GoString())
	for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(h).Info("m", "s", s, "p", &s, "o", o, "list", o.List)
	}
	j, err := json.Marshal(o)
	y, err2 := yaml.Marshal(o)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	out.Write(j)
	out.Write(y)
	_ = gob.NewEncoder(&out).Encode(o)
	for _, form := range []string{hidden, "68756e74657232", "68756E74657232"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the secret shows as %s in:\n%s", form, out.String())
		}
	}
	if !bytes.Contains(j, []byte("[secret]")) || !bytes.Contains(y, []byte("[secret]")) {
		t.Errorf("JSON %s\nYAML %s", j, y)
	}
	if s.Reveal() != hidden {
		t.Errorf("Reveal = %q", s.Reveal())
	}
	if !reflect.DeepEqual(s, config.NewSecret(hidden)) || reflect.DeepEqual(s, config.NewSecret("other")) {
		t.Error("DeepEqual does not compare what is revealed")
	}
}

func TestEmptySecretPrintsNothing(t *testing.T) {
	var s config.Secret
	if got := fmt.Sprintf("%v|%s|%#v", s, s, s); got != `||config.Secret("")` {
		t.Error(got)
	}
	if s != config.NewSecret("") {
		t.Error("an empty secret is not the zero one")
	}
}
