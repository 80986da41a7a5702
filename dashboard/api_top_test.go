package dashboard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/telemetry/collector"
)

// collecting runs a collector until the test ends.
func collecting(t *testing.T) *collector.Collector {
	t.Helper()
	c := &collector.Collector{Dir: t.TempDir()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// tell sends OTLP, as a program does.
func tell(t *testing.T, c *collector.Collector, signal, body string) {
	t.Helper()
	r := httptest.NewRequest("POST", "/v1/"+signal, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	if c.Handler().ServeHTTP(w, r); w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", signal, w.Code, w.Body)
	}
}

// Top joins what runs with what it tells. Two services share a process, which tells of itself with the first of them.
func TestTop(t *testing.T) {
	sys := newSystem()
	sys.state.Services = []dashboard.Service{
		{Name: "cart", Want: 3, Instances: []dashboard.Instance{{ID: "a", State: "ready", PID: 10}, {ID: "b", State: "ready", PID: 11}, {ID: "cart#3", State: "failed"}}},
		{Name: "email", Want: 1, Instances: []dashboard.Instance{{ID: "c", State: "ready", PID: 10}}},
		{Name: "loadgen", Instances: []dashboard.Instance{}},
		{Name: "orders", Want: 1, Instances: []dashboard.Instance{{ID: "d", State: "draining", PID: 12}}},
	}
	c := collecting(t)
	client, base := in(t, &dashboard.Server{System: sys, Collector: c})
	resource := func(service, instance string) string {
		return fmt.Sprintf(`"resource":{"attributes":[{"key":"service.name","value":{"stringValue":%q}},{"key":"service.instance.id","value":{"stringValue":%q}}]}`, service, instance)
	}
	now := time.Now()
	for instance, busy := range map[string]float64{"a": 1, "b": 0.5} { // of two seconds
		var cpu, memory []string
		for back := 20; back >= 4; back -= 2 {
			at := now.Add(time.Duration(-back) * time.Second)
			cpu = append(cpu, fmt.Sprintf(`{"startTimeUnixNano":"%d","timeUnixNano":"%d","asDouble":%v}`, at.Add(-2*time.Second).UnixNano(), at.UnixNano(), busy))
			memory = append(memory, fmt.Sprintf(`{"timeUnixNano":"%d","asInt":"%d"}`, at.UnixNano(), 64<<20+back))
		}
		tell(t, c, "metrics", `{"resourceMetrics":[{`+resource("cart", instance)+`,"scopeMetrics":[{"metrics":[
			{"name":"process.cpu.time","unit":"s","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[`+strings.Join(cpu, ",")+`]}},
			{"name":"process.memory.usage","unit":"By","sum":{"aggregationTemporality":2,"dataPoints":[`+strings.Join(memory, ",")+`]}}]}]}]}`)
	}
	span := func(id int, service, name, code string, millis int) string {
		start := now.Add(-10 * time.Second)
		return fmt.Sprintf(`{`+resource(service, service)+`,"scopeSpans":[{"spans":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e%04x","spanId":"00f067aa0ba9%04x","name":%q,"kind":2,
			"startTimeUnixNano":"%d","endTimeUnixNano":"%d","status":{%s},"attributes":[{"key":"rpc.system.name","value":{"stringValue":"grpc"}},{"key":"rpc.method","value":{"stringValue":%q}}]}]}]}`,
			id, id, name, start.UnixNano(), start.Add(time.Duration(millis)*time.Millisecond).UnixNano(), code, name)
	}
	tell(t, c, "traces", `{"resourceSpans":[`+span(1, "cart", "a.Carts/Get", "", 10)+","+span(2, "cart", "a.Carts/Get", `"code":2`, 10)+","+
		span(3, "cart", "a.Carts/Add", "", 20)+","+span(4, "node", "b.Node/Do", "", 5)+`]}`)

	get := func(query string) (top dashboard.Top) {
		t.Helper()
		res, text := ask(t, client, "GET", base+"/api/top"+query, "")
		if err := json.Unmarshal([]byte(text), &top); res.StatusCode != http.StatusOK || err != nil {
			t.Fatalf("%s %s %v", res.Status, text, err)
		}
		return top
	}
	top := get("?window=1m")
	var names []string
	for _, s := range top.Services {
		names = append(names, fmt.Sprintf("%s %d/%d failed %d within %q", s.Name, s.Ready, s.Want, s.Failed, s.Within))
	}
	want := []string{`cart 2/3 failed 1 within ""`, `email 1/1 failed 0 within "cart"`, `loadgen 0/0 failed 0 within ""`, `node 1/0 failed 0 within ""`, `orders 0/1 failed 0 within ""`}
	if got := strings.Join(names, "\n"); got != strings.Join(want, "\n") {
		t.Fatalf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	cart := top.Services[0]
	if cart.CPU == nil || cart.Memory == nil {
		t.Fatalf("nothing of the processes of cart: %+v", cart)
	}
	if *cart.CPU < 0.7 || *cart.CPU > 0.8 { // half and a quarter of a processor
		t.Errorf("CPU of cart: %v", *cart.CPU)
	}
	if *cart.Memory < 2*64<<20 || *cart.Memory > 2*(64<<20+8) { // the last that was told, of both
		t.Errorf("memory of cart: %d", *cart.Memory)
	}
	if s := top.Services[1]; s.CPU != nil || s.Memory != nil {
		t.Errorf("email has what belongs to cart: %+v", s)
	}
	calls := func(n float64) int { return int(n*top.To.Sub(top.From).Seconds() + 0.5) }
	if calls(cart.Calls) != 3 || calls(cart.Errors) != 1 || cart.P95 < 15*time.Millisecond || cart.P50 > 12*time.Millisecond {
		t.Errorf("calls of cart: %+v", cart.Numbers)
	}
	var methods []string
	for _, m := range top.Methods {
		methods = append(methods, fmt.Sprintf("%s %s %s %d %d", m.Service, m.Name, m.Kind, calls(m.Calls), calls(m.Errors)))
	}
	if got, want := strings.Join(methods, ", "), "cart a.Carts/Get rpc 2 1, cart a.Carts/Add rpc 1 0, node b.Node/Do rpc 1 0"; got != want {
		t.Errorf("methods: %s, want %s", got, want)
	}
	if m := get("?window=1m&methods=1").Methods; len(m) != 1 || m[0].Name != "a.Carts/Get" {
		t.Errorf("the busiest: %+v", m)
	}
	if m := get("?window=1m&methods=0").Methods; m == nil || len(m) != 0 {
		t.Errorf("none: %+v", m)
	}
	for _, query := range []string{"?window=soon", "?methods=1001"} {
		if res, text := ask(t, client, "GET", base+"/api/top"+query, ""); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s %s", query, res.Status, text)
		}
	}
}

// Where nothing is collected, top has what runs.
func TestTopWithoutCollector(t *testing.T) {
	client, base := in(t, &dashboard.Server{System: newSystem()})
	res, text := ask(t, client, "GET", base+"/api/top", "")
	if res.StatusCode != http.StatusOK || !strings.Contains(text, `"name":"cart"`) || !strings.Contains(text, `"methods":[]`) {
		t.Errorf("%s %s", res.Status, text)
	}
}
