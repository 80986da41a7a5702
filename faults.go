package hanse

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/resilience"
	"google.golang.org/grpc/codes"
)

// faultReport is what /debug/faults tells of one service of the app.
type faultReport struct {
	Service string                  `json:"service"`
	Allowed bool                    `json:"allowed"`
	Faults  []resilience.FaultState `json:"faults"`
}

// serveFaults tells what goes wrong on purpose.
func (r *run) serveFaults(w http.ResponseWriter, req *http.Request) {
	only, ok := r.asked(w, req)
	if !ok {
		return
	}
	reports := []faultReport{}
	for _, m := range r.members {
		if only != "" && m.Name != only {
			continue
		}
		report := faultReport{Service: m.Name, Allowed: m.server.Faults != nil, Faults: []resilience.FaultState{}}
		if report.Allowed {
			report.Faults = m.server.Faults.State()
		}
		reports = append(reports, report)
	}
	w.Header().Set("Content-Type", "application/json")
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.Encode(reports)
}

// mayFault answers a request that may not make things go wrong, and reports whether it may.
func (r *run) mayFault(w http.ResponseWriter, req *http.Request) (only string, ok bool) {
	switch {
	case !fromLoopback(req):
		http.Error(w, "faults are made from this machine only", http.StatusForbidden)
	case req.Header.Get("Origin") != "": // a page that somebody looks at
		http.Error(w, "faults are not made by web pages", http.StatusForbidden)
	case !r.app.AllowFaults:
		http.Error(w, "faults are not allowed here: start the program with --allow-faults (HANSE_ALLOW_FAULTS=1, or App.AllowFaults)", http.StatusForbidden)
	default:
		return r.asked(w, req)
	}
	return "", false
}

// addFault makes something go wrong with the calls that a service takes, or each of them: what the form says in method, metadata
// (key=value, or key, again and again), percent, delay, error, lose and for.
func (r *run) addFault(w http.ResponseWriter, req *http.Request) {
	only, ok := r.mayFault(w, req)
	if !ok {
		return
	}
	f, err := parseFault(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, m := range r.members {
		if only != "" && m.Name != only {
			continue
		}
		id, err := m.server.Faults.Add(f)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		m.log.Warn("a fault begins, on purpose", "fault", id, "settings", req.Form.Encode())
	}
	r.serveFaults(w, req)
}

func parseFault(req *http.Request) (f resilience.Fault, err error) {
	for name, values := range req.Form {
		for _, v := range values {
			switch name {
			case "service":
			case "method":
				f.Method = v
			case "metadata":
				key, value, _ := strings.Cut(v, "=")
				if f.Metadata == nil {
					f.Metadata = make(map[string]string)
				}
				f.Metadata[strings.ToLower(key)] = value
			case "percent":
				f.Percent, err = strconv.ParseFloat(strings.TrimSuffix(v, "%"), 64)
			case "delay":
				f.Delay, err = time.ParseDuration(v)
			case "error":
				err = f.Error.UnmarshalJSON([]byte(strconv.Quote(v)))
				if f.Error == codes.OK && err == nil {
					err = fmt.Errorf("OK is no error")
				}
			case "lose":
				f.Lose, err = strconv.ParseBool(v)
			case "for":
				f.For, err = time.ParseDuration(v)
			default:
				err = fmt.Errorf("there is no such setting: %s", suggest(name, []string{"method", "metadata", "percent", "delay", "error", "lose", "for"}))
			}
			if err != nil {
				return f, fmt.Errorf("%s=%s: %w", name, v, err)
			}
		}
	}
	return f, f.Check()
}

// stopFaults ends the fault whose number the form has in id, or all.
func (r *run) stopFaults(w http.ResponseWriter, req *http.Request) {
	only, ok := r.mayFault(w, req)
	if !ok {
		return
	}
	id := 0
	if s := req.Form.Get("id"); s != "" {
		var err error
		if id, err = strconv.Atoi(s); err != nil {
			http.Error(w, fmt.Sprintf("id=%s: a fault has a number", s), http.StatusBadRequest)
			return
		}
	}
	for _, m := range r.members {
		if only != "" && m.Name != only {
			continue
		}
		if id != 0 {
			if m.server.Faults.Stop(id) {
				m.log.Warn("a fault was stopped", "fault", id)
			}
		} else if n := m.server.Faults.StopAll(); n > 0 {
			m.log.Warn("all faults were stopped", "faults", n)
		}
	}
	r.serveFaults(w, req)
}
