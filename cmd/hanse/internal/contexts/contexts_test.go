package contexts_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/cmd/hanse/internal/contexts"
)

func TestParse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "contexts.yaml")
	for text, want := range map[string]string{
		"":          "",
		"contexts:": "",
		"contexts:\n  - {name: a, registry: 'local:a static:b=c:1'}\n  - {name: b, backplane: nats://x, registry: 'backplane:', production: true}": "",
		"context: []": ":1:1: unknown key \"context\"; did you mean contexts?",
		"contexts:\n  - name: a\n    registry: local:a\n    prodution: true": ":4:5: unknown key \"prodution\"; did you mean production?",
		"contexts:\n  - name: a\n    registry: local:a\n    production: yes": ":4:17: yes where true or false belongs",
		"contexts:\n  - name: a":                                                        ":2:11: the context has neither registry nor backplane",
		"contexts:\n  - name: a b\n    registry: local:a":                               ":2:11: \"a b\" is no name of a context",
		"contexts:\n  - registry: local:a":                                              ":2:5: the context has no name",
		"contexts:\n  - name: a\n    registry: lokal:a":                                 ":3:15: discovery: registry \"lokal:a\": unknown scheme",
		"contexts:\n  - name: a\n    registry: 'backplane:'":                            ":3:15: the registry is on the backplane, and the context has none",
		"contexts:\n  - {name: a, registry: local:a}\n  - {name: a, registry: local:b}": ":3:12: there is a context \"a\" already",
	} {
		f, err := contexts.Parse(path, []byte(text))
		if want == "" {
			if err != nil || f.Path != path {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), path+want) {
			t.Errorf("%s\n%v\nwant %s", text, err, want)
		}
	}
	// No mistake shows what stands before the host of a URL.
	_, err := contexts.Parse(path, []byte("contexts:\n  - {name: a, backplan: \"nats://hush:hush@x:1\"}"))
	if err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "nats://…@x:1") {
		t.Errorf("%v", err)
	}
}
