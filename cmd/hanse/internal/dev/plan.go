package dev

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/manifest"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
)

// wish is a unit as it should be: which services of which program run in one process, and how often.
type wish struct {
	name     string // as users call it: the service, or the process for several
	program  *program
	entry    *manifest.Process // of hanse.yaml; nil without one
	services []string          // none for a program that only calls
	copies   int               // once it is started
	manual   bool              // by hanse start only
	client   bool              // a program that only calls
}

// foreign reports whether the unit is a command that knows nothing of Hanse.
func (w *wish) foreign() bool { return w.program == nil }

// fixedPort reports whether only one process of the unit can run at a time, because its port is given.
func (w *wish) fixedPort() bool { return w.foreign() && w.entry.Port != 0 }

// plan decides which processes there are to be. Programs that were not built yet have none.
func plan(progs []*program, man *manifest.File, o Options) ([]*wish, error) {
	var wishes []*wish
	for _, p := range progs {
		ws, err := planProgram(p, o.One)
		if err != nil {
			return nil, err
		}
		wishes = append(wishes, ws...)
	}
	for i := range man.Processes {
		if e := &man.Processes[i]; len(e.Command) > 0 {
			wishes = append(wishes, &wish{name: e.Name, entry: e, services: e.Services, copies: max(1, e.Replicas), manual: e.Manual || missing(e) != ""})
		}
	}
	if err := duplicates(wishes); err != nil {
		return nil, err
	}
	if err := choose(wishes, o); err != nil {
		return nil, err
	}
	return distinct(wishes), nil
}

// missing returns the program that a command lacks on this machine, where it is one that the system can do without; else "".
func missing(e *manifest.Process) string {
	if !e.Optional || strings.ContainsAny(e.Command[0], `/\`) {
		return ""
	}
	if _, err := exec.LookPath(e.Command[0]); err == nil {
		return ""
	}
	return e.Command[0]
}

func planProgram(p *program, one bool) ([]*wish, error) {
	entry := p.entry
	if entry == nil {
		entry = &manifest.Process{}
	}
	if entry.Name == "" { // run: . tells none
		named := *entry
		named.Name = p.Name
		entry = &named
	}
	base := wish{program: p, entry: p.entry, copies: max(1, entry.Replicas), manual: entry.Manual}
	if p.Kind == programs.Client {
		w := base
		w.name, w.manual, w.client = entry.Name, true, true
		return []*wish{&w}, nil
	}
	services := p.offers
	if len(entry.Services) > 0 && p.offers != nil {
		for _, s := range entry.Services {
			if !slices.Contains(p.offers, s) {
				return nil, ui.Errorf("%s: the process %s has no service %q", manifest.Name, entry.Name, s).Then("%s", ui.DidYouMean(s, p.offers))
			}
		}
		services = entry.Services
	}
	if len(services) == 0 {
		return nil, nil
	}
	if (one || entry.Together) && len(services) > 1 {
		w := base
		w.name, w.services = entry.Name, services
		return []*wish{&w}, nil
	}
	var wishes []*wish
	for _, s := range services {
		w := base
		w.name, w.services = s, []string{s}
		wishes = append(wishes, &w)
	}
	return wishes, nil
}

// duplicates refuses services that two programs offer, and shows how to choose.
func duplicates(wishes []*wish) error {
	owners := make(map[string][]*wish)
	for _, w := range wishes {
		for _, s := range w.services {
			owners[s] = append(owners[s], w)
		}
	}
	var twice []string
	for s, ws := range owners {
		if len(ws) > 1 {
			twice = append(twice, s)
		}
	}
	if len(twice) == 0 {
		return nil
	}
	slices.Sort(twice)
	first := owners[twice[0]]
	what := fmt.Sprintf("the service %s is offered by two programs, %s and %s", twice[0], first[0].where(), first[1].where())
	if len(twice) > 1 {
		what += fmt.Sprintf(" (and so are %s)", ui.List(twice[1:], "and"))
	}
	return ui.Errorf("%s", what).Then("say in %s which to take, for instance:\n\n%s", manifest.Name, choice(wishes))
}

func (w *wish) where() string {
	if w.foreign() {
		return "the command " + w.name
	}
	return w.program.shown
}

// choice writes a hanse.yaml in which each service belongs to the first program that offers it.
func choice(wishes []*wish) string {
	var b strings.Builder
	b.WriteString("processes:\n")
	taken := make(map[string]bool)
	var done []*program
	for _, w := range wishes {
		if w.foreign() || slices.Contains(done, w.program) {
			continue
		}
		done = append(done, w.program)
		var mine []string
		whole := true
		for _, s := range w.program.offers {
			if taken[s] {
				whole = false
				continue
			}
			taken[s] = true
			mine = append(mine, s)
		}
		if len(mine) == 0 && w.program.Kind == programs.Server {
			continue
		}
		fmt.Fprintf(&b, "  - run: %s\n", w.program.shown)
		if !whole {
			fmt.Fprintf(&b, "    services: [%s]\n", strings.Join(mine, ", "))
		}
	}
	return b.String()
}

// choose applies --services and --replicas.
func choose(wishes []*wish, o Options) error {
	var all []string
	for _, w := range wishes {
		all = append(all, w.services...)
		if len(w.services) != 1 || w.services[0] != w.name {
			all = append(all, w.name)
		}
	}
	for _, s := range o.Services {
		if !slices.Contains(all, s) {
			return ui.Usagef("--services: there is no service %q", s).Then("%s", ui.DidYouMean(s, all))
		}
	}
	for s, n := range o.Replicas {
		w := owner(wishes, s)
		if w == nil {
			return ui.Usagef("--replicas: there is no service %q", s).Then("%s", ui.DidYouMean(s, all))
		}
		if w.foreign() && w.entry.Port != 0 && n > 1 {
			return ui.Usagef("--replicas: %d copies of %s cannot serve its one port %d", n, s, w.entry.Port).Then("leave port out of %s", manifest.Name)
		}
		if len(w.services) == 1 || s == w.name {
			w.copies = max(1, n)
			w.manual = w.manual || n == 0
		}
	}
	if len(o.Services) == 0 {
		return nil
	}
	for _, w := range wishes {
		if slices.Contains(o.Services, w.name) {
			w.manual = false
			continue
		}
		var kept []string
		for _, s := range w.services {
			if slices.Contains(o.Services, s) {
				kept = append(kept, s)
			}
		}
		if len(kept) == 0 {
			w.manual = true
		} else {
			w.services = kept
		}
	}
	return nil
}

func owner(wishes []*wish, service string) *wish {
	for _, w := range wishes {
		if w.name == service {
			return w
		}
	}
	for _, w := range wishes {
		if slices.Contains(w.services, service) {
			return w
		}
	}
	return nil
}

// distinct renames units that are called like a service of another one.
func distinct(wishes []*wish) []*wish {
	services := make(map[string]*wish)
	for _, w := range wishes {
		for _, s := range w.services {
			services[s] = w
		}
	}
	for _, w := range wishes {
		if o := services[w.name]; o != nil && o != w {
			w.name += "-program"
		}
	}
	return wishes
}

// shown returns a folder of the system as a user would write it.
func shown(system, dir string) string {
	rel, err := filepath.Rel(system, dir)
	if err != nil {
		return dir
	}
	if rel == "." {
		return "."
	}
	if filepath.IsLocal(rel) {
		return "./" + filepath.ToSlash(rel)
	}
	return filepath.ToSlash(rel)
}
