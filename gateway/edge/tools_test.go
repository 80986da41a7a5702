package edge_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/gateway/edge"
)

// agents lists the tools, or calls one.
func agents(tools *edge.Tools) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if method := r.URL.Query().Get("call"); method != "" {
			reply, ok := tools.Call(r.Context(), r, method, json.RawMessage(`{"name":"faust"}`))
			fmt.Fprintf(w, "%t %s\n", ok, reply)
			return
		}
		for _, t := range tools.List(r) {
			fmt.Fprintln(w, t.Method)
		}
	})
}

// Without a file that says so there are no tools; with one those that have no side effects, or those that it names.
func TestTools(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte("gateway:\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t)
	w.serve("books", &library{name: "one"})
	write("  body: 100\n")
	w.open(&edge.Gateway{File: file, NewMCP: agents})
	w.get("/mcp").want(t, 404, "")
	write("  mcp: true\n")
	w.until("the safe method is a tool", func() bool { return w.get("/mcp").body == getBook+"\n" })
	if a := w.get("/mcp?call=" + getBook); !strings.HasPrefix(a.body, `true {"name":`) {
		t.Errorf("%d %s", a.code, a.body)
	}
	w.get("/mcp", "Origin", "https://page.example", "Sec-Fetch-Site", "cross-site").want(t, 403, "page of another site")
	w.get("/mcp", "X-Forwarded-For", "192.0.2.1").want(t, 403, "this machine only")
	if a := w.getAs("page.example", "/mcp"); a.code != 403 {
		t.Errorf("a page that gave its name the address of this machine: %d %s", a.code, a.body)
	}
	write("  mcp: true\n  tools: [library.Library/Plain]\n")
	w.until("a mistake is told with its line", func() bool { return strings.Contains(w.logs.String(), ":3:11: gateway.tools[0]: ") })
	write("  mcp: true\n  tools: [/library.Library/Plain, /library.Library/WatchBooks]\n")
	w.until("what the file names is a tool", func() bool { return w.get("/mcp").body == "/library.Library/Plain\n" })
	write("  tools: [/library.Library/Plain]\n")
	w.until("tools for nobody are a mistake", func() bool { return strings.Contains(w.logs.String(), "gateway.tools: nobody is offered them") })
	write("  body: 100\n")
	w.until("it is off", func() bool { return w.get("/mcp").code == 404 })

	w = newWorld(t)
	w.start(&edge.Gateway{Settings: edge.Settings{MCP: true}})
	if err := w.stop(); err == nil || !strings.Contains(err.Error(), "mcp: this gateway does not speak it") {
		t.Errorf("without NewMCP: %v", err)
	}
}

// Each caller is offered what it may call, under the rules that hold for calls.
func TestToolsByRules(t *testing.T) {
	w := newWorld(t)
	impl := &library{name: "one"}
	w.serve("books", impl)
	users := new(issuer)
	w.open(&edge.Gateway{
		NewMCP: agents, NewVerifier: users.verifier,
		Settings: edge.Settings{
			Listen: "0.0.0.0:0", Expose: []string{"books"}, MCP: true, Tools: []string{"/library.Library/*"},
			Keys:  map[string]string{"partner": sum("k")},
			Users: edge.Tokens{Issuer: "https://one.example", Audience: []string{"shop"}},
			CORS:  edge.CORS{Origins: []string{"https://shop.example"}},
			Rules: []edge.Rule{
				{Match: []string{getBook}, Auth: "user", Rate: edge.Rate{PerSecond: 0.001, Burst: 1, By: "user"}},
				{Match: []string{"/library.Library/Plain"}, Auth: "any"},
				{Match: []string{"/library.Library/TagBook"}, Auth: "key", Keys: []string{"partner"}},
			},
		},
	})
	for _, tt := range []struct {
		name      string
		header    []string
		code      int
		says      string
		challenge string
	}{
		{"a user", []string{"Authorization", "Bearer ada/a"}, 200, getBook + "\n/library.Library/Plain\n", ""},
		{"a partner", []string{"X-Api-Key", "k"}, 200, "/library.Library/TagBook\n/library.Library/Plain\n", ""},
		{"nobody", nil, 401, "send a token as authorization: Bearer TOKEN\n", "Bearer"},
		{"a bad token", []string{"Authorization", "Bearer ada"}, 401, "it is no good token\n", `Bearer error="invalid_token"`},
		{"a bad key", []string{"X-Api-Key", "x"}, 401, "", "Bearer"},
	} {
		a := w.get("/mcp", tt.header...)
		if a.code != tt.code || tt.says != "" && a.body != tt.says || a.header.Get("WWW-Authenticate") != tt.challenge {
			t.Errorf("%s: %d %q %v", tt.name, a.code, a.body, a.header)
		}
	}
	ada := []string{"Authorization", "Bearer ada/a", "Hanse-Claim-Sub", "eve"}
	if a := w.get("/mcp?call="+getBook, ada...); !strings.HasPrefix(a.body, "true ") || fmt.Sprint(impl.last("hanse-claim-sub")) != "[ada]" {
		t.Errorf("%s, and the service was told %v", a.body, impl.seen)
	}
	w.get("/mcp?call="+getBook, ada...).want(t, 200, "false ") // over the rate
	if a := w.get("/mcp?call=/library.Library/DeleteBook", ada...); !strings.Contains(a.body, "permission_denied") {
		t.Errorf("a method that no rule opens: %s", a.body)
	}
	if a := w.get("/mcp", append(ada, "Origin", "https://shop.example", "Sec-Fetch-Site", "cross-site")...); a.code != 200 || a.header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("an allowed page: %d %v", a.code, a.header)
	}
	if a := w.do(http.MethodOptions, "/mcp", "", "Origin", "https://shop.example", "Access-Control-Request-Method", "POST"); a.code != 204 || !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "Mcp-Protocol-Version") {
		t.Errorf("what it asks before: %d %v", a.code, a.header)
	}
	w.do(http.MethodPost, "/mcp", "{}", append(ada, "Origin", "https://other.example", "Sec-Fetch-Site", "cross-site")...).want(t, 403, "")
	users.mu.Lock()
	users.away = true
	users.mu.Unlock()
	w.get("/mcp", ada...).want(t, 503, "nobody can tell")
}
