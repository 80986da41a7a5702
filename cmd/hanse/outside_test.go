package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/internal/systems"
	"github.com/hanse-go/hanse/telemetry/collector"
)

// outside starts hanse dashboard and waits for its link. telemetry is the variable that sends telemetry there.
func (p *machine) outside(dir string, args ...string) (at page, telemetry string) {
	p.t.Helper()
	d := p.background(dir, append([]string{"dashboard", "--otlp", "127.0.0.1:0"}, args...)...)
	d.await("the dashboard", func() bool {
		select {
		case <-d.exited:
			d.t.Fatalf("hanse dashboard ended: %v", d.cmd.ProcessState)
		default:
		}
		return strings.Contains(d.out.String(), "Ctrl-C ends it")
	})
	m := regexp.MustCompile(`(?m)^  telemetry: (OTEL_EXPORTER_OTLP_ENDPOINT=http://\S+) `).FindStringSubmatch(d.out.String())
	if m == nil {
		p.t.Fatalf("nothing says where telemetry goes:\n%s", d.out.String())
	}
	return d.dashboard(), m[1]
}

// ready reports whether a service has one instance, which takes calls.
func (p page) ready(service string) bool {
	list := p.service(service).Instances
	return len(list) == 1 && list[0].State == "ready"
}

// with is the machine with more variables.
func (p *machine) with(env ...string) *machine {
	q := *p
	q.env = append(slices.Clip(p.env), env...)
	return &q
}

// traces are those that the dashboard has of a service.
func (p page) traces(service string) (found []collector.TraceSummary) {
	p.d.t.Helper()
	var page collector.TracePage
	status, text := p.send("GET", "/api/traces?service="+service, "")
	if err := json.Unmarshal([]byte(text), &page); status != http.StatusOK || err != nil {
		p.d.t.Fatalf("the traces: %d %s %v", status, text, err)
	}
	return page.Traces
}

// A system that runs without hanse dev is seen by its registry, and what it tells by OTLP.
func TestDashboardFromOutside(t *testing.T) {
	p := newMachine(t)
	dir := t.TempDir()
	registry := "local:" + systems.OfFolder(dir)
	at, telemetry := p.outside(dir, "--registry", registry)
	if st := at.state(); st.Kind != dashboard.KindRegistry || st.ReadOnly || st.Production || "OTEL_EXPORTER_OTLP_ENDPOINT="+st.Telemetry != telemetry {
		t.Errorf("the state is %+v", st)
	}
	p.with(telemetry, "OTEL_TRACES_SAMPLER=always_on", "HANSE_ADMIN_ADDR=127.0.0.1:0").run(dir, "served", "cart", "stock")
	p.await("the services", func() bool { return at.ready("cart") && at.ready("stock") })
	if i := at.service("cart").Instances[0]; i.Admin == "" || len(i.Contracts) == 0 {
		t.Errorf("the instance is %+v", i)
	}
	if status, text := at.send("POST", "/api/system/do", `{"action":"stop","service":"cart"}`); status != http.StatusBadRequest {
		t.Errorf("stop: %d %s", status, text)
	}
	for _, about := range []string{"config", "resilience", "log-level", "health"} {
		if status, text := at.send("GET", "/api/services/cart/"+about, ""); status != http.StatusOK || strings.Contains(text, `"error"`) {
			t.Errorf("%s: %d %s", about, status, text)
		}
	}
	if status, text := at.send("POST", "/api/services/cart/log-level", `{"level":"debug"}`); status != http.StatusOK {
		t.Errorf("the level: %d %s", status, text)
	}
	if out, errs, status := p.hanse(dir, "call", "--registry", registry, "cart/Get", "name=apple"); status != 0 {
		t.Fatalf("the call: %s%s", out, errs)
	}
	p.await("the trace of the call", func() bool { return len(at.traces("cart")) > 0 })

	if _, errs, status := p.hanse(dir, "dashboard", "--registry", registry); status != 1 || !strings.Contains(errs, "runs already") || !strings.Contains(errs, at.link) {
		t.Errorf("a second one: status %d, %s", status, errs)
	}
	http.DefaultClient.CloseIdleConnections()
	at.d.interrupt()
	again, _ := p.outside(dir, "--registry", registry)
	if again.link != at.link {
		t.Errorf("the link was %s, and is %s", at.link, again.link)
	}
	if len(again.traces("cart")) == 0 {
		t.Error("the trace is gone with the process")
	}
	http.DefaultClient.CloseIdleConnections()
}

// A context that is marked production is only shown.
func TestProductionContext(t *testing.T) {
	p := newMachine(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "contexts.yaml")
	p = p.with("HANSE_CONTEXTS=" + file)
	write(t, file, "contexts:\n  - name: prod\n    registry: local:"+systems.OfFolder(dir)+"\n    production: true\n")
	p.run(dir, "served", "cart")
	at, _ := p.outside(dir, "--context", "prod")
	p.await("the service", func() bool { return len(at.service("cart").Instances) == 1 })
	if st := at.state(); !st.Production || !st.ReadOnly || st.Name != "prod" {
		t.Errorf("the state is %+v", st)
	}
	if !strings.Contains(at.d.out.String(), "production: it is only shown") {
		t.Errorf("it does not say so:\n%s", at.d.out.String())
	}
	for _, path := range []string{"system/do", "services/cart/log-level", "events/replay", "events/dead", "store/put", "store/delete"} {
		if status, text := at.send("POST", "/api/"+path, `{}`); status != http.StatusForbidden || !strings.Contains(text, "changes nothing") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if _, errs, status := p.hanse(dir, "ps", "--context", "prd"); status != 1 || !strings.Contains(errs, `no context "prd"`) || !strings.Contains(errs, "did you mean prod?") {
		t.Errorf("a name that is misspelt: status %d, %s", status, errs)
	}
	if out, errs, status := p.hanse(dir, "ps", "--context", "prod"); status != 0 || !strings.Contains(out, "cart") {
		t.Errorf("ps: status %d, %s%s", status, out, errs)
	}
	if out, _, _ := p.hanse(dir, "__complete", "ps", "--context", ""); !strings.HasPrefix(out, "prod\n") {
		t.Errorf("it completes %q", out)
	}
	if err := os.WriteFile(file, []byte("contexts:\n  - name: prod\n    registri: local:x\n    backplane: nats://secret@host:4222\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := p.hanse(dir, "dashboard", "--context", "prod"); status != 1 || !strings.Contains(errs, "contexts.yaml:3:5: unknown key \"registri\"; did you mean registry?") || strings.Contains(errs, "secret") {
		t.Errorf("a mistake in the file: status %d, %s", status, errs)
	}
	http.DefaultClient.CloseIdleConnections()
}
