package dashboard_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/dashboard"
)

// A system that is read-only is changed by nothing, whatever the page asks.
func TestReadOnlyRefusesAll(t *testing.T) {
	bodies := map[string]string{
		"system/do":                 `{"action":"stop","service":"cart"}`,
		"services/{name}/log-level": `{"level":"debug"}`,
		"events/replay":             `{"topic":"orders","group":"mail","from":"beginning"}`,
		"events/dead":               `{"topic":"orders","do":"drop","last":1}`,
		"store/put":                 `{"bucket":"b","key":"k","text":"v"}`,
		"store/delete":              `{"bucket":"b","key":"k","revision":1}`,
	}
	// All that there is, is in the table.
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\.post\("([^"]+)"|HandleFunc\("(POST|PUT|PATCH|DELETE) `).FindAllStringSubmatch(string(text), -1) {
			if _, ok := bodies[m[1]]; !ok {
				t.Errorf("%s: the table does not have %s", file, m[0])
			}
		}
	}
	sys := newSystem()
	sys.state.ReadOnly, sys.state.Production = true, true
	s := &dashboard.Server{System: sys}
	c, base := enter(t, s)
	for path, body := range bodies {
		path = strings.ReplaceAll(path, "{name}", "cart")
		if res, text := ask(t, c, "POST", base+"/api/"+path, body, "Hanse-Dashboard", "1"); res.StatusCode != http.StatusForbidden || !strings.Contains(text, "changes nothing") {
			t.Errorf("%s: %s %s", path, res.Status, text)
		}
	}
	if len(sys.did) > 0 {
		t.Errorf("it did %v", sys.did)
	}
	// The same by the API that other commands ask.
	w := httptest.NewRecorder()
	s.API().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", "/api/system/do", strings.NewReader(bodies["system/do"])))
	if w.Code != http.StatusForbidden {
		t.Errorf("the API without a guard: %d %s", w.Code, w.Body)
	}
}
