package hanse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// adminOff is the AdminAddr of an app that wants no admin listener.
const adminOff = "off"

// admin is the listener for whoever operates the app.
type admin struct {
	addr    net.Addr
	server  http.Server
	serving sync.WaitGroup
}

// listenAdmin opens the admin listener, if the app wants one.
func (r *run) listenAdmin(ctx context.Context) error {
	addr := r.app.AdminAddr
	t := r.app.transport("tcp")
	if addr == "" || addr == adminOff || t == nil {
		return nil
	}
	lis, err := t.Listen(ctx, &url.URL{Scheme: "tcp", Host: addr})
	if err != nil {
		return listenError(addr, err, "--admin-addr HOST:PORT", "App.AdminAddr")
	}
	a := &admin{addr: lis.Addr()}
	a.server.Handler = r.adminHandler()
	a.server.ReadHeaderTimeout = 10 * time.Second
	a.serving.Go(func() {
		if err := a.server.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
			r.log.Error("the admin listener ended", "addr", a.addr, "error", err)
		}
	})
	r.admin = a
	return nil
}

// close ends the listener and all requests: a profile that is taken for minutes must not hold the app up.
func (a *admin) close() error {
	err := a.server.Close()
	a.serving.Wait()
	return err
}

// adminHandler serves health, numbers and profiles.
func (r *run) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", r.serveIndex)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", r.serveReady)
	tells, _ := r.app.telemetry() // Run has said what is wrong with it
	mux.Handle("GET /metrics", tells.MetricsHandler())
	mux.HandleFunc("GET /debug/callers", r.serveCallers)
	mux.HandleFunc("GET /debug/config", r.serveConfig)
	mux.HandleFunc("GET /debug/resilience", r.serveResilience)
	mux.HandleFunc("POST /debug/resilience", r.switchPolicy)
	mux.HandleFunc("GET /debug/log", r.serveLogLevels)
	mux.HandleFunc("POST /debug/log", r.switchLogLevel)
	mux.HandleFunc("GET /debug/faults", r.serveFaults)
	mux.HandleFunc("POST /debug/faults", r.addFault)
	mux.HandleFunc("DELETE /debug/faults", r.stopFaults)
	profiles(mux)
	return mux
}

func (r *run) serveIndex(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!doctype html>
<title>%[1]s</title>
<h1>%[1]s</h1>
<ul>
<li><a href="/healthz">/healthz</a> answers 200 while the process lives
<li><a href="/readyz">/readyz</a> answers 200 when it takes calls, else 503 and why not (?service=NAME for one service)
<li><a href="/metrics">/metrics</a> the numbers of calls, of the process and of the program's own, for Prometheus
<li><a href="/debug/callers">/debug/callers</a> who may call, and who was denied
<li><a href="/debug/config">/debug/config</a> settings and where each came from (?service=NAME for one service)
<li><a href="/debug/resilience">/debug/resilience</a> policies of calls, what they did and why (?service=NAME for one service)
<li><a href="/debug/log">/debug/log</a> from which levels on the services log (?service=NAME for one service)
<li><a href="/debug/faults">/debug/faults</a> what goes wrong on purpose (?service=NAME for one service)
<li><a href="/debug/pprof/">/debug/pprof/</a> profiles
</ul>
`, strings.Join(r.names(), ", "))
}

// serveReady tells whether the app, or one service, takes calls, as text or as JSON.
func (r *run) serveReady(w http.ResponseWriter, req *http.Request) {
	members := r.members
	if name := req.FormValue("service"); name != "" {
		i := slices.Index(r.names(), name)
		if i < 0 {
			http.Error(w, fmt.Sprintf("no service %q here: %s", name, suggest(name, r.names())), http.StatusNotFound)
			return
		}
		members = members[i : i+1]
	}
	ready, conditions := r.readiness(req.Context(), members)
	code := http.StatusOK
	if !ready {
		code = http.StatusServiceUnavailable
	}
	if strings.Contains(req.Header.Get("Accept"), "json") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		phase, _ := r.state()
		json.NewEncoder(w).Encode(struct {
			Ready  bool            `json:"ready"`
			State  discovery.State `json:"state"`
			Checks []condition     `json:"checks"`
		}{ready, phase, conditions})
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	for _, c := range conditions {
		switch {
		case c.Reason == "":
			fmt.Fprintf(w, "ok    %s %s\n", c.Service, c.Check)
		case c.Warning:
			fmt.Fprintf(w, "warn  %s %s: %s\n", c.Service, c.Check, c.Reason)
		default:
			fmt.Fprintf(w, "fail  %s %s: %s\n", c.Service, c.Check, c.Reason)
		}
	}
}
