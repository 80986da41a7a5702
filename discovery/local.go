package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/hanse-go/hanse/internal/lease"
	"github.com/hanse-go/hanse/internal/rundir"
)

// Local is the registry of the processes of one user on one machine. It needs no server: each instance is a file in a folder of the
// user, kept locked by its owner, so an instance that is killed is gone within a second. Local's zero value is ready to use. A Local
// must not be copied.
type Local struct {
	// System tells systems apart: those with different names never meet. It has up to 64 letters, digits, '.', '_' and '-'. The
	// default is "default".
	System string
	// Dir is the folder, made when it is not there. It must be open to this user alone and on a local file system. The default is
	// one for System in the user's run-time folder ($XDG_RUNTIME_DIR/hanse, or hanse-UID among the temporary files).
	Dir string
	// Logger gets a warning for each file that cannot be understood. The default is slog.Default().
	Logger *slog.Logger

	mu     sync.Mutex
	run    *localRun // what the watchers share; nil when there are none
	splits *splitRun // what the watchers of splits share; nil when there are none
}

var (
	_ Registrar = (*Local)(nil)
	_ Splitter  = (*Local)(nil)
)

// Scope returns [ScopeHost].
func (l *Local) Scope() Scope { return ScopeHost }

// dir returns the folder and makes it.
func (l *Local) dir() (lease.Dir, error) {
	if l.Dir != "" {
		if err := rundir.Make(l.Dir); err != nil {
			return "", fmt.Errorf("discovery: local registry: %w", err)
		}
		return lease.Dir(l.Dir), nil
	}
	if err := l.check(); err != nil {
		return "", fmt.Errorf("discovery: %w", err)
	}
	dir, err := rundir.Path("local", l.system())
	if err != nil {
		return "", fmt.Errorf("discovery: local registry: %w", err)
	}
	return lease.Dir(dir), nil
}

func (l *Local) system() string {
	if l.System == "" {
		return "default"
	}
	return l.System
}

// check reports whether System can be the name of one.
func (l *Local) check() error {
	if system := l.system(); len(system) > 64 || checkID(system) != nil {
		return fmt.Errorf("system %q: want up to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit", system)
	}
	return nil
}

// String returns the registry's URL.
func (l *Local) String() string {
	if l.Dir != "" {
		return "local:" + l.Dir
	}
	return "local:" + l.system()
}

// Register implements [Registrar]. It returns [ErrTaken] when a live process announces the ID.
func (l *Local) Register(ctx context.Context, inst Instance) (Lease, error) {
	if err := inst.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dir, err := l.dir()
	if err != nil {
		return nil, err
	}
	record, err := inst.Record()
	if err != nil {
		return nil, err
	}
	held, err := dir.Hold(inst.ID, record)
	if errors.Is(err, lease.ErrHeld) {
		return nil, fmt.Errorf("%w: %s of %s", ErrTaken, inst.ID, inst.Service)
	}
	if err != nil {
		return nil, fmt.Errorf("discovery: announce %s of %s: %w", inst.ID, inst.Service, err)
	}
	log := l.logger().With("service", inst.Service, "instance", inst.ID, "dir", string(dir))
	held.Report(func(err error) {
		if err == nil {
			log.Info("local registry: the file of this instance is there again")
			return
		}
		log.Error("local registry: the file of this instance was removed and cannot be put back; who knows the instance calls it, others do not find it; it is tried every second",
			"error", err)
	})
	return &localLease{held: held, inst: Instance{Service: inst.Service, ID: inst.ID}}, nil
}

type localLease struct {
	held *lease.Lease
	inst Instance
}

func (l *localLease) Update(ctx context.Context, inst Instance) error {
	if err := checkUpdate(l.inst, inst); err != nil {
		return err
	}
	record, err := inst.Record()
	if err != nil {
		return err
	}
	err = l.held.Update(record)
	if errors.Is(err, lease.ErrClosed) {
		return fmt.Errorf("%w: %s of %s", ErrClosed, inst.ID, inst.Service)
	}
	if err != nil {
		return fmt.Errorf("discovery: update %s of %s: %w", inst.ID, inst.Service, err)
	}
	return nil
}

func (l *localLease) Close() error {
	if err := l.held.Close(); err != nil {
		return fmt.Errorf("discovery: withdraw %s of %s: %w", l.inst.ID, l.inst.Service, err)
	}
	return nil
}

// Watch implements [Registry].
func (l *Local) Watch(ctx context.Context, service string, notify func([]Instance)) error {
	if err := checkWatch(service); err != nil {
		return err
	}
	run, err := l.join()
	if err != nil {
		return err
	}
	defer l.leave(run)
	select {
	case <-run.ready:
	case <-run.done: // before the first look at the folder
		return fmt.Errorf("discovery: local registry: %w", run.err)
	case <-ctx.Done():
		return nil
	}
	run.board.watch(ctx, service, notify)
	return nil
}

// localRun follows the folder for all watchers of a Local, from the first to the last.
type localRun struct {
	board  board[Instance]
	users  int // guarded by Local.mu
	cancel context.CancelFunc
	ready  chan struct{} // closed when the board has what the folder had
	done   chan struct{} // closed when the run has ended, with err
	err    error
}

func (l *Local) join() (*localRun, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.run == nil {
		dir, err := l.dir()
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		l.run = &localRun{cancel: cancel, ready: make(chan struct{}), done: make(chan struct{})}
		go l.run.follow(ctx, dir, l.logger())
	}
	l.run.users++
	return l.run, nil
}

func (l *Local) leave(run *localRun) {
	l.mu.Lock()
	run.users--
	last := run.users == 0
	if last {
		l.run = nil
	}
	l.mu.Unlock()
	if last {
		run.cancel()
		<-run.done
	}
}

func (l *Local) logger() *slog.Logger {
	if l.Logger != nil {
		return l.Logger
	}
	return slog.Default()
}

func (r *localRun) follow(ctx context.Context, dir lease.Dir, logger *slog.Logger) {
	defer close(r.done)
	first := true
	r.err = dir.Watch(ctx, func(changes []lease.Change) {
		for _, c := range changes {
			r.apply(dir, c, logger)
		}
		if first {
			first = false
			close(r.ready)
		}
	})
}

func (r *localRun) apply(dir lease.Dir, c lease.Change, logger *slog.Logger) {
	if c.Gone {
		if c.Died {
			removeSocket(c.ID)
		}
		r.board.remove(c.ID)
		return
	}
	inst, err := ParseRecord(c.Content)
	if err == nil && inst.ID != c.ID {
		err = fmt.Errorf("discovery: it is the record of instance %s", inst.ID)
	}
	if err != nil {
		r.board.remove(c.ID)
		logger.Warn("local registry: file ignored", "dir", string(dir), "file", c.ID+".json", "error", strings.TrimPrefix(err.Error(), "discovery: "))
		return
	}
	r.board.set(inst)
}

// removeSocket removes the unix socket that a killed instance could not remove. Its name belongs to that instance alone.
func removeSocket(id string) {
	path, err := rundir.Socket(id)
	if err != nil {
		return // then the instance had none
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == os.ModeSocket {
		_ = os.Remove(path) // litter: it harms nobody
	}
}
