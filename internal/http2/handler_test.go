package http2_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/hanse-go/hanse/internal/http2"
)

// webTest is one server with one client, and what was seen on both sides.
type webTest struct {
	*testing.T
	addr   string
	client *http.Client
	base   context.CancelCauseFunc // ends the contexts of all requests
	stop   func()                  // breaks all connections

	handlers sync.WaitGroup // that have begun

	mu   sync.Mutex
	seen []string
	logs []string      // of the server
	more chan struct{} // closed when something is added to them; nil unless somebody waits
}

// note adds a line to what was seen. The lines of handlers begin with "handler".
func (t *webTest) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = append(t.seen, fmt.Sprintf(format, args...))
	t.wake()
}

// wake tells those who wait that something was added. The lock is held.
func (t *webTest) wake() {
	if t.more != nil {
		close(t.more)
		t.more = nil
	}
}

func (t *webTest) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.logs = append(t.logs, string(p))
	t.wake()
	return len(p), nil
}

func (t *webTest) logged() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.logs)
}

type baseKey struct{}

// serveStd serves h with net/http.
func (t *webTest) serveStd(h http.Handler, config *tls.Config) {
	lis := listen(t.T)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	protocols.SetHTTP2(true)
	base, cancel := context.WithCancelCause(context.WithValue(context.Background(), baseKey{}, "base"))
	srv := &http.Server{Handler: h, Protocols: protocols, ErrorLog: log.New(t, "", 0), TLSConfig: config,
		BaseContext: func(net.Listener) context.Context { return base }}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if config != nil {
			srv.ServeTLS(lis, "", "")
		} else {
			srv.Serve(lis)
		}
	}()
	t.addr, t.base = lis.Addr().String(), cancel
	t.stop = func() { srv.Close(); <-done }
}

// serveOurs serves h with Web.
func (t *webTest) serveOurs(h http.Handler, config *tls.Config) {
	lis := listen(t.T)
	base, cancel := context.WithCancelCause(context.WithValue(context.Background(), baseKey{}, "base"))
	var workers http2.Workers
	web := &http2.Web{Handler: h, BaseContext: base, Server: &http.Server{}, Logger: slog.New(slog.NewTextHandler(t, nil)), Workers: &workers}
	var mu sync.Mutex
	conns := make(map[*http2.Conn]bool)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			nc, err := lis.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				if config != nil {
					secure := tls.Server(nc, config)
					if err := secure.HandshakeContext(base); err != nil {
						nc.Close()
						return
					}
					nc = secure
				}
				conn := http2.NewServerConn(nc, &http2.Config{}, web)
				mu.Lock()
				conns[conn] = true
				mu.Unlock()
				conn.Serve()
			})
		}
	})
	t.addr, t.base = lis.Addr().String(), cancel
	t.stop = func() {
		lis.Close()
		mu.Lock()
		for conn := range conns {
			conn.Close(nil)
		}
		mu.Unlock()
		running.Wait()
		if err := web.Wait(nil); err != nil {
			t.Error(err)
		}
		workers.Close()
	}
}

func listen(t *testing.T) net.Listener {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return lis
}

// webClient returns a stock client of HTTP/2.
func webClient(config *tls.Config) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(config == nil)
	protocols.SetHTTP2(config != nil)
	return &http.Client{
		Timeout:       30 * time.Second,
		Transport:     &http.Transport{Protocols: protocols, TLSClientConfig: config, DisableCompression: true, ExpectContinueTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// webCase is one exchange, that net/http and Web must see alike.
type webCase struct {
	name   string
	handle func(t *webTest, w http.ResponseWriter, r *http.Request)
	do     func(t *webTest) // nil: get("/")
	want   string           // a line that must have been seen, so that the case proves something
}

func (c *webCase) run(t *testing.T, ours bool) []string {
	w := &webTest{T: t, client: webClient(nil)}
	h := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.handlers.Add(1)
		defer w.handlers.Done()
		c.handle(w, rw, r)
	})
	if ours {
		w.serveOurs(h, nil)
	} else {
		w.serveStd(h, nil)
	}
	defer w.stop()
	defer w.client.CloseIdleConnections()
	if c.do != nil {
		c.do(w)
	} else {
		w.get("/")
	}
	w.handlers.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.SortStableFunc(w.seen, func(a, b string) int { return side(a) - side(b) })
	return w.seen
}

// side sorts the lines of handlers before those of clients: the order between them is not the same every time.
func side(line string) int {
	if strings.HasPrefix(line, "handler") {
		return 0
	}
	return 1
}

// TestWebLikeNetHTTP runs the same exchanges against net/http and Web, and compares what handlers and clients see.
func TestWebLikeNetHTTP(t *testing.T) {
	for _, c := range slices.Concat(requestCases, bodyCases, responseCases, controlCases, stockCases, rawCases) {
		t.Run(c.name, func(t *testing.T) {
			std, ours := c.run(t, false), c.run(t, true)
			if !slices.Equal(std, ours) {
				t.Errorf("net/http:\n  %s\nWeb:\n  %s", strings.Join(std, "\n  "), strings.Join(ours, "\n  "))
			}
			if !slices.ContainsFunc(std, func(line string) bool { return strings.Contains(line, c.want) }) {
				t.Errorf("net/http did not show %q:\n  %s", c.want, strings.Join(std, "\n  "))
			}
		})
	}
}

// do sends a request and notes what comes back.
func (t *webTest) do(r *http.Request) {
	t.Helper()
	res, err := t.client.Do(r)
	if err != nil {
		t.note("client: error %v", streamCode(err))
		return
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	t.answer(res)
	if len(body) > 200 {
		t.note("client: body of %d bytes, sum %d", len(body), sum(body))
	} else {
		t.note("client: body %q", body)
	}
	if err != nil {
		t.note("client: body error %v", streamCode(err))
	}
	t.note("client: trailer %s", headerLines(res.Trailer))
}

// answer notes the header of an answer.
func (t *webTest) answer(res *http.Response) {
	header := res.Header.Clone()
	if date := header.Get("Date"); date != "" {
		if at, err := http.ParseTime(date); err != nil || time.Since(at) > time.Hour {
			t.note("client: date %q", date)
		}
		header["Date"] = []string{"now"}
	}
	t.note("client: %s %d length %d %s", res.Proto, res.StatusCode, res.ContentLength, headerLines(header))
}

// streamCode reduces an error to the code of the reset, where it tells one: texts differ.
func streamCode(err error) string {
	text := err.Error()
	if _, code, ok := strings.Cut(text, "stream ID "); ok {
		_, code, _ = strings.Cut(code, "; ")
		code, _, _ = strings.Cut(code, ";")
		return code
	}
	for _, known := range []error{io.ErrUnexpectedEOF, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return text
}

func (t *webTest) url(path string) string { return "http://" + t.addr + path }

func (t *webTest) get(path string) { t.do(t.request("GET", path, nil)) }

func (t *webTest) request(method, path string, body io.Reader, fields ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, t.url(path), body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header[fields[i]] = append(r.Header[fields[i]], fields[i+1])
	}
	return r
}

func headerLines(h http.Header) string {
	var lines []string
	for name, values := range h {
		lines = append(lines, fmt.Sprintf("%s: %q", name, values))
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

func sum(p []byte) (n uint32) {
	for _, c := range p {
		n = n*31 + uint32(c)
	}
	return n
}

// unsized hides how much a reader has, so that the client sends no Content-Length.
func unsized(s string) io.Reader { return iotest.OneByteReader(strings.NewReader(s)) }

// noteRequest notes all of a request but its body.
func noteRequest(t *webTest, w http.ResponseWriter, r *http.Request) {
	t.note("handler: %s %s %s host %s length %d", r.Method, r.RequestURI, r.Proto, strings.ReplaceAll(r.Host, t.addr, "SERVER"), r.ContentLength)
	t.note("handler: URL %q %q %q %q %q", r.URL.Scheme, strings.ReplaceAll(r.URL.Host, t.addr, "SERVER"), r.URL.Path, r.URL.RawPath, r.URL.RawQuery)
	t.note("handler: version %d.%d TLS %v close %v transfer %v", r.ProtoMajor, r.ProtoMinor, r.TLS != nil, r.Close, r.TransferEncoding)
	t.note("handler: header %s", headerLines(r.Header))
	t.note("handler: trailer %s", headerLines(r.Trailer))
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	t.note("handler: from %s %v", host, err)
	_, isServer := r.Context().Value(http.ServerContextKey).(*http.Server)
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	t.note("handler: server %v at %v, base %v", isServer, local != nil && local.String() == t.addr, r.Context().Value(baseKey{}))
}

var requestCases = []webCase{
	{name: "get", handle: noteRequest, want: "handler: GET / HTTP/2.0 host SERVER length 0"},
	{name: "get with query", handle: noteRequest, do: func(t *webTest) { t.get("/a%2Fb/c%20d?x=1&y=%20#f") }, want: `"/a/b/c d" "/a%2Fb/c%20d" "x=1&y=%20"`},
	{name: "post", handle: noteRequest, do: func(t *webTest) { t.do(t.request("POST", "/", strings.NewReader("hello"))) }, want: "length 5"},
	{name: "post without length", handle: noteRequest, do: func(t *webTest) { t.do(t.request("POST", "/", unsized("hello"))) }, want: "length -1"},
	{name: "post of nothing", handle: noteRequest, do: func(t *webTest) { t.do(t.request("POST", "/", http.NoBody)) }, want: "POST"},
	{name: "head", handle: noteRequest, do: func(t *webTest) { t.do(t.request("HEAD", "/", nil)) }, want: "HEAD"},
	{name: "requests alike", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		t.note("handler: %s %s %q", r.URL, r.URL.Path, r.Header["X-One"])
		r.URL.Path, r.URL.RawQuery, r.Header["X-One"][0] = "/changed", "", "changed"
		r.Header.Set("X-Two", "2")
	}, do: func(t *webTest) {
		for range 4 { // from the second on the fields come from HPACK's table
			t.do(t.request("GET", "/a?b=c", nil, "X-One", "1"))
		}
	}, want: `handler: /a?b=c /a ["1"]`},
	{name: "method of its own", handle: noteRequest, do: func(t *webTest) { t.do(t.request("PROPFIND", "/", nil)) }, want: "PROPFIND"},
	{name: "header", handle: noteRequest, do: func(t *webTest) {
		t.do(t.request("GET", "/", nil, "X-Many", "1", "X-Many", "2", "X-Empty", "", "Accept-Language", "de, en"))
	}, want: `X-Many: ["1" "2"]`},
	{name: "cookies", handle: noteRequest, do: func(t *webTest) { t.do(t.request("GET", "/", nil, "Cookie", "a=1; b=2; c=3")) }, want: `Cookie: ["a=1; b=2; c=3"]`},
	{name: "host", handle: noteRequest, do: func(t *webTest) {
		r := t.request("GET", "/", nil)
		r.Host = "cart.localhost:80"
		t.do(r)
	}, want: "host cart.localhost:80"},
	{name: "basic authentication", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		t.note("handler: %s %s %v", user, password, ok)
	}, do: func(t *webTest) {
		r := t.request("GET", "/", nil)
		r.SetBasicAuth("anna", "secret")
		t.do(r)
	}, want: "handler: anna secret true"},
	{name: "no handler for the path", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, want: "404"},
}

var bodyCases = []webCase{
	{name: "echo", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(w, r.Body)
		t.note("handler: %d %v", n, err)
	}, do: func(t *webTest) { t.do(t.request("POST", "/", strings.NewReader("hello"))) }, want: `body "hello"`},
	{name: "echo of much", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(w, r.Body)
		t.note("handler: %d %v", n, err)
	}, do: func(t *webTest) {
		t.do(t.request("POST", "/", strings.NewReader(strings.Repeat("0123456789abc", 100_000))))
	}, want: "handler: 1300000 <nil>"},
	{name: "echo of much without length", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(struct{ io.Writer }{w}, r.Body)
		t.note("handler: %d %v", n, err)
	}, do: func(t *webTest) {
		t.do(t.request("POST", "/", struct{ io.Reader }{strings.NewReader(strings.Repeat("0123456789abc", 100_000))}))
	}, want: "handler: 1300000 <nil>"},
	{name: "read all twice", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		for range 2 {
			b, err := io.ReadAll(r.Body)
			t.note("handler: %q %v", b, err)
		}
	}, do: func(t *webTest) { t.do(t.request("POST", "/", unsized("hello"))) }, want: `handler: "" <nil>`},
	{name: "read nothing", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		n, err := r.Body.Read(make([]byte, 1))
		t.note("handler: %d %v", n, err)
	}, want: "handler: 0 EOF"},
	{name: "read after close", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		b := make([]byte, 2)
		n, err := io.ReadFull(r.Body, b)
		t.note("handler: %q %d %v", b, n, err)
		t.note("handler: close %v", r.Body.Close())
		t.note("handler: close %v", r.Body.Close())
		n, err = r.Body.Read(b)
		t.note("handler: %d failed %v", n, err != nil && err != io.EOF)
	}, do: func(t *webTest) { t.do(t.request("POST", "/", strings.NewReader("hello"))) }, want: "handler: 0 failed true"},
	{name: "unread body", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.RequestURI)
	}, do: func(t *webTest) {
		for i := range 3 {
			res, err := t.client.Do(t.request("POST", fmt.Sprint("/", i), struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 2_000_000))}))
			if err != nil {
				t.note("client: %v", err)
				continue
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			t.note("client: %d %q %v", res.StatusCode, body, err)
		}
	}, want: `client: 200 "/2" <nil>`},
	{name: "too large for MaxBytesReader", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 3))
		var tooLarge *http.MaxBytesError
		t.note("handler: %q %v", b, errors.As(err, &tooLarge))
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	}, do: func(t *webTest) { t.do(t.request("POST", "/", strings.NewReader("hello"))) }, want: `handler: "hel" true`},
	{name: "request trailers", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		t.note("handler: before %s, header %s", headerLines(r.Trailer), headerLines(r.Header))
		b, err := io.ReadAll(r.Body)
		t.note("handler: %q %v, after %s", b, err, headerLines(r.Trailer))
	}, do: func(t *webTest) {
		r := t.request("POST", "/", unsized("hello"))
		r.Trailer = http.Header{"X-Sum": {"5", "6"}, "X-Other": nil}
		t.do(r)
	}, want: `after X-Other: [], X-Sum: ["5" "6"]`},
	{name: "expect continue", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		t.note("handler: header %s", headerLines(r.Header))
		b, err := io.ReadAll(r.Body)
		t.note("handler: %q %v", b, err)
	}, do: func(t *webTest) {
		r := t.request("POST", "/", strings.NewReader("hello"), "Expect", "100-continue")
		continued := false
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got100Continue: func() { continued = true }}))
		t.do(r)
		t.note("client: continued %v", continued)
	}, want: "client: continued true"},
	{name: "expect continue, refused", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no", http.StatusForbidden)
	}, do: func(t *webTest) {
		r := t.request("POST", "/", strings.NewReader("hello"), "Expect", "100-continue")
		continued := false
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got100Continue: func() { continued = true }}))
		t.do(r)
		t.note("client: continued %v", continued)
	}, want: "client: continued false"},
	{name: "form", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		t.note("handler: %v %v", r.FormValue("a"), r.Form)
	}, do: func(t *webTest) {
		t.do(t.request("POST", "/?b=2", strings.NewReader("a=1&c=3"), "Content-Type", "application/x-www-form-urlencoded"))
	}, want: "map[a:[1] b:[2] c:[3]]"},
	{name: "form with files", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		err := r.ParseMultipartForm(10) // the file goes to the disk
		t.note("handler: %v %v", err, r.MultipartForm.Value)
		f, err := r.MultipartForm.File["file"][0].Open()
		if err != nil {
			t.Error(err)
			return
		}
		b, err := io.ReadAll(f)
		t.note("handler: %d bytes, sum %d, %v", len(b), sum(b), err)
		f.Close()
		if named, ok := f.(*os.File); ok {
			t.note("handler: on the disk")
			t.mu.Lock()
			t.logs = append(t.logs, named.Name())
			t.mu.Unlock()
		}
	}, do: func(t *webTest) {
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		m.WriteField("a", "1")
		f, _ := m.CreateFormFile("file", "name.txt")
		f.Write(bytes.Repeat([]byte("file"), 25_000))
		m.Close()
		t.do(t.request("POST", "/", &body, "Content-Type", m.FormDataContentType()))
		t.stop() // the handler has ended
		for _, name := range t.logs {
			_, err := os.Stat(name)
			t.note("removed: %v", os.IsNotExist(err))
		}
	}, want: "removed: true"},
	{name: "full duplex", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		t.note("handler: %v", http.NewResponseController(w).EnableFullDuplex())
		w.(http.Flusher).Flush()
		b := make([]byte, 100)
		for {
			n, err := r.Body.Read(b)
			if n > 0 {
				w.Write(bytes.ToUpper(b[:n]))
				w.(http.Flusher).Flush()
			}
			if err != nil {
				t.note("handler: %v", err)
				return
			}
		}
	}, do: func(t *webTest) {
		in, out := io.Pipe()
		res, err := t.client.Do(t.request("POST", "/", in))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"one", "two", "three"} {
			io.WriteString(out, word)
			b := make([]byte, len(word))
			_, err := io.ReadFull(res.Body, b)
			t.note("client: %s %v", b, err)
		}
		out.Close()
		b, err := io.ReadAll(res.Body)
		t.note("client: %q %v", b, err)
		res.Body.Close()
	}, want: "client: THREE <nil>"},
}

var responseCases = []webCase{
	{name: "nothing", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {}, want: "200 length 0"},
	{name: "text", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }, want: `200 length 5 Content-Length: ["5"], Content-Type: ["text/plain; charset=utf-8"], Date: ["now"]`},
	{name: "in pieces", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		for range 10 {
			io.WriteString(w, "hello")
			w.Write([]byte(", hello "))
		}
	}, want: "length 130"},
	{name: "sniffed", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("<!DOCTYPE html><p>hello"))
	}, want: "text/html"},
	{name: "bytes of no type", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) { w.Write([]byte{0, 1, 2, 0xff}) }, want: "application/octet-stream"},
	{name: "with a type", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/css")
		w.Write([]byte("<!DOCTYPE html>"))
	}, want: "text/css"},
	{name: "without type and date", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"], w.Header()["Date"] = nil, nil
		io.WriteString(w, "hello")
	}, want: `client: HTTP/2.0 200 length 5 Content-Length: ["5"]`},
	{name: "with a date", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", "Mon, 02 Jan 2006 15:04:05 GMT")
	}, want: `date "Mon, 02 Jan`},
	{name: "coded", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		io.WriteString(w, "hello")
	}, want: `Content-Encoding: ["br"], Content-Length: ["5"], Date: ["now"]`},
	{name: "4095 bytes", handle: writeBytes(4095), want: "length 4095"},
	{name: "4096 bytes", handle: writeBytes(4096), want: "length 4096"},
	{name: "4097 bytes", handle: writeBytes(4097), want: "length -1"},
	{name: "4097 bytes with length", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "4097")
		writeBytes(4097)(t, w, r)
	}, want: "length 4097"},
	{name: "2 megabytes", handle: writeBytes(2_000_000), want: "body of 2000000 bytes"},
	{name: "2 megabytes from a reader", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(w, strings.NewReader(strings.Repeat("reader", 2_000_000/6)))
		t.note("handler: %d %v", n, err)
	}, want: "body of 1999998 bytes"},
	{name: "2 megabytes from a file", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begin")
		n, err := io.Copy(w, io.LimitReader(zeros{}, 2_000_000))
		t.note("handler: %d %v", n, err)
		io.WriteString(w, "end")
	}, want: "body of 2000008 bytes"},
	{name: "little from a reader", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(w, unsized("hello"))
		t.note("handler: %d %v", n, err)
	}, want: "length 5"},
	{name: "from a reader that fails", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(w, io.MultiReader(strings.NewReader("hello"), iotest.ErrReader(errors.New("broken"))))
		t.note("handler: %d %v", n, err)
	}, want: "handler: 5 broken"},
	{name: "status", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		http.Error(w, "I'm a teapot", http.StatusTeapot)
	}, want: "418"},
	{name: "status of its own", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) { w.WriteHeader(799) }, want: "799"},
	{name: "redirect", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}, want: `Location: ["/elsewhere"]`},
	{name: "204", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(204)
		n, err := io.WriteString(w, "hello")
		t.note("handler: %d %v", n, err)
		n, err = w.Write(make([]byte, 10_000))
		t.note("handler: %d %v", n, err)
	}, want: "handler: 0 http: request method or response status code does not allow body"},
	{name: "304", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"x"`)
		w.WriteHeader(304)
		n, err := io.WriteString(w, "hello")
		t.note("handler: %d %v", n, err)
	}, want: "304"},
	{name: "head of text", handle: writeBytes(5), do: head, want: "length 5"},
	{name: "head with length", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "77")
	}, do: head, want: "length 77"},
	{name: "head of nothing", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {}, do: head, want: "length -1"},
	{name: "head with flush", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		n, err := w.Write([]byte("hello"))
		t.note("handler: %d %v", n, err)
	}, do: head, want: "handler: 5 <nil>"},
	{name: "length that is no number", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "five")
		io.WriteString(w, "hello!")
	}, want: "length 6"},
	{name: "fields", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("X-Many", "1")
		h.Add("X-Many", "2")
		h["x-lower"] = []string{"as it is"}
		h["X-Empty"] = []string{""}
		h["X-None"] = nil
		h["No field"] = []string{"spaces"}
		h["Nö"] = []string{"no"}
		h["X-Control"] = []string{"a\nb", "ok", "c\x00"}
		h["Connection"] = []string{"keep-alive"}
		h.Set("Set-Cookie", "a=1; HttpOnly")
	}, want: `X-Control: ["ok"]`},
	{name: "changed after the status", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Before", "1")
		w.WriteHeader(201)
		w.Header().Set("X-Before", "2")
		w.Header().Set("X-After", "1")
		w.WriteHeader(500)
		io.WriteString(w, "hello")
	}, want: `201 length 5 Content-Length: ["5"], Content-Type: ["text/plain; charset=utf-8"], Date: ["now"], X-Before: ["1"]`},
	{name: "early hints", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.Header().Set("Content-Length", "5")
		w.WriteHeader(103)
		w.WriteHeader(102)
		w.Header().Set("X-Late", "1")
		io.WriteString(w, "hello")
	}, do: func(t *webTest) {
		r := t.request("GET", "/", nil)
		t.do(r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			t.note("client: %d %s", code, headerLines(http.Header(h)))
			return nil
		}})))
	}, want: "client: 103 Link: [\"</style.css>; rel=preload\"]"},
	{name: "trailers", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum, x-other, X-Unset")
		w.Header().Add("Trailer", "Content-Length")
		io.WriteString(w, "hello")
		w.Header().Set("X-Sum", "5")
		w.Header().Add("X-Other", "1")
		w.Header().Add("X-Other", "2")
		w.Header().Set("X-Undeclared", "1")
	}, want: `X-Other: ["1" "2"], X-Sum: ["5"]`},
	{name: "trailers with the prefix", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
		w.Header().Set(http.TrailerPrefix+"X-Sum", "5")
		w.Header()[http.TrailerPrefix+"Authorization"] = []string{"no"}
		w.Header()[http.TrailerPrefix+"If-Match"] = []string{"no"}
	}, want: `trailer X-Sum: ["5"]`},
	{name: "trailers of much", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		writeBytes(100_000)(t, w, r)
		w.Header().Set("X-Sum", "5")
	}, want: `trailer X-Sum: ["5"]`},
	{name: "trailers of nothing", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(200)
		w.Header().Set("X-Sum", "0")
	}, want: `trailer X-Sum: ["0"]`},
	{name: "trailers that do not come", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "hello")
	}, want: `trailer X-Sum: []`},
	{name: "flush", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		t.note("handler: %v", http.NewResponseController(w).Flush())
		io.WriteString(w, "one")
		t.note("handler: %v", http.NewResponseController(w).Flush())
		r.Body.Read(make([]byte, 1)) // until the client has seen it
		io.WriteString(w, "two")
	}, do: func(t *webTest) {
		in, out := io.Pipe()
		res, err := t.client.Do(t.request("POST", "/", in))
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 3)
		_, err = io.ReadFull(res.Body, b)
		t.note("client: %s %v", b, err)
		io.WriteString(out, "x")
		b, err = io.ReadAll(res.Body)
		t.note("client: %s %v", b, err)
		t.answer(res)
		out.Close()
		res.Body.Close()
	}, want: "client: one <nil>"},
}

func head(t *webTest) { t.do(t.request("HEAD", "/", nil)) }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func writeBytes(n int) func(*webTest, http.ResponseWriter, *http.Request) {
	return func(t *webTest, w http.ResponseWriter, r *http.Request) {
		k, err := w.Write(bytes.Repeat([]byte("0123456789"), n/10+1)[:n])
		t.note("handler: %d %v", k, err)
	}
}

var controlCases = []webCase{
	{name: "panic", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
		panic("mistake")
	}, do: func(t *webTest) {
		t.get("/")
		t.waitLogged(1)
		t.note("logs: %d", t.logged())
	}, want: "logs: 1"},
	{name: "panic after the header", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
		w.(http.Flusher).Flush()
		panic("mistake")
	}, do: func(t *webTest) {
		res, err := t.client.Do(t.request("GET", "/", nil))
		if err != nil {
			t.note("client: %v", streamCode(err)) // the reset may overtake
			return
		}
		_, err = io.ReadAll(res.Body)
		t.note("client: %v", streamCode(err))
		res.Body.Close()
	}, want: "INTERNAL_ERROR"},
	{name: "abort", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, do: func(t *webTest) {
		t.get("/")
		t.stop()
		t.note("logs: %d", t.logged())
	}, want: "logs: 0"},
	{name: "goexit", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) { runtime.Goexit() }, do: func(t *webTest) {
		t.get("/")
		t.stop()
		t.note("logs: %d", t.logged())
	}, want: "INTERNAL_ERROR"},
	{name: "status that is none", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		defer func() { t.note("handler: panics %v", recover() != nil) }()
		w.WriteHeader(99)
	}, want: "handler: panics true"},
	{name: "client cancels", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		t.note("handler: %v", r.Context().Err())
		_, err := r.Body.Read(make([]byte, 1))
		t.note("handler: reading failed %v", err != nil && err != io.EOF)
		for err = nil; err == nil; {
			_, err = w.Write(make([]byte, 10_000))
		}
		t.note("handler: writing failed %v", err != nil)
	}, do: func(t *webTest) {
		in, out := io.Pipe()
		ctx, cancel := context.WithCancel(context.Background())
		res, err := t.client.Do(t.request("POST", "/", in).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		out.CloseWithError(context.Canceled)
		res.Body.Close()
		t.waitSeen(3)
	}, want: "handler: reading failed true"},
	{name: "client cancels after its body", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		t.note("handler: %v", r.Context().Err())
	}, do: func(t *webTest) {
		ctx, cancel := context.WithCancel(context.Background())
		res, err := t.client.Do(t.request("GET", "/", nil).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		io.ReadAll(res.Body)
		res.Body.Close()
		t.waitSeen(1)
	}, want: "handler: context canceled"},
	{name: "connection is lost", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		t.note("handler: %v", r.Context().Err())
	}, do: func(t *webTest) {
		var conn net.Conn
		t.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (_ net.Conn, err error) {
			conn, err = (&net.Dialer{}).DialContext(ctx, network, addr)
			return conn, err
		}
		res, err := t.client.Do(t.request("GET", "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		io.ReadAll(res.Body)
		res.Body.Close()
		t.waitSeen(1)
	}, want: "handler: context canceled"},
	{name: "context ends with its handler", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		context.AfterFunc(r.Context(), func() { t.note("handler: %v", r.Context().Err()) })
	}, do: func(t *webTest) {
		res, err := t.client.Do(t.request("GET", "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		t.waitSeen(1)
	}, want: "handler: context canceled"},
	{name: "base context ends", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		t.note("handler: %v %v", r.Context().Err(), context.Cause(r.Context()))
	}, do: func(t *webTest) {
		res, err := t.client.Do(t.request("GET", "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		t.base(errors.New("enough"))
		io.ReadAll(res.Body)
		res.Body.Close()
	}, want: "handler: context canceled enough"},
	{name: "close notify", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		t.note("handler: %v", <-w.(interface{ CloseNotify() <-chan bool }).CloseNotify())
	}, do: func(t *webTest) {
		ctx, cancel := context.WithCancel(context.Background())
		res, err := t.client.Do(t.request("GET", "/", nil).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		res.Body.Close()
		t.waitSeen(1)
	}, want: "handler: true"},
	{name: "read deadline", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		t.note("handler: %v", c.SetReadDeadline(time.Now().Add(time.Hour)))
		t.note("handler: %v", c.SetReadDeadline(time.Now().Add(time.Millisecond)))
		b, err := io.ReadAll(r.Body)
		t.note("handler: %q exceeded %v", b, errors.Is(err, os.ErrDeadlineExceeded))
		io.WriteString(w, "late")
	}, do: func(t *webTest) {
		in, out := io.Pipe()
		t.do(t.request("POST", "/", in))
		out.Close()
	}, want: `handler: "" exceeded true`},
	{name: "read deadline in the past", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		t.note("handler: %v", http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)))
		_, err := io.ReadAll(r.Body)
		t.note("handler: exceeded %v", errors.Is(err, os.ErrDeadlineExceeded))
		_, err = io.WriteString(w, "late")
		t.note("handler: %v", err)
	}, do: func(t *webTest) {
		in, out := io.Pipe()
		t.do(t.request("POST", "/", in))
		out.Close()
	}, want: `handler: exceeded true`},
	{name: "deadlines that are taken back", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		c.SetReadDeadline(time.Now().Add(time.Hour))
		c.SetWriteDeadline(time.Now().Add(time.Hour))
		t.note("handler: %v %v", c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{}))
		io.Copy(w, r.Body)
	}, do: func(t *webTest) { t.do(t.request("POST", "/", unsized("hello"))) }, want: `body "hello"`},
	{name: "write deadline", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		t.note("handler: %v", http.NewResponseController(w).SetWriteDeadline(time.Now().Add(20*time.Millisecond)))
		var err error
		for err == nil { // until the client's window is full
			_, err = w.Write(make([]byte, 1<<20))
		}
		t.note("handler: failed %v", err != nil)
		_, err = w.Write(make([]byte, 1<<20))
		t.note("handler: failed %v", err != nil)
	}, do: func(t *webTest) {
		res, err := t.client.Do(t.request("GET", "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		t.waitSeen(3)
		_, err = io.ReadAll(res.Body)
		t.note("client: %v", streamCode(err))
		res.Body.Close()
	}, want: `client: INTERNAL_ERROR`},
	{name: "write deadline in the past", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		t.note("handler: %v", http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0)))
	}, want: `INTERNAL_ERROR`},
	{name: "hijack", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		_, _, err := http.NewResponseController(w).Hijack()
		t.note("handler: %v", errors.Is(err, http.ErrNotSupported))
	}, want: "handler: true"},
	{name: "connection: close", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		io.WriteString(w, r.RemoteAddr)
	}, do: func(t *webTest) {
		var from []string
		for range 2 {
			res, err := t.client.Do(t.request("GET", "/", nil))
			if err != nil {
				t.Fatal(err)
			}
			t.note("client: %s", headerLines(http.Header{"Connection": res.Header["Connection"]}))
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			from = append(from, string(b))
		}
		t.note("client: another connection %v", from[0] != from[1])
	}, want: ""},
	{name: "many at once", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	}, do: func(t *webTest) {
		t.get("/") // one connection
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				want := bytes.Repeat([]byte{byte(i)}, i*1000)
				res, err := t.client.Do(t.request("POST", "/", bytes.NewReader(want)))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("request %d: %d bytes of %d, %v", i, len(got), len(want), err)
				}
			})
		}
		all.Wait()
	}, want: ""},
}

// waitSeen waits until n lines were noted.
func (t *webTest) waitSeen(n int) {
	t.Helper()
	t.wait(fmt.Sprint(n, " lines noted"), func() bool { return len(t.seen) >= n })
}

// waitLogged waits until the server has logged n lines.
func (t *webTest) waitLogged(n int) {
	t.Helper()
	t.wait(fmt.Sprint(n, " lines logged"), func() bool { return len(t.logs) >= n })
}

func (t *webTest) wait(what string, done func() bool) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		t.mu.Lock()
		ok := done()
		if t.more == nil {
			t.more = make(chan struct{})
		}
		more := t.more
		t.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("never %s", what)
		}
	}
}

// stockCases run handlers of the standard library.
var stockCases = []webCase{
	{name: "mux", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.PathValue("id")+r.Pattern) })
		mux.ServeHTTP(w, r)
	}, do: func(t *webTest) {
		t.get("/items/7")
		t.get("/items//7")
		t.get("/other")
		t.do(t.request("POST", "/items/7", strings.NewReader("x")))
	}, want: "405"},
	{name: "ranges", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "name.txt", time.Unix(1, 0), strings.NewReader(strings.Repeat("0123456789", 10_000)))
	}, do: func(t *webTest) {
		t.get("/")
		head(t)
		t.do(t.request("GET", "/", nil, "Range", "bytes=10-19"))
		t.do(t.request("GET", "/", nil, "Range", "bytes=50000-"))
		t.do(t.request("GET", "/", nil, "Range", "bytes=200000-"))
		t.do(t.request("GET", "/", nil, "If-Modified-Since", time.Unix(10, 0).UTC().Format(http.TimeFormat)))
	}, want: "client: HTTP/2.0 206 length 10"},
	{name: "timeout handler", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			io.WriteString(w, "late")
			t.note("handler: %v", r.Context().Err())
		}), time.Millisecond, "too late").ServeHTTP(w, r)
	}, do: func(t *webTest) {
		res, err := t.client.Do(t.request("GET", "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		t.waitSeen(1)
		t.note("client: %d %s %v", res.StatusCode, b, err)
	}, want: "client: 503 too late"},
	{name: "reverse proxy", handle: func(t *webTest, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Via") == "" {
			r.Header.Set("Via", "test")
			target, err := url.Parse(t.url(""))
			if err != nil {
				t.Error(err)
			}
			proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }, Transport: t.client.Transport, FlushInterval: -1}
			proxy.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Trailer", "X-Sum")
		b, err := io.ReadAll(r.Body)
		t.note("handler: %d %v, trailer %s", len(b), err, headerLines(r.Trailer))
		w.Write(b)
		w.Header().Set("X-Sum", fmt.Sprint(sum(b)))
	}, do: func(t *webTest) {
		r := t.request("POST", "/", unsized(strings.Repeat("much", 5000)))
		r.Trailer = http.Header{"X-End": {"1"}}
		t.do(r)
	}, want: `trailer X-Sum: ["`},
}

// TestWebTLS compares what the handlers see of a connection with TLS.
func TestWebTLS(t *testing.T) {
	certs := httptest.NewUnstartedServer(nil)
	certs.EnableHTTP2 = true
	certs.StartTLS()
	defer certs.Close()
	pool := x509.NewCertPool()
	pool.AddCert(certs.Certificate())
	run := func(ours bool) []string {
		w := &webTest{T: t, client: webClient(&tls.Config{RootCAs: pool, ServerName: "example.com"})}
		h := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			noteRequest(w, rw, r)
			if r.TLS != nil {
				w.note("handler: %s %x %s %v", r.TLS.NegotiatedProtocol, r.TLS.Version, r.TLS.ServerName, r.TLS.HandshakeComplete)
			}
		})
		config := certs.TLS.Clone()
		config.NextProtos = []string{"h2"}
		if ours {
			w.serveOurs(h, config)
		} else {
			w.serveStd(h, config)
		}
		defer w.stop()
		defer w.client.CloseIdleConnections()
		for range 2 {
			r := w.request("GET", "/", nil)
			r.URL.Scheme = "https"
			w.do(r)
		}
		return w.seen
	}
	std, ours := run(false), run(true)
	if !slices.Equal(std, ours) {
		t.Errorf("net/http:\n  %s\nWeb:\n  %s", strings.Join(std, "\n  "), strings.Join(ours, "\n  "))
	}
	if want := "handler: h2 304 example.com true"; !slices.Contains(std, want) {
		t.Errorf("net/http did not show %q:\n  %s", want, strings.Join(std, "\n  "))
	}
}
