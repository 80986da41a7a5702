package dashboard

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/telemetry/collector"
)

const (
	healthEvery = 3 * time.Second // while a page is open
	healthFresh = 2 * time.Second // what was found is given again
	healthTime  = 2 * time.Second // for all answers: one check has 900 ms
	healthAsked = 16              // processes at the same time
)

// Check is a condition that an instance does not meet, as it says itself: what Service.Check of package hanse declares, and its backplane.
type Check struct {
	Name    string `json:"name"`              // of the check: "database"
	Reason  string `json:"reason"`            // why it is not met
	Warning bool   `json:"warning,omitempty"` // the instance takes calls nevertheless
}

// health is what instances say of themselves: the checks that they do not meet.
type health struct {
	asking sync.Mutex // one question at a time; the others wait for its answer
	stale  chan struct{}

	mu       sync.Mutex
	at       time.Time // when it was asked last
	failing  map[instanceOf][]Check
	problems []collector.Problem
	since    map[checkOf]time.Time
}

type checkOf struct{ service, check string }

func (h *health) known() (failing map[instanceOf][]Check, problems []collector.Problem, fresh bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failing, h.problems, time.Since(h.at) < healthFresh
}

// note tells what health's watch is for: somebody looks at what may be old.
func (h *health) note() {
	select {
	case h.stale <- struct{}{}:
	default:
	}
}

// unwell returns the checks that instances do not meet as problems. It asks the instances, unless it has just been done, and tells open pages of
// what is new.
func (s *Server) unwell(ctx context.Context) ([]collector.Problem, error) {
	if s.System == nil {
		return nil, nil
	}
	h := &s.health
	h.asking.Lock()
	defer h.asking.Unlock()
	before, problems, fresh := h.known()
	if fresh {
		return problems, nil
	}
	st, err := s.System.State(ctx)
	if err != nil {
		return nil, err
	}
	failing := failingOf(ctx, st)
	h.mu.Lock()
	h.at, h.failing = time.Now(), failing
	h.problems = h.explain(st)
	problems = h.problems
	h.mu.Unlock()
	if !reflect.DeepEqual(before, failing) {
		s.live.changed(topicSystem)
	}
	return problems, nil
}

// failingOf asks each process once. Who does not answer is not known to be unwell.
func failingOf(ctx context.Context, st *State) map[instanceOf][]Check {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTime) // the answer is for others, too
	defer cancel()
	processes := make(map[string][]instanceOf) // by the address of their admin listener
	for _, svc := range st.Services {
		for _, i := range svc.Instances {
			if i.asked() {
				processes[i.Admin] = append(processes[i.Admin], instanceOf{svc.Name, i.ID})
			}
		}
	}
	failing := make(map[instanceOf][]Check)
	var mu sync.Mutex
	var work sync.WaitGroup
	slots := make(chan struct{}, healthAsked)
	for admin, instances := range processes {
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			checks := failingAt(ctx, admin)
			mu.Lock()
			defer mu.Unlock()
			for _, i := range instances {
				if list := checks[i.service]; len(list) > 0 {
					failing[i] = list
				}
			}
		})
	}
	work.Wait()
	return failing
}

// asked reports whether the instance is asked for its health: it takes calls, or it would if its checks were met, as one with CheckEvery says.
func (i *Instance) asked() bool {
	return i.Admin != "" && (i.State == string(discovery.Ready) || i.State == string(discovery.Starting))
}

// failingAt returns the checks that the services of one process do not meet.
func failingAt(ctx context.Context, admin string) map[string][]Check {
	text, err := askHealth(ctx, admin, http.MethodGet, "/readyz")
	if err != nil {
		return nil
	}
	var report struct {
		Checks []struct {
			Service, Check, Reason string
			Warning                bool
		}
	}
	if json.Unmarshal(text, &report) != nil {
		return nil
	}
	checks := make(map[string][]Check)
	for _, c := range report.Checks {
		if c.Reason == "" || c.Check == "state" && slices.Contains([]string{string(discovery.Starting), string(discovery.Draining)}, c.Reason) {
			continue // the registry says so, too
		}
		checks[c.Service] = append(checks[c.Service], Check{c.Check, c.Reason, c.Warning})
	}
	return checks
}

// explain makes problems of what fails: one of all services with the same check and reason, for it is one cause. Held.
func (h *health) explain(st *State) []collector.Problem {
	groups := make(map[Check][]instanceOf)
	since := make(map[checkOf]time.Time)
	asked := make(map[string]int)
	for _, svc := range st.Services {
		for _, i := range svc.Instances {
			if i.asked() {
				asked[svc.Name]++
			}
			of := instanceOf{svc.Name, i.ID}
			for _, c := range h.failing[of] {
				groups[c] = append(groups[c], of)
				k := checkOf{svc.Name, c.Name}
				if since[k] = h.since[k]; since[k].IsZero() {
					since[k] = h.at.UTC()
				}
			}
		}
	}
	h.since = since
	list := []collector.Problem{}
	for c, instances := range groups {
		count := make(map[string]int)
		p := collector.Problem{Kind: "check", Severity: "error", Reason: c.Reason, Since: h.at.UTC(), Count: len(instances)}
		all := 0
		for _, i := range instances {
			count[i.service]++
			if at := since[checkOf{i.service, c.Name}]; at.Before(p.Since) {
				p.Since = at
			}
		}
		names := slices.Sorted(maps.Keys(count))
		for _, name := range names {
			all += asked[name]
		}
		state := "not ready"
		if c.Warning {
			p.Severity, state = "warning", "not well"
		}
		switch len(names) {
		case 1:
			p.Title = fmt.Sprintf("%s is %s: %s", names[0], state, c.Name)
			p.Filter = "service:" + names[0]
		default:
			p.Title = fmt.Sprintf("%d services are %s: %s", len(names), state, c.Name)
			p.Reason += "; " + strings.Join(names, ", ")
		}
		if len(instances) < all {
			p.Reason += fmt.Sprintf(" (%d of %d instances)", len(instances), all)
		}
		p.Service = names[0]
		p.ID = "check " + c.Name + " " + names[0]
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b collector.Problem) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Reason, b.Reason))
	})
	for i := range list[:max(len(list)-1, 0)] { // instances have different reasons
		if strings.HasPrefix(list[i].ID, list[i+1].ID) {
			list[i+1].ID = list[i].ID + "+"
		}
	}
	return list
}

// withHealth returns the state with the checks that its instances do not meet, as far as that is known.
func (s *Server) withHealth(st *State) *State {
	failing, _, fresh := s.health.known()
	if !fresh {
		s.health.note()
	}
	if len(failing) == 0 {
		return st
	}
	out := *st // it may be somebody else's, too
	out.Services = slices.Clone(st.Services)
	for n := range out.Services {
		svc := &out.Services[n]
		svc.Instances = slices.Clone(svc.Instances)
		for k := range svc.Instances {
			i := &svc.Instances[k]
			if i.asked() {
				i.Failing = failing[instanceOf{svc.Name, i.ID}]
			}
		}
	}
	return &out
}

// watchHealth asks instances while pages are open, and at once when one is opened, until ctx ends.
func (s *Server) watchHealth(ctx context.Context) {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.health.stale:
		case <-tick.C:
			if !s.live.read() {
				continue
			}
		}
		if _, err := s.unwell(ctx); err != nil && ctx.Err() == nil {
			s.log().Debug("the health of instances is not known", "error", err)
		}
	}
}
