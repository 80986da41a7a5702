package outside

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/hanse-go/hanse/cmd/hanse/internal/board"
	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/discovery"
)

// view is a system as its registry knows it.
type view struct {
	Options
	board board.Board
	first chan struct{} // closed when the registry has answered
	seen  sync.Once

	mu       sync.Mutex
	problems []string
	otlp     string // where telemetry is taken in
}

func newView(o Options) *view { return &view{Options: o, first: make(chan struct{})} }

// watch follows the registry until ctx ends.
func (v *view) watch(ctx context.Context) error {
	err := v.Watch(ctx, func(list []discovery.Instance) {
		v.board.Set(slices.Clone(list))
		v.seen.Do(func() { close(v.first) })
	})
	if err == nil || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("watching %s: %w", v.Place, err)
}

// State implements dashboard.System.
func (v *view) State(context.Context) (*dashboard.State, error) {
	list, _ := v.board.Get()
	v.mu.Lock()
	st := &dashboard.State{
		Name: v.Name, Kind: dashboard.KindRegistry, Production: v.Production, ReadOnly: v.Production || v.ReadOnly,
		Telemetry: v.otlp, Services: []dashboard.Service{}, Problems: append([]string{}, v.problems...),
	}
	v.mu.Unlock()
	select {
	case <-v.first:
		st.Ready = true
	default:
	}
	add := func(name string) *dashboard.Service {
		i, found := slices.BinarySearchFunc(st.Services, name, func(s dashboard.Service, name string) int { return strings.Compare(s.Name, name) })
		if !found {
			st.Services = slices.Insert(st.Services, i, dashboard.Service{Name: name, Instances: []dashboard.Instance{}})
		}
		return &st.Services[i]
	}
	for _, name := range v.Services {
		add(name) // they were asked for, so it is told that they do not run
	}
	for _, i := range list {
		svc := add(i.Service)
		svc.Instances = append(svc.Instances, board.Instance(i))
	}
	return st, nil
}

// Changes implements dashboard.System.
func (v *view) Changes(ctx context.Context) <-chan struct{} {
	out := make(chan struct{})
	go func() {
		defer close(out)
		for {
			_, changed := v.board.Get()
			select {
			case out <- struct{}{}:
			case <-ctx.Done():
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// Do implements dashboard.System: nothing is started or stopped from outside.
func (v *view) Do(context.Context, dashboard.Action) error {
	return &dashboard.Error{Status: http.StatusForbidden, What: "services are not started or stopped from here", Do: "do it where they were started"}
}

func (v *view) problem(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.problems = append(v.problems, text)
}
