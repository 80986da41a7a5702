package hanse

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
)

// Policy says what the calls of a service are given: see [App.Policies] and [Service.Policy].
type Policy = resilience.Policy

// policyReport is what /debug/resilience tells of one service of the app, or of its callers that are no service.
type policyReport struct {
	Service string                  `json:"service"`
	Targets map[string]targetReport `json:"targets"`           // the services that it calls
	Serving *servingReport          `json:"serving,omitempty"` // the calls that it takes
}

// targetReport is about the calls to one service.
type targetReport struct {
	Policy  map[string]string            `json:"policy"` // in force, by the names of its settings
	Methods map[string]map[string]string `json:"methods,omitempty"`
	rpc.TargetState
}

// servingReport is about the calls that a service takes.
type servingReport struct {
	Policy  map[string]string          `json:"policy"`
	Methods map[string]rpc.MethodState `json:"methods"`
}

// serveResilience tells what the policies are and how they do.
func (r *run) serveResilience(w http.ResponseWriter, req *http.Request) {
	only, ok := r.asked(w, req)
	if !ok {
		return
	}
	reports := []policyReport{}
	for _, m := range r.members {
		if only != "" && m.Name != only {
			continue
		}
		report := policyReport{Service: m.Name, Targets: targetReports(m.client)}
		serving := resilience.Resolve(map[string]Policy{"": m.server.CurrentPolicy()}, "", "")
		report.Serving = &servingReport{Policy: part(serving, true), Methods: m.server.PolicyState()}
		reports = append(reports, report)
	}
	if caller := r.app.callerNow(); caller != nil && only == "" {
		reports = append(reports, policyReport{Targets: targetReports(caller)})
	}
	w.Header().Set("Content-Type", "application/json")
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.Encode(reports)
}

// asked returns the service that a request is about, "" for all. It answers a request for one that is not here.
func (r *run) asked(w http.ResponseWriter, req *http.Request) (string, bool) {
	name := req.FormValue("service")
	if name == "" || slices.Contains(r.names(), name) {
		return name, true
	}
	http.Error(w, fmt.Sprintf("no service %q here: %s", name, suggest(name, r.names())), http.StatusNotFound)
	return "", false
}

func targetReports(c *rpc.Client) map[string]targetReport {
	reports := make(map[string]targetReport)
	if c == nil {
		return reports
	}
	for name, state := range c.Targets() {
		t := targetReport{Policy: part(c.Policy(name, ""), false), TargetState: state}
		for method := range c.ServicePolicy(name).Methods {
			if strings.HasPrefix(method, "/") {
				if t.Methods == nil {
					t.Methods = make(map[string]map[string]string)
				}
				t.Methods[method] = part(c.Policy(name, method), false)
			}
		}
		reports[name] = t
	}
	return reports
}

// part returns the settings of one side.
func part(p Policy, serving bool) map[string]string {
	all := p.Settings()
	maps.DeleteFunc(all, func(name, _ string) bool { return ofServing(name) != serving })
	return all
}

// ofServing reports whether a setting is about the calls that a service takes, and not those that it makes.
func ofServing(name string) bool {
	name, _, _ = strings.Cut(name, ".")
	return name != "timeout" && name != "retry" && name != "hedge" && name != "breaker" && name != "outlier"
}

// callerNow returns the client of callers that are no service, if there were any.
func (a *App) callerNow() *rpc.Client {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.caller
}

// switchPolicy changes settings of a running app: what was a policy's setting=value in the form of the request. The form's target is the
// called service, and without one the settings are about the calls that a service takes; method narrows them to one method, and service
// to one service of the app. Only processes of this machine may.
func (r *run) switchPolicy(w http.ResponseWriter, req *http.Request) {
	if !fromLoopback(req) {
		http.Error(w, "policies are switched from this machine only", http.StatusForbidden)
		return
	}
	if origin := req.Header.Get("Origin"); origin != "" { // a page that somebody looks at
		http.Error(w, "policies are not switched by web pages", http.StatusForbidden)
		return
	}
	only, ok := r.asked(w, req)
	if !ok {
		return
	}
	form := maps.Clone(req.Form)
	method, all, target := req.Form.Get("method"), form.Has("target"), req.Form.Get("target")
	for _, name := range []string{"service", "target", "method"} {
		delete(form, name)
	}
	if len(form) == 0 {
		http.Error(w, "say what to change, such as timeout=2s", http.StatusBadRequest)
		return
	}
	change := func(p Policy) (Policy, error) {
		own := p
		if method != "" {
			own = p.Methods[method]
		}
		for _, name := range slices.Sorted(maps.Keys(form)) {
			if err := own.Set(name, form.Get(name)); err != nil {
				return p, err
			}
			if ofServing(name) == all {
				return p, fmt.Errorf("%s is about the calls that a service %s: %s", name, either(all, "takes", "makes"), either(all, "leave target out", "name the target"))
			}
		}
		if method != "" {
			p.Methods = maps.Clone(p.Methods)
			if p.Methods == nil {
				p.Methods = make(map[string]Policy)
			}
			p.Methods[method] = own
			return p, nil
		}
		return own, nil
	}
	for _, m := range r.members {
		if only != "" && m.Name != only {
			continue
		}
		var err error
		if all {
			err = switchClient(m.client, target, change)
		} else {
			var p Policy
			if p, err = change(m.server.CurrentPolicy()); err == nil {
				err = m.server.SetPolicy(p)
			}
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	if caller := r.app.callerNow(); all && only == "" && caller != nil {
		if err := switchClient(caller, target, change); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	r.log.Info("a policy was switched", "service", only, "target", target, "method", method, "settings", form.Encode())
	r.serveResilience(w, req)
}

func switchClient(c *rpc.Client, target string, change func(Policy) (Policy, error)) error {
	p, err := change(c.ServicePolicy(target))
	if err != nil {
		return err
	}
	return c.SetPolicy(target, p)
}

func either(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// fromLoopback reports whether a request came from this machine, by its loopback.
func fromLoopback(req *http.Request) bool {
	host, _, err := net.SplitHostPort(req.RemoteAddr)
	return err == nil && net.ParseIP(host).IsLoopback()
}
