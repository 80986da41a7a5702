package dev

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
)

// Status tells other terminals what runs and what should.
func (s *supervisor) Status() control.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := control.Status{System: s.Name, Dir: s.Dir, Registry: "local:" + s.Name, PID: s.lease.System.PID, Started: s.began, Ready: s.ready}
	if s.pageDoor != nil {
		st.Dashboard = s.page.Link(s.pageDoor.Addr())
	}
	services := make(map[string]*control.Service)
	for _, u := range s.units {
		names := u.services
		if len(names) == 0 {
			names = []string{u.name}
		}
		for _, name := range names {
			svc := services[name]
			if svc == nil {
				svc = &control.Service{Name: name, Program: u.where(), OnDemand: u.manual}
				services[name] = svc
			}
			svc.Want += u.want
			svc.OnDemand = svc.OnDemand && u.manual
		}
		for _, sl := range u.slots {
			st.Processes = append(st.Processes, sl.status())
		}
	}
	for _, svc := range services {
		svc.URL = s.doors.url(svc.Name)
		st.Services = append(st.Services, *svc)
	}
	slices.SortFunc(st.Services, func(a, b control.Service) int { return cmp.Compare(a.Name, b.Name) })
	for _, p := range unique(s.programs) {
		if p.failure != nil {
			st.Problems = append(st.Problems, fmt.Sprintf("%s does not build:\n%s", p.label(), indent(p.failure.Error())))
		}
	}
	return st
}

func (sl *slot) status() control.Process {
	p := control.Process{Name: sl.unit.name, Services: sl.unit.services, Replica: sl.number, State: control.Starting, Restarts: sl.restarts}
	if c := sl.child; c != nil && c.process != nil {
		p.PID, p.Started, p.State, p.Services, p.Version = c.process.PID(), c.started, c.state, c.services, c.version
	}
	if f := sl.failure; f != nil {
		p.State, p.Reason, p.Last, p.PID = control.Failed, f.text(), f.last, 0
	}
	return p
}

// Logs returns where the lines of the services are.
func (s *supervisor) Logs(services []string) (control.Lines, error) {
	lines := control.Lines{Ring: s.ring}
	if s.keepsLines.Load() {
		lines.Store = s.telemetry
	}
	for _, name := range services {
		lines.Services = append(lines.Services, name)
		if name == devName {
			continue
		}
		u := s.findUnit(name)
		if u == nil {
			return lines, &control.Error{What: fmt.Sprintf("there is no service %q in %s", name, s.Name), Do: ui.DidYouMean(name, s.names())}
		}
		if name == u.name {
			s.mu.Lock()
			lines.Services = append(lines.Services, u.services...)
			s.mu.Unlock()
		}
	}
	return lines, nil
}
