package hanse

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"strings"
	"time"
)

// profiles serves what `go tool pprof` and `go tool trace` read, below /debug/pprof/. It does what net/http/pprof does; that package
// is not used because importing it publishes the profiles on http.DefaultServeMux, which a program may serve to the world.
func profiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/{$}", listProfiles)
	mux.HandleFunc("GET /debug/pprof/profile", serveCPUProfile)
	mux.HandleFunc("GET /debug/pprof/trace", serveTrace)
	mux.HandleFunc("GET /debug/pprof/{name}", serveProfile)
}

func listProfiles(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	var b strings.Builder
	b.WriteString("<!doctype html>\n<title>profiles</title>\n<ul>\n")
	for _, p := range pprof.Profiles() {
		fmt.Fprintf(&b, "<li><a href=\"%[1]s?debug=1\">%[1]s</a> (%d)\n", p.Name(), p.Count())
	}
	b.WriteString("<li><a href=\"profile?seconds=10\">profile</a> of the processor, for so many seconds\n" +
		"<li><a href=\"trace?seconds=1\">trace</a> of the execution, for so many seconds\n</ul>\n")
	fmt.Fprint(w, b.String())
}

// serveProfile writes the state of one profile: binary, or as text with debug=1 or 2. gc=1 collects garbage before.
func serveProfile(w http.ResponseWriter, req *http.Request) {
	p := pprof.Lookup(req.PathValue("name"))
	if p == nil {
		http.Error(w, "no such profile", http.StatusNotFound)
		return
	}
	if p.Name() == "heap" && req.FormValue("gc") == "1" {
		runtime.GC()
	}
	debug, _ := strconv.Atoi(req.FormValue("debug"))
	if debug > 0 {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	} else {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Disposition", `attachment; filename="`+p.Name()+`"`)
	}
	p.WriteTo(w, debug)
}

func serveCPUProfile(w http.ResponseWriter, req *http.Request) {
	record(w, req, "profile", 30*time.Second, func() error { return pprof.StartCPUProfile(w) }, pprof.StopCPUProfile)
}

func serveTrace(w http.ResponseWriter, req *http.Request) {
	record(w, req, "trace", time.Second, func() error { return trace.Start(w) }, trace.Stop)
}

// record writes to w what is recorded between start and stop: the seconds that the request asks for, at most 5 minutes.
func record(w http.ResponseWriter, req *http.Request, name string, byDefault time.Duration, start func() error, stop func()) {
	d := byDefault
	if s, err := strconv.ParseFloat(req.FormValue("seconds"), 64); err == nil && s > 0 {
		d = time.Duration(min(s, 300) * float64(time.Second))
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	if err := start(); err != nil {
		w.Header().Del("Content-Disposition")
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	defer stop()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-req.Context().Done():
	}
}
