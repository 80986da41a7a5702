package dev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/watch"
	"github.com/hanse-go/hanse/cmd/hanse/internal/manifest"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
)

// reloads follows the changes of files, which w has watched since before the first build, until ctx ends. A change during a reload
// ends that and begins another one, for both.
func (s *supervisor) reloads(ctx context.Context, w *watch.Watcher) {
	var files []string
	for {
		select {
		case <-ctx.Done():
			return
		case set := <-w.Changes():
			files = s.relevant(w, set)
		}
		for len(files) > 0 {
			reload, cancel := context.WithCancel(ctx)
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.reload(reload, files)
			}()
			select {
			case <-done:
				files = nil
			case set := <-w.Changes():
				if more := s.relevant(w, set); len(more) > 0 {
					cancel()
					<-done
					files = union(files, more)
				} else {
					<-done
					files = nil
				}
			case <-ctx.Done():
				cancel()
				<-done
				return
			}
			cancel()
		}
		s.follow(w)
	}
}

// follow watches the folders in which something may change.
func (s *supervisor) follow(w *watch.Watcher) {
	s.mu.Lock()
	set := s.set
	s.mu.Unlock()
	folders := union(watch.Tree(s.Dir), set.Folders())
	for i := range s.manifest.Processes {
		for _, path := range s.manifest.Processes[i].Watch {
			path = filepath.Join(s.Dir, filepath.FromSlash(path))
			if fi, err := os.Stat(path); err == nil && fi.IsDir() {
				folders = union(folders, watch.Tree(path))
			} else {
				folders = union(folders, []string{filepath.Dir(path)})
			}
		}
	}
	if err := w.Set(folders); err != nil {
		s.problemf("some folders are not watched, use hanse restart after changes in them: %v", err)
	}
}

// relevant returns the changed files that may matter. In a new folder, which nobody watched while it was filled, all do.
func (s *supervisor) relevant(w *watch.Watcher, changed []string) (files []string) {
	s.mu.Lock()
	set := s.set
	s.mu.Unlock()
	fresh := false
	for _, path := range changed {
		if fi, err := os.Stat(path); err == nil && fi.IsDir() {
			fresh = true
			for _, dir := range watch.Tree(path) {
				inside, _ := os.ReadDir(dir)
				for _, f := range inside {
					if f.Type().IsRegular() && s.matters(set, filepath.Join(dir, f.Name())) {
						files = append(files, filepath.Join(dir, f.Name()))
					}
				}
			}
			continue
		}
		if s.matters(set, path) {
			files = append(files, path)
		}
	}
	if fresh {
		s.follow(w)
	}
	return files
}

func (s *supervisor) matters(set *programs.Set, path string) bool {
	base := filepath.Base(path)
	switch {
	case strings.HasSuffix(base, "_test.go"):
		return false
	case strings.HasSuffix(base, ".go"), strings.HasSuffix(base, ".proto") && s.Generate != nil, path == filepath.Join(s.Dir, manifest.Name):
		return true
	case len(s.watchers(path)) > 0:
		return true
	}
	return len(set.Owners([]string{path})) > 0
}

// watchers returns the processes of hanse.yaml that want to be started again when path changes.
func (s *supervisor) watchers(path string) (entries []*manifest.Process) {
	for i := range s.manifest.Processes {
		e := &s.manifest.Processes[i]
		for _, watched := range e.Watch {
			rel, err := filepath.Rel(filepath.Join(s.Dir, filepath.FromSlash(watched)), path)
			if err == nil && filepath.IsLocal(rel) {
				entries = append(entries, e)
				break
			}
		}
	}
	return entries
}

// reload builds what the changed files concern, and replaces the processes that run it.
func (s *supervisor) reload(ctx context.Context, files []string) {
	files = s.generate(ctx, files)
	if slices.Contains(files, filepath.Join(s.Dir, manifest.Name)) {
		s.manifestChanged()
	}
	s.markWatchers(files)
	if err := s.rebuild(ctx, files); err != nil && ctx.Err() == nil {
		s.problemf("%v", err)
	}
	if ctx.Err() != nil {
		return
	}
	s.updatePins()
	s.replaceStale(ctx)
}

// generate makes code from changed .proto files and returns the files that changed then.
func (s *supervisor) generate(ctx context.Context, files []string) []string {
	var protos, rest []string
	for _, f := range files {
		if strings.HasSuffix(f, ".proto") {
			protos = append(protos, f)
		} else {
			rest = append(rest, f)
		}
	}
	if len(protos) == 0 || s.Generate == nil {
		return files
	}
	written, err := s.Generate(ctx, protos)
	if err != nil && ctx.Err() == nil {
		s.failf(devName, "%s changed; generating code failed:\n%v", s.short(protos), err)
	}
	if len(written) > 0 {
		s.notef(devName, "%s changed; generated %s", s.short(protos), s.short(written))
	}
	return union(rest, written)
}

// manifestChanged checks the new hanse.yaml.
func (s *supervisor) manifestChanged() {
	if _, _, err := manifest.Read(s.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.failf(devName, "%v", err)
		return
	}
	s.notef(devName, "%s changed: end hanse dev and start it again, so that it counts", manifest.Name)
}

func (s *supervisor) markWatchers(files []string) {
	for _, f := range files {
		for _, e := range s.watchers(f) {
			s.mu.Lock()
			for _, u := range s.units {
				if u.entry == e {
					u.stale = s.short([]string{f}) + " changed"
				}
			}
			s.mu.Unlock()
		}
	}
}

// rebuild looks at the programs again, builds those that the files concern, and marks the units that are to be replaced.
func (s *supervisor) rebuild(ctx context.Context, files []string) error {
	s.mu.Lock()
	before := s.set
	s.mu.Unlock()
	after, found, err := s.find(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil { // the code is broken at the moment; what is known of it is enough to build it, and the compiler says what is wrong
		after, found = before, nil
	}
	owners := union(before.Owners(files), after.Owners(files))
	progs := s.adopt(after, found)
	var affected []*program
	for _, p := range progs {
		if p.file == "" && p.Kind == programs.Client && p.failure == nil {
			continue // it is built when it is started
		}
		if _, ok := after.Concerns(p.Program, owners); ok || p.file == "" {
			affected = append(affected, p)
		} else if _, ok := before.Concerns(p.Program, owners); ok {
			affected = append(affected, p)
		}
	}
	if len(affected) == 0 {
		return err
	}
	began := time.Now()
	s.notef(devName, "%s changed: building %s", s.short(files), names(affected))
	rebuilt, err := s.buildAll(ctx, affected, func(time.Time, *program) {})
	if err != nil {
		return err
	}
	for _, p := range unique(affected) {
		if p.failure != nil {
			s.failf(devName, "building %s failed; what runs keeps running\n%v", p.label(), p.failure)
		}
	}
	if len(rebuilt) == 0 {
		if !slices.ContainsFunc(affected, func(p *program) bool { return p.failure != nil }) {
			s.notef(devName, "built in %s: the same program as before", took(time.Since(began)))
		}
		return nil
	}
	s.notef(devName, "built %s in %s", names(rebuilt), took(time.Since(began)))
	if err := s.list(ctx, rebuilt); err != nil {
		return err
	}
	s.mark(after, rebuilt, owners, files)
	return s.replan(ctx)
}

// adopt takes over the programs that were found now: those that were there before keep their builds.
func (s *supervisor) adopt(set *programs.Set, found []*program) []*program {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found == nil {
		return slices.Clone(s.programs)
	}
	for i, p := range found {
		for _, old := range s.programs {
			if old.Package == p.Package && old.entry == p.entry {
				old.Program, old.shown = p.Program, p.shown
				found[i] = old
			}
		}
	}
	s.set, s.programs = set, found
	return slices.Clone(found)
}

// mark notes which units must be replaced, and why.
func (s *supervisor) mark(set *programs.Set, rebuilt []*program, owners, files []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.units {
		if !slices.Contains(rebuilt, u.program) {
			continue
		}
		if len(u.services) == 0 { // a client
			u.stale = s.short(files) + " changed"
			continue
		}
		for _, service := range u.services {
			if pkg, ok := set.ConcernsService(u.program.Program, service, owners); ok {
				u.stale = s.short(files) + " changed"
				if pkg != u.program.Package && pkg != u.program.Declares[service] {
					u.stale += ", it imports " + pkg
				}
				break
			}
		}
	}
}

// replan starts units that are new and ends those that are gone.
func (s *supervisor) replan(ctx context.Context) error {
	s.mu.Lock()
	wishes, err := plan(s.programs, s.manifest, s.Options)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	var fresh, gone []*unit
	other := make(map[*unit][]string) // units whose services are others now
	kept := make(map[*unit]bool)
	for _, w := range wishes {
		i := slices.IndexFunc(s.units, func(u *unit) bool { return u.base == nil && u.name == w.name && u.program == w.program })
		if i < 0 {
			fresh = append(fresh, newUnit(w))
			continue
		}
		kept[s.units[i]] = true
		if !slices.Equal(s.units[i].services, w.services) {
			other[s.units[i]] = w.services
		}
	}
	for _, u := range s.units {
		if u.base == nil && !kept[u] || u.base != nil && (!kept[u.base] || other[u.base] != nil && !slices.Contains(other[u.base], u.name)) {
			gone = append(gone, u)
		}
	}
	s.units = append(s.units, fresh...)
	s.units = slices.DeleteFunc(s.units, func(u *unit) bool { return slices.Contains(gone, u) })
	s.mu.Unlock()
	var wg sync.WaitGroup
	for u, services := range other {
		wg.Go(func() { s.reoffer(ctx, u, services) })
	}
	for _, u := range gone {
		wg.Go(func() { s.resizeQuietly(ctx, u, 0, "is no longer in the code") })
	}
	for _, u := range fresh {
		if !u.manual {
			wg.Go(func() { s.resizeQuietly(ctx, u, u.copies, "is new") })
		}
	}
	wg.Wait()
	return nil
}

// reoffer changes the services of a unit. Its processes are replaced afterwards.
func (s *supervisor) reoffer(ctx context.Context, u *unit, services []string) {
	_, end, err := s.hold(ctx, u, false)
	if err != nil {
		return
	}
	defer end()
	s.mu.Lock()
	defer s.mu.Unlock()
	u.services = services
	u.stale = "its services are now " + ui.List(services, "and")
}

func (s *supervisor) resizeQuietly(ctx context.Context, u *unit, n int, why string) {
	ctx, end, err := s.hold(ctx, u, false)
	if err != nil {
		return
	}
	defer end()
	s.notef(u.name, "%s %s", u.name, why)
	if err := s.resize(ctx, u, n, func(text string) { s.notef(u.name, "%s", text) }); err != nil && !errors.Is(err, errEnded) && ctx.Err() == nil {
		s.failf(u.name, "%v", err)
	}
}

// replaceStale replaces the processes of the marked units, some units at a time.
func (s *supervisor) replaceStale(ctx context.Context) {
	var wg sync.WaitGroup
	room := make(chan struct{}, 4)
	for _, u := range s.snapshot() {
		s.mu.Lock()
		why, want := u.stale, u.want
		if want == 0 {
			u.stale = ""
		}
		s.mu.Unlock()
		if why == "" || want == 0 {
			continue
		}
		wg.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			s.replaceOne(ctx, u, why)
		})
	}
	wg.Wait()
}

func (s *supervisor) replaceOne(ctx context.Context, u *unit, why string) {
	ctx, end, err := s.hold(ctx, u, false)
	if err != nil {
		return // it stays marked
	}
	defer end()
	began := time.Now()
	if err := s.replace(ctx, u, func(string) {}); err != nil {
		if ctx.Err() == nil && !errors.Is(err, errEnded) {
			s.failf(u.name, "%v", err)
		}
		return
	}
	s.mu.Lock()
	u.stale = ""
	s.mu.Unlock()
	s.notef(u.name, "restarted in %s: %s", took(time.Since(began)), why)
}

// short names files for people: the first, and how many more.
func (s *supervisor) short(files []string) string {
	if len(files) == 0 {
		return "nothing"
	}
	name := files[0]
	if rel, err := filepath.Rel(s.Dir, name); err == nil {
		name = filepath.ToSlash(rel)
	}
	if n := len(files) - 1; n > 0 {
		name += fmt.Sprintf(" and %d more", n)
	}
	return name
}

func names(progs []*program) string {
	var list []string
	for _, p := range unique(progs) {
		list = append(list, p.label())
	}
	return ui.List(list, "and")
}

// union returns the strings of both, sorted, each once.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
