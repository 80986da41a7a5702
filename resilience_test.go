package hanse_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	urlpkg "net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func TestPolicies(t *testing.T) {
	registry := &discovery.Memory{}
	run(t, &hanse.App{Registry: registry}, greeterNamed("catalog"))
	var conn *rpc.Conn
	cart := greeterNamed("cart")
	cart.Setup = func(_ context.Context, s *hanse.Service) error {
		conn = s.Conn("catalog")
		return nil
	}
	r := run(t, &hanse.App{
		Registry: registry, AdminAddr: "127.0.0.1:0",
		Policies: map[string]resilience.Policy{
			"":        {Timeout: time.Second},
			"catalog": {Methods: map[string]resilience.Policy{"/a.B/C": {Retry: resilience.Retry{Attempts: 7}}}},
		},
	}, cart)
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	base := "http://" + r.instances["cart"].Admin + "/debug/resilience"
	ask := func(req *http.Request, err error) (int, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		resp, body := roundTrip(t, req)
		return resp.StatusCode, body
	}
	type report struct {
		Service string
		Targets map[string]struct {
			Policy    map[string]string
			Methods   map[string]map[string]string
			Budget    resilience.BudgetState
			Breaker   resilience.CircuitState
			Instances []resilience.WatchedState
		}
		Serving struct{ Policy map[string]string }
	}
	look := func() report {
		t.Helper()
		code, body := ask(http.NewRequestWithContext(t.Context(), "GET", base, nil))
		var all []report
		if err := json.Unmarshal([]byte(body), &all); err != nil || code != 200 || len(all) != 1 {
			t.Fatal(code, err, body)
		}
		return all[0]
	}
	set := func(form string, origin string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "POST", base, strings.NewReader(form))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		return ask(req, err)
	}

	is := look()
	to := is.Targets["catalog"]
	if is.Service != "cart" || to.Policy["timeout"] != "1s" || to.Methods["/a.B/C"]["retry.attempts"] != "7" || to.Policy["limit.delay"] != "" {
		t.Errorf("%+v", is)
	}
	if to.Budget.Calls != 1 || to.Breaker.State != "closed" || len(to.Instances) != 1 || to.Instances[0].State != "in service" || to.Instances[0].Calls != 1 {
		t.Errorf("%+v", to)
	}
	if is.Serving.Policy["limit.least"] == "" || is.Serving.Policy["timeout"] != "" {
		t.Errorf("%+v", is.Serving)
	}

	for _, form := range []urlpkg.Values{
		{"target": {"catalog"}, "breaker": {"off"}, "retry.attempts": {"2"}},
		{"target": {""}, "timeout": {"3s"}},
		{"target": {"catalog"}, "method": {"/a.B/C"}, "hedge.after": {"30ms"}},
		{"limit": {"off"}},
	} {
		if code, body := set(form.Encode(), ""); code != 200 {
			t.Errorf("%v: %d %s", form, code, body)
		}
	}
	is = look()
	to = is.Targets["catalog"]
	if to.Breaker.State != "off" || to.Policy["retry.attempts"] != "2" || to.Policy["timeout"] != "3s" || is.Serving.Policy["limit.delay"] != "off" {
		t.Errorf("%+v", is)
	}
	if m := to.Methods["/a.B/C"]; m["retry.attempts"] != "7" || m["hedge.after"] != "30ms" || m["timeout"] != "3s" {
		t.Errorf("%+v", m)
	}

	for _, tt := range []struct {
		form, origin string
		code         int
		want         string
	}{
		{"target=catalog&retries=1", "", 400, "there is no setting"},
		{"target=catalog&limit=off", "", 400, "takes"},
		{"timeout=1s", "", 400, "name the target"},
		{"target=catalog", "", 400, "say what to change"},
		{"service=crat&limit=off", "", 404, "did you mean cart?"},
		{"limit=on", "http://evil.example", 403, "web pages"},
	} {
		if code, body := set(tt.form, tt.origin); code != tt.code || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %s", tt.form, code, body)
		}
	}
}

func TestPolicyMistakes(t *testing.T) {
	app := &hanse.App{Policies: map[string]resilience.Policy{"cart": {Timeout: -5}}}
	wantError(t, begin(t, app, greeter()).wait(), `App.Policies["cart"]: Timeout is -5ns`)
}

// TestResilienceGuide holds the table of the guide to the defaults, and its commands to what the endpoint takes.
func TestResilienceGuide(t *testing.T) {
	text, err := os.ReadFile("docs/guides/resilience.md")
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z.-]+)` \\| (?:`([^`]+)`|off) \\|").FindAllStringSubmatch(string(text), -1) {
		told[m[1]] = m[2]
	}
	for name, value := range resilience.Resolve(nil, "", "").Settings() {
		group, _, _ := strings.Cut(name, ".")
		switch group {
		case "timeout", "retry", "hedge", "breaker", "outlier":
			if told[name] != value {
				t.Errorf("the default of %s is %s, the guide says %q", name, value, told[name])
			}
		}
	}
	for name, value := range told {
		var p resilience.Policy
		if value == "" {
			value = "off"
		}
		if err := p.Set(name, value); err != nil {
			t.Errorf("the guide names %s: %v", name, err)
		}
	}

	registry := &discovery.Memory{}
	r := run(t, &hanse.App{Registry: registry, AdminAddr: "127.0.0.1:0"}, greeter())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	commands := 0
	for _, m := range regexp.MustCompile(`(?m)^curl -s(.*?) '?http://127.0.0.1:9000(\S*?)'?$`).FindAllStringSubmatch(string(text), -1) {
		commands++
		url := "http://" + r.instances["greeter"].Admin + m[2]
		form := make(urlpkg.Values)
		for _, d := range regexp.MustCompile(` -d (\S*?)=(\S*)`).FindAllStringSubmatch(m[1], -1) {
			form.Set(d[1], d[2])
		}
		var resp *http.Response
		if len(form) > 0 {
			resp, err = client.PostForm(url, form)
		} else {
			resp, err = client.Get(url)
		}
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || !strings.Contains(string(body), `"serving"`) {
			t.Errorf("%s: %d %s", m[0], resp.StatusCode, body)
		}
	}
	if commands != 4 {
		t.Errorf("%d commands were found", commands)
	}
}
