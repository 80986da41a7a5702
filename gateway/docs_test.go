package gateway_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/gateway/internal/librarypb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// shelf is a backend whose contracts change, and which notes what is called.
type shelf struct {
	generation uint64
	contracts  []protoreflect.ServiceDescriptor
	called     string
}

func (s *shelf) Generation() uint64                          { return s.generation }
func (s *shelf) Contracts() []protoreflect.ServiceDescriptor { return s.contracts }
func (s *shelf) Call(method string, stream grpc.ServerStream) error {
	s.called = method
	return status.Error(codes.NotFound, "called")
}

func libraryShelf() *shelf {
	services := librarypb.File_gateway_internal_librarypb_library_proto.Services()
	return &shelf{contracts: []protoreflect.ServiceDescriptor{services.Get(0)}}
}

func get(t *testing.T, h http.Handler, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r io.Reader) string {
	t.Helper()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestDocsAreServed calls every operation of a document, and sees the method that it is for called.
func TestDocsAreServed(t *testing.T) {
	b := libraryShelf()
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(text(t, get(t, &gateway.Docs{Public: true, Backend: b}, "/openapi.json").Body)), &doc); err != nil {
		t.Fatal(err)
	}
	type operation struct {
		Parameters []struct {
			Name, In string
			Form     string `json:"x-hanse-form"`
			Required bool
		}
		RequestBody struct{ Content map[string]any }
		Responses   map[string]struct{ Content map[string]any }
		Call        struct{ Method string } `json:"x-hanse"`
	}
	h := &gateway.Handler{Backend: b}
	n := 0
	try := func(verb, path string, op operation) {
		n++
		url := regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(path, "1")
		for _, p := range op.Parameters {
			if p.In == "query" && p.Required {
				url += map[bool]string{true: "&", false: "?"}[strings.Contains(url, "?")] + p.Name + "=" + map[string]string{"encoding": "json", "message": "%7B%7D"}[p.Name]
			}
		}
		body, contentType := "{}", ""
		for mediaType := range op.RequestBody.Content {
			if contentType = strings.Replace(mediaType, "*/*", "image/png", 1); strings.HasPrefix(contentType, "application/connect+") {
				body = "\x00\x00\x00\x00\x02{}"
			}
		}
		r := httptest.NewRequest(verb, url, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		for mediaType := range op.Responses["200"].Content {
			r.Header.Set("Accept", mediaType)
		}
		b.called = ""
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if b.called != op.Call.Method {
			t.Errorf("%s %s: called %q, not %q: %d %s", verb, url, b.called, op.Call.Method, w.Code, w.Body)
		}
	}
	for path, item := range doc.Paths {
		for verb, raw := range item {
			if verb == "x-additionalOperations" {
				var others map[string]operation
				if err := json.Unmarshal(raw, &others); err != nil {
					t.Fatal(err)
				}
				for verb, op := range others {
					try(verb, path, op)
				}
				continue
			}
			var op operation
			if err := json.Unmarshal(raw, &op); err != nil {
				t.Fatal(err)
			}
			try(strings.ToUpper(verb), path, op)
		}
	}
	if n < 30 {
		t.Errorf("%d operations only", n)
	}
}

// TestDocsFollow holds that the document is that of the contracts which there are.
func TestDocsFollow(t *testing.T) {
	b := libraryShelf()
	d := &gateway.Docs{Public: true, Backend: b, Title: "Books", Version: "v3", Service: func(protoreflect.ServiceDescriptor) string { return "library" }}
	first := text(t, get(t, d, "/openapi.json").Body)
	for _, want := range []string{`"openapi": "3.1.0"`, `"title": "Books"`, `"version": "v3"`, `"service": "library"`} {
		if !strings.Contains(first, want) {
			t.Errorf("no %s in\n%.600s", want, first)
		}
	}
	b.contracts = []protoreflect.ServiceDescriptor{testpb.File_grpc_testing_test_proto.Services().ByName("TestService")}
	if again := text(t, get(t, d, "/openapi.json").Body); again != first {
		t.Error("another document without another generation")
	}
	b.generation++
	if next := text(t, get(t, d, "/openapi.json").Body); next == first || !strings.Contains(next, "/grpc.testing.TestService/UnaryCall") {
		t.Errorf("the document did not follow:\n%.400s", next)
	}
}

// TestDocsPage holds what browsers are told about the page and its files, each of which is there.
func TestDocsPage(t *testing.T) {
	d := &gateway.Docs{Public: true, Backend: libraryShelf()}
	seen := map[string]bool{}
	todo := []string{"/docs", "/openapi.json"}
	for len(todo) > 0 {
		path := todo[0]
		todo = todo[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		res := get(t, d, path)
		body := text(t, res.Body)
		h := res.Header
		if res.StatusCode != 200 || body == "" || h.Get("Content-Type") == "" || h.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") || strings.Contains(h.Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("%s: %d, %v", path, res.StatusCode, h)
		}
		packed := get(t, d, path, "Accept-Encoding", "br, gzip")
		zip, err := gzip.NewReader(packed.Body)
		if err != nil || text(t, zip) != body || packed.Header.Get("Content-Encoding") != "gzip" || packed.Header.Get("ETag") == h.Get("ETag") {
			t.Errorf("%s by gzip: %v, %v", path, err, packed.Header)
		}
		if same := get(t, d, path, "If-None-Match", h.Get("ETag")); same.StatusCode != 304 || text(t, same.Body) != "" {
			t.Errorf("%s again: %d", path, same.StatusCode)
		}
		if path != "/openapi.json" {
			if m := regexp.MustCompile(`\s(?:src|href)="(https?:)?//[^"]*"|<script>|style="|url\(["'h]|\son[a-z]+="`).FindString(body); m != "" && path != "/docs/icon.svg" {
				t.Errorf("%s has %s", path, m)
			}
		}
		for _, m := range regexp.MustCompile(`(?:href|src)="(docs/[^"]+)"`).FindAllStringSubmatch(body, -1) {
			todo = append(todo, "/"+m[1])
		}
		for _, m := range regexp.MustCompile(`from "\./([^"]+)"`).FindAllStringSubmatch(body, -1) {
			todo = append(todo, "/docs/"+m[1])
		}
	}
	if !seen["/docs/tree.js"] || !seen["/docs/style.css"] || len(seen) < 12 {
		t.Errorf("not all was found: %v", seen)
	}
	if res := get(t, d, "/docs/"); res.StatusCode != 301 || res.Header.Get("Location") != "/docs" {
		t.Errorf("/docs/: %d, to %q", res.StatusCode, res.Header.Get("Location"))
	}
	for _, path := range []string{"/docs/nothing.js", "/docs/../docs.go", "/"} {
		if res := get(t, d, path); res.StatusCode != 404 && res.StatusCode != 307 && res.StatusCode != 301 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

// TestLocal holds who is let through, and who is not.
func TestLocal(t *testing.T) {
	h := gateway.Local(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "in") }))
	for _, tt := range []struct {
		remote, host string
		header       []string
		in           bool
	}{
		{"127.0.0.1:5000", "localhost:8080", nil, true},
		{"127.8.0.1:5000", "127.0.0.1", nil, true},
		{"[::1]:5000", "[::1]:8080", nil, true},
		{"[::1]:5000", "[::1]", nil, true},
		{"[::ffff:127.0.0.1]:5000", "LOCALHOST.", nil, true},
		{"127.0.0.1:5000", "cart.localhost:8080", nil, true},
		{"", "localhost", nil, true},
		{"@", "localhost", nil, true},
		{"/run/x.sock", "localhost", nil, true},
		{"127.0.0.1:5000", "localhost:8080", []string{"Origin", "http://localhost:8080"}, true},
		{"127.0.0.1:5000", "localhost:8080", []string{"Sec-Fetch-Site", "same-origin"}, true},
		{"127.0.0.1:5000", "localhost:8080", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, true}, // a link
		{"127.0.0.1:5000", "localhost:8080", []string{"X-Forwarded-For", "::1, 127.0.0.1", "X-Forwarded-Host", "localhost:8080"}, true},

		{"192.0.2.1:5000", "localhost:8080", nil, false},
		{"[2001:db8::1]:5000", "localhost", nil, false},
		{"elsewhere", "localhost", nil, false},
		{"127.0.0.1:5000", "evil.example:8080", nil, false},
		{"127.0.0.1:5000", "localhost.evil.example", nil, false},
		{"127.0.0.1:5000", "evillocalhost", nil, false},
		{"127.0.0.1:5000", "", nil, false},
		{"127.0.0.1:5000", "192.0.2.1", nil, false},
		{"127.0.0.1:5000", "0.0.0.0:8080", nil, false},
		{"127.0.0.1:5000", "localhost:8080", []string{"Origin", "http://evil.example"}, false},
		{"127.0.0.1:5000", "localhost:8080", []string{"Origin", "http://localhost:9999"}, false},
		{"127.0.0.1:5000", "localhost:8080", []string{"Origin", "null"}, false},
		{"127.0.0.1:5000", "localhost:8080", []string{"Origin", "http://%zz"}, false},
		{"127.0.0.1:5000", "localhost:8080", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, false},
		{"127.0.0.1:5000", "localhost:8080", []string{"X-Forwarded-For", "192.0.2.1"}, false},
		{"127.0.0.1:5000", "localhost:8080", []string{"X-Forwarded-For", "127.0.0.1, 192.0.2.1"}, false},
		{"127.0.0.1:5000", "localhost:8080", []string{"X-Forwarded-For", "unknown"}, false},
		{"127.0.0.1:5000", "localhost:8080", []string{"X-Forwarded-Host", "evil.example"}, false},
		{"127.0.0.1:5000", "localhost:8080", []string{"Forwarded", "for=192.0.2.1"}, false},
		{"127.0.0.1:5000", "localhost:8080", []string{"Via", "1.1 proxy"}, false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Host = tt.remote, tt.host
		for i := 0; i < len(tt.header); i += 2 {
			r.Header.Set(tt.header[i], tt.header[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		want := map[bool]int{true: 200, false: 403}[tt.in]
		if w.Code != want || tt.in != (w.Body.String() == "in") {
			t.Errorf("%q asks %q with %v: %d %s", tt.remote, tt.host, tt.header, w.Code, w.Body)
		}
	}
}

// TestDocsAreLocal holds that Docs answers this machine only, unless it is told otherwise.
func TestDocsAreLocal(t *testing.T) {
	for public, want := range map[bool]int{false: 403, true: 200} {
		d := &gateway.Docs{Backend: libraryShelf(), Public: public}
		for _, path := range []string{"/docs", "/openapi.json", "/docs/page.js"} {
			r := httptest.NewRequest("GET", path, nil) // from 192.0.2.1, to example.com
			w := httptest.NewRecorder()
			d.ServeHTTP(w, r)
			if w.Code != want || !d.Serves(r) {
				t.Errorf("%s, public %v: %d", path, public, w.Code)
			}
		}
	}
	if new(gateway.Docs).Serves(httptest.NewRequest("GET", "/docsx", nil)) {
		t.Error("/docsx is served")
	}
}
