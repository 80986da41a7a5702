package gateway_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/gateway"
)

// compact returns JSON without the blanks that protojson varies, and other text as it is.
func compact(s string) string {
	var b bytes.Buffer
	for line := range strings.Lines(s) {
		var one bytes.Buffer
		if json.Compact(&one, []byte(line)) != nil {
			return s
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.Write(one.Bytes())
	}
	return b.String()
}

const jsonBody = "Content-Type: application/json"

func TestREST(t *testing.T) {
	url := serveLibrary(t)
	for _, tt := range []struct {
		request string // "METHOD path body"
		fields  string // of the header, separated by |
		status  int
		want    string // the body; an ellipsis stands for the rest
	}{
		// Paths and queries.
		{"GET /v1/shelves/1/books/2", "", 200, `{"name":"shelves/1/books/2"}`},
		{"GET /v1/books/a%2Fb%20c", "", 200, `{"name":"a/b c"}`},
		{"GET /v1/books/x?pages=3&tags=a&tags=b&genre=GENRE_NOVEL&filter.in_print=true&filter.size=5", "", 200,
			`{"name":"x","pages":3,"tags":["a","b"],"genre":"GENRE_NOVEL","filter":{"inPrint":true,"size":"5"}}`},
		{"POST /v1/books/x:get", "", 200, `{"name":"x"}`},
		{"POST /v1/books/x:get {}", jsonBody, 200, `{"name":"x"}`},
		{"LOCK /v1/books/x", "", 200, `{"name":"x"}`},
		{"DELETE /v1/shelves/1/books/2", "", 200, `{}`},
		{"GET /v1/books/x?pgaes=3", "", 400, `{"code":"invalid_argument","message":"pgaes: library.GetBookRequest has no field \"pgaes\"; did you mean \"pages\"?","details":[…`},
		{"GET /v1/books/x?pages=many", "", 400, `{"code":"invalid_argument","message":"pages: it is a whole number, which \"many\" is not",…`},
		{"GET /v1/books/x?name=y", "", 400, `{"code":"invalid_argument","message":"name: it is given by the path",…`},
		{"GET /v1/books/%ff", "", 400, `{"code":"invalid_argument","message":"name: the path has a value that is no valid UTF-8 text",…`},
		{"DELETE /v1/shelves/1/books/2 {\"a\":1}", jsonBody, 400, `{"code":"invalid_argument","message":"this route takes no body: …`},

		// Bodies.
		{`POST /v1/shelves/1/books?bookId=b {"title":"T"}`, jsonBody, 200, `{"parent":"shelves/1","book":{"title":"T"},"bookId":"b"}`},
		{`POST /v1/shelves/1/books?bookId=b`, "", 200, `{"parent":"shelves/1","bookId":"b"}`},
		{`POST /v1/shelves/1/books {}`, "Content-Type: application/json; charset=UTF-8", 200, `{"parent":"shelves/1","book":{}}`},
		{`POST /v1/shelves/1/books {}`, "Content-Type: application/vnd.library+json", 200, `{"parent":"shelves/1","book":{}}`},
		{`POST /v1/shelves/1/books {}`, "", 200, `{"parent":"shelves/1","book":{}}`},
		{`POST /v1/books {"book":{"title":"T"},"parent":"p"}`, jsonBody, 200, `{"title":"T"}`},
		{`POST /v1/books`, "", 200, `{}`},
		{`POST /v1/books?parent=p {}`, jsonBody, 400, `{"code":"invalid_argument","message":"parent: this route takes all fields …`},
		{`PATCH /v1/shelves/1/books/2?update_mask=title,inPrint {"title":"T","name":"lost"}`, jsonBody, 200,
			`{"book":{"name":"shelves/1/books/2","title":"T"},"updateMask":"title,inPrint"}`},
		{`PUT /v1/books/x/tags ["a","b"]`, jsonBody, 200, `["a","b"]`},
		{`PUT /v1/books/x/tags []`, jsonBody, 200, `[]`},
		{`PUT /v1/books/x/tags`, "", 200, `[]`},
		{`PUT /v1/books/x/labels {"a":1}`, jsonBody, 200, `{"a":1}`},
		{`PUT /v1/books/x/labels {}`, jsonBody, 200, `{}`},
		{`PUT /v1/books/x/title "T: \"quoted\""`, jsonBody, 200, `"T: \"quoted\""`},
		{`PUT /v1/books/x/title`, jsonBody, 200, `""`},
		{`PUT /v1/books/x/pages 7`, jsonBody, 200, `7`},
		{`PUT /v1/books/x/pages`, jsonBody, 200, `0`},
		{`PUT /v1/books/x/sold "9007199254740993"`, jsonBody, 200, `"9007199254740993"`},
		{`PUT /v1/books/x/sold`, jsonBody, 200, `"0"`},
		{`PUT /v1/books/x/genre "GENRE_NOVEL"`, jsonBody, 200, `"GENRE_NOVEL"`},
		{`PUT /v1/books/x/genre`, jsonBody, 200, `"GENRE_UNSPECIFIED"`},
		{`PUT /v1/books/x/in_print true`, jsonBody, 200, `true`},
		{`PUT /v1/books/x/in_print`, jsonBody, 200, `false`},
		{`PUT /v1/books/x/rating 0`, jsonBody, 200, `0`},
		{`PUT /v1/books/x/rating null`, jsonBody, 200, `null`},
		{`PUT /v1/books/x/published "2026-01-31T12:00:00Z"`, jsonBody, 200, `"2026-01-31T12:00:00Z"`},
		{`PUT /v1/books/x/sequels [{"title":"U"}]`, jsonBody, 200, `[{"title":"U"}]`},

		// Mistakes in bodies.
		{`POST /v1/books {"book":{"titel":"T"}}`, jsonBody, 400, `{"code":"invalid_argument","message":"book.titel: unknown field \"titel\" (line 1, column 10)","details":[{"type":"google.rpc.BadRequest",…`},
		{`POST /v1/books {"book":{"sequels":[{},{"pages":"x"}]}}`, jsonBody, 400, `{"code":"invalid_argument","message":"book.sequels[1].pages: invalid value for int32 field pages: \"x\" (line 1, column 33)",…`},
		{`POST /v1/shelves/1/books {"sequels":[{"pages":1.5}]}`, jsonBody, 400, `{"code":"invalid_argument","message":"book.sequels[0].pages: invalid value for int32 field pages: 1.5 (line 1, column 22)",…`},
		{`PUT /v1/books/x/tags ["a",1]`, jsonBody, 400, `{"code":"invalid_argument","message":"tags[1]: invalid value for string field tags: 1 …`},
		{`PUT /v1/books/x/tags ["a"],"title":"smuggled"`, jsonBody, 400, `{"code":"invalid_argument","message":"the body: invalid character ',' after top-level value"}`},
		{`PUT /v1/books/x/tags {`, jsonBody, 400, `{"code":"invalid_argument","message":"the body: unexpected end of JSON input"}`},
		{`POST /v1/books {"book":{"title":"T"`, jsonBody, 400, `{"code":"invalid_argument","message":"the body: unexpected EOF"}`},
		{`POST /v1/books {"book":{"title":"T"}} {}`, jsonBody, 400, `{"code":"invalid_argument","message":"the body: unexpected token { (line 1, column 24)"}`},
		{`POST /v1/books {"parent":"a","parent":"b"}`, jsonBody, 400, `{"code":"invalid_argument","message":"parent: duplicate field \"parent\" (line 1, column 15)",…`},
		{`POST /v1/books <x/>`, jsonBody, 400, `{"code":"invalid_argument","message":"the body: invalid value \u003c (line 1, column 1)"}`},
		{"POST /v1/books {\"parent\":\"\xff\"}", jsonBody, 400, `{"code":"invalid_argument","message":"parent: invalid UTF-8 in string (line 1, column 11)",…`},
		{`POST /v1/books {"book":` + strings.Repeat(`{"sequels":[`, 200), jsonBody, 400, `{"code":"invalid_argument","message":"the body: exceeded max recursion depth"}`},
		{`PUT /v1/books/x/sequels ` + strings.Repeat("[", 20000), jsonBody, 400, `{"code":"invalid_argument","message":"the body: invalid character '[' exceeded max depth"}`},
		{`POST /v1/books a=b`, "Content-Type: application/x-www-form-urlencoded", 415, `{"code":"invalid_argument","message":"the content type is \"application/x-www-form-urlencoded\"; send application/json"}`},
		{`POST /v1/books {}`, "Content-Type: application/json; charset=latin1", 415, `{"code":"invalid_argument",…`},
		{`POST /v1/books {}`, "Content-Type: application/x-ndjson", 415, `{"code":"invalid_argument",…`},
		{`POST /v1/books {}`, jsonBody + "|Content-Encoding: br", 415, `{"code":"unimplemented","message":"unknown compression \"br\"…`},
		{`POST /v1/books {}`, jsonBody + "|Content-Encoding: gzip", 400, `{"code":"invalid_argument","message":"the message cannot be decompressed…`},
		{`POST /v1/books ` + strings.Repeat(" ", 5<<20), jsonBody, 413, `{"code":"resource_exhausted","message":"the message is larger than 4194304 bytes…`},

		// Bytes.
		{`PUT /v1/covers/x %PNG`, "Content-Type: image/png", 200, `{"name":"x","cover":{"contentType":"image/png","data":"JVBORw=="}}`},
		{`PUT /v1/covers/x`, "", 200, `{"name":"x","cover":{}}`},
		{`PUT /v1/books/x/cover <svg/>`, "Content-Type: image/svg+xml", 200, `<svg/>`},
		{`POST /v1/covers hello`, "Content-Type: text/plain", 200, `hello`},
		{`GET /v1/covers/svg`, "", 200, `<svg/>`},

		// Errors of handlers.
		{`GET /v1/books/missing`, "", 404, `{"code":"not_found","message":"there is no such book"}`},
		{`GET /v1/books/missing`, "Accept: application/json, application/problem+json", 404, `{"title":"Not Found","status":404,"detail":"there is no such book","code":"not_found"}`},
		{`GET /v1/books/missing`, "Accept: application/problem+json;q=0, */*", 404, `{"code":"not_found",…`},
		{`GET /v1/books/x?pages=x`, "Accept: application/problem+json", 400, `{"title":"Bad Request","status":400,"detail":"pages: it is a whole number, which \"x\" is not","code":"invalid_argument","details":[{"type":"google.rpc.BadRequest",…`},
		{`GET /v1/books/wait`, "Connect-Timeout-Ms: 20", 504, `{"code":"deadline_exceeded",…`},
		{`GET /v1/books/x`, "Connect-Timeout-Ms: soon", 400, `{"code":"invalid_argument","message":"malformed Connect-Timeout-Ms…`},

		// Paths and methods that are not there.
		{`PUT /v1/shelves/1/books/2`, "", 405, `{"code":"unimplemented","message":"there is no PUT of /v1/shelves/1/books/2; there is DELETE, GET, HEAD, OPTIONS, PATCH"}`},
		{`PUT /v1/shelves/1/books/2`, "Accept: application/problem+json", 405, `{"title":"Method Not Allowed","status":405,…`},
		{`OPTIONS /v1/shelves/1/books/2`, "", 204, ``},
		{`HEAD /v1/shelves/1/books/2`, "", 200, ``},
		{`HEAD /v1/books:watch`, "", 405, ``},
		{`GET /v1/shelves/1`, "", 404, `…`},
		{`OPTIONS /v1/shelves/1`, "", 404, `…`},
		{`GET /v1/books/`, "", 404, `{"code":"unimplemented","message":"nothing here answers GET /v1/books/"}`},
	} {
		method, rest, _ := strings.Cut(tt.request, " ")
		path, body, _ := strings.Cut(rest, " ")
		var fields []string
		if tt.fields != "" {
			fields = strings.Split(tt.fields, "|")
		}
		a := do(t, method, url+path, body, fields...)
		got := compact(a.body)
		start, more := strings.CutSuffix(tt.want, "…")
		if a.status != tt.status || got != tt.want && !(more && strings.HasPrefix(got, start)) {
			t.Errorf("%.200s\n%d %.400s\nwant\n%d %s", tt.request, a.status, got, tt.status, tt.want)
		}
	}
}

func TestRESTHeaders(t *testing.T) {
	url := serveLibrary(t)
	for _, tt := range []struct {
		request, fields string
		status          int
		header          map[string]string
	}{
		{"GET /v1/books/x", "X-Echo: hello", 200, map[string]string{
			"Content-Type": "application/json", "X-Content-Type-Options": "nosniff", "X-Echoed": "hello", "Trailer-X-Later": "hello", "Content-Length": "12"}},
		{"HEAD /v1/books/x", "", 200, map[string]string{"Content-Type": "application/json", "Content-Length": "12"}},
		{"OPTIONS /v1/books/x", "", 204, map[string]string{"Allow": "GET, HEAD, LOCK, OPTIONS"}},
		{"TRACE /v1/books/x", "", 405, map[string]string{"Allow": "GET, HEAD, LOCK, OPTIONS"}},
		{"GET /v1/books:import", "", 405, map[string]string{"Allow": "OPTIONS, POST"}},
		{"GET /v1/books:watch", "", 200, map[string]string{"Content-Type": "application/x-ndjson", "Vary": "Accept"}},
		{"HEAD /v1/books:watch", "", 405, map[string]string{"Allow": "GET, OPTIONS"}},
		{"POST /v1/books x", "Content-Type: text/plain", 415, map[string]string{"Accept-Post": "application/json", "Content-Type": "application/json"}},
		{"POST /v1/books:import x", "Content-Type: text/plain", 415, map[string]string{"Accept-Post": "application/x-ndjson, application/json"}},
		{"PATCH /v1/shelves/1/books/1 x", "Content-Type: text/plain", 415, map[string]string{"Accept-Patch": "application/json"}},
		{"PUT /v1/books/x/tags x", jsonBody + "|Content-Encoding: br", 415, map[string]string{"Accept-Encoding": "gzip"}},
		{"GET /v1/books/busy", "", 503, map[string]string{"Retry-After": "2", "Vary": "Accept"}},
		{"GET /v1/books/missing", "Accept: application/problem+json", 404, map[string]string{"Content-Type": "application/problem+json"}},
		{"GET /v1/covers/svg", "", 200, map[string]string{"Content-Type": "image/svg+xml", "X-Content-Type-Options": "nosniff", "Content-Length": "6"}},
		{"GET /v1/covers/bad", "", 200, map[string]string{"Content-Type": "application/octet-stream", "Set-Cookie": ""}},
		{"GET /v1/covers/untold", "", 200, map[string]string{"Content-Type": "application/octet-stream"}},
	} {
		method, rest, _ := strings.Cut(tt.request, " ")
		path, body, _ := strings.Cut(rest, " ")
		var fields []string
		if tt.fields != "" {
			fields = strings.Split(tt.fields, "|")
		}
		a := do(t, method, url+path, body, fields...)
		if a.status != tt.status {
			t.Errorf("%s: %d %s", tt.request, a.status, a.body)
		}
		for name, want := range tt.header {
			if got := strings.Join(a.header.Values(name), ", "); got != want && !(name == "Content-Length" && strings.Contains(a.body, ": ")) {
				t.Errorf("%s: %s is %q, want %q", tt.request, name, got, want)
			}
		}
	}
}

// TestRESTOrigin holds that pages of other sites cannot make a browser call by requests for which it asks nobody.
func TestRESTOrigin(t *testing.T) {
	url := serveLibrary(t)
	host := strings.TrimPrefix(url, "http://")
	for _, tt := range []struct {
		request, fields string
		status          int
	}{
		{"POST /v1/books/x:get", "Origin: http://evil.example", 403},
		{"POST /v1/books/x:get", "Sec-Fetch-Site: cross-site", 403},
		{"POST /v1/books/x:get", "Sec-Fetch-Site: same-site|Content-Type: text/plain", 403},
		{"POST /v1/covers x", "Origin: http://evil.example|Content-Type: text/plain", 403},
		{"POST /v1/covers x", "Origin: null|Content-Type: Application/X-WWW-Form-URLEncoded; charset=utf-8", 403},
		{"POST /v1/covers x", "Origin: http://evil.example|Content-Type: multipart/form-data; boundary=x", 403},
		{"POST /v1/books/x:get", "Origin: http://" + host, 200},
		{"POST /v1/books/x:get", "Sec-Fetch-Site: same-origin|Origin: http://elsewhere", 200},
		{"POST /v1/books/x:get", "Sec-Fetch-Site: none", 200},
		{"POST /v1/books {}", "Origin: http://evil.example|" + jsonBody, 403},
		{"GET /v1/books/x", "Origin: http://evil.example", 200}, // the page cannot read the answer
	} {
		method, rest, _ := strings.Cut(tt.request, " ")
		path, body, _ := strings.Cut(rest, " ")
		if a := do(t, method, url+path, body, strings.Split(tt.fields, "|")...); a.status != tt.status {
			t.Errorf("%s, %s: %d %s", tt.request, tt.fields, a.status, a.body)
		}
	}
}

func TestRESTCompression(t *testing.T) {
	url := serveLibrary(t)
	title := strings.Repeat("long ", 1000)
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	zip.Write([]byte(`{"book":{"title":"` + title + `"}}`))
	zip.Close()
	a := do(t, "POST", url+"/v1/books", zipped.String(), jsonBody, "Content-Encoding: gzip", "Accept-Encoding: gzip")
	if a.status != 200 || a.header.Get("Content-Encoding") != "gzip" || !slices.Contains(a.header.Values("Vary"), "Accept-Encoding") {
		t.Fatalf("%+v", a)
	}
	unzip, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(unzip)
	if err != nil || compact(string(body)) != `{"title":"`+title+`"}` {
		t.Errorf("%.50s, %v", body, err)
	}
	a = do(t, "POST", url+"/v1/covers", strings.Repeat("x", 5000), "Content-Type: image/png", "Accept-Encoding: gzip")
	if a.status != 200 || a.header.Get("Content-Encoding") != "" || len(a.body) != 5000 {
		t.Errorf("a picture is compressed: %+v", a.header)
	}
	var bomb bytes.Buffer
	zip = gzip.NewWriter(&bomb)
	zip.Write(bytes.Repeat([]byte(" "), 5<<20))
	zip.Close()
	if a := do(t, "POST", url+"/v1/books", bomb.String(), jsonBody, "Content-Encoding: gzip"); a.status != 413 {
		t.Errorf("a body that grows: %d %s", a.status, a.body)
	}
	if a := do(t, "POST", url+"/v1/books:import", bomb.String(), jsonBody, "Content-Encoding: gzip"); a.status != 413 {
		t.Errorf("a stream that grows: %d %s", a.status, a.body)
	}
}

func TestRESTReply(t *testing.T) {
	url := serveLibrary(t)
	const lines = "{\"title\":\"page 1\"}\n{\"title\":\"page 2\"}\n"
	const events = "data: {\"title\":\"page 1\"}\n\ndata: {\"title\":\"page 2\"}\n\n"
	for _, tt := range []struct {
		request, accept string
		status          int
		contentType     string
		want            string
	}{
		{"/v1/books:watch?pages=2", "", 200, "application/x-ndjson", lines},
		{"/v1/books:watch?pages=2", "*/*", 200, "application/x-ndjson", lines},
		{"/v1/books:watch?pages=2", "application/json", 200, "application/x-ndjson", lines},
		{"/v1/books:watch?pages=2", "application/jsonl", 200, "application/jsonl", lines},
		{"/v1/books:watch?pages=2", "text/event-stream;q=0.5, application/jsonl", 200, "application/jsonl", lines},
		{"/v1/books:watch?pages=2", "*/*, text/event-stream", 200, "text/event-stream", events + "event: end\ndata: {}\n\n"},
		{"/v1/books:watch?pages=0", "text/event-stream", 200, "text/event-stream", "event: end\ndata: {}\n\n"},
		{"/v1/books:watch?pages=0", "", 200, "application/x-ndjson", ""},
		{"/v1/books:titles?pages=2", "", 200, "application/x-ndjson", "\"page 1\"\n\"page 2\"\n"},
		{"/v1/books:watch?name=missing", "text/event-stream", 404, "application/json", `{"code":"not_found","message":"there is no such book"}`},
		{"/v1/books:watch?name=missing", "application/problem+json", 404, "application/problem+json", `{"title":"Not Found",…`},
		{"/v1/books:watch?name=missing&pages=2", "text/event-stream", 200, "text/event-stream",
			events + "event: error\ndata: {\"code\":\"not_found\",\"message\":\"there is no such book\"}\n\n"},
		{"/v1/books:watch?name=missing&pages=2", "", 200, "application/x-ndjson", lines + "{\"error\":{\"code\":\"not_found\",\"message\":\"there is no such book\"}}\n"},
		{"/v1/books:watch?page=2", "", 400, "application/json", `{"code":"invalid_argument","message":"page: library.GetBookRequest has no field…`},
		{"/v1/files/a/b?pages=2", "", 200, "text/plain", "page 1\npage 2\n"},
		{"/v1/files/a/b", "", 200, "application/octet-stream", ""},
		{"/v1/files/missing", "", 404, "application/json", `{"code":"not_found",…`},
	} {
		var fields []string
		if tt.accept != "" {
			fields = append(fields, "Accept: "+tt.accept)
		}
		a := do(t, "GET", url+tt.request, "", fields...)
		got := strings.ReplaceAll(a.body, `: "`, `:"`) // a blank that protojson varies
		start, more := strings.CutSuffix(tt.want, "…")
		if a.status != tt.status || a.header.Get("Content-Type") != tt.contentType || got != tt.want && !(more && strings.HasPrefix(got, start)) {
			t.Errorf("%s, Accept: %s\n%d %s %q\nwant\n%d %s %q", tt.request, tt.accept, a.status, a.header.Get("Content-Type"), got, tt.status, tt.contentType, tt.want)
		}
	}
}

func TestRESTStreamMetadata(t *testing.T) {
	url := serveLibrary(t)
	for accept, pages := range map[string]string{"text/event-stream": "2", "application/x-ndjson": "0"} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/v1/books:watch?pages="+pages, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		transport := &http.Transport{}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		transport.CloseIdleConnections()
		if resp.Header.Get("X-Watching") != "yes" || resp.Trailer.Get("X-Watched") != "yes" {
			t.Errorf("%s: header %v, trailer %v", accept, resp.Header, resp.Trailer)
		}
	}
}

// TestRESTDownloadFails holds that a client does not take a part of a file for the whole.
func TestRESTDownloadFails(t *testing.T) {
	url := serveLibrary(t)
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP1(proto == "HTTP/1.1")
		transport.Protocols.SetUnencryptedHTTP2(proto == "HTTP/2.0")
		resp, err := (&http.Client{Transport: transport}).Get(url + "/v1/files/missing?pages=2")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != 200 || string(body) != "page 1\npage 2\n" || err == nil || resp.Proto != proto {
			t.Errorf("%s: %d %q, %v", resp.Proto, resp.StatusCode, body, err)
		}
		resp.Body.Close()
		transport.CloseIdleConnections()
	}
}

func TestRESTRequestStream(t *testing.T) {
	url := serveLibrary(t, func(h *gateway.Handler) { h.Limits.MessageBytes = 100 })
	long := strings.Repeat("x", 100)
	for _, tt := range []struct {
		request, contentType, body string
		status                     int
		want                       string
	}{
		{"POST /v1/shelves/1/books:import", "application/x-ndjson", "{\"title\":\"a\"}\n{\"title\":\"b\"}\n", 200,
			`{"messages":2,"last":{"parent":"shelves/1","book":{"title":"b"}}}`},
		{"POST /v1/shelves/1/books:import?book_id=7", "application/json", "{\n \"title\": \"a\"\n}", 200,
			`{"messages":1,"last":{"parent":"shelves/1","book":{"title":"a"},"bookId":"7"}}`},
		{"POST /v1/books:import", "application/jsonl", "\n\n{}{} {}", 200, `{"messages":3,"last":{}}`},
		{"POST /v1/books:import", "application/x-ndjson", "", 200, `{}`},
		{"POST /v1/books:import", "", "", 200, `{}`},
		{"POST /v1/books:import", "application/x-ndjson", strings.Repeat("{\"bookId\":\""+long[:50]+"\"}\n", 20), 200, `{"messages":20,…`},
		{"POST /v1/books:import", "application/x-ndjson", `{"bookId":"` + long + `"}`, 413, `{"code":"resource_exhausted","message":"the message is larger than 100 bytes…`},
		{"POST /v1/books:import", "application/x-ndjson", `{"bookId":"` + strings.Repeat(long, 1000), 413, `{"code":"resource_exhausted",…`},
		{"POST /v1/books:import", "application/x-ndjson", "{}\n{\"bookId\":", 400, `{"code":"invalid_argument","message":"message 2 of the body is no JSON: unexpected EOF"}`},
		{"POST /v1/books:import", "application/x-ndjson", "{}\n}", 400, `{"code":"invalid_argument","message":"message 2 of the body is no JSON: invalid character '}'…`},
		{"POST /v1/books:import", "application/x-ndjson", `{"book":{"titel":""}}`, 400, `{"code":"invalid_argument","message":"book.titel: unknown field…`},
		{"POST /v1/books:import", "application/x-ndjson", `[1]`, 400, `{"code":"invalid_argument","message":"the body: unexpected token [ (line 1, column 1)"}`},
		{"POST /v1/chat", "application/x-ndjson", "{\"title\":\"a\"}\n{\"title\":\"b\"}", 200, "{\"title\":\"a\"}\n{\"title\":\"b\"}"},
		{"POST /v1/chat", "application/x-ndjson", "{\"title\":\"a\"}\n{\"name\":\"missing\"}", 200, "{\"title\":\"a\"}\n{\"error\":{\"code\":\"not_found\",\"message\":\"there is no such book\"}}"},
		{"POST /v1/files/a/b", "text/csv", strings.Repeat("x", 1000), 200, `{"messages":10,"bytes":"1000","lastChunk":{"name":"a/b","cover":{"contentType":"text/csv"}}}`},
		{"POST /v1/files/a?pages=3", "", "", 200, `{"messages":1,"lastChunk":{"name":"a","pages":3,"cover":{}}}`},
	} {
		method, path, _ := strings.Cut(tt.request, " ")
		var fields []string
		if tt.contentType != "" {
			fields = append(fields, "Content-Type: "+tt.contentType)
		}
		a := do(t, method, url+path, tt.body, fields...)
		got := compact(a.body)
		start, more := strings.CutSuffix(tt.want, "…")
		if a.status != tt.status || got != tt.want && !(more && strings.HasPrefix(got, start)) {
			t.Errorf("%s %.60q\n%d %s\nwant\n%d %s", tt.request, tt.body, a.status, got, tt.status, tt.want)
		}
	}
}

// TestRESTChat holds that a call that streams both ways answers while it is asked, over either version of HTTP.
func TestRESTChat(t *testing.T) {
	url := serveLibrary(t)
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP1(proto == "HTTP/1.1")
		transport.Protocols.SetUnencryptedHTTP2(proto == "HTTP/2.0")
		r, w := io.Pipe()
		req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/v1/chat", r)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-ndjson")
		go w.Write([]byte(`{"title":"0"}`)) // the answer may come before the request has begun in HTTP/1.1
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		answers := bufio.NewScanner(resp.Body)
		for i := range 5 {
			if !answers.Scan() || compact(answers.Text()) != fmt.Sprintf(`{"title":"%d"}`, i) {
				t.Fatalf("%s: answer %d is %s, %v", proto, i, answers.Text(), answers.Err())
			}
			fmt.Fprintf(w, "{\"title\":\"%d\"}", i+1)
		}
		w.Close()
		if !answers.Scan() || answers.Scan() || answers.Err() != nil {
			t.Errorf("%s: the end is %q, %v", proto, answers.Text(), answers.Err())
		}
		resp.Body.Close()
		transport.CloseIdleConnections()
	}
}

// TestLateStream holds that a stream which the client does not end in time ends by itself, and over HTTP/2 leaves the connection to others.
func TestLateStream(t *testing.T) {
	url := serveLibrary(t)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	var conns []string
	trace := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		conns = append(conns, info.Conn.LocalAddr().String())
	}})
	for path, contentType := range map[string]string{"/v1/books:import": "application/x-ndjson", "/library.Library/ImportBooks": "application/connect+json"} {
		for range 2 {
			r, w := io.Pipe()
			defer w.Close()
			req, err := http.NewRequestWithContext(trace, "POST", url+path, r)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = http.Header{"Content-Type": {contentType}, "Connect-Timeout-Ms": {"30"}}
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || !bytes.Contains(body, []byte("deadline_exceeded")) {
				t.Errorf("%s: %d %s, %v", path, resp.StatusCode, body, err)
			}
		}
	}
	if slices.Sort(conns); len(slices.Compact(conns)) != 1 {
		t.Errorf("the calls took the connections %v", conns)
	}
}
