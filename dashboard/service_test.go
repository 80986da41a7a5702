package dashboard_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/dashboard"
)

// Instances are asked at their admin listeners, all of them and nobody else.
func TestServiceAsksInstances(t *testing.T) {
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" {
			t.Error("the page's origin was passed on")
		}
		switch r.Method + " " + r.URL.Path + "?" + r.URL.RawQuery {
		case "GET /debug/config?service=cart":
			fmt.Fprint(w, `[{"service":"cart","settings":[{"path":"cart.token","value":"[secret]","source":"env CART_TOKEN","env":"CART_TOKEN"}]}]`)
		case "POST /debug/log?level=debug&service=cart":
			fmt.Fprint(w, `[{"service":"cart","level":"DEBUG","least":"DEBUG"}]`)
		case "POST /debug/log?level=loud&service=cart":
			http.Error(w, "no level loud", http.StatusBadRequest)
		default:
			http.NotFound(w, r)
		}
	}))
	defer admin.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	gone := httptest.NewServer(nil)
	gone.Close()
	sys := newSystem()
	sys.state.Services[0].Instances = []dashboard.Instance{
		{ID: "a", State: "ready", Admin: strings.TrimPrefix(admin.URL, "http://"), Replica: 1},
		{ID: "b", State: "ready"},
		{ID: "c", State: "ready", Admin: strings.TrimPrefix(gone.URL, "http://")},
	}
	c, base := in(t, &dashboard.Server{System: sys})
	type told struct {
		Instance string
		Report   map[string]any
		Error    string
	}
	read := func(method, path, body string, want int) []told {
		t.Helper()
		res, text := ask(t, c, method, base+"/api/services/"+path, body, "Hanse-Dashboard", "1", "Origin", base)
		var answer struct{ Instances []told }
		if err := json.Unmarshal([]byte(text), &answer); res.StatusCode != want || err != nil {
			t.Fatalf("%s: %s %s %v", path, res.Status, text, err)
		}
		return answer.Instances
	}
	list := read("GET", "cart/config", "", 200)
	if len(list) != 3 || list[0].Report["service"] != "cart" || !strings.Contains(list[1].Error, "--admin-addr") || !strings.Contains(list[2].Error, "does not answer") {
		t.Errorf("config: %+v", list)
	}
	if list := read("GET", "cart/resilience", "", 200); !strings.Contains(list[0].Error, "does not know this") {
		t.Errorf("of an older version: %+v", list)
	}
	if list := read("POST", "cart/log-level", `{"level":"debug"}`, 200); list[0].Report["level"] != "DEBUG" {
		t.Errorf("log level: %+v", list)
	}
	if list := read("POST", "cart/log-level", `{"level":"loud"}`, 200); list[0].Error != "no level loud" {
		t.Errorf("no such level: %+v", list)
	}
	read("POST", "cart/log-level", `{}`, 400)
	read("GET", "nobody/config", "", 404)
	sys.state.ReadOnly = true
	read("POST", "cart/log-level", `{"level":"debug"}`, 403)
}
