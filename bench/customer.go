package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

var (
	hiddenField = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]*)"`)
	postForm    = regexp.MustCompile(`(?s)<form[^>]*action="/checkout"[^>]*method="post".*?</form>`)
	orderForm   = regexp.MustCompile(`(?s)<form[^>]*action="/cart/items".*?</form>`)
)

// buyOnce is a customer of the shop at base who has not been there before.
func buyOnce(ctx context.Context, base string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	c := &http.Client{Jar: jar}
	product := base + "/products/east-frisian-blend"
	page, err := send(ctx, c, http.MethodGet, product, nil)
	if err != nil {
		return err
	}
	form := hidden(orderForm.FindString(page))
	form.Set("quantity", "1")
	if _, err := send(ctx, c, http.MethodPost, base+"/cart/items", form); err != nil {
		return err
	}
	if page, err = send(ctx, c, http.MethodGet, base+"/checkout", nil); err != nil {
		return err
	}
	form = hidden(postForm.FindString(page))
	for k, v := range map[string]string{
		"name": "Gesche Gottfried", "email": "gesche@example.com", "street": "Schüsselkorb 1", "postcode": "28195", "city": "Bremen",
		"number": "4242 4242 4242 4242", "holder": "Gesche Gottfried", "expiry": "12/39", "code": "123",
	} {
		form.Set(k, v)
	}
	page, err = send(ctx, c, http.MethodPost, base+"/checkout", form)
	if err != nil {
		return err
	}
	if !strings.Contains(page, "/orders/") {
		return fmt.Errorf("no order came of it; the page says:\n%s", page)
	}
	return nil
}

// hidden returns the hidden fields of a form.
func hidden(form string) url.Values {
	v := url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(form, -1) {
		v.Set(m[1], m[2])
	}
	return v
}

func send(ctx context.Context, c *http.Client, method, to string, form url.Values) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s %s: %s\n%s", method, to, res.Status, body)
	}
	return string(body), nil
}
