// Package dev is `hanse dev`: it runs a system of services on this machine, restarts what a change concerns, and obeys the commands
// of other terminals.
//
// [Run] does all of it. A supervisor has units, each the processes that run the same services of the same program; a unit has a
// slot for each copy; and a slot has a child, which is replaced when the program changes.
package dev

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/board"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/builds"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/logs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/watch"
	"github.com/hanse-go/hanse/cmd/hanse/internal/manifest"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/internal/rundir"
	"github.com/hanse-go/hanse/internal/systems"
	"github.com/hanse-go/hanse/telemetry/collector"
)

// Options says what to run and how.
type Options struct {
	Dir      string         // folder of the system
	Name     string         // of the system; "": as hanse.yaml says, else the folder's
	One      bool           // each program whole, in one process
	Services []string       // start only these; none: all
	Replicas map[string]int // copies by service; default 1, or what hanse.yaml says
	Run      []string       // hanse run, which makes commands in other languages members

	Backplane       string        // URL of the one to use, or off; "": one inside of hanse dev
	NoIdentity      bool          // processes get no certificates and speak plaintext
	CertificateLife time.Duration // how long a certificate is good; 0: an hour

	UI *ui.UI

	// Gateway serves the whole system at one address, until ctx ends. Nil: nothing does.
	Gateway     func(ctx context.Context, f Front) error
	GatewayAddr string // HOST:PORT; "": a port of 127.0.0.1 that stays the same

	DashboardAddr string // HOST:PORT, or [NoDashboard]; "": a port of 127.0.0.1 that stays the same

	// Generate makes code from .proto files that changed, and returns what it wrote. Nil: nothing is generated.
	Generate func(ctx context.Context, files []string) (written []string, err error)

	// Kill, when it is closed, ends all processes at once instead of waiting for them to drain.
	Kill <-chan struct{}
}

// ringLines is how many lines of logs are kept for hanse logs.
const ringLines = 20_000

// supervisor runs one system.
type supervisor struct {
	Options
	ctx        context.Context // of what happens by itself; ends when all is to stop
	stop       context.CancelFunc
	began      time.Time
	lease      *systems.Lease
	builds     builds.Dir
	registry   *discovery.Local
	board      board.Board
	ring       *logs.Ring
	screen     *screen
	printed    printer
	doors      *doors
	certs      *certificates // nil: none
	backplane  *backplane
	telemetry  *collector.Collector
	keepsLines atomic.Bool    // the collector takes lines
	work       sync.WaitGroup // goroutines that end after ctx

	frontDoor    net.Listener      // of the gateway; nil: there is none
	telemetryURL string            // where the collector takes telemetry in
	pageDoor     net.Listener      // of the dashboard
	page         *dashboard.Server // asked by commands, too, where no browser is let in
	bell         bell              // rung when processes or programs change

	mu       sync.Mutex     // guards what follows, and all units, slots and children
	manifest *manifest.File // that counts
	next     *manifest.File // that has changed and does not count yet
	set      *programs.Set
	programs []*program
	units    []*unit
	ready    bool // the first start is over
	stopping bool
}

// program is a main package with its newest build.
type program struct {
	*programs.Program
	root    string            // where the go command runs
	shown   string            // its folder as a user would write it: ./cart
	entry   *manifest.Process // of hanse.yaml; nil without one
	offers  []string          // services
	file    string            // to run; "" before the first build
	version string            // of the file, by its content
	failure error             // of the last build
}

// label is the folder, or for that of the system the name.
func (p *program) label() string {
	if p.shown == "." {
		return p.Name
	}
	return p.shown
}

// Run runs the system until ctx ends, and then drains it.
func Run(ctx context.Context, o Options) error {
	s := &supervisor{Options: o, began: time.Now(), ring: logs.NewRing(ringLines), screen: newScreen(o.UI)}
	s.ctx, s.stop = context.WithCancel(ctx)
	defer s.stop()
	defer s.screen.close()
	if err := s.open(); err != nil {
		return err
	}
	defer s.lease.Close()
	return s.run(ctx)
}

// open finds out which system it is and claims it.
func (s *supervisor) open() error {
	dir, err := filepath.Abs(s.Dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return ui.Errorf("no folder %s", s.Dir).Then("give the folder of a system, or none for the current one")
	}
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		return ui.Errorf("%s is no folder", s.Dir).Then("give the folder of a system, or none for the current one")
	}
	s.Dir = dir
	if s.manifest, _, err = manifest.Read(dir); err != nil {
		return err
	}
	name := cmp.Or(s.Name, systemName(s.manifest, dir))
	s.lease, err = systems.Hold(systems.System{Name: name, Dir: dir, PID: os.Getpid(), Started: s.began})
	if running, ok := errors.AsType[*systems.RunningError](err); ok {
		return ui.Errorf("%w", running).Then("hanse ps shows it; Ctrl-C in its terminal ends it")
	}
	if err != nil {
		return err
	}
	s.Options.Name = s.lease.System.Name
	cache, err := os.UserCacheDir()
	if err != nil {
		return errors.Join(err, s.lease.Close())
	}
	sum := sha256.Sum256([]byte(dir))
	own := folderName(dir) + "-" + hex.EncodeToString(sum[:6])
	s.builds.Path = filepath.Join(cache, "hanse", "dev", own)
	if err := s.builds.Clean(); err != nil {
		return errors.Join(fmt.Errorf("preparing the folder for built programs: %w", err), s.lease.Close())
	}
	s.registry = &discovery.Local{System: s.Name}
	if !s.NoIdentity {
		if s.certs, err = openCertificates(s.Name, s.CertificateLife); err != nil {
			return errors.Join(err, s.lease.Close())
		}
	}
	if s.backplane, err = newBackplane(s.Backplane, own); err != nil {
		return errors.Join(err, s.lease.Close())
	}
	if err := s.openTelemetry(own); err != nil {
		return errors.Join(err, s.lease.Close())
	}
	s.doors = newDoors(filepath.Join(s.builds.Path, "ports.json"), &s.board, s.problemf)
	s.doors.stopped = s.stopped
	if s.certs != nil {
		s.doors.source = s.certs.authority
	}
	return nil
}

// SystemName is the name of the system of a folder: that in its hanse.yaml, or the folder's.
func SystemName(dir string) (string, error) {
	m, _, err := manifest.Read(dir)
	if err != nil {
		return "", err
	}
	return systemName(m, dir), nil
}

func systemName(m *manifest.File, dir string) string { return cmp.Or(m.Name, folderName(dir)) }

// folderName makes the last part of a path a name.
func folderName(dir string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, filepath.Base(dir))
	name = strings.Trim(name, "-")
	if name == "" {
		return "system"
	}
	if name[0] >= '0' && name[0] <= '9' {
		name = "s" + name
	}
	return name[:min(len(name), 60)]
}

func (s *supervisor) run(ctx context.Context) error {
	s.sayf("%s %s", ui.Strong.Sprint("hanse dev "+s.Name), ui.Faint.Sprint(s.shownDir()))
	if err := s.listenFront(); err != nil {
		return err
	}
	if err := s.listenPage(); err != nil {
		return err
	}
	w, err := watch.New()
	if err != nil {
		return fmt.Errorf("watching for changes of files: %w", err)
	}
	defer w.Close()
	if err := s.load(ctx, w); err != nil {
		return quietly(ctx, err)
	}
	// The registry, the control socket and the doors outlive ctx: they serve until the last process has drained.
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	var services sync.WaitGroup
	defer services.Wait()
	defer end()

	watchErr := make(chan error, 1)
	services.Go(func() { watchErr <- s.registry.Watch(background, "", s.board.Set) })
	services.Go(func() { s.doors.run(background) })
	if s.certs != nil {
		defer s.certs.remove() // the next run does so, too
		services.Go(func() {
			s.certs.run(background, func(format string, args ...any) { s.notef(devName, format, args...) }, s.problemf)
		})
	}
	if err := s.serveTelemetry(background, &services); err != nil {
		return err
	}
	services.Go(func() { s.printLogs(background) })
	defer s.ring.Close()
	backplaneErr := make(chan error, 1)
	services.Go(func() { backplaneErr <- s.backplane.run(background, s.problemf) })
	if err := s.backplane.await(ctx); err != nil {
		return quietly(ctx, err)
	}
	s.reachPage(background, &services)
	if err := s.listen(background, &services); err != nil {
		return err
	}
	s.serveFront(&services)
	s.servePage(background, &services)
	s.startAll(s.ctx)
	s.summary(s.ctx)
	var reloads sync.WaitGroup
	reloads.Go(func() { s.reloads(s.ctx, w) })
	select {
	case <-ctx.Done():
	case err = <-watchErr: // nothing can be seen any more
		err = fmt.Errorf("watching the registry: %w", err)
	case err = <-backplaneErr:
		err = fmt.Errorf("the backplane: %w", err)
	}
	s.stopAll()
	reloads.Wait()
	return err
}

// listen opens the control socket and makes the system known.
func (s *supervisor) listen(ctx context.Context, services *sync.WaitGroup) error {
	path, err := rundir.Socket("dev " + s.Name)
	if err != nil {
		return fmt.Errorf("the control socket: %w", err)
	}
	lis, err := control.Listen(path)
	if err != nil {
		return fmt.Errorf("the control socket: %w", err)
	}
	services.Go(func() {
		if err := control.Serve(ctx, lis, s); err != nil && ctx.Err() == nil {
			s.problemf("the control socket failed, other terminals do not reach this system any more: %v", err)
		}
	})
	rec := s.lease.System
	rec.Registry, rec.Control, rec.Backplane, rec.Telemetry = "local:"+s.Name, path, s.backplane.url, s.telemetryURL
	if s.certs != nil {
		rec.Identity = s.certs.home
	}
	return s.lease.Publish(rec)
}

func (s *supervisor) shownDir() string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, s.Dir); err == nil && filepath.IsLocal(rel) {
			if rel == "." {
				return s.Dir
			}
			return "." + string(filepath.Separator) + rel
		}
	}
	return s.Dir
}

// quietly drops an error that only says that the user ended it.
func quietly(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
