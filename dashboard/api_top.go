package dashboard

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
)

// Top is how busy a system is: what `hanse top` shows. It is the JSON of /api/top.
type Top struct {
	collector.Window
	Services []TopService              `json:"services"` // by name
	Methods  []collector.ServiceMethod `json:"methods"`  // the busiest first
}

// TopService is a service in [Top].
type TopService struct {
	Name              string   `json:"name"`
	Ready             int      `json:"ready"`  // instances that take calls; where nothing is known of them, those that told something
	Want              int      `json:"want"`   // instances that should run; 0 where nobody says
	Failed            int      `json:"failed"` // instances that ended by themselves
	collector.Numbers          // of the calls that it takes
	CPU               *float64 `json:"cpu,omitempty"`    // processors that all its instances use; nil: not told
	Memory            *int64   `json:"memory,omitempty"` // bytes of all its instances; nil: not told
	Within            string   `json:"within,omitempty"` // the service in whose processes it runs, which has CPU and Memory of them
}

// topAPI answers how busy the system is.
func (s *Server) topAPI(a api) {
	a.get("top", func(r *http.Request) (any, error) {
		w, err := window(r, 30*time.Second)
		if err != nil {
			return nil, err
		}
		methods, err := number(r, "methods", 10, 0, 1000)
		if err != nil {
			return nil, err
		}
		st, err := s.state(r)
		if err != nil {
			return nil, err
		}
		if w.To.IsZero() {
			w.To = time.Now() // of all numbers
		}
		return s.top(r.Context(), w, st, methods)
	})
}

func (s *Server) top(ctx context.Context, w collector.Window, st *State, methods int) (*Top, error) {
	top := &Top{Window: w, Services: []TopService{}, Methods: []collector.ServiceMethod{}}
	at := make(map[string]*TopService)
	told := make(map[string]bool) // that what runs says how many instances there are
	for _, svc := range st.Services {
		t := &TopService{Name: svc.Name, Want: svc.Want}
		for _, i := range svc.Instances {
			switch i.State {
			case "ready":
				t.Ready++
			case "failed":
				t.Failed++
			}
		}
		at[svc.Name], told[svc.Name] = t, true
	}
	if s.Collector != nil {
		list, err := s.Collector.Services(ctx, w)
		if err != nil {
			return nil, err
		}
		for _, svc := range list {
			t := at[svc.Name]
			if t == nil {
				if len(svc.Instances) == 0 && svc.Calls == 0 {
					continue // it only says something, as hanse dev does
				}
				t = &TopService{Name: svc.Name}
				at[svc.Name] = t
			}
			if !told[svc.Name] {
				t.Ready = len(svc.Instances)
			}
			t.Numbers = svc.Numbers
		}
		if methods > 0 {
			if top.Methods, err = s.Collector.Methods(ctx, w, methods); err != nil {
				return nil, err
			}
		}
		if err := s.processes(ctx, w, st, at); err != nil {
			return nil, err
		}
	}
	for _, t := range at {
		top.Services = append(top.Services, *t)
	}
	slices.SortFunc(top.Services, func(a, b TopService) int { return strings.Compare(a.Name, b.Name) })
	return top, nil
}

// processes adds what processes told of themselves. They do so with the first of their services.
func (s *Server) processes(ctx context.Context, w collector.Window, st *State, at map[string]*TopService) error {
	cpu, err := s.perInstance(ctx, w, "process.cpu.time", "rate")
	if err != nil {
		return err
	}
	memory, err := s.perInstance(ctx, w, "process.memory.usage", "sum")
	if err != nil {
		return err
	}
	for who, values := range cpu {
		if t := at[who.service]; t != nil {
			sum := mean(values) + value(t.CPU)
			t.CPU = &sum
		}
	}
	for who, values := range memory {
		if t := at[who.service]; t != nil {
			sum := int64(values[len(values)-1]) + value(t.Memory)
			t.Memory = &sum
		}
	}
	tells := make(map[int]string) // which service, by process
	for _, svc := range st.Services {
		for _, i := range svc.Instances {
			if k := (instanceOf{svc.Name, i.ID}); i.PID != 0 && (cpu[k] != nil || memory[k] != nil) {
				tells[i.PID] = svc.Name
			}
		}
	}
	for _, svc := range st.Services {
		for _, i := range svc.Instances {
			if t := at[svc.Name]; t.CPU == nil && t.Memory == nil && tells[i.PID] != svc.Name {
				t.Within = cmp.Or(t.Within, tells[i.PID])
			}
		}
	}
	return nil
}

type instanceOf struct{ service, id string }

// perInstance returns what is known of a metric in the window, by instance. None is without a value.
func (s *Server) perInstance(ctx context.Context, w collector.Window, metric, stat string) (map[instanceOf]collector.Values, error) {
	const service, id = "service.name", "service.instance.id"
	res, err := s.Collector.Series(ctx, collector.SeriesQuery{Window: w, Metric: metric, Stat: stat, By: []string{service, id}, Limit: 200})
	if errors.Is(err, collector.ErrNotFound) {
		return nil, nil // nobody tells it
	}
	if err != nil {
		return nil, err
	}
	out := make(map[instanceOf]collector.Values)
	for _, line := range res.Series {
		values := slices.DeleteFunc(line.Values, math.IsNaN)
		if n := len(values); n > 3 && stat == "rate" {
			values = values[1 : n-1] // of the first and the last step a part may not be told
		}
		if len(values) > 0 {
			out[instanceOf{line.Labels[service], line.Labels[id]}] = values
		}
	}
	return out, nil
}

func mean(list collector.Values) float64 {
	sum := 0.0
	for _, v := range list {
		sum += v
	}
	return sum / float64(len(list))
}

func value[T int64 | float64](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
