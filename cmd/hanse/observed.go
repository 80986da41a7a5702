package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"

	"github.com/hanse-go/hanse/cmd/hanse/internal/observe"
	"github.com/hanse-go/hanse/cmd/hanse/internal/outside"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/internal/systems"
)

// observed is the system at which an agent looks. It is found anew for each call, because an agent stays while systems and dashboards come and go.
type observed struct {
	f        *outsideFlags
	services []string
	placed   bool // it is said where to look: by --context, --registry, --backplane or their variables
	ctx      context.Context

	mu   sync.Mutex
	kept *uncollected // the last that was found; nil: none was
}

func (f *outsideFlags) observed(ctx context.Context, services []string) (*observed, error) {
	c, err := chosenContext(f.context, f.given())
	o := &observed{f: f, services: services, ctx: ctx}
	switch backplane := os.Getenv("HANSE_BACKPLANE"); f.given() {
	case "--registry", "--backplane":
		o.placed = true
	case "":
		o.placed = c != nil || backplane != "" && backplane != "off" || os.Getenv("HANSE_REGISTRY") != "" && f.system.name == ""
	}
	return o, err
}

// end ends what was begun for the calls.
func (o *observed) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept.end()
}

// source is what is known of the system now.
func (o *observed) source(ctx context.Context) (observe.Source, error) {
	w, p, err := o.find()
	if err == nil && w == nil {
		w, err = p.board()
	}
	switch {
	case err != nil:
		return observe.Source{}, fmt.Errorf("%w\n(these tools stay, and answer as soon as there is one)", err)
	case w == nil:
		return p.source()
	case w.board == nil && len(o.services) > 0:
		return observe.Source{}, ui.Errorf("--observe looks at all of the system %s, and hanse mcp was started with names of services", w.name).Then("leave the names out")
	}
	s := observe.Source{API: w.client, System: w.says()}
	var st dashboard.State
	if w.board == nil {
		return s, nil
	}
	if err := w.client.API(ctx, "system", nil, &st); err == nil && st.Telemetry != "" {
		s.Sends = "Programs are seen here when they are started with OTEL_EXPORTER_OTLP_ENDPOINT=" + st.Telemetry + "."
	}
	return s, nil
}

// says names it for an agent.
func (w *watched) says() string {
	switch {
	case w.board == nil:
		return fmt.Sprintf("the system %s, by hanse dev in %s", w.name, w.dir)
	case w.board.Production:
		return fmt.Sprintf("the system %s, which is production, by hanse dashboard of %s", w.name, w.board.Place)
	}
	return fmt.Sprintf("the system %s, by hanse dashboard of %s", w.name, w.board.Place)
}

// find returns what is collected on this machine of the system that is meant, or else where it runs. What runs for the current folder comes before
// what runs alone.
func (o *observed) find() (*watched, *uncollected, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.placed {
		return o.at("placed", o.f.find)
	}
	list, err := allWatched()
	if err != nil {
		return nil, nil, err
	}
	name := o.f.system.name
	if name != "" && slices.Contains(watchedNames(list), name) {
		w, err := namedWatched(list, name)
		return w, nil, err
	}
	if name == "" {
		if w, err := nearestWatched(list); w != nil || err != nil {
			return w, nil, err
		}
	}
	hub, err := hubOf(name)
	if err != nil {
		return nil, nil, err
	}
	if hub != nil {
		return o.at("the hub at "+hub.Backplane, func() (*place, error) { return hubPlace(*hub) })
	}
	if name != "" {
		return o.at("", func() (*place, error) {
			running, err := systems.List()
			if err != nil {
				return nil, err
			}
			return namedPlace(running, name)
		})
	}
	where, err := modulePlace()
	if err == nil && where == nil {
		w, err := onlyWatched(list)
		return w, nil, err
	}
	return o.at("", func() (*place, error) { return where, err })
}

// hubOf returns the hub of the name, or without one that of the current folder; nil for none.
func hubOf(name string) (*systems.Hub, error) {
	hubs, err := systems.Hubs()
	if err != nil {
		return nil, err
	}
	if name != "" {
		if n := slices.IndexFunc(hubs, func(h systems.Hub) bool { return h.Name == name }); n >= 0 {
			return &hubs[n], nil
		}
		return nil, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if h, ok := systems.NearestHub(hubs, dir); ok {
		return &h, nil
	}
	return nil, nil
}

// at returns what is at a place. It is kept until another is meant; one that connects, which has an id, is not looked for again meanwhile.
func (o *observed) at(id string, find func() (*place, error)) (*watched, *uncollected, error) {
	if id != "" && o.kept != nil && o.kept.id == id {
		return nil, o.kept, nil
	}
	where, err := find()
	if err != nil {
		return nil, nil, err
	}
	if where.running != nil {
		return ofDev(*where.running), nil, nil
	}
	options, err := o.f.options(o.ctx, where, o.services)
	if err != nil {
		return nil, nil, err
	}
	if o.kept != nil && o.kept.options.Key == options.Key {
		return nil, o.kept, nil
	}
	o.kept.end()
	o.kept = &uncollected{id: id, ctx: o.ctx, options: options, start: "hanse dashboard"}
	switch c := where.context; {
	case c != nil:
		o.kept.start += " --context " + c.Name
	case o.placed:
		o.kept.start += " with the same flags"
	case o.f.system.name != "":
		o.kept.start += " --system " + o.f.system.name
	default:
		o.kept.start += " in " + where.folder
	}
	return nil, o.kept, nil
}

// uncollected is a system of which nobody collects what it tells, unless a dashboard of it runs.
type uncollected struct {
	id      string
	ctx     context.Context
	options outside.Options
	start   string // the command that would collect

	mu   sync.Mutex
	look http.Handler // what the registry tells; nil: nobody has asked yet
	stop func()
}

// board returns the dashboard that runs of it, nil for none.
func (p *uncollected) board() (*watched, error) {
	r, found, err := outside.Find(p.options.Key)
	if err != nil || !found {
		return nil, err
	}
	return ofDashboard(r), nil
}

// source is what the registry tells.
func (p *uncollected) source() (observe.Source, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.look == nil {
		s, stop, err := outside.Look(p.ctx, p.options)
		if err != nil {
			return observe.Source{}, err
		}
		p.look, p.stop = s.API(), stop
	}
	name := "the system " + p.options.Name
	if p.options.Production {
		name += ", which is production"
	}
	return observe.Source{API: local{p.look}, System: name + ", by " + p.options.Place, Missing: "no traces, logs and metrics of " + p.options.Name + " are collected: somebody has to start `" + p.start +
		"` on this machine, and programs have to be started with the variable that it prints. services_health works without"}, nil
}

// end ends the watch of the registry, if there is one.
func (p *uncollected) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != nil {
		p.stop()
	}
	p.look, p.stop = nil, nil
}
