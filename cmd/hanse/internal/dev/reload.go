package dev

import (
	"context"
	"errors"
	"fmt"
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
	for _, e := range s.inForce().Processes {
		for _, path := range e.Watch {
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
	man := s.inForce()
	for i := range man.Processes {
		e := &man.Processes[i]
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
		s.readManifest()
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

func (s *supervisor) markWatchers(files []string) {
	for _, f := range files {
		for _, e := range s.watchers(f) {
			s.mu.Lock()
			for _, u := range s.units {
				if sameEntry(u.entry, e) {
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
	found, err := s.look(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil { // the code is broken at the moment; what is known of it is enough to build it, and the compiler says what is wrong
		found = &findings{set: before, manifest: s.inForce()}
	}
	after := found.set
	owners := union(before.Owners(files), after.Owners(files))
	progs := s.adopt(after, found.programs)
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
	if len(affected) == 0 && !found.changed {
		return err
	}
	rebuilt, err := s.buildAffected(ctx, affected, files)
	if err != nil || len(rebuilt) == 0 && !found.changed {
		return err
	}
	if err := s.list(ctx, rebuilt); err != nil {
		return err
	}
	s.mark(after, rebuilt, owners, files)
	err = s.replan(ctx, found)
	switch {
	case ctx.Err() != nil || !found.changed:
		return err
	case err != nil:
		return s.goBack(ctx, err)
	}
	s.accept(found.manifest)
	return nil
}

// buildAffected builds programs and tells about it.
func (s *supervisor) buildAffected(ctx context.Context, affected []*program, files []string) ([]*program, error) {
	if len(affected) == 0 {
		return nil, nil
	}
	began := time.Now()
	s.notef(devName, "%s changed: building %s", s.short(files), names(affected))
	rebuilt, err := s.buildAll(ctx, affected, func(time.Time, *program) {})
	if err != nil {
		return nil, err
	}
	failed := false
	for _, p := range unique(affected) {
		if p.failure != nil {
			failed = true
			s.failf(devName, "building %s failed; what runs keeps running\n%v", p.label(), p.failure)
		}
	}
	switch {
	case len(rebuilt) > 0:
		s.notef(devName, "built %s in %s", names(rebuilt), took(time.Since(began)))
	case !failed:
		s.notef(devName, "built in %s: the same program as before", took(time.Since(began)))
	}
	return rebuilt, nil
}

// adopt takes over the programs that were found now: those that were there before keep their builds. It returns those that there are.
func (s *supervisor) adopt(set *programs.Set, found []*program) []*program {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found == nil {
		return slices.Clone(s.programs)
	}
	adopted := make([]*program, len(found))
	take := func(same func(old, p *program) bool) {
		for i, p := range found {
			for _, old := range s.programs {
				if adopted[i] == nil && old.Package == p.Package && !slices.Contains(adopted, old) && same(old, p) {
					old.Program, old.root, old.shown, old.entry = p.Program, p.root, p.shown, p.entry
					adopted[i] = old
				}
			}
		}
	}
	take(func(old, p *program) bool { return sameEntry(old.entry, p.entry) })
	take(func(old, p *program) bool { return true }) // hanse.yaml says something else of it
	for i, p := range found {
		if adopted[i] != nil {
			continue
		}
		for _, old := range s.programs { // one more entry for the same program
			if old.Package == p.Package {
				p.file, p.version, p.offers, p.failure = old.file, old.version, old.offers, old.failure
			}
		}
		adopted[i] = p
	}
	s.set, s.programs = set, adopted
	return slices.Clone(adopted)
}

// sameEntry reports whether both are the same process of hanse.yaml, whatever else it says of it; nil is none.
func sameEntry(a, b *manifest.Process) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Name == b.Name && a.Run == b.Run
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

// replan starts units that are new, ends those that are gone and changes those of which something else is wanted now.
func (s *supervisor) replan(ctx context.Context, found *findings) error {
	s.mu.Lock()
	wishes, err := plan(s.programs, found.manifest, s.Options)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	var fresh, gone []*unit
	var changes []change
	kept := make(map[*unit]*wish)
	for _, w := range wishes {
		i := slices.IndexFunc(s.units, func(u *unit) bool { return u.base == nil && u.name == w.name && u.program == w.program })
		if i < 0 {
			fresh = append(fresh, newUnit(w))
			continue
		}
		kept[s.units[i]] = w
		if c, ok := differences(s.units[i], w); ok {
			changes = append(changes, c)
		}
	}
	for _, u := range s.units {
		w := kept[u]
		switch {
		case u.base != nil && kept[u.base] != nil && slices.Contains(kept[u.base].services, u.name):
			one := *kept[u.base]
			one.name, one.services, one.copies, one.manual = u.name, u.services, u.copies, u.manual
			if c, ok := differences(u, &one); ok {
				changes = append(changes, c)
			}
		case w == nil:
			gone = append(gone, u)
		}
	}
	s.units = append(s.units, fresh...)
	s.units = slices.DeleteFunc(s.units, func(u *unit) bool { return slices.Contains(gone, u) })
	s.mu.Unlock()
	for _, service := range s.doors.fix(wishes) {
		s.notef(service, "its pages are at %s now", s.doors.url(service))
	}
	if found.changed && len(fresh)+len(gone)+len(changes) == 0 {
		s.notef(devName, "%s changed: nothing that runs is concerned", manifest.Name)
	}
	var wg sync.WaitGroup
	end := func(u *unit) {
		wg.Go(func() { s.resizeQuietly(ctx, u, 0, "is no longer wanted") })
	}
	for _, u := range gone {
		if u.fixedPort() { // what comes instead may need it
			end(u)
		}
	}
	wg.Wait()
	for _, u := range fresh {
		if !u.manual {
			wg.Go(func() { s.resizeQuietly(ctx, u, u.copies, "is new") })
		}
	}
	wg.Go(func() { s.apply(ctx, changes) })
	wg.Wait()
	for _, u := range gone { // last: what comes instead is ready by now
		if !u.fixedPort() {
			end(u)
		}
	}
	wg.Wait()
	return nil
}

func (s *supervisor) resizeQuietly(ctx context.Context, u *unit, n int, why string) {
	ctx, end, err := s.hold(ctx, u, false)
	if err != nil {
		return
	}
	defer end()
	s.notef(u.name, "%s %s", u.name, why)
	s.resizeHeld(ctx, u, n)
}

// resizeHeld is resize for whoever holds the unit on behalf of nobody in particular.
func (s *supervisor) resizeHeld(ctx context.Context, u *unit, n int) {
	if err := s.resize(ctx, u, n, func(text string) { s.notef(u.name, "%s", text) }); err != nil && !errors.Is(err, errEnded) && ctx.Err() == nil {
		s.failf(u.name, "%v", err)
	}
}

// atOnce is how many units are replaced at the same time.
const atOnce = 4

// replaceStale replaces the processes of the marked units, some units at a time.
func (s *supervisor) replaceStale(ctx context.Context) {
	var wg sync.WaitGroup
	room := make(chan struct{}, atOnce)
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
	s.replaceHeld(ctx, u, why)
}

// replaceHeld replaces the processes of a unit that the caller holds. When that fails the unit stays marked.
func (s *supervisor) replaceHeld(ctx context.Context, u *unit, why string) {
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
