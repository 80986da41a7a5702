package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/mcp"
	"github.com/hanse-go/hanse/cmd/hanse/internal/observe"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
	"github.com/spf13/cobra"
)

// observeMCP serves tools that look at a system.
func observeMCP(cmd *cobra.Command, u *ui.UI, f *mcpFlags, services []string) error {
	for _, flag := range []string{"open", "header", "timeout"} {
		if cmd.Flags().Changed(flag) {
			return ui.Usagef("--observe calls no methods, so --%s is of no use", flag).Then("leave it out, or start another hanse mcp for the methods")
		}
	}
	for _, name := range services {
		if err := discovery.CheckName(name); err != nil {
			return ui.Usagef("%w", err)
		}
	}
	ctx := cmd.Context()
	system, err := f.observed(ctx, services)
	if err != nil {
		return err
	}
	defer system.end()
	if _, _, err := system.find(); err != nil { // a mistake in the flags is said at once, and for what does not run the agent can wait
		if e, ok := errors.AsType[*ui.Error](err); ok && e.Exit == ui.ExitUsage {
			return err
		}
	}
	if u.InTerminal {
		u.Notef("%s", ui.Faint.Sprint("this speaks MCP on standard input and output: an agent starts it; Ctrl-D ends it"))
	}
	return mcp.Run(ctx, observe.New(observe.Options{Source: system.source, Version: buildVersion().Version}), os.Stdin, os.Stdout)
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
