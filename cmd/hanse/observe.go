package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sync"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/mcp"
	"github.com/hanse-go/hanse/cmd/hanse/internal/observe"
	"github.com/hanse-go/hanse/cmd/hanse/internal/outside"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/dashboard"
	"github.com/spf13/cobra"
)

// observeMCP serves tools that look at a system.
func observeMCP(cmd *cobra.Command, u *ui.UI, f *mcpFlags, services []string) error {
	for _, flag := range []string{"open", "header", "timeout"} {
		if cmd.Flags().Changed(flag) {
			return ui.Usagef("--observe calls no methods, so --%s is of no use", flag).Then("leave it out, or start another hanse mcp for the methods")
		}
	}
	ctx := cmd.Context()
	where, err := f.find()
	if err != nil {
		return err
	}
	o := observe.Options{Version: buildVersion().Version}
	if where.running != nil {
		if len(services) > 0 {
			return ui.Usagef("--observe looks at all of the system %s: leave the names out", where.running.Name)
		}
		client := control.NewClient(where.running.Control)
		o.Name = where.running.Name
		o.Source = func(context.Context) (observe.Source, error) { return observe.Source{API: client}, nil }
	} else {
		s, end, err := f.watcher(ctx, where, services)
		if err != nil {
			return err
		}
		defer end()
		o.Name, o.Production, o.Source = s.options.Name, s.options.Production, s.source
	}
	if u.InTerminal {
		u.Notef("%s", ui.Faint.Sprint("this speaks MCP on standard input and output: an agent starts it; Ctrl-D ends it"))
	}
	return mcp.Run(ctx, observe.New(o), os.Stdin, os.Stdout)
}

// watcher finds what is known of a system that hanse dev does not run here.
type watcher struct {
	options outside.Options
	start   string // the command that would collect

	ctx context.Context

	mu   sync.Mutex
	look http.Handler // what the registry tells; nil: nobody has asked yet
	stop func()
}

func (f *outsideFlags) watcher(ctx context.Context, where *place, services []string) (w *watcher, end func(), err error) {
	o, err := f.options(ctx, where, services)
	if err != nil {
		return nil, nil, err
	}
	w = &watcher{options: o, ctx: ctx, start: "hanse dashboard with the same flags"}
	if c := where.context; c != nil {
		w.start = "hanse dashboard --context " + c.Name
	}
	return w, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.stop != nil {
			w.stop()
		}
	}, nil
}

// source is the dashboard that runs of the system; else what the registry tells.
func (w *watcher) source(ctx context.Context) (observe.Source, error) {
	r, found, err := outside.Find(w.options.Key)
	if err != nil {
		return observe.Source{}, err
	}
	if found {
		client := control.NewClient(r.Control)
		s := observe.Source{API: client}
		var st dashboard.State
		if err := client.API(ctx, "system", nil, &st); err == nil && st.Telemetry != "" {
			s.Sends = "Programs are seen here when they are started with OTEL_EXPORTER_OTLP_ENDPOINT=" + st.Telemetry + "."
		}
		return s, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.look == nil {
		s, stop, err := outside.Look(w.ctx, w.options)
		if err != nil {
			return observe.Source{}, err
		}
		w.look, w.stop = s.API(), stop
	}
	return observe.Source{API: local{w.look}, Missing: "no traces, logs and metrics of " + w.options.Name + " are collected: somebody has to start `" + w.start +
		"` on this machine, and programs have to be started with the variable that it prints. services_health works without"}, nil
}

// local asks an API in this process.
type local struct{ h http.Handler }

// API implements observe.API.
func (l local) API(ctx context.Context, path string, q url.Values, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://local/api/"+path+"?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	w := &answer{header: http.Header{}, code: http.StatusOK}
	l.h.ServeHTTP(w, req)
	if w.code == http.StatusOK {
		return json.Unmarshal(w.body.Bytes(), v)
	}
	var e struct {
		What string `json:"error"`
		Do   string `json:"do"`
	}
	if err := json.Unmarshal(w.body.Bytes(), &e); err != nil || e.What == "" {
		return fmt.Errorf("status %d: %s", w.code, w.body.String())
	}
	return &control.Error{What: e.What, Do: e.Do}
}

// answer keeps what a handler writes.
type answer struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(code int)        { a.code = code }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
