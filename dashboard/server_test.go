package dashboard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/telemetry/collector"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// system is a System of which a test decides what runs.
type system struct {
	state   dashboard.State
	changes chan struct{}
	did     []dashboard.Action
}

func (s *system) State(context.Context) (*dashboard.State, error) { st := s.state; return &st, nil }

func (s *system) Changes(ctx context.Context) <-chan struct{} {
	out := make(chan struct{})
	go func() {
		defer close(out)
		for {
			select {
			case <-ctx.Done():
				return
			case <-s.changes:
				select {
				case out <- struct{}{}:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}

func (s *system) Do(_ context.Context, a dashboard.Action) error {
	s.did = append(s.did, a)
	if a.Action == dashboard.Stop {
		return &dashboard.Error{Status: http.StatusConflict, What: "cart is stopped already", Do: "start it"}
	}
	return nil
}

func newSystem() *system {
	return &system{
		changes: make(chan struct{}),
		state: dashboard.State{Name: "shop", Kind: dashboard.KindDev, Services: []dashboard.Service{{
			Name: "cart", Want: 1, Actions: []dashboard.ActionName{dashboard.Stop, dashboard.Restart, dashboard.Scale},
			Instances: []dashboard.Instance{{ID: "1", State: "ready"}},
		}}, Problems: []string{}},
	}
}

// serve runs a server and returns its address.
func serve(t *testing.T, s *dashboard.Server) (addr net.Addr) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Logger = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, lis) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return lis.Addr()
}

// browser is a client that keeps cookies and follows nothing.
func browser(t *testing.T) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar, Transport: new(http.Transport), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// ask sends a request and returns the answer with its body read.
func ask(t *testing.T, c *http.Client, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

func TestLink(t *testing.T) {
	s := &dashboard.Server{System: newSystem()}
	addr := serve(t, s)
	c := browser(t)
	base := "http://" + addr.String()

	if res, text := ask(t, c, "GET", base+"/", "", "Accept", "text/html"); res.StatusCode != 401 || !strings.Contains(text, "open the link that hanse printed") {
		t.Errorf("without a token: %s %s", res.Status, text)
	}
	if res, _ := ask(t, c, "GET", base+"/?token=wrong", ""); res.StatusCode != 401 || len(res.Cookies()) > 0 {
		t.Errorf("with a wrong token: %s, %v", res.Status, res.Cookies())
	}
	link := s.Link(addr)
	res, text := ask(t, c, "GET", strings.Replace(link, "/?", "/traces?q=a&", 1), "")
	if res.StatusCode != 200 || !strings.Contains(text, `content="0;url=/traces?q=a"`) || strings.Contains(text, "token") {
		t.Errorf("the link: %s %s", res.Status, text)
	}
	cookies := res.Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode {
		t.Fatalf("cookies: %v", cookies)
	}
	if res, text := ask(t, c, "GET", base+"/traces?q=a", ""); res.StatusCode != 200 || !strings.Contains(text, `<div id="app">`) {
		t.Errorf("the page: %s %s", res.Status, text)
	}
	if res, _ := ask(t, c, "GET", strings.Replace(link, "/?", "//evil.example/?", 1), ""); res.StatusCode != 200 || strings.Contains(res.Header.Get("Location"), "evil") {
		t.Errorf("another host: %s", res.Status)
	}
	if _, text := ask(t, c, "GET", strings.Replace(link, "/?", `//evil.example/a?`, 1), ""); !strings.Contains(text, `url=/evil.example/a"`) {
		t.Errorf("another host: %s", text)
	}
	// A second server on the same machine has a cookie of its own.
	other := &dashboard.Server{}
	if got, _ := ask(t, c, "GET", other.Link(serve(t, other)), ""); got.Cookies()[0].Name == cookies[0].Name {
		t.Error("two servers have the same cookie")
	}
	if res, _ := ask(t, http.DefaultClient, "GET", base+"/api/system", "", "Authorization", "Bearer "+cookies[0].Value); res.StatusCode != 200 {
		t.Errorf("a program with the token: %s", res.Status)
	}
	http.DefaultClient.CloseIdleConnections()
}

// in returns a client that is let in.
func in(t *testing.T, s *dashboard.Server) (c *http.Client, base string) {
	t.Helper()
	addr := serve(t, s)
	c = browser(t)
	ask(t, c, "GET", s.Link(addr), "")
	return c, "http://" + addr.String()
}

func TestHost(t *testing.T) {
	c, base := in(t, &dashboard.Server{System: newSystem(), Hosts: []string{"box.example"}})
	for host, want := range map[string]int{
		"":                            200,
		"localhost:1":                 401, // known, but the cookie is of 127.0.0.1
		"evil.example":                421,
		"10.0.0.1":                    421,
		"box.example:9":               401,
		"127.0.0.1.evil.example:4000": 421,
		"localhost.evil.example":      421,
	} {
		header := []string{}
		client := c
		if host != "" {
			header = []string{"Host", host}
		}
		if host == "localhost:1" || host == "box.example:9" {
			client = browser(t)
		}
		if res, text := ask(t, client, "GET", base+"/api/system", "", header...); res.StatusCode != want {
			t.Errorf("Host %q: %s %s", host, res.Status, text)
		}
	}
}

func TestPolicy(t *testing.T) {
	c, base := in(t, &dashboard.Server{})
	res, page := ask(t, c, "GET", base+"/services/cart", "")
	csp := res.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(csp, part) {
			t.Errorf("the policy %q lacks %s", csp, part)
		}
	}
	if strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") || strings.Contains(csp, "*") {
		t.Errorf("the policy %q is not strict", csp)
	}
	if res.Header.Get("Cache-Control") != "no-cache" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", res.Header)
	}
	files := regexp.MustCompile(`(?:href|src)="([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(files) < 3 {
		t.Fatalf("the page names %v", files)
	}
	for _, f := range files {
		if !regexp.MustCompile(`^/assets/\w+-[0-9a-f]{12}\.\w+$`).MatchString(f[1]) {
			t.Errorf("the page asks for %s", f[1])
		}
		res, _ := ask(t, c, "GET", base+f[1], "")
		if res.StatusCode != 200 || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") || res.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %s %v", f[1], res.Status, res.Header)
		}
	}
	if res, text := ask(t, c, "GET", base+"/assets/THIRD_PARTY_LICENSES", ""); res.StatusCode != 200 || !strings.Contains(text, "preact") {
		t.Errorf("licences: %s", res.Status)
	}
	if res, _ := ask(t, c, "GET", base+"/assets/nothing.js", ""); res.StatusCode != 404 {
		t.Errorf("an asset that is not there: %s", res.Status)
	}
}

func TestActions(t *testing.T) {
	sys := newSystem()
	c, base := in(t, &dashboard.Server{System: sys})
	const restart = `{"action":"restart","service":"cart"}`
	tests := []struct {
		name, body string
		header     []string
		want       int
		text       string
	}{
		{"no header", restart, nil, 403, "not come from the dashboard"},
		{"another site", restart, []string{"Hanse-Dashboard", "1", "Origin", "http://evil.example"}, 403, ""},
		{"a site's request", restart, []string{"Hanse-Dashboard", "1", "Sec-Fetch-Site", "cross-site"}, 403, ""},
		{"the page", restart, []string{"Hanse-Dashboard", "1", "Origin", base, "Sec-Fetch-Site", "same-origin"}, 200, "{}"},
		{"no JSON", "restart", []string{"Hanse-Dashboard", "1"}, 400, "cannot be read"},
		{"a field too many", `{"action":"restart","service":"cart","force":true}`, []string{"Hanse-Dashboard", "1"}, 400, "force"},
		{"two values", restart + restart, []string{"Hanse-Dashboard", "1"}, 400, "more behind"},
		{"too long", `{"service":"` + strings.Repeat("x", 9<<20) + `"}`, []string{"Hanse-Dashboard", "1"}, 413, "longer than"},
		{"no such service", `{"action":"restart","service":"crat"}`, []string{"Hanse-Dashboard", "1"}, 404, "crat"},
		{"not now", `{"action":"start","service":"cart"}`, []string{"Hanse-Dashboard", "1"}, 400, "start"},
		{"too many", `{"action":"scale","service":"cart","replicas":1000}`, []string{"Hanse-Dashboard", "1"}, 400, "1000"},
		{"refused", `{"action":"stop","service":"cart"}`, []string{"Hanse-Dashboard", "1"}, 409, `"do":"start it"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			res, text := ask(t, c, "POST", base+"/api/system/do", test.body, test.header...)
			if res.StatusCode != test.want || !strings.Contains(text, test.text) {
				t.Errorf("%s %s", res.Status, text)
			}
		})
	}
	if len(sys.did) != 2 || sys.did[0].Action != dashboard.Restart {
		t.Errorf("done: %v", sys.did)
	}
	if res, _ := ask(t, browser(t), "POST", base+"/api/system/do", restart, "Hanse-Dashboard", "1"); res.StatusCode != 401 {
		t.Errorf("without a cookie: %s", res.Status)
	}
	sys.state.ReadOnly = true
	if res, _ := ask(t, c, "POST", base+"/api/system/do", restart, "Hanse-Dashboard", "1"); res.StatusCode != 403 || len(sys.did) != 2 {
		t.Errorf("read-only: %s", res.Status)
	}
}

func TestBadInput(t *testing.T) {
	c, base := in(t, &dashboard.Server{System: newSystem(), Collector: new(collector.Collector)})
	for path, want := range map[string]int{
		"map?window=5":      400,
		"map?window=-1m":    400,
		"map?window=9999d":  400,
		"map?from=tomorrow": 400,
		"map?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z": 400,
		"map?window=2d":                       200,
		"services/cart/logs?limit=0":          400,
		"services/cart/logs?limit=1000000000": 400,
		"services/nobody":                     404,
		"nothing":                             404,
	} {
		res, text := ask(t, c, "GET", base+"/api/"+path, "")
		var e struct{ Error string }
		if err := json.Unmarshal([]byte(text), &e); res.StatusCode != want || err != nil || (e.Error == "") != (want == 200) {
			t.Errorf("%s: %s %s", path, res.Status, text)
		}
	}
}

// follow opens the stream of changes and returns what waits for a line with a prefix.
func follow(t *testing.T, c *http.Client, base string) (next func(prefix string) string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", base+"/api/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if kind := res.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatal(kind)
	}
	lines := bufio.NewScanner(res.Body)
	return func(prefix string) string {
		t.Helper()
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), prefix); ok {
				return text
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return ""
	}
}

func TestLive(t *testing.T) {
	sys := newSystem()
	c, base := in(t, &dashboard.Server{System: sys})
	next := follow(t, c, base)
	next("retry:") // the page is known now
	for range 3 {
		sys.changes <- struct{}{}
		if got := next("data: "); got != `["system"]` {
			t.Errorf("notice %s", got)
		}
	}
}

// Too many pages are told so, and make room when they go.
func TestLiveLimit(t *testing.T) {
	s := &dashboard.Server{Token: "t"}
	h := s.Handler()
	ctx, cancel := context.WithCancel(t.Context())
	began, ended := make(chan struct{}, 64), make(chan struct{}, 64)
	for range 64 {
		go func() {
			r := httptest.NewRequestWithContext(ctx, "GET", "http://localhost/api/live", nil)
			r.Header.Set("Authorization", "Bearer t")
			h.ServeHTTP(&signalled{ResponseRecorder: httptest.NewRecorder(), first: began}, r)
			ended <- struct{}{}
		}()
	}
	for range 64 {
		<-began
	}
	r := httptest.NewRequestWithContext(ctx, "GET", "http://localhost/api/live", nil)
	r.Header.Set("Authorization", "Bearer t")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("page 65: %d", w.Code)
	}
	cancel()
	for range 64 {
		<-ended
	}
}

// signalled tells when something is written first.
type signalled struct {
	*httptest.ResponseRecorder
	first chan<- struct{}
	told  bool
}

func (s *signalled) Write(b []byte) (int, error) {
	if !s.told {
		s.told = true
		s.first <- struct{}{}
	}
	return len(b), nil
}

func TestLinkEscapes(t *testing.T) {
	s := &dashboard.Server{Token: "a b&c"}
	u, err := url.Parse(s.Link(&net.TCPAddr{IP: net.IPv6loopback, Port: 4}))
	if err != nil || u.Host != "[::1]:4" || u.Query().Get("token") != "a b&c" {
		t.Errorf("%v, %v", u, err)
	}
}
