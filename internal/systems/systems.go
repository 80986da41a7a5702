// Package systems is the record of the systems that run on this machine by hanse dev: how a program in another terminal finds the
// registry of the system that its folder belongs to, and a command the socket by which the system is controlled.
//
// A record is a lease: it vanishes with the process that holds it.
package systems

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/internal/lease"
	"github.com/hanse-go/hanse/internal/rundir"
)

// version of the record. Readers take any: fields are only ever added.
const version = 1

// System is a running system.
type System struct {
	Version   int       `json:"version"`
	Name      string    `json:"name"`     // unique among those that run
	Dir       string    `json:"dir"`      // its folder, absolute, without symbolic links
	Registry  string    `json:"registry"` // URL, as --registry takes it
	PID       int       `json:"pid"`      // of hanse dev
	Control   string    `json:"control"`  // path of the unix socket by which it is controlled
	Started   time.Time `json:"started"`
	Identity  string    `json:"identity,omitempty"`  // folder of the authority of its certificates; "": its programs have none
	Backplane string    `json:"backplane,omitempty"` // URL, as --backplane takes it, with its secret; "": none
	Telemetry string    `json:"telemetry,omitempty"` // URL of its collector, which takes OTLP over HTTP and gRPC; "": none
}

// RunningError is returned by [Hold] when a system of that folder runs already.
type RunningError struct{ System System }

// Error says which system it is.
func (e *RunningError) Error() string {
	return fmt.Sprintf("the system %s runs already (hanse dev, process %d, folder %s)", e.System.Name, e.System.PID, e.System.Dir)
}

// Lease keeps a record.
type Lease struct {
	System System // as recorded: with the name that it got
	folder *lease.Lease
	record *lease.Lease
}

// Hold claims the folder and a name for s, which needs Name and Dir. When another system has the name, it gets a number: shop-2.
// The system cannot be found before [Lease.Publish]. Hold returns a [*RunningError] when the folder is claimed.
func Hold(s System) (*Lease, error) {
	s.Version = version
	dir, err := realPath(s.Dir)
	if err != nil {
		return nil, err
	}
	s.Dir = dir
	folders, err := leases("folders")
	if err != nil {
		return nil, err
	}
	names, err := leases("systems")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(s.Dir))
	content, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	l := &Lease{}
	l.folder, err = folders.Hold(hex.EncodeToString(sum[:8]), content)
	if errors.Is(err, lease.ErrHeld) {
		return nil, &RunningError{System: holder(folders, s.Dir)}
	}
	if err != nil {
		return nil, fmt.Errorf("recording the system: %w", err)
	}
	base := s.Name
	for n := 2; ; n++ {
		// Not readable as a system until Publish: it has no registry.
		l.record, err = names.Hold(s.Name, []byte("{}"))
		if err == nil {
			l.System = s
			return l, nil
		}
		if !errors.Is(err, lease.ErrHeld) || n > 1000 {
			return nil, errors.Join(fmt.Errorf("recording the system: %w", err), l.folder.Close())
		}
		s.Name = fmt.Sprintf("%s-%d", base, n)
	}
}

// Publish makes the system known, with the registry and the control socket, or changes what is known.
func (l *Lease) Publish(s System) error {
	s.Version, s.Name, s.Dir = version, l.System.Name, l.System.Dir
	content, err := json.Marshal(s)
	if err != nil {
		return err
	}
	l.System = s
	return errors.Join(l.folder.Update(content), l.record.Update(content))
}

// Close removes the record.
func (l *Lease) Close() error { return errors.Join(l.record.Close(), l.folder.Close()) }

// List returns the systems that run, by name.
func List() ([]System, error) {
	dir, err := leases("systems")
	if err != nil {
		return nil, err
	}
	list, err := lease.Contents(dir, func(s *System) bool { return s.Registry != "" }) // else it is about to start
	if err != nil {
		return nil, fmt.Errorf("reading which systems run: %w", err)
	}
	slices.SortFunc(list, func(a, b System) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// Starting returns the systems that were begun and are not ready to be found, by name. They have no registry and no control socket.
func Starting() ([]System, error) {
	dir, err := leases("folders")
	if err != nil {
		return nil, err
	}
	list, err := lease.Contents(dir, func(s *System) bool { return s.Dir != "" && s.Registry == "" })
	if err != nil {
		return nil, fmt.Errorf("reading which systems start: %w", err)
	}
	slices.SortFunc(list, func(a, b System) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// ForDir returns the running system whose folder dir is or is below; of several, the nearest. It is how a program joins the system
// of the folder in which its main package is.
func ForDir(dir string) (s System, found bool, err error) {
	list, err := List()
	if err != nil {
		return System{}, false, err
	}
	s, found = Nearest(list, dir)
	return s, found, nil
}

// Nearest is [ForDir] among the given systems.
func Nearest(list []System, dir string) (s System, found bool) {
	dir, err := realPath(dir)
	if err != nil {
		return System{}, false
	}
	return nearest(list, dir, func(s System) string { return s.Dir })
}

// nearest returns the one whose folder dir is or is below; of several, the one with the longest path.
func nearest[T any](list []T, dir string, folder func(T) string) (best T, found bool) {
	for _, candidate := range list {
		if contains(folder(candidate), dir) && (!found || len(folder(candidate)) > len(folder(best))) {
			best, found = candidate, true
		}
	}
	return best, found
}

func contains(folder, path string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func leases(kind string) (lease.Dir, error) {
	dir, err := rundir.Path("dev", kind)
	if err != nil {
		return "", fmt.Errorf("the folder for records of running systems: %w", err)
	}
	return lease.Dir(dir), nil
}

// holder returns what the process that claimed the folder says of itself.
func holder(folders lease.Dir, dir string) System {
	records, _ := folders.List() // the claim is the error; this only says more about it
	for _, r := range records {
		var s System
		if json.Unmarshal(r.Content, &s) == nil && s.Dir == dir {
			return s
		}
	}
	return System{Dir: dir}
}

func realPath(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}
