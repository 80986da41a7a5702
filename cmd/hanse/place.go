package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/contexts"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/natsdiscovery"
	"github.com/hanse-go/hanse/internal/systems"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// quiet is the logger for what happens on the way to a result that is told anyway.
var quiet = slog.New(slog.DiscardHandler)

// placeFlags say where services are looked for.
type placeFlags struct {
	system     *named
	registries []string
	backplane  string
	context    *named // nil: the command takes none
	production
}

// add adds the flags --system, --registry and --backplane.
func (f *placeFlags) add(cmd *cobra.Command) {
	f.system = systemFlag(cmd)
	cmd.Flags().StringArrayVar(&f.registries, "registry", nil, "look for services at this `url` instead (local:NAME, static:cart=host:port, dns:///…); repeatable (variable HANSE_REGISTRY)")
	cmd.Flags().StringVar(&f.backplane, "backplane", "", "the NATS of the system, by its `url`, with its events, its stores and, without --registry, its registry (variable HANSE_BACKPLANE)")
}

// addContext adds the flag --context.
func (f *placeFlags) addContext(cmd *cobra.Command) { f.context = contextFlag(cmd) }

// addChanging adds the flags --context and --confirm, for a command that can change something.
func (f *placeFlags) addChanging(cmd *cobra.Command) {
	f.addContext(cmd)
	f.production.add(cmd)
}

// given returns a flag that says where the system is, "" where there is none.
func (f *placeFlags) given() string {
	switch {
	case f.backplane != "":
		return "--backplane"
	case len(f.registries) > 0:
		return "--registry"
	case f.system.given():
		return "--system"
	}
	return ""
}

// place is where services are looked for.
type place struct {
	registry discovery.Registry
	name     string            // for people: the system shop
	system   string            // its name, where it is known
	urls     []string          // of the registries, where they were given
	context  *contexts.Context // that names it; nil: none does

	production // what may be done to it

	backplane string // URL, with its secret; "": none is known

	folder  string          // of the programs there, "" where it is not known
	running *systems.System // run by hanse dev; nil: programs that were started by hand, or another registry

	certified *systems.System // whose certificates the services at the place want to see, as far as this machine knows

	unlistable []string // registries among it that tell of a service only when asked for it by name
	listable   bool     // there are others
}

// find returns the place that the flags mean: that of the context; the given registries or backplane; the system of that name; the system that hanse dev runs for the
// current folder or one above it; what the programs of the module there use by themselves; else the only system that runs.
func (f *placeFlags) find() (*place, error) {
	c, err := chosenContext(f.context, f.given())
	if err != nil {
		return nil, err
	}
	if c != nil {
		return f.inContext(c)
	}
	running, err := systems.List()
	if err != nil {
		return nil, err
	}
	urls, backplane := f.registries, f.backplane
	if len(urls) == 0 && (f.system.name == "" || backplane != "") {
		urls = strings.Fields(os.Getenv("HANSE_REGISTRY"))
	}
	switch env := os.Getenv("HANSE_BACKPLANE"); {
	case env == "off" || backplane != "":
	case slices.Contains(urls, onBackplane), f.given() == "" && (len(urls) > 0 || !f.isDev(running)):
		backplane = env
	}
	if backplane != "" {
		return placeOn(urls, backplane, f.system.name)
	}
	if len(urls) > 0 {
		return placeOn(urls, "", "")
	}
	if f.system.name != "" {
		return namedPlace(running, f.system.name)
	}
	return folderPlace(running)
}

// isDev reports whether hanse dev runs the system of the name, or else that of the current folder. Its own backplane may be that of the environment;
// its registry is not there.
func (f *placeFlags) isDev(running []systems.System) bool {
	if f.system.name != "" {
		return slices.Contains(systemNames(running), f.system.name)
	}
	dir, err := os.Getwd()
	if err != nil {
		return false
	}
	_, ok := systems.Nearest(running, dir)
	return ok
}

// inContext returns the place that a context names.
func (f *placeFlags) inContext(c *contexts.Context) (*place, error) {
	p, err := placeOn(strings.Fields(c.Registry), c.Backplane, c.System)
	if err != nil {
		return nil, err
	}
	p.context, p.name, p.production = c, "the context "+c.Name, f.production
	return p, nil
}

// placeOn returns what the registries know, the first of which that knows a service wins. A system with a backplane has the registry backplane:,
// too, and where there are no others that one.
func placeOn(urls []string, backplane, system string) (*place, error) {
	p := &place{name: "the registry " + strings.Join(urls, " "), urls: urls, backplane: backplane, system: system}
	schemes := discovery.Schemes{}
	if backplane != "" {
		if len(urls) == 0 {
			urls, p.name = []string{onBackplane}, "the system "+cmp.Or(system, natsdiscovery.DefaultSystem)+" on "+hanse.NATS(backplane).String()
		}
		schemes["backplane"] = func(string) (discovery.Registry, error) {
			return backplaneRegistry(backplane, system)
		}
	}
	var list []discovery.Registry
	for _, url := range urls {
		if url == onBackplane && backplane == "" {
			return nil, ui.Usagef("the registry is on the backplane, and none is named").Then("name it by --backplane, or use a context that does")
		}
		r, err := discovery.Parse(url, schemes)
		if e, ok := errors.AsType[*ui.Error](err); ok {
			return nil, e
		}
		if err != nil {
			return nil, ui.Usagef("%w", err)
		}
		switch r.(type) {
		case *discovery.Memory:
			return nil, ui.Usagef("the registry %s is inside of one program: nothing can be seen of it from here", url).Then("ask the program itself: hanse call --target HOST:PORT")
		case *discovery.DNS:
			p.unlistable = append(p.unlistable, url)
		default:
			p.listable = true
		}
		list = append(list, r)
	}
	p.registry = discovery.First(list...)
	var err error
	p.certified, err = ofRegistry(urls)
	return p, err
}

// onBackplane is the URL of the registry on the backplane.
const onBackplane = "backplane:"

// backplaneRegistry returns the registry on a backplane. Its connection is for the rest of this process.
func backplaneRegistry(backplane, system string) (discovery.Registry, error) {
	if err := hanse.NATS(backplane).Check(); err != nil {
		return nil, ui.Usagef("the backplane: %w", err)
	}
	nc, err := hanse.NATS(backplane).Connect(context.Background(), nats.Name("hanse"), nats.MaxReconnects(-1))
	if err != nil {
		return nil, ui.Errorf("the backplane %s does not answer: %w", hanse.NATS(backplane), err).Then("check that it runs, and that its URL and token are right")
	}
	return natsdiscovery.New(nc, natsdiscovery.Options{System: system, Logger: quiet}), nil
}

// cannotList is the error for a list of all services where there is none.
func (p *place) cannotList() *ui.Error {
	return ui.Errorf("%s cannot list services: DNS answers only for a name", strings.Join(p.unlistable, " "))
}

// namedPlace returns the running system of that name, or else the programs that were told the same name.
func namedPlace(running []systems.System, name string) (*place, error) {
	for _, s := range running {
		if s.Name == name {
			return systemPlace(s)
		}
	}
	hubs, err := systems.Hubs()
	if err != nil {
		return nil, err
	}
	if n := slices.IndexFunc(hubs, func(h systems.Hub) bool { return h.Name == name }); n >= 0 {
		return hubPlace(hubs[n])
	}
	registry, err := discovery.Parse("local:"+name, nil)
	if err != nil {
		return nil, ui.Usagef("%w", err)
	}
	p := &place{registry: registry, name: "the system " + name, system: name, urls: []string{"local:" + name}}
	if len(p.services(context.Background())) == 0 {
		if err := notYet(name); err != nil {
			return nil, err
		}
		if len(running) == 0 {
			return nil, ui.Errorf("no system %q runs, nor any other", name).Then("start one with hanse dev")
		}
		return nil, ui.Errorf("no system %q runs", name).Then("%s", ui.DidYouMean(name, systemNames(running)))
	}
	return p, nil
}

// folderPlace returns what runs for the current folder.
func folderPlace(running []systems.System) (*place, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if s, ok := systems.Nearest(running, dir); ok {
		return systemPlace(s)
	}
	hubs, err := systems.Hubs()
	if err != nil {
		return nil, err
	}
	if h, ok := systems.NearestHub(hubs, dir); ok {
		return hubPlace(h)
	}
	if p, err := modulePlace(); p != nil || err != nil {
		return p, err
	}
	switch len(running) {
	case 0:
		if err := notYet(""); err != nil {
			return nil, err
		}
		return nil, ui.Errorf("nothing runs for this folder").Then("start it with hanse dev, or name another place with --system, --registry or --target")
	case 1:
		return systemPlace(running[0])
	}
	return nil, ui.Errorf("several systems run: %s", ui.List(systemNames(running), "and")).
		Then("say which with --system NAME, or change to its folder:\n%s", folders(running))
}

// modulePlace returns what the programs of the current folder's module use by themselves, nil where none of them runs.
func modulePlace() (*place, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	root := moduleFolder(dir)
	if root == "" {
		return nil, nil
	}
	system := systems.OfFolder(root)
	p := &place{registry: &discovery.Local{System: system, Logger: quiet}, name: "what runs for " + root, folder: root, urls: []string{"local:" + system}}
	if len(p.services(context.Background())) == 0 {
		return nil, nil
	}
	return p, nil
}

func systemPlace(s systems.System) (*place, error) {
	registry, err := discovery.Parse(s.Registry, nil)
	return &place{registry: registry, name: "the system " + s.Name, system: s.Name, backplane: s.Backplane, running: &s, certified: &s}, err
}

// hubPlace returns what is announced at a hub. Its connection is for the rest of this process.
func hubPlace(h systems.Hub) (*place, error) {
	nc, err := hanse.NATS(h.Backplane).Connect(context.Background(), nats.Name("hanse"), nats.MaxReconnects(-1))
	if err != nil {
		return nil, ui.Errorf("the hub of %s does not answer: %w", h.Name, err).Then("look at its log, in %s", h.Dir)
	}
	return &place{registry: natsdiscovery.New(nc, natsdiscovery.Options{System: h.Name, Logger: quiet}), name: "the system " + h.Name + " at its hub", system: h.Name, backplane: h.Backplane, folder: h.Dir, urls: []string{onBackplane}}, nil
}

// moduleFolder returns the folder of the go.mod that dir belongs to, "" without one.
func moduleFolder(dir string) string {
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			return ""
		}
		dir = filepath.Dir(dir)
	}
}

// watch is Watch of the registry for services, all with none: notify is called with the instances of all of them, one call at a time.
func (p *place) watch(ctx context.Context, services []string, notify func([]discovery.Instance)) error {
	if len(services) == 0 {
		return p.registry.Watch(ctx, "", notify)
	}
	var mu sync.Mutex
	lists := make([][]discovery.Instance, len(services))
	waiting := len(services)
	g, ctx := errgroup.WithContext(ctx)
	for n, service := range services {
		g.Go(func() error {
			first := true
			return p.registry.Watch(ctx, service, func(now []discovery.Instance) {
				mu.Lock()
				defer mu.Unlock()
				lists[n] = now
				if first {
					first = false
					waiting--
				}
				if waiting == 0 {
					notify(slices.Concat(lists...))
				}
			})
		})
	}
	return g.Wait()
}

// snapshot returns what the registry has now of services, all with none.
func (p *place) snapshot(ctx context.Context, services ...string) (list []discovery.Instance, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seen := false
	err = p.watch(ctx, services, func(now []discovery.Instance) {
		if !seen {
			list, seen = now, true
			cancel()
		}
	})
	if err == nil && !seen {
		return nil, fmt.Errorf("%s does not answer: %w", p.name, context.Cause(ctx))
	}
	return list, err
}

// services returns the names of all services, as far as the registry can list them.
func (p *place) services(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	list, _ := p.snapshot(ctx) // some registries cannot
	var names []string
	for _, i := range list {
		names = append(names, i.Service)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// instances returns the instances of a service; that there are none is an error.
func (p *place) instances(ctx context.Context, service string) ([]discovery.Instance, error) {
	if err := discovery.CheckName(service); err != nil {
		return nil, ui.Usagef("%w", err)
	}
	list, err := p.snapshot(ctx, service)
	if err != nil {
		return nil, err
	}
	if len(list) > 0 {
		return list, nil
	}
	others := p.services(ctx)
	if len(others) == 0 && len(p.unlistable) > 0 {
		return nil, ui.Errorf("%s knows no service %q", p.name, service).Then("check the name, and that DNS has it")
	}
	if len(others) == 0 {
		return nil, ui.Errorf("no service runs in %s", p.name).Then("start some with hanse dev")
	}
	return nil, ui.Errorf("no service %q runs in %s", service, p.name).Then("%s", cmp.Or(ui.DidYouMean(service, others), "hanse ps lists those that run"))
}
