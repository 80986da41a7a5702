package main

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// site is the storefront, as browsers see it.
type site struct {
	base      *url.URL
	transport *http.Transport
}

func newSite(base string) (*site, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("--url %q is not a URL such as http://127.0.0.1:8080", base)
	}
	return &site{base: u, transport: &http.Transport{MaxIdleConnsPerHost: 200, IdleConnTimeout: 30 * time.Second}}, nil
}

func (s *site) close() { s.transport.CloseIdleConnections() }

// visitor is a customer who goes through the pages with a browser that takes cookies.
type visitor struct {
	*site
	choices
	client *http.Client
	plan   []*step

	products []string
	form     url.Values // of the checkout
	order    string     // path
}

func (s *site) customer(c choices) customer {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // it fails for bad options only, and there are none
	}
	v := &visitor{site: s, choices: c, client: &http.Client{
		Transport: s.transport, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	products := func(page string) { v.products = unique(productLink.FindAllStringSubmatch(page, -1)) }
	product := func() string { return "/products/" + pick(v.choices, v.products) }

	v.get("/", func() string { return "/" }, nil)
	if c.maybe(30) {
		v.get("/search", func() string { return "/search?q=" + pick(v.choices, []string{"tea", "amber", "ship"}) }, nil)
	}
	v.get("/goods/…", func() string {
		return "/goods/" + pick(v.choices, []string{"tea", "spices", "larder", "wool", "light", "table", "amber", "deck"})
	}, products)
	for range c.between(1, 3) {
		v.get("/products/…", product, nil)
	}
	if c.maybe(60) {
		for range c.between(1, 3) {
			v.post("/cart/items", func() (string, url.Values) {
				return "/cart/items", url.Values{"product": {pick(v.choices, v.products)}, "quantity": {"1"}, "back": {"/cart"}}
			}, nil)
		}
		v.get("/cart", func() string { return "/cart" }, nil)
		if c.maybe(60) {
			v.get("/checkout", func() string { return "/checkout" }, func(page string) {
				v.form = url.Values{
					"name": {"Load Generator"}, "email": {"load@example.com"}, "street": {"Kai 1"}, "postcode": {"20457"}, "city": {"Hamburg"},
					"number": {"4242 4242 4242 4242"}, "holder": {"Load Generator"}, "expiry": {"12/99"}, "code": {"123"},
				}
				for _, m := range hiddenField.FindAllStringSubmatch(page, -1) {
					v.form.Set(m[1], html.UnescapeString(m[2]))
				}
			})
			v.post("/checkout", func() (string, url.Values) { return "/checkout", v.form }, func(location string) { v.order = location })
			v.get("/orders/…", func() string { return v.order }, nil)
			v.get("/orders", func() string { return "/orders" }, nil)
		}
	}
	return v
}

var (
	productLink = regexp.MustCompile(`href="/products/([a-z-]+)"`)
	hiddenField = regexp.MustCompile(`<input type="hidden" name="(key|country|speed|currency|total)" value="([^"]*)"`)
)

func unique(matches [][]string) []string {
	var all []string
	seen := make(map[string]bool)
	for _, m := range matches {
		if !seen[m[1]] {
			seen[m[1]] = true
			all = append(all, m[1])
		}
	}
	return all
}

func (v *visitor) next() *step {
	if len(v.plan) == 0 {
		return nil
	}
	s := v.plan[0]
	v.plan = v.plan[1:]
	return s
}

func (v *visitor) get(name string, path func() string, then func(page string)) {
	v.plan = append(v.plan, &step{method: "GET " + name, safe: true, do: func(ctx context.Context) (int, error) {
		return v.send(ctx, http.MethodGet, path(), nil, func(res *http.Response, body string) error {
			if res.StatusCode != http.StatusOK {
				return fmt.Errorf("%s: %s", name, res.Status)
			}
			if then != nil {
				then(body)
			}
			return nil
		})
	}})
}

// post sends a form, which answers with the path of the next page.
func (v *visitor) post(name string, form func() (string, url.Values), then func(location string)) {
	v.plan = append(v.plan, &step{method: "POST " + name, do: func(ctx context.Context) (int, error) {
		path, values := form()
		return v.send(ctx, http.MethodPost, path, values, func(res *http.Response, _ string) error {
			if res.StatusCode != http.StatusSeeOther {
				return fmt.Errorf("%s: %s", name, res.Status)
			}
			if then != nil {
				then(res.Header.Get("Location"))
			}
			return nil
		})
	}})
}

func (v *visitor) send(ctx context.Context, method, path string, form url.Values, check func(*http.Response, string) error) (int, error) {
	to, err := v.base.Parse(path)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, method, to.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := v.client.Do(req)
	if err != nil {
		return 1, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 1, err
	}
	return 1, check(res, string(body))
}
