package dashboard_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/telemetry/collector"
)

// process is the admin listener of a process with services, as /readyz answers for all of them.
type process struct {
	mu     sync.Mutex
	checks []map[string]any
	asked  int
}

func (p *process) set(checks ...map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checks = checks
}

func (p *process) times() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func (p *process) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/readyz" || !strings.Contains(r.Header.Get("Accept"), "json") {
		http.NotFound(w, r)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	for _, c := range p.checks {
		if c["reason"] != nil && c["warning"] == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			break
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"ready": false, "state": "ready", "checks": p.checks})
}

// admin runs a process and returns its address.
func admin(t *testing.T, h http.Handler) string {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

func check(service, name, reason string) map[string]any {
	c := map[string]any{"service": service, "check": name}
	if reason != "" {
		c["reason"] = reason
	}
	return c
}

// TestUnwell holds that the checks that instances do not meet are problems with their reasons, one for each cause, and stand with the instances.
func TestUnwell(t *testing.T) {
	away := check("", "backplane", "no server answers")
	away["warning"] = true
	of := func(service string) map[string]any {
		c := map[string]any{}
		for k, v := range away {
			c[k] = v
		}
		c["service"] = service
		return c
	}
	one, two := new(process), new(process)
	one.set(check("cart", "state", ""), check("cart", "database", "connection refused"), of("cart"), check("mail", "state", ""), check("mail", "smtp", ""), of("mail"))
	two.set(check("cart", "state", "draining"), check("cart", "database", ""), check("mail", "queue", "it is full"))
	gone := httptest.NewServer(nil)
	gone.Close()
	first, second := admin(t, one), admin(t, two)
	sys := newSystem()
	sys.state.Services = []dashboard.Service{
		{Name: "cart", Instances: []dashboard.Instance{{ID: "1", State: "ready", Admin: first}, {ID: "2", State: "ready", Admin: second}}},
		{Name: "mail", Instances: []dashboard.Instance{{ID: "3", State: "ready", Admin: first}, {ID: "4", State: "starting", Admin: second}}},
		{Name: "stock", Instances: []dashboard.Instance{{ID: "5", State: "ready", Admin: strings.TrimPrefix(gone.URL, "http://")}, {ID: "6", State: "ready"}}},
	}
	c, base := in(t, &dashboard.Server{System: sys})
	problems := func() (list []collector.Problem, text string) {
		t.Helper()
		_, body := ask(t, c, "GET", base+"/api/problems", "")
		var answer struct{ Problems []collector.Problem }
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		for _, p := range answer.Problems {
			text += fmt.Sprintf("%s %s %d | %s | %s\n", p.Severity, p.Service, p.Count, p.Title, p.Reason)
		}
		return answer.Problems, text
	}
	list, got := problems()
	want := "warning cart 2 | 2 services are not well: backplane | no server answers; cart, mail (2 of 4 instances)\n" +
		"error cart 1 | cart is not ready: database | connection refused (1 of 2 instances)\n" +
		"error mail 1 | mail is not ready: queue | it is full (1 of 2 instances)\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for _, p := range list {
		if p.Kind != "check" || time.Since(p.Since) > time.Minute || p.ID == "" {
			t.Errorf("%+v", p)
		}
	}
	if again, _ := problems(); one.times() != 1 || two.times() != 1 || len(again) != 3 || !again[0].Since.Equal(list[0].Since) {
		t.Errorf("the processes were asked %d and %d times, want once; %+v", one.times(), two.times(), again)
	}
	failing := func() (list []string) {
		t.Helper()
		_, body := ask(t, c, "GET", base+"/api/system", "")
		var st dashboard.State
		if err := json.Unmarshal([]byte(body), &st); err != nil {
			t.Fatal(err)
		}
		for _, s := range st.Services {
			for _, i := range s.Instances {
				for _, c := range i.Failing {
					list = append(list, fmt.Sprint(i.ID, " ", c.Name, " ", c.Reason, " ", c.Warning))
				}
			}
		}
		return list
	}
	if got := strings.Join(failing(), ", "); got != "1 database connection refused false, 1 backplane no server answers true, 3 backplane no server answers true, 4 queue it is full false" {
		t.Error(got)
	}
	if sys.state.Services[0].Instances[0].Failing != nil {
		t.Error("the state of the system was changed")
	}
	// It goes when the instance is well again; open pages need not ask for it.
	one.set(check("cart", "database", ""))
	two.set(check("cart", "database", ""))
	for deadline := time.Now().Add(30 * time.Second); len(failing()) > 0; <-time.After(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still: %q", failing())
		}
	}
	if _, text := problems(); text != "" {
		t.Error(text)
	}
}

// TestUnwellIsLive holds that an open page is told of a check that fails and of its recovery, though nothing else changes.
func TestUnwellIsLive(t *testing.T) {
	p := new(process)
	sys := newSystem()
	sys.state.Services[0].Instances[0].Admin = admin(t, p)
	c, base := in(t, &dashboard.Server{System: sys})
	next := follow(t, c, base)
	next("retry:")
	for _, reason := range []string{"the disk is full", ""} {
		p.set(check("cart", "disk", reason))
		next(`data: ["system"]`)
		_, body := ask(t, c, "GET", base+"/api/system", "")
		if strings.Contains(body, "the disk is full") != (reason != "") {
			t.Errorf("after it was told: %s", body)
		}
	}
}
