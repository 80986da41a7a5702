package dev

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"sync"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/manifest"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
)

// inForce returns what hanse.yaml says that counts.
func (s *supervisor) inForce() *manifest.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.manifest
}

// readManifest reads hanse.yaml, which has changed, so that the next look at the programs takes it over. When it cannot be read, what
// it said before counts on.
func (s *supervisor) readManifest() {
	next, _, err := manifest.Read(s.Dir)
	if err != nil {
		s.failf(devName, "%v\nwhat %s said before counts on", err, manifest.Name)
		return
	}
	if before := s.inForce(); next.Name != before.Name {
		s.notef(devName, "%s changed the name of the system: that counts when hanse dev starts again", manifest.Name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = next
}

// findings are the programs of the system at one moment, by what hanse.yaml says.
type findings struct {
	set      *programs.Set
	programs []*program
	manifest *manifest.File
	changed  bool // another hanse.yaml than the one that counts
}

// look finds the programs: by a hanse.yaml that has changed, or when it does not fit by the one that counts.
func (s *supervisor) look(ctx context.Context) (*findings, error) {
	s.mu.Lock()
	current, next := s.manifest, s.next
	s.mu.Unlock()
	if next != nil {
		set, progs, err := s.find(ctx, next)
		if err == nil {
			return &findings{set, progs, next, true}, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.refuse(err) // the code may be what is wrong: it is tried again after the next change
	}
	set, progs, err := s.find(ctx, current)
	if err != nil {
		return nil, err
	}
	return &findings{set, progs, current, false}, nil
}

// accept makes a hanse.yaml count.
func (s *supervisor) accept(man *manifest.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.manifest = man
	if s.next == man {
		s.next = nil
	}
}

func (s *supervisor) refuse(err error) {
	s.failf(devName, "%s changed: %v\nwhat it said before counts on", manifest.Name, err)
}

// goBack undoes a look by a hanse.yaml from which no plan could be made.
func (s *supervisor) goBack(ctx context.Context, why error) error {
	s.refuse(why)
	set, progs, err := s.find(ctx, s.inForce())
	if err != nil {
		return err
	}
	s.adopt(set, progs)
	return nil
}

// change is what another hanse.yaml, or other code, wants of a unit that there is already.
type change struct {
	unit *unit
	wish *wish
	why  string // its processes must be replaced; "" when they need not
	n    int    // copies; -1: as many as there are
}

// differences returns the change that makes u what w asks for, and false when there is none. The caller holds s.mu.
func differences(u *unit, w *wish) (c change, ok bool) {
	c = change{unit: u, wish: w, n: -1}
	switch {
	case !slices.Equal(u.services, w.services):
		c.why = "its services are now " + ui.List(w.services, "and")
	case !sameLaunch(u.wish, w):
		c.why = manifest.Name + " changed"
	}
	switch {
	case u.want > 0 && u.copies != w.copies && u.want != w.copies:
		c.n = w.copies
	case u.want == 0 && u.manual && !w.manual:
		c.n = w.copies
	}
	return c, c.why != "" || u.copies != w.copies || u.manual != w.manual || !reflect.DeepEqual(u.entry, w.entry)
}

// sameLaunch reports whether processes of both wishes are started alike.
func sameLaunch(a, b *wish) bool {
	var x, y manifest.Process
	if a.entry != nil {
		x = *a.entry
	}
	if b.entry != nil {
		y = *b.entry
	}
	return slices.Equal(x.Args, y.Args) && slices.Equal(x.Command, y.Command) && x.Dir == y.Dir && maps.Equal(x.Env, y.Env) &&
		(!a.foreign() || x.Port == y.Port && x.HTTP == y.HTTP && x.Health == y.Health && slices.Equal(x.Uses, y.Uses) && slices.Equal(x.Proto, y.Proto))
}

// apply carries out changes, some at a time.
func (s *supervisor) apply(ctx context.Context, changes []change) {
	var wg sync.WaitGroup
	room := make(chan struct{}, atOnce)
	for _, c := range changes {
		wg.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			s.applyOne(ctx, c)
		})
	}
	wg.Wait()
}

func (s *supervisor) applyOne(ctx context.Context, c change) {
	u := c.unit
	ctx, end, err := s.hold(ctx, u, false)
	if err != nil {
		return // the next look at the programs finds the difference again
	}
	defer end()
	s.mu.Lock()
	u.services, u.entry, u.copies, u.manual = c.wish.services, c.wish.entry, c.wish.copies, c.wish.manual
	if c.why != "" {
		u.stale = c.why
	}
	why, want := u.stale, u.want
	s.mu.Unlock()
	if want > 0 && why != "" {
		s.replaceHeld(ctx, u, why)
	}
	if c.n >= 0 {
		s.resizeHeld(ctx, u, c.n)
	}
}
