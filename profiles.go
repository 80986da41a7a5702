package hanse

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"strings"
	"sync"
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

// serveProfile writes the state of one profile: binary, or as text with debug=1 or 2. gc=1 collects garbage before. Of block and mutex,
// which are empty as a rule, seconds=10 has waits recorded for so long before.
func serveProfile(w http.ResponseWriter, req *http.Request) {
	p := pprof.Lookup(req.PathValue("name"))
	if p == nil {
		http.Error(w, "no such profile", http.StatusNotFound)
		return
	}
	if p.Name() == "heap" && req.FormValue("gc") == "1" {
		runtime.GC()
	}
	if seconds := req.FormValue("seconds"); seconds != "" && (p.Name() == "block" || p.Name() == "mutex") {
		watchWaits(req, p.Name())
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

// Rates at which waits are looked at while somebody asks for a profile of them: one event for each 10 µs of waiting, and one of ten waits
// for a lock.
const (
	blockRate     = 10_000
	mutexFraction = 10
)

// waits makes one request at a time change the rates.
var waits sync.Mutex

// watchWaits has the runtime record who waits for whom, for the seconds that the request asks for. The runtime records nothing of it
// otherwise, unless the program says so; a rate for locks that the program has set stays.
func watchWaits(req *http.Request, name string) {
	waits.Lock()
	defer waits.Unlock()
	if name == "block" {
		runtime.SetBlockProfileRate(blockRate)
		defer runtime.SetBlockProfileRate(0) // what it was before cannot be asked
	} else if runtime.SetMutexProfileFraction(-1) == 0 {
		runtime.SetMutexProfileFraction(mutexFraction)
		defer runtime.SetMutexProfileFraction(0)
	}
	timer := time.NewTimer(seconds(req, time.Second))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-req.Context().Done():
	}
}

// seconds is how long the request asks for, at most 5 minutes.
func seconds(req *http.Request, byDefault time.Duration) time.Duration {
	if s, err := strconv.ParseFloat(req.FormValue("seconds"), 64); err == nil && s > 0 {
		return time.Duration(min(s, 300) * float64(time.Second))
	}
	return byDefault
}

// record writes to w what is recorded between start and stop.
func record(w http.ResponseWriter, req *http.Request, name string, byDefault time.Duration, start func() error, stop func()) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	if err := start(); err != nil {
		w.Header().Del("Content-Disposition")
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	defer stop()
	timer := time.NewTimer(seconds(req, byDefault))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-req.Context().Done():
	}
}
