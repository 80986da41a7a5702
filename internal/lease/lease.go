// Package lease keeps records in a folder, each of which vanishes with the process that holds it, also when that is killed.
//
// A record is a file ID.json that its owner keeps open and locked. The system drops the lock when the owner dies, and whoever
// watches the folder finds out by trying the lock. Four rules make that safe:
//
//   - The owner locks a temporary file first and then renames it to ID.json, so a file with that name was locked before anyone could
//     see it. (A file that was created first and locked then would look dead in between, and live leases would be lost.)
//   - A watcher tries a shared lock without waiting, so watchers do not get in each other's way. It holds a record for dead only if it
//     got the lock and the file still has the name, and it removes the file only under the exclusive lock.
//   - A file is emptied before it is withdrawn. So a watcher tells a withdrawal from a folder that somebody swept away, and keeps the
//     records whose locks are held. Their owners put them back.
//   - New content comes as a new file: locked, written, renamed over the old one, whose lock is dropped last. So the name always
//     belongs to a locked and complete file.
//
// Locks are flock(2) on Unix: those of fcntl vanish when any part of the process closes the file. On Windows they are on one far
// byte, for there a lock keeps others from reading what it covers. The folder must be on a local file system.
package lease

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ErrHeld is returned by [Dir.Hold] when a live owner holds a lease of that ID.
var ErrHeld = errors.New("lease is held")

// ErrClosed is returned by [Lease.Update] when the lease was closed.
var ErrClosed = errors.New("lease is closed")

const (
	suffix    = ".json"
	tmpSuffix = ".tmp"

	checkEvery = time.Second // how often an owner looks whether its file is still there
	touchEvery = time.Hour   // how often it renews the file's time, for those who clean temporary folders by age

	patience = 100 * time.Millisecond // how long a file may stay locked by someone who only looks at it
)

// Dir is the path of a folder of leases.
type Dir string

// Record is what a live owner says.
type Record struct {
	ID      string
	Content []byte
}

// Lease is a record of this process.
type Lease struct {
	dir  Dir
	id   string
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	file    *os.File // locked; nil when closed
	content []byte
	touched time.Time
	lost    bool // the file was taken away and could not be put back
	report  func(error)
}

// Report has f told when the file was taken away and cannot be put back, and with nil when it is there again. It is tried every second.
// f must not use the lease.
func (l *Lease) Report(f func(error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report = f
}

// Hold publishes the content, which must not be empty, under the ID until the lease is closed or the process ends. It makes the folder if it is not there. It
// returns [ErrHeld] when a live owner, in this process or another, holds the ID.
func (d Dir) Hold(id string, content []byte) (*Lease, error) {
	if !validID(id) {
		return nil, fmt.Errorf("lease ID %q: want letters, digits, '.', '_' and '-', beginning with a letter or digit", id)
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return nil, err
	}
	l := &Lease{dir: d, id: id, stop: make(chan struct{}), done: make(chan struct{})}
	if err := l.publish(content); err != nil {
		return nil, err
	}
	go l.keep()
	return l, nil
}

// Update replaces the content. Those who watch see the old content or the new one, and at no time none. It returns [ErrClosed] after
// Close.
func (l *Lease) Update(content []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return fmt.Errorf("%w: %s", ErrClosed, l.id)
	}
	return l.publish(content)
}

// Close withdraws the record. Closing twice is no error.
func (l *Lease) Close() error {
	l.mu.Lock()
	f := l.file
	l.file = nil
	l.mu.Unlock()
	if f == nil {
		<-l.done
		return nil
	}
	close(l.stop)
	<-l.done
	err := f.Truncate(0)
	if hasName(f, l.path()) {
		err = errors.Join(err, os.Remove(l.path())) // while it is locked: the name cannot be another owner's
	}
	return errors.Join(err, f.Close())
}

func (l *Lease) path() string { return l.dir.path(l.id) }

func (d Dir) path(id string) string    { return filepath.Join(string(d), id+suffix) }
func (d Dir) tmpPath(id string) string { return filepath.Join(string(d), "."+id+tmpSuffix) }

// publish puts the content in place: lock, write, rename, and then let go of the file that had the name.
func (l *Lease) publish(content []byte) error {
	if len(content) == 0 {
		return fmt.Errorf("lease %s: no content", l.id)
	}
	tmp := l.dir.tmpPath(l.id)
	f, err := createLocked(tmp)
	if err != nil {
		return err
	}
	if err := l.fill(f, content); err != nil {
		return errors.Join(err, os.Remove(tmp), f.Close())
	}
	var old *os.File
	old, l.file = l.file, f
	l.content = append(l.content[:0], content...)
	l.touched = time.Now()
	if old != nil {
		return old.Close()
	}
	return nil
}

func (l *Lease) fill(f *os.File, content []byte) error {
	if _, err := f.Write(content); err != nil {
		return err
	}
	if l.file == nil || !hasName(l.file, l.path()) {
		// Another owner may have left the name, or hold it. The temporary name is ours, so no third one gets in between. A dead
		// owner's file is kept locked until ours has the name: else one who removes the dead file could remove ours.
		dead, err := l.dir.claim(l.id)
		if err != nil {
			return err
		}
		if dead != nil {
			defer dead.Close()
		}
	}
	return rename(f, l.dir.tmpPath(l.id), l.path())
}

// claim makes sure that no live owner has the ID. It returns the file of a dead one, with a shared lock on it, if there is one.
func (d Dir) claim(id string) (*os.File, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		f, err := open(d.path(id))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		locked, err := tryLock(f, false)
		if locked && hasName(f, d.path(id)) {
			return f, nil
		}
		f.Close()
		if err != nil {
			return nil, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%w: %s", ErrHeld, id)
		}
	}
}

// createLocked creates the temporary file and locks it exclusively.
func createLocked(tmp string) (*os.File, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		f, err := create(tmp)
		if err == nil {
			locked, err := tryLock(f, true)
			if locked && hasName(f, tmp) {
				return f, nil
			}
			f.Close() // someone took it for litter
			if err != nil {
				return nil, err
			}
		} else if !errors.Is(err, fs.ErrExist) {
			return nil, err
		} else if _, err := reap(tmp); err != nil {
			return nil, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%w: %s is being written by another process", ErrHeld, tmp)
		}
	}
}

// reap removes the file if no one has it locked, and reports whether it did.
func reap(path string) (bool, error) {
	f, err := open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	locked, err := tryLock(f, true)
	if !locked || !hasName(f, path) {
		return false, err
	}
	return true, os.Remove(path)
}

// keep puts the file back when someone removed it, and keeps it from looking old.
func (l *Lease) keep() {
	defer close(l.done)
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-ticker.C:
			l.check()
		}
	}
}

// check does once what keep does.
func (l *Lease) check() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return
	}
	if !hasName(l.file, l.path()) {
		err := os.MkdirAll(string(l.dir), 0o700)
		if err == nil {
			err = l.publish(l.content)
		}
		l.tell(err)
		return
	}
	l.tell(nil)
	if now := time.Now(); now.Sub(l.touched) >= touchEvery {
		l.touched = now
		_ = os.Chtimes(l.path(), now, now) // tried again in time
	}
}

// tell reports that the file cannot be put back, or that it is there again, once. l.mu is held.
func (l *Lease) tell(err error) {
	if lost := err != nil; lost != l.lost {
		l.lost = lost
		if l.report != nil {
			l.report(err)
		}
	}
}

// hasName reports whether the open file is the one that the path names.
func hasName(f *os.File, path string) bool {
	named, err := os.Lstat(path)
	if err != nil {
		return false
	}
	opened, err := f.Stat()
	return err == nil && os.SameFile(named, opened)
}

// maxRecord bounds what is read of a file that someone else wrote.
const maxRecord = 1 << 20

func read(f *os.File) ([]byte, error) {
	content, err := io.ReadAll(io.NewSectionReader(f, 0, maxRecord+1))
	if err == nil && len(content) > maxRecord {
		err = fmt.Errorf("%s has more than %d bytes", f.Name(), maxRecord)
	}
	return content, err
}

// recordID returns the ID of the record in the file of that name.
func recordID(name string) (string, bool) {
	id, ok := strings.CutSuffix(name, suffix)
	return id, ok && validID(id)
}

func validID(id string) bool {
	for n, c := range []byte(id) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && (n == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return id != "" && len(id) <= 200
}
