//go:build unix

package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// visitor is a person with a browser that knows neither scripts nor styles.
type visitor struct {
	t      *testing.T
	client *http.Client
	base   *url.URL
}

func visit(t *testing.T, address string) *visitor {
	t.Helper()
	base, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{t: t, base: base, client: &http.Client{Jar: jar, Transport: transport, Timeout: 30 * time.Second}}
}

// page is what a visitor sees.
type page struct {
	v      *visitor
	url    *url.URL
	status int
	kind   string // content type
	body   string
	doc    *html.Node // nil when it is no HTML
}

func (v *visitor) do(req *http.Request) (*page, error) {
	resp, err := v.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	p := &page{v: v, url: resp.Request.URL, status: resp.StatusCode, kind: resp.Header.Get("Content-Type"), body: string(body)}
	if strings.HasPrefix(p.kind, "text/html") {
		p.doc, err = html.Parse(strings.NewReader(p.body))
	}
	return p, err
}

// get returns a page whatever its status.
func (v *visitor) get(path string) *page {
	v.t.Helper()
	req, err := http.NewRequest("GET", v.base.ResolveReference(mustParse(v.t, path)).String(), nil)
	if err != nil {
		v.t.Fatal(err)
	}
	p, err := v.do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	return p
}

// open returns a page that must be there, with all the words.
func (v *visitor) open(path string, words ...string) *page {
	v.t.Helper()
	return v.get(path).must(words...)
}

// must checks that the page is a good one with all the words in its text.
func (p *page) must(words ...string) *page {
	p.v.t.Helper()
	text := p.text()
	if p.status != http.StatusOK {
		p.v.t.Fatalf("%s: status %d\n%s", p.url, p.status, text)
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			p.v.t.Fatalf("%s does not say %q:\n%s", p.url, w, text)
		}
	}
	return p
}

// send fills in the form of an action, with what the page has in it beside the given fields, and returns the page that it leads to.
func (p *page) send(action string, fields url.Values) *page {
	p.v.t.Helper()
	form := p.find(func(n *html.Node) bool {
		return n.Data == "form" && attr(n, "action") == action && attr(n, "method") == "post"
	})
	if form == nil {
		p.v.t.Fatalf("%s has no form for %s:\n%s", p.url, action, p.text())
	}
	values := url.Values{}
	for n := range form.Descendants() {
		if name := attr(n, "name"); n.Data == "input" && name != "" {
			values.Set(name, attr(n, "value"))
		}
	}
	for name, v := range fields {
		if _, there := values[name]; !there && !hasSelect(form, name) {
			p.v.t.Fatalf("%s: the form for %s has no field %s", p.url, action, name)
		}
		values[name] = v
	}
	req, err := http.NewRequest("POST", p.url.ResolveReference(mustParse(p.v.t, action)).String(), strings.NewReader(values.Encode()))
	if err != nil {
		p.v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", fmt.Sprintf("%s://%s", p.url.Scheme, p.url.Host))
	next, err := p.v.do(req)
	if err != nil {
		p.v.t.Fatal(err)
	}
	return next
}

func hasSelect(form *html.Node, name string) bool {
	for n := range form.Descendants() {
		if n.Data == "select" && attr(n, "name") == name {
			return true
		}
	}
	return false
}

// find returns the first element that fits.
func (p *page) find(fits func(*html.Node) bool) *html.Node {
	if p.doc == nil {
		return nil
	}
	for n := range p.doc.Descendants() {
		if n.Type == html.ElementNode && fits(n) {
			return n
		}
	}
	return nil
}

// links returns the addresses on this site that the page leads to or is made of.
func (p *page) links() (paths []string) {
	if p.doc == nil {
		return nil
	}
	for n := range p.doc.Descendants() {
		for _, name := range []string{"href", "src"} {
			to := attr(n, name)
			if to == "" || n.Data == "form" {
				continue
			}
			u, err := p.url.Parse(to)
			if err != nil {
				p.v.t.Errorf("%s: bad link %q", p.url, to)
				continue
			}
			if u.Host == p.url.Host {
				paths = append(paths, u.RequestURI())
			}
		}
	}
	return paths
}

// text returns what is to be read on the page, its spaces made one.
func (p *page) text() string { return text(p.doc, p.body) }

func text(doc *html.Node, otherwise string) string {
	if doc == nil {
		return otherwise
	}
	var b strings.Builder
	for n := range doc.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "script" && n.Parent.Data != "style" {
			b.WriteString(n.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func mustParse(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
