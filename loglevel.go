package hanse

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/hanse-go/hanse/telemetry/filter"
)

// logReport is what /debug/log tells of one service of the app.
type logReport struct {
	Service string `json:"service"`
	Level   string `json:"level,omitempty"` // from which on it logs; "": whatever the program's own logger takes
	Least   string `json:"least"`           // the least level that gets through, which the program's own logger may hold higher
}

// serveLogLevels tells from which levels on the services log.
func (r *run) serveLogLevels(w http.ResponseWriter, req *http.Request) {
	only, ok := r.asked(w, req)
	if !ok {
		return
	}
	reports := []logReport{}
	for _, m := range r.members {
		if only != "" && m.Name != only {
			continue
		}
		report := logReport{Service: m.Name, Least: leastLevel(req.Context(), m.log)}
		if level, ok := r.app.levels.Level(m.Name); ok {
			report.Level = level.String()
		}
		reports = append(reports, report)
	}
	w.Header().Set("Content-Type", "application/json")
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.Encode(reports)
}

// leastLevel returns the least of the named levels that a logger takes, "" for none.
func leastLevel(ctx context.Context, log *slog.Logger) string {
	for level := filter.LevelTrace; level <= filter.LevelFatal; level++ {
		if log.Enabled(ctx, level) {
			return level.String()
		}
	}
	return ""
}

// switchLogLevel changes from which level on services log, until the process ends: the form's level, of the service that the form names or
// of the app and all its services. The level "default" takes back what was said of a service. Only processes of this machine may.
func (r *run) switchLogLevel(w http.ResponseWriter, req *http.Request) {
	if !fromLoopback(req) {
		http.Error(w, "log levels are switched from this machine only", http.StatusForbidden)
		return
	}
	if req.Header.Get("Origin") != "" { // a page that somebody looks at
		http.Error(w, "log levels are not switched by web pages", http.StatusForbidden)
		return
	}
	only, ok := r.asked(w, req)
	if !ok {
		return
	}
	name := req.FormValue("level")
	level, err := filter.ParseLevel(name)
	if err != nil && name != "default" {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	levels := &r.app.levels
	for _, m := range r.members {
		if only == "" || name == "default" && m.Name == only {
			levels.Reset(m.Name)
		}
	}
	if name != "default" {
		levels.Set(only, level)
	}
	r.log.Info("a log level was switched", "of", only, "level", name)
	r.serveLogLevels(w, req)
}
