package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/internal/duration"
	"github.com/hanse-go/hanse/internal/systems"
	"github.com/hanse-go/hanse/telemetry/advise"
	"github.com/hanse-go/hanse/telemetry/collector"
)

// contexts is the machine with a contexts.yaml of this text.
func (p *machine) contexts(text string) *machine {
	p.t.Helper()
	file := filepath.Join(p.t.TempDir(), "contexts.yaml")
	write(p.t, file, text)
	return p.with("HANSE_CONTEXTS=" + file)
}

// in is a folder of the machine, for commands that must succeed there.
func (p *machine) in(dir string) *devRun { return &devRun{machine: p, dir: dir} }

// telling are the variables of a program that tells all that it can, beside where.
func telling(telemetry string) []string {
	return []string{telemetry, "OTEL_TRACES_SAMPLER=always_on", "OTEL_METRIC_EXPORT_INTERVAL=500", "HANSE_ADMIN_ADDR=127.0.0.1:0", "HANSE_ALLOW_FAULTS=1"}
}

// What a dashboard has collected of a system is had from the shell, whichever way says which system it is.
func TestShellFromOutside(t *testing.T) {
	p := newMachine(t)
	dir, elsewhere := filepath.Join(t.TempDir(), "shop"), t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module example.com/shop\n")
	registry := "local:" + systems.OfFolder(dir)
	p = p.contexts(fmt.Sprintf("contexts:\n  - {name: prod, registry: %q, production: true}\n  - {name: idle, registry: %q}\n", registry, registry))

	for _, command := range []string{"trace ls", "trace tail", "trace show abc", "logs", "top", "advise"} {
		for flag, want := range map[string]string{
			"--context prod": "no hanse dashboard of the context prod runs on this machine, and so nobody collects its traces, logs and numbers; start it with hanse dashboard --context prod",
			"--system shop":  `no system "shop" runs, nor any other; start one with hanse dev, or show one that runs elsewhere with hanse dashboard`,
			"":               "no system runs; start one with hanse dev, or show one that runs elsewhere with hanse dashboard",
		} {
			_, errs, status := p.hanse(elsewhere, strings.Fields(command+" "+flag)...)
			if status != 1 || !strings.Contains(errs, want) {
				t.Errorf("hanse %s %s: status %d, %s", command, flag, status, errs)
			}
		}
	}

	at, telemetry := p.outside(elsewhere, "--context", "prod")
	for _, name := range []string{"cart", "stock"} {
		p.with(telling(telemetry)...).run(dir, "served", name)
	}
	p.await("the services", func() bool { return at.ready("cart") && at.ready("stock") })
	for range 3 {
		p.in(dir).must("call", "--registry", registry, "cart/Get", "name=of stock", "count=8")
	}
	if _, errs, status := p.hanse(dir, "call", "--registry", registry, "stock/Get", "name=nothing"); status == 0 || !strings.Contains(errs, "there is no nothing") {
		t.Fatalf("the call: status %d, %s", status, errs)
	}
	prod := p.in(elsewhere)
	list := func(args ...string) []collector.TraceSummary {
		t.Helper()
		return read[[]collector.TraceSummary](prod, append([]string{"trace", "ls", "--context", "prod", "method:Shelf/Get"}, args...)...)
	}
	p.await("the traces", func() bool {
		l := list("cart")
		return len(l) == 3 && l[0].Spans >= 17 && l[1].Spans >= 17 && l[2].Spans >= 17 && len(list()) == 4
	})

	t.Run("trace", func(t *testing.T) {
		all := list()
		rows := strings.Split(strings.TrimSuffix(prod.must("trace", "ls", "--context", "prod", "method:Shelf/Get"), "\n"), "\n")
		if len(rows) != len(all)+1 {
			t.Fatalf("the table has %d rows:\n%s", len(rows), strings.Join(rows, "\n"))
		}
		for i, s := range all {
			want := []string{s.TraceID[:8], s.Start.Local().Format("15:04:05.000"), duration.Text(s.Duration), fmt.Sprint(s.Spans)}
			if s.Errors > 0 {
				want = append(want, fmt.Sprint(s.Errors))
			}
			want = append(want, fmt.Sprint(len(s.Services)), s.Service, ui.Method(s.Name))
			if got := strings.Fields(rows[i+1]); !slices.Equal(got[:min(len(got), len(strings.Fields(strings.Join(want, " "))))], strings.Fields(strings.Join(want, " "))) {
				t.Errorf("the table has %q, and JSON %q", got, want)
			}
		}
		if l := list("stock", "kind:server"); len(l) != 4 {
			t.Errorf("by the name of a service: %+v", l)
		}
		failed := list("status:NOT_FOUND")
		if len(failed) != 1 {
			t.Fatalf("by status: %+v", failed)
		}
		var shown shownTrace
		p.await("what was logged", func() bool {
			shown = read[shownTrace](prod, "trace", "show", failed[0].TraceID[:12], "--logs", "--context", "prod")
			return len(shown.Logs) == 1
		})
		text := prod.must("trace", "show", failed[0].TraceID, "--logs", "--context", "prod")
		for _, s := range shown.Spans {
			if !strings.Contains(text, s.Service) || !strings.Contains(text, duration.Text(s.Duration)) {
				t.Errorf("the picture has nothing of %s in %s:\n%s", s.Name, s.Service, text)
			}
		}
		if !strings.Contains(text, shown.Logs[0].Message) {
			t.Errorf("the picture has no log:\n%s", text)
		}
		tail := p.background(elsewhere, "trace", "tail", "--context", "prod", "-n", "4", "--json", "method:Shelf/Get")
		p.await("the tail", func() bool { return strings.Count(tail.out.String(), `"trace_id"`) == 4 })
	})

	t.Run("logs", func(t *testing.T) {
		out := prod.must("logs", "--context", "prod", "stock", "level:warn", "--json")
		var line collector.Log
		if err := json.Unmarshal([]byte(out), &line); err != nil || line.Service != "stock" || line.Message != "somebody wants nothing" || line.TraceID == "" {
			t.Fatalf("%v: %s", err, out)
		}
		text := prod.must("logs", "--context", "prod", "stock", "level:warn")
		if strings.Count(text, "\n") != 1 || !strings.Contains(text, line.Message) || !strings.Contains(text, line.TraceID[:8]) || !strings.Contains(text, "stock") {
			t.Errorf("for people it is\n%s", text)
		}
		if text := prod.must("logs", "--context", "prod", "cart", "wants"); text != "" {
			t.Errorf("what another service said: %s", text)
		}
		if _, errs, status := p.hanse(elsewhere, "logs", "--context", "prod", "stok"); status != 1 || !strings.Contains(errs, `there is no service "stok" in prod; did you mean stock?`) {
			t.Errorf("status %d, %s", status, errs)
		}
	})

	t.Run("top", func(t *testing.T) {
		var got dashboard.Top
		p.await("numbers", func() bool {
			got = read[dashboard.Top](prod, "top", "--context", "prod", "--window", "1h", "cart")
			return len(got.Methods) > 0 && got.Services[0].Memory != nil
		})
		if len(got.Services) != 1 || got.Services[0].Name != "cart" || got.Services[0].Ready != 1 || got.Services[0].Calls == 0 {
			t.Errorf("%+v", got.Services)
		}
		text := prod.must("top", "--context", "prod", "--window", "1h", "cart")
		row := regexp.MustCompile(`(?m)^cart +1 +(?:< )?[\d.]+/s +0 % `)
		if !row.MatchString(text) || !strings.Contains(text, ui.Method(got.Methods[0].Name)) || strings.Contains(text, "stock") {
			t.Errorf("the table is\n%s", text)
		}
	})

	t.Run("advise", func(t *testing.T) {
		report := read[advise.Report](prod, "advise", "--context", "prod")
		text := prod.must("advise", "--context", "prod", "--since", "15m")
		if report.Requests != 3 || report.Calls != 24 || len(report.Findings) == 0 || report.Findings[0].Kind != advise.Repeats || len(report.Pairs) != 1 || report.Pairs[0].Calls != 8 {
			t.Fatalf("%+v\n%s", report, text)
		}
		for _, want := range []string{"3 requests with 24 calls", report.Findings[0].Title, report.Findings[0].Flag} {
			if !strings.Contains(text, want) {
				t.Errorf("there is no %q in\n%s", want, text)
			}
		}
		if !regexp.MustCompile(`(?m)^cart +stock +3 +8\.0 `).MatchString(text) {
			t.Errorf("the pair is not in\n%s", text)
		}
	})

	t.Run("which", func(t *testing.T) {
		says := func(dir, want string, args ...string) {
			t.Helper()
			out, errs, status := p.hanse(dir, args...)
			if status != 0 || out == "" || errs != want {
				t.Errorf("hanse %s: status %d, says %q, want %q", strings.Join(args, " "), status, errs, want)
			}
		}
		asked := func(name, place string, at page, mark string) string {
			return fmt.Sprintf("%s (%s, by hanse dashboard, process %d)%s\n", name, place, at.d.cmd.Process.Pid, mark)
		}
		ofProd := asked("prod", "the context prod", at, " production")
		says(elsewhere, ofProd, "trace", "ls", "--context", "prod")
		says(elsewhere, ofProd, "trace", "ls", "--system", "prod", "--json")
		says(elsewhere, ofProd, "top") // it is the only one
		if out, _, _ := p.hanse(elsewhere, "__complete", "logs", "--system", ""); !strings.HasPrefix(out, "prod\n") {
			t.Errorf("it completes %q", out)
		}
		if out, _, _ := p.hanse(elsewhere, "__complete", "logs", "--context", "prod", ""); !strings.Contains(out, "cart\nstock\n") {
			t.Errorf("it completes %q", out)
		}
		if _, errs, status := p.hanse(elsewhere, "top", "--context", "prod", "--system", "prod"); status != 2 || !strings.Contains(errs, "and so does --system; keep one of them") {
			t.Errorf("both: status %d, %s", status, errs)
		}
		if _, errs, status := p.hanse(elsewhere, "logs", "--context", "idle"); status != 1 || !strings.Contains(errs, "hanse dashboard --context idle") {
			t.Errorf("a context that is not shown: status %d, %s", status, errs)
		}

		// A second one, of the folder.
		here, _ := p.outside(dir)
		if here.state().Name != "shop" {
			t.Errorf("the folder's system is called %s", here.state().Name)
		}
		p.await("the registry", func() bool { return here.ready("cart") && here.ready("stock") })
		if out, _, _ := p.hanse(elsewhere, "__complete", "logs", "--system", "shop", ""); !strings.Contains(out, "cart\nstock\n") {
			t.Errorf("of services that tell this dashboard nothing it completes %q", out)
		}
		says(dir, asked("shop", "what runs for "+dir, here, ""), "top")
		says(elsewhere, asked("shop", "what runs for "+dir, here, ""), "top", "--system", "shop")
		_, errs, status := p.hanse(elsewhere, "top")
		if status != 1 || !strings.Contains(errs, "several systems run: prod and shop; say which with --system NAME") || !strings.Contains(errs, "hanse dashboard, process ") {
			t.Errorf("two: status %d, %s", status, errs)
		}
		http.DefaultClient.CloseIdleConnections()
	})

	http.DefaultClient.CloseIdleConnections()
	at.d.interrupt()
	if _, errs, status := p.hanse(elsewhere, "logs", "--context", "prod"); status != 1 || !strings.Contains(errs, "no hanse dashboard of the context prod runs") {
		t.Errorf("after its end: status %d, %s", status, errs)
	}
}

// What changes a context that is marked production needs its name a second time; what only looks at it does not.
func TestProductionCommands(t *testing.T) {
	p := newMachine(t)
	dir := t.TempDir()
	registry := "local:" + systems.OfFolder(dir)
	p = p.contexts(fmt.Sprintf("contexts:\n  - {name: prod, registry: %q, production: true}\n  - {name: staging, registry: %q}\n", registry, registry))
	p.with("HANSE_ADMIN_ADDR=127.0.0.1:0", "HANSE_ALLOW_FAULTS=1").run(dir, "served", "cart@v1")
	at := p.in(t.TempDir())
	p.await("the service", func() bool {
		out, _, _ := p.hanse(at.dir, "ps", "--context", "prod")
		return regexp.MustCompile(`(?m)^cart .* ready `).MatchString(out)
	})
	for _, command := range []string{
		"ps", "ps --policy", "level", "level cart", "split cart", "chaos", "chaos cart", "call cart", "call cart/List name=x", "profile cart --goroutine",
	} {
		args := append(strings.Fields(command), "--context")
		looked := at.must(append(args, "prod")...)
		if fresh := at.must(append(args, "staging")...); command != "profile cart --goroutine" && command != "ps" && command != "ps --policy" && looked != fresh {
			t.Errorf("hanse %s differs:\n%s\n%s", command, looked, fresh)
		}
	}
	for _, tt := range []struct {
		change, why string
		look, shows string // that it was done
	}{
		{"policy set cart limit.wait=123ms", "this changes it", "", ""},
		{"level cart=debug", "this changes it", "level cart", "DEBUG"},
		{"level warn", "this changes it", "level cart", "WARN"},
		{"split cart v1=100", "this changes it", "split cart", "100 %"},
		{"split cart --off", "this changes it", "split cart", "has no rules"},
		{"chaos cart --delay 1ms", "this changes it", "chaos", "delay 1ms"},
		{"chaos --stop", "this changes it", "chaos", "no faults"},
		{"call cart/Get name=Ada", "shelf.v1.Shelf.Get is not marked NO_SIDE_EFFECTS", "", ""},
		{"call cart/Add {}", "shelf.v1.Shelf.Add is not marked NO_SIDE_EFFECTS", "", ""},
	} {
		in := func(more ...string) (string, string, int) {
			return p.hanse(at.dir, append(strings.Fields(tt.change), more...)...)
		}
		look := func() string { return at.must(append(strings.Fields(tt.look), "--context", "prod")...) }
		before := ""
		if tt.look != "" {
			before = look()
		}
		for _, more := range [][]string{{}, {"--confirm", "prd"}, {"--confirm", "staging"}} {
			out, errs, status := in(append(more, "--context", "prod")...)
			if want := "hanse: the context prod is marked production, and " + tt.why + "; add --confirm prod to do it\n"; status != 1 || out != "" || errs != want {
				t.Errorf("hanse %s %v: status %d, %s%q, want %q", tt.change, more, status, out, errs, want)
			}
		}
		if tt.look != "" && look() != before {
			t.Errorf("hanse %s was refused, and done", tt.change)
		}
		if out, errs, status := in("--context", "prod", "--confirm", "prod"); status != 0 {
			t.Errorf("hanse %s with --confirm: status %d, %s%s", tt.change, status, out, errs)
		}
		if tt.look != "" && !strings.Contains(look(), tt.shows) {
			t.Errorf("hanse %s was not done: %s", tt.change, look())
		}
		if out, errs, status := in("--context", "staging"); status != 0 {
			t.Errorf("hanse %s elsewhere: status %d, %s%s", tt.change, status, out, errs)
		}
	}

	// One that the environment names counts as well, until something else says where the system is.
	env := p.with("HANSE_CONTEXT=prod")
	if _, errs, status := env.hanse(at.dir, "call", "cart/Get"); status != 1 || !strings.Contains(errs, "add --confirm prod") {
		t.Errorf("HANSE_CONTEXT: status %d, %s", status, errs)
	}
	if out, errs, status := env.hanse(at.dir, "call", "--registry", registry, "cart/Get"); status != 0 {
		t.Errorf("--registry: status %d, %s%s", status, out, errs)
	}
	addr := ""
	for _, e := range read[[]psRow](at, "ps", "--context", "prod")[0].Endpoints {
		if tcp, ok := strings.CutPrefix(e, "tcp://"); ok {
			addr = tcp
		}
	}
	if out, errs, status := env.hanse(at.dir, "call", "--target", addr, "shelf.v1.Shelf/Get"); status != 0 {
		t.Errorf("--target: status %d, %s%s", status, out, errs)
	}
	for _, target := range []string{addr, "cart=" + addr} {
		if _, errs, status := p.hanse(at.dir, "call", "--context", "staging", "--target", target, "cart/Get"); status != 2 || !strings.Contains(errs, "and so does --target; keep one of them") {
			t.Errorf("--context and --target %s: status %d, %s", target, status, errs)
		}
	}
	if _, errs, status := p.with("HANSE_TARGET=cart=127.0.0.1:1").hanse(at.dir, "call", "--context", "prod", "cart/Get"); status != 1 || !strings.Contains(errs, "add --confirm prod") {
		t.Errorf("HANSE_TARGET beside --context: status %d, %s", status, errs)
	}
}

// Services that want to see certificates are reached by a context that has one.
func TestContextWithCertificates(t *testing.T) {
	p := newMachine(t)
	dir, certs := t.TempDir(), t.TempDir()
	authority, err := identity.NewAuthority("shop")
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := identity.NewAuthority("shop")
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]*identity.Authority{"cart": authority, "ada": authority, "mallory": stranger} {
		if err := a.WriteFiles(filepath.Join(certs, name), name); err != nil {
			t.Fatal(err)
		}
	}
	registry := "local:" + systems.OfFolder(dir)
	q := p.contexts(fmt.Sprintf("contexts:\n  - {name: sealed, registry: %q, identity: %q, production: true}\n  - {name: plain, registry: %q}\n  - {name: strange, registry: %q, identity: %q}\n",
		registry, filepath.Join(certs, "ada"), registry, registry, filepath.Join(certs, "mallory")))
	at, telemetry := q.outside(t.TempDir(), "--context", "sealed")
	q.with(append(telling(telemetry), "HANSE_IDENTITY="+filepath.Join(certs, "cart"))...).run(dir, "served", "cart")
	elsewhere := q.in(t.TempDir())
	p.await("the service", func() bool { return at.ready("cart") })
	if status, text := at.send("GET", "/api/console/contracts?service=cart", ""); status != http.StatusOK || !strings.Contains(text, "shelf.v1.Shelf") {
		t.Errorf("the dashboard reads contracts: %d %s", status, text)
	}
	if out := elsewhere.must("call", "--context", "sealed", "cart/List", "name=Ada", "--json"); out != "{\"name\":\"Ada\"}\n{\"name\":\"Ada\"}\n" {
		t.Errorf("a call: %s", out)
	}
	for name, want := range map[string]string{"plain": "mutual TLS only", "strange": "Unavailable"} {
		if _, errs, status := q.hanse(elsewhere.dir, "call", "--context", name, "cart/List"); status == 0 || !strings.Contains(errs, want) {
			t.Errorf("as %s: status %d, %s", name, status, errs)
		}
	}
	if out := elsewhere.must("call", "--context", "strange", "--identity", filepath.Join(certs, "ada"), "cart/List", "--json"); out != "{}\n{}\n" {
		t.Errorf("a flag beside the context: %s", out)
	}
	p.await("the trace of the call", func() bool {
		return len(read[[]collector.TraceSummary](elsewhere, "trace", "ls", "--context", "sealed", "cart", "method:Shelf/List")) > 0
	})
	a := q.agent(elsewhere.dir, "--context", "sealed")
	if text, failed := a.call("services_health", nil); failed || !strings.Contains(text, "PRODUCTION") || !strings.Contains(text, "cart: 1 of 1 instances ready; ") {
		t.Errorf("an agent sees %s", text)
	}
	if err := os.RemoveAll(filepath.Join(certs, "mallory")); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := q.hanse(elsewhere.dir, "call", "--context", "strange", "cart/List"); status != 2 || !strings.Contains(errs, "identity of the context strange: ") {
		t.Errorf("certificates that are not there: status %d, %s", status, errs)
	}
	http.DefaultClient.CloseIdleConnections()
}

// A system whose registry and events are on a NATS is seen by that alone.
func TestHubFromOutside(t *testing.T) {
	p := newMachine(t)
	elsewhere := t.TempDir()
	_, backplane := p.hub(t.TempDir(), "--dir", t.TempDir())
	q := p.contexts(fmt.Sprintf("contexts:\n  - {name: staging, backplane: %q, system: shop}\n", string(backplane)))
	at, telemetry := q.outside(elsewhere, "--context", "staging")
	program := q.with(append(telling(telemetry), "HANSE_BACKPLANE="+string(backplane), "HANSE_SYSTEM=shop")...)
	program.run(t.TempDir(), "served", "cart")
	program.run(t.TempDir(), "evented")
	flags, _ := q.outside(t.TempDir(), "--backplane", string(backplane), "--system", "shop")
	for _, page := range []page{at, flags} {
		p.await("the services", func() bool { return page.ready("cart") && page.ready("mailer") })
		if i := page.service("cart").Instances[0]; i.Admin == "" || len(i.Contracts) == 0 {
			t.Errorf("the instance is %+v", i)
		}
		if st := page.state(); st.Kind != dashboard.KindRegistry || st.ReadOnly || len(st.Problems) > 0 {
			t.Errorf("the state is %+v", st)
		}
		if status, text := page.send("GET", "/api/events/topics", ""); status != http.StatusOK || !strings.Contains(text, "orders.placed") {
			t.Errorf("the topics: %d %s", status, text)
		}
	}
	staging := q.in(elsewhere)
	for _, where := range [][]string{{"--context", "staging"}, {"--backplane", string(backplane), "--system", "shop"}} {
		for command, want := range map[string]string{
			"ps":                               `(?m)^cart +\S+ .* ready `,
			"level cart":                       `(?m)^cart +\S+ +INFO`,
			"call cart/Get name=Ada --json":    `^\{"name":"Ada"\}\n$`,
			"policy set cart limit.wait=100ms": `^cart \S+: limit.wait=100ms\n`,
			"chaos cart":                       `^no faults\n$`,
			"profile cart --goroutine":         `(?m)^goroutine of cart `,
			"events ls":                        `(?m)^orders\.placed `,
		} {
			if out := staging.must(append(strings.Fields(command), where...)...); !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("hanse %s: %s", command, out)
			}
		}
	}
	env := p.with("HANSE_BACKPLANE="+string(backplane), "HANSE_SYSTEM=shop")
	for _, args := range [][]string{{"ps"}, {"ps", "--registry", "backplane:"}} {
		if out, errs, status := env.hanse(elsewhere, args...); status != 0 || !strings.Contains(out, "mailer") {
			t.Errorf("hanse %s, as the environment says: status %d, %s%s", strings.Join(args, " "), status, out, errs)
		}
	}
	dev := env.dev(p.system("greeter.txtar"), "--system", "shop") // it uses that backplane, and has a registry of its own
	if rows := dev.ps(""); len(rows) != 1 || rows[0].Service != "greeter" {
		t.Errorf("in the folder of a hanse dev on the same backplane: %+v", rows)
	}
	dev.interrupt()
	p.await("the trace of the call", func() bool {
		return len(read[[]collector.TraceSummary](staging, "trace", "ls", "--context", "staging", "cart", "method:Shelf/Get")) > 0
	})
	if got := read[dashboard.Top](staging, "top", "--system", "shop").Services; len(got) < 3 {
		t.Errorf("hanse top has %+v", got)
	}
	a := q.agent(elsewhere, "--context", "staging")
	if text, failed := a.call("services_health", nil); failed || !strings.Contains(text, "cart: 1 of 1 instances ready; ") || !strings.Contains(text, "mailer: 1 of 1 instances ready; ") {
		t.Errorf("an agent sees %s", text)
	}
	for _, args := range [][]string{{"dashboard", "--context", "staging"}, {"dashboard", "--backplane", string(backplane), "--system", "shop"}} {
		if _, errs, status := q.hanse(elsewhere, args...); status != 1 || !strings.Contains(errs, "runs already") || strings.Contains(errs, "token=") && strings.Contains(errs, string(backplane)) {
			t.Errorf("hanse %s: status %d, %s", strings.Join(args, " "), status, errs)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
