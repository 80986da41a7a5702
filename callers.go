package hanse

import (
	"encoding/json"
	"net/http"

	"github.com/hanse-go/hanse/identity"
)

// Rule lets some callers call some methods of a service: see [Service.Allow].
//
//	hanse.Rule{Callers: []string{"checkout"}, Methods: []string{"/payment.v1.Payment/*"}}
type Rule = identity.Rule

// unnamedSystem stands for the system in IDs where the app's has no name, or one that IDs cannot have.
const unnamedSystem = "local"

// serviceID returns the ID of a service of this system, as rules mean it and as the other services of the app are called by.
func (a *App) serviceID(service string) identity.ID {
	if c := a.certified.Load(); c != nil {
		return (&appSource{a.Identity, a}).ServiceID(c.system, service)
	}
	id := identity.ID{System: a.System, Service: service}
	if _, err := identity.ParseID(id.String()); err != nil {
		id.System = unnamedSystem
	}
	return id
}

// callersReport is what /debug/callers tells of a service.
type callersReport struct {
	Allow      []Rule            `json:"allow"` // empty: everyone may call
	ReportOnly bool              `json:"reportOnly,omitempty"`
	Denied     uint64            `json:"denied"` // calls; in a report they were let in
	Denials    []identity.Denial `json:"denials,omitempty"`
}

// serveCallers tells who may call the services and who was denied, as JSON.
func (r *run) serveCallers(w http.ResponseWriter, _ *http.Request) {
	report := make(map[string]callersReport)
	for _, m := range r.members {
		c := callersReport{Allow: m.Allow, ReportOnly: m.AllowReportOnly}
		if guard := m.server.Guard(); guard != nil {
			c.Denied, c.Denials = guard.Denied(), guard.Denials()
		}
		report[m.Name] = c
	}
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.Encode(report)
}

// warnOfNobody says that rules let nobody in from outside, because nobody there can say who they are.
func (r *run) warnOfNobody() {
	if r.app.Identity != nil {
		return
	}
	for _, m := range r.members {
		for _, rule := range m.Allow {
			if len(rule.Callers) != 1 || rule.Callers[0] != "*" {
				m.log.Warn("Allow names callers, and the app has no identity: calls from other processes come from nobody, and only a rule for \"*\" lets them in")
				break
			}
		}
	}
}
