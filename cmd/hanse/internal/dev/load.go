package dev

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/builds"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/watch"
	"github.com/hanse-go/hanse/cmd/hanse/internal/manifest"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"golang.org/x/sync/errgroup"
)

// load finds the programs, builds those with services and plans what runs. A program that does not build is left out until it does;
// one that only calls is built when it is started, so that nobody waits for it before.
func (s *supervisor) load(ctx context.Context, w *watch.Watcher) error {
	began := time.Now()
	p := s.screen.progress("looking for programs in %s", s.shownDir())
	set, progs, err := s.find(ctx, s.manifest)
	p.done()
	if err != nil {
		return err
	}
	s.set, s.programs = set, progs
	s.follow(w) // what changes from now on may not be in the build
	if len(progs) > 0 {
		s.stepf(began, "found %s", s.describe(progs))
	}
	servers := slices.DeleteFunc(slices.Clone(progs), func(p *program) bool { return p.Kind == programs.Client })
	if err := s.compile(ctx, servers); err != nil {
		return err
	}
	if _, err := s.buildAll(ctx, servers, func(began time.Time, p *program) { s.stepf(began, "built %s", p.label()) }); err != nil {
		return err
	}
	failed := 0
	for _, p := range servers {
		if p.failure != nil {
			s.buildFailed(p)
			failed++
		}
	}
	if failed > 0 && failed == len(servers) {
		return ui.Errorf("no program could be built").Then("mend what the compiler says and start again")
	}
	if err := s.list(ctx, progs); err != nil {
		return err
	}
	wishes, err := plan(progs, s.manifest, s.Options)
	if err != nil {
		return err
	}
	s.doors.fix(wishes)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range wishes {
		if w.foreign() && missing(w.entry) != "" {
			s.sayf("%s is left out: there is no %s on this machine", w.name, missing(w.entry))
		}
		s.units = append(s.units, newUnit(w))
	}
	return nil
}

func (s *supervisor) describe(progs []*program) string {
	servers, clients := 0, 0
	for _, p := range progs {
		if p.Kind == programs.Client {
			clients++
		} else {
			servers++
		}
	}
	text := count(servers, "program") + " with services"
	if clients > 0 {
		text += fmt.Sprintf(", %d that only %s", clients, map[bool]string{true: "calls", false: "call"}[clients == 1])
	}
	return text
}

// find returns the programs of the system: those that hanse.yaml names, else those below its folder that run or call services.
func (s *supervisor) find(ctx context.Context, man *manifest.File) (*programs.Set, []*program, error) {
	if len(man.Processes) > 0 {
		return s.findNamed(ctx, man)
	}
	if _, ok := programs.ModuleRoot(s.Dir); !ok {
		return nil, nil, ui.Errorf("there is no Go module in %s or above it, and no %s", s.shownDir(), manifest.Name).
			Then("hanse new NAME begins a system")
	}
	set, err := programs.Find(ctx, s.Dir, s.builds.Env, "./...")
	if err := s.tolerate(set, err); err != nil {
		return nil, nil, err
	}
	var progs []*program
	for _, p := range set.Programs {
		if p.Kind != programs.None {
			progs = append(progs, &program{Program: p, root: s.Dir, shown: shown(s.Dir, p.Dir)})
		}
	}
	if !slices.ContainsFunc(progs, func(p *program) bool { return p.Kind == programs.Server }) {
		return nil, nil, ui.Errorf("no program below %s runs a service", s.shownDir()).
			Then("call hanse.Main in a main package, or begin with hanse new NAME")
	}
	set.Programs = slices.DeleteFunc(set.Programs, func(p *programs.Program) bool { return p.Kind == programs.None })
	return set, progs, nil
}

// tolerate says what did not load and drops the error, as long as something did.
func (s *supervisor) tolerate(set *programs.Set, err error) error {
	problem, ok := errors.AsType[*programs.Problem](err)
	if !ok {
		return err
	}
	if len(set.Programs) == 0 {
		return ui.Errorf("the packages in %s do not load:\n%w", s.shownDir(), problem)
	}
	for _, line := range problem.Lines {
		s.problemf("%s", line)
	}
	return nil
}

// findNamed returns the programs that hanse.yaml names, which may be of several modules.
func (s *supervisor) findNamed(ctx context.Context, man *manifest.File) (*programs.Set, []*program, error) {
	type module struct{ patterns []string }
	modules := make(map[string]*module)
	var roots []string
	dirs := make(map[string]string) // folder → module
	for _, e := range man.Processes {
		if e.Run == "" {
			continue
		}
		dir := filepath.Join(s.Dir, filepath.FromSlash(e.Run))
		if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
			return nil, nil, ui.Errorf("%s: process %s: there is no folder %s", manifest.Name, e.Name, e.Run).Then("run takes the folder of a Go main package, relative to %s", manifest.Name)
		}
		root, ok := programs.ModuleRoot(dir)
		if !ok {
			return nil, nil, ui.Errorf("%s: process %s: %s is in no Go module", manifest.Name, e.Name, e.Run).Then("run takes the folder of a Go main package; command takes anything")
		}
		if modules[root] == nil {
			modules[root] = &module{}
			roots = append(roots, root)
		}
		rel, err := filepath.Rel(root, dir)
		if err != nil {
			return nil, nil, err
		}
		modules[root].patterns = append(modules[root].patterns, "./"+filepath.ToSlash(rel))
		dirs[dir] = root
	}
	var sets []*programs.Set
	for _, root := range roots {
		set, err := programs.Find(ctx, root, s.builds.Env, modules[root].patterns...)
		if err := s.tolerate(set, err); err != nil {
			return nil, nil, err
		}
		sets = append(sets, set)
	}
	set := programs.Merge(sets...)
	var progs []*program
	for i := range man.Processes {
		e := &man.Processes[i]
		if e.Run == "" {
			continue
		}
		dir := filepath.Join(s.Dir, filepath.FromSlash(e.Run))
		k := slices.IndexFunc(set.Programs, func(p *programs.Program) bool { return sameFolder(p.Dir, dir) })
		if k < 0 {
			return nil, nil, ui.Errorf("%s: process %s: %s is no main package", manifest.Name, e.Name, e.Run).Then("run takes the folder of a Go main package")
		}
		if set.Programs[k].Kind == programs.None {
			return nil, nil, ui.Errorf("%s: process %s: %s calls neither hanse.Main nor hanse.FromEnv", manifest.Name, e.Name, e.Run).
				Then("a program that knows nothing of Hanse is a command: [go, run, %s]", e.Run)
		}
		progs = append(progs, &program{Program: set.Programs[k], root: dirs[dir], shown: e.Run, entry: e})
	}
	return set, progs, nil
}

func sameFolder(a, b string) bool {
	if a == b {
		return true
	}
	ra, err1 := filepath.EvalSymlinks(a)
	rb, err2 := filepath.EvalSymlinks(b)
	return err1 == nil && err2 == nil && ra == rb
}

// compile compiles what several programs share, so that it is done once and can be watched.
func (s *supervisor) compile(ctx context.Context, progs []*program) error {
	byRoot := make(map[string][]string)
	for _, p := range progs {
		byRoot[p.root] = append(byRoot[p.root], p.Package)
	}
	for _, root := range slices.Sorted(maps.Keys(byRoot)) {
		shared := s.set.Imports(byRoot[root])
		if len(shared) == 0 {
			continue
		}
		began := time.Now()
		total := 0
		bar := s.screen.progress("compiling")
		err := s.builds.Compile(ctx, root, shared, func(n int, pkg string) {
			total = n
			bar.setf("compiling, %d packages so far: %s", n, pkg)
		})
		bar.done()
		if err != nil {
			return err
		}
		if total > 0 {
			s.stepf(began, "compiled %s", count(total, "package"))
		}
	}
	return nil
}

// buildAll builds programs, a few at a time, and returns those of which there is a new build. What does not build is noted in the
// program, which keeps its last build; the error is for anything else. What was built is told to done.
func (s *supervisor) buildAll(ctx context.Context, progs []*program, done func(began time.Time, p *program)) (rebuilt []*program, err error) {
	bar := s.screen.progress("building")
	defer bar.done()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(builds.Jobs())
	for _, p := range unique(progs) {
		g.Go(func() error {
			began := time.Now()
			s.mu.Lock()
			name := p.Name
			s.mu.Unlock()
			bar.add(name)
			defer bar.remove(name)
			file, changed, err := s.build(ctx, p)
			version := ""
			if changed {
				version = builds.Version(file)
			}
			if err != nil {
				if _, ok := errors.AsType[*builds.Error](err); !ok {
					return err
				}
			} else if changed {
				done(began, p)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, q := range progs { // with those of other entries of hanse.yaml
				if q.Package != p.Package {
					continue
				}
				q.failure = err
				if changed {
					q.file, q.version = file, version
					rebuilt = append(rebuilt, q)
				}
			}
			return nil
		})
	}
	return rebuilt, g.Wait()
}

// buildFirst builds a program that was not built yet, because it only calls.
func (s *supervisor) buildFirst(ctx context.Context, p *program, progress func(string)) error {
	s.mu.Lock()
	needless := p.file != "" || p.Kind != programs.Client
	same := slices.DeleteFunc(slices.Clone(s.programs), func(q *program) bool { return q.Package != p.Package })
	label := p.label()
	s.mu.Unlock()
	if needless {
		return nil
	}
	began := time.Now()
	progress("building " + label + " …")
	rebuilt, err := s.buildAll(ctx, same, func(time.Time, *program) {})
	if err != nil {
		return err
	}
	if len(rebuilt) > 0 {
		progress(fmt.Sprintf("built %s in %s", label, took(time.Since(began))))
	}
	return nil // launch tells of a failure
}

func (s *supervisor) build(ctx context.Context, p *program) (file string, changed bool, err error) {
	s.mu.Lock()
	previous, root, pkg, name := p.file, p.root, p.Package, p.Name
	s.mu.Unlock()
	return s.builds.Build(ctx, root, pkg, name, previous)
}

// unique returns one program for each main package.
func unique(progs []*program) []*program {
	var list []*program
	for _, p := range progs {
		if !slices.ContainsFunc(list, func(q *program) bool { return q.Package == p.Package }) {
			list = append(list, p)
		}
	}
	return list
}

// list asks the built programs for their services.
func (s *supervisor) list(ctx context.Context, progs []*program) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(builds.Jobs())
	for _, p := range progs {
		if p.Kind != programs.Server || p.failure != nil {
			continue
		}
		g.Go(func() error {
			names, err := s.builds.Services(ctx, p.label(), p.file)
			if err != nil {
				return err
			}
			s.mu.Lock()
			p.offers = names
			s.mu.Unlock()
			return nil
		})
	}
	return g.Wait()
}

// buildFailed shows the compiler's errors.
func (s *supervisor) buildFailed(p *program) {
	s.screen.print(fmt.Sprintf("%s %s\n%s\n", ui.Bad.Sprint("✗"), ui.Strong.Sprint("building "+p.label()+" failed"), indent(p.failure.Error())))
}

func indent(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, l := range lines {
		lines[i] = "    " + l
	}
	return strings.Join(lines, "\n")
}

// count returns "1 program" or "3 programs".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
