package hanse_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
)

// fetch gets a page, as its status and its text.
func fetch(t *testing.T, addr, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, body := roundTrip(t, req)
	return resp.Status + " " + body
}

func TestDocs(t *testing.T) {
	pages := &hanse.Service{Name: "pages", Version: "v1.2.3"}
	pages.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "a page") }))
	r := run(t, &hanse.App{Docs: true, Addrs: map[string]string{"pages": "127.0.0.1:0"}}, tellsName("cart"), tellsName("wine"), pages)
	doc := fetch(t, r.addr("cart"), "/openapi.json")
	for _, want := range []string{"200 OK", `"title": "cart, wine"`, `"/grpc.testing.TestService/EmptyCall"`, `"service": "cart"`} {
		if !strings.Contains(doc, want) {
			t.Errorf("no %s in\n%.900s", want, doc)
		}
	}
	if strings.Contains(doc, "grpc.health") {
		t.Error("health checks are described")
	}
	if page := fetch(t, r.addr("cart"), "/docs"); !strings.HasPrefix(page, "200 OK <!doctype html>") {
		t.Errorf("%.200s", page)
	}
	if doc := fetch(t, r.addr("pages"), "/openapi.json"); !strings.Contains(doc, `"version": "v1.2.3"`) || !strings.Contains(doc, `"title": "pages"`) {
		t.Errorf("pages for everything are before the docs: %.200s", doc)
	}
}

func TestNoDocs(t *testing.T) {
	for name, app := range map[string]*hanse.App{"by default": {}, "without a gateway": {Docs: true, NoGateway: true}} {
		r := run(t, app, tellsName("cart"))
		for _, path := range []string{"/docs", "/openapi.json"} {
			if got := fetch(t, r.addr("cart"), path); !strings.HasPrefix(got, "404") {
				t.Errorf("%s, %s: %.100s", name, path, got)
			}
		}
	}
	own := &hanse.Service{Name: "own"}
	own.Handle("GET /docs/{$}", http.RedirectHandler("/", http.StatusFound))
	own.Handle("GET /docs", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "my own") }))
	r := run(t, &hanse.App{Docs: true}, own)
	if got := fetch(t, r.addr("own"), "/docs"); got != "200 OK my own" {
		t.Errorf("%.100s", got)
	}
}
