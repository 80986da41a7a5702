package hanse_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
)

// TestLogLevels holds that levels of services are switched while they run, and what may not be asked for.
func TestLogLevels(t *testing.T) {
	cart, payment := greeterNamed("cart"), greeterNamed("payment")
	log := new(logBuffer)
	r := run(t, &hanse.App{AdminAddr: "127.0.0.1:0", Logger: slog.New(slog.NewTextHandler(log, nil))}, cart, payment)
	ask := func(method, query string, header ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.instances["cart"].Admin+"/debug/log?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, body := roundTrip(t, req)
		return resp.StatusCode, body
	}
	levels := func(method, query string) string {
		t.Helper()
		code, body := ask(method, query)
		var all []struct{ Service, Level, Least string }
		if err := json.Unmarshal([]byte(body), &all); code != 200 || err != nil {
			t.Fatalf("%s %s: %d %s", method, query, code, body)
		}
		var parts []string
		for _, one := range all {
			parts = append(parts, fmt.Sprintf("%s=%s/%s", one.Service, one.Level, one.Least))
		}
		return strings.Join(parts, " ")
	}
	for _, tt := range []struct{ method, query, want string }{
		{"GET", "", "cart=/INFO payment=/INFO"},
		{"POST", "level=warn&service=cart", "cart=WARN/WARN"},
		{"GET", "", "cart=WARN/WARN payment=/INFO"},
		{"POST", "level=error", "cart=ERROR/ERROR payment=ERROR/ERROR"},
		{"POST", "level=debug&service=cart", "cart=DEBUG/INFO"}, // the app's logger takes no less
		{"POST", "level=default&service=cart", "cart=ERROR/ERROR"},
		{"POST", "level=info%2B2&service=payment", "payment=INFO+2/INFO+2"},
		{"POST", "level=default", "cart=ERROR/ERROR payment=ERROR/ERROR"},
		{"POST", "level=info&service=payment", "payment=INFO/INFO"},
	} {
		if got := levels(tt.method, tt.query); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.method, tt.query, got, tt.want)
		}
	}
	cart.Logger().Warn("not this")
	payment.Logger().Info("but this", "key", url.Values{})
	if text := log.String(); strings.Contains(text, "not this") || !strings.Contains(text, "msg=\"but this\" service=payment instance="+r.instances["payment"].ID) {
		t.Errorf("log: %s", text)
	}
	for _, tt := range []struct {
		query, want string
		code        int
		header      []string
	}{
		{"", `no level ""`, 400, nil},
		{"level=loud", `no level "loud"`, 400, nil},
		{"level=debug&service=crat", "did you mean cart?", 404, nil},
		{"level=debug", "not switched by web pages", 403, []string{"Origin", "http://evil.example"}},
	} {
		if code, body := ask("POST", tt.query, tt.header...); code != tt.code || !strings.Contains(body, tt.want) {
			t.Errorf("POST %s: %d %s", tt.query, code, body)
		}
	}
}
