package dev

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hanse-go/hanse/cmd/hanse/internal/board"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/lasting"
	"github.com/hanse-go/hanse/cmd/hanse/internal/reach"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/dashboard"
)

// NoDashboard is the DashboardAddr of who wants none.
const NoDashboard = "off"

// pageName is under which the port of the dashboard is remembered. No service can be called so.
const pageName = "(dashboard)"

// listenPage takes the address of the dashboard, which stays the same in the next run.
func (s *supervisor) listenPage() (err error) {
	switch s.DashboardAddr {
	case NoDashboard: // its API answers other commands
	case "":
		s.pageDoor, err = s.doors.listen(pageName)
	default:
		s.pageDoor, err = net.Listen("tcp", s.DashboardAddr)
	}
	if err != nil {
		return ui.Errorf("the dashboard cannot listen: %w", err).Then("give another address with --dashboard HOST:PORT, or go without: --dashboard off")
	}
	token, err := lasting.Token(filepath.Join(s.builds.Path, "dashboard-token"))
	if err != nil {
		s.problemf("the dashboard's link will be another one in the next run: %v", err)
	}
	s.page = &dashboard.Server{
		System: view{s}, Collector: s.telemetry,
		Token:  token,
		Logger: slog.New(slog.NewJSONHandler(lines{s: s}, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	return nil
}

// reachPage connects the dashboard with the services and the backplane until ctx ends. It comes before whatever asks the dashboard, which
// settles with the first question what it has.
func (s *supervisor) reachPage(ctx context.Context, services *sync.WaitGroup) {
	o := reach.Options{System: s.Options.Name, Registry: s.registry, Backplane: s.backplane.url, Logger: s.page.Logger}
	if s.certs != nil {
		o.Authority = s.certs.authority
	}
	reached, err := reach.Open(ctx, o)
	if err != nil {
		s.problemf("the dashboard shows no events: %v", err)
	}
	reached.Give(s.page)
	services.Go(func() {
		<-ctx.Done()
		reached.Close()
	})
}

// servePage runs the dashboard until the services end.
func (s *supervisor) servePage(ctx context.Context, services *sync.WaitGroup) {
	if s.pageDoor == nil {
		return
	}
	services.Go(func() {
		if err := s.page.Run(ctx, s.pageDoor); err != nil && ctx.Err() == nil {
			s.problemf("the dashboard has ended: %v", err)
		}
	})
}

// API is what other commands of this user ask.
func (s *supervisor) API() http.Handler { return s.page.API() }

// view is the system as the dashboard sees it.
type view struct{ s *supervisor }

// State joins what should run with what the registry knows.
func (v view) State(context.Context) (*dashboard.State, error) {
	status := v.s.Status()
	list, _ := v.s.board.Get()
	st := &dashboard.State{
		Name: status.System, Dir: status.Dir, Kind: dashboard.KindDev, Ready: status.Ready,
		Services: []dashboard.Service{}, Problems: append([]string{}, status.Problems...),
	}
	if v.s.frontDoor != nil {
		st.Gateway = v.s.frontDoor.Addr().String()
	}
	at := make(map[string]int)
	add := func(svc dashboard.Service) *dashboard.Service {
		i, ok := at[svc.Name]
		if !ok {
			i = len(st.Services)
			at[svc.Name] = i
			svc.Instances = []dashboard.Instance{}
			st.Services = append(st.Services, svc)
		}
		return &st.Services[i]
	}
	for _, svc := range status.Services {
		actions := []dashboard.ActionName{dashboard.Start}
		if svc.Want > 0 {
			actions = []dashboard.ActionName{dashboard.Restart, dashboard.Stop, dashboard.Scale}
		}
		if !status.Ready {
			actions = nil
		}
		add(dashboard.Service{Name: svc.Name, Program: svc.Program, URL: svc.URL, Want: svc.Want, OnDemand: svc.OnDemand, Actions: actions})
	}
	announced := make(map[string]bool) // "cart 4711"
	for _, i := range list {
		svc := add(dashboard.Service{Name: i.Service})
		svc.Instances = append(svc.Instances, board.Instance(i))
		announced[fmt.Sprint(i.Service, " ", i.PID)] = true
	}
	for _, p := range status.Processes {
		names := p.Services
		if len(names) == 0 {
			names = []string{p.Name}
		}
		for _, name := range names {
			svc := add(dashboard.Service{Name: name})
			if p.PID != 0 && announced[fmt.Sprint(name, " ", p.PID)] {
				n := slices.IndexFunc(svc.Instances, func(i dashboard.Instance) bool { return i.PID == p.PID })
				one := &svc.Instances[n]
				one.Replica, one.Restarts, one.Version = p.Replica, p.Restarts, cmp.Or(one.Version, p.Version)
				continue
			}
			svc.Instances = append(svc.Instances, dashboard.Instance{
				ID: fmt.Sprintf("%s#%d", p.Name, p.Replica), State: string(p.State), Version: p.Version, PID: p.PID, Replica: p.Replica,
				Started: p.Started, Restarts: p.Restarts, Reason: p.Reason, Last: p.Last,
			})
		}
	}
	slices.SortFunc(st.Services, func(a, b dashboard.Service) int { return strings.Compare(a.Name, b.Name) })
	return st, nil
}

// Changes tells of processes and of what the registry knows.
func (v view) Changes(ctx context.Context) <-chan struct{} {
	out := make(chan struct{})
	go func() {
		defer close(out)
		for {
			_, registry := v.s.board.Get()
			processes := v.s.bell.next()
			select {
			case out <- struct{}{}:
			case <-ctx.Done():
				return
			}
			select {
			case <-registry:
			case <-processes:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// Do carries out an order as hanse start, stop, restart and scale do.
func (v view) Do(ctx context.Context, a dashboard.Action) error {
	err := v.s.Do(ctx, control.Request{Action: control.Action(a.Action), Services: []string{a.Service}, Replicas: a.Replicas}, func(string) {})
	if e, ok := errors.AsType[*control.Error](err); ok {
		return &dashboard.Error{Status: http.StatusConflict, What: e.What, Do: e.Do}
	}
	if err != nil { // for people, too: "cart: exit status 2"
		return &dashboard.Error{Status: http.StatusConflict, What: err.Error()}
	}
	return nil
}

// bell wakes those who wait. The zero value is one that nobody has rung.
type bell struct {
	mu   sync.Mutex
	rung chan struct{} // closed by ring
}

// next returns a channel that is closed when the bell is rung next.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung == nil {
		b.rung = make(chan struct{})
	}
	return b.rung
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung != nil {
		close(b.rung)
		b.rung = nil
	}
}
