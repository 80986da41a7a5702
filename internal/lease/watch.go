package lease

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// probeEvery is how often known leases are probed, for the system tells nobody that a lock was dropped. A probe is one system
	// call: 200 leases take 0.1 ms, or 0.04 % of one core.
	probeEvery = 250 * time.Millisecond
	// probeAtMost bounds the pause between probes where they are slow; see pauseAfter.
	probeAtMost = 800 * time.Millisecond
	// probeShare is the part of its time that a watcher spends on probing at most, until the pause is at its bound.
	probeShare = 100
	// scansEvery is after how many probes the whole folder is read, in case a notification was lost.
	scansEvery = 20
	// litterAge is the age from which a temporary file that nobody has locked was left by an owner who died while writing it.
	litterAge = time.Minute
)

// Change says that a record is new or different, or that it is gone.
type Change struct {
	Record
	Gone bool // withdrawn, or its owner died; Content is nil
	Died bool // the owner died without withdrawing it
}

// List returns the records whose owners live, and removes the others. A folder that is not there has none.
func (d Dir) List() ([]Record, error) {
	w := newWatch(d)
	defer w.close()
	changes, err := w.scan()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var list []Record
	for _, c := range changes {
		if !c.Gone {
			list = append(list, c.Record)
		}
	}
	return list, nil
}

// Watch tells of all records, then of each change, until ctx ends. The first call of notify comes at once, with all live records as
// changes, perhaps none; later ones have at least one change. Records that are withdrawn or updated are noticed by notification, the
// death of an owner within a second. The records of this process are told as well. Watch makes the folder if it is not there; when it
// is removed or can't be read later, known records stay as long as their owners live. It returns nil when ctx has ended and fails only where the folder can't be made or read to
// begin with.
func (d Dir) Watch(ctx context.Context, notify func([]Change)) error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return err
	}
	w := newWatch(d)
	defer w.close()
	w.follow() // before the scan, so that nothing falls between the two
	changes, err := w.scan()
	if err != nil {
		return err
	}
	notify(changes)
	pause := time.NewTimer(probeEvery)
	defer pause.Stop()
	for probes := 1; ; {
		var changes []Change
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-w.events():
			changes = w.noticed(event, ok)
		case <-w.errors(): // events were lost
			changes, _ = w.scan()
		case <-pause.C:
			start := time.Now()
			changes = w.probe()
			if moved := w.follow(); moved || w.notifier == nil || probes%scansEvery == 0 {
				more, _ := w.scan() // the folder is away: what is known stays
				changes = append(changes, more...)
			}
			probes++
			pause.Reset(pauseAfter(time.Since(start)))
		}
		if len(changes) > 0 {
			notify(changes)
		}
	}
}

// pauseAfter returns the time until the next probe, so that probing takes a small share of the time however many leases there are.
func pauseAfter(took time.Duration) time.Duration {
	return min(max(probeEvery, probeShare*took), probeAtMost)
}

// watch is the state of one watcher.
type watch struct {
	dir      Dir
	known    map[string]*os.File // by ID; kept open, so that probing needs no path and no inode number is used again
	notifier *fsnotify.Watcher   // nil: none can be had (their number is limited), the folder is read at each probe
	followed os.FileInfo         // the folder that the notifier follows: it may have been removed and made again
}

func newWatch(d Dir) *watch { return &watch{dir: d, known: make(map[string]*os.File)} }

func (w *watch) close() {
	if w.notifier != nil {
		w.notifier.Close()
	}
	for _, f := range w.known {
		f.Close()
	}
}

// follow asks for notifications of the folder that has the name now, and reports whether it did not get them before.
func (w *watch) follow() bool {
	info, err := os.Stat(string(w.dir))
	if err != nil || w.notifier != nil && os.SameFile(info, w.followed) {
		return false
	}
	if w.notifier != nil {
		w.notifier.Close()
		w.notifier = nil
	}
	notifier, err := fsnotify.NewWatcher()
	if err != nil {
		return false
	}
	if err := notifier.Add(string(w.dir)); err != nil {
		notifier.Close()
		return false
	}
	w.notifier, w.followed = notifier, info
	return true
}

func (w *watch) events() <-chan fsnotify.Event {
	if w.notifier == nil {
		return nil
	}
	return w.notifier.Events
}

func (w *watch) errors() <-chan error {
	if w.notifier == nil {
		return nil
	}
	return w.notifier.Errors
}

// noticed looks at the record that the notification is about, and at those of the notifications that wait behind it.
func (w *watch) noticed(event fsnotify.Event, ok bool) []Change {
	var changes []Change
	for {
		if !ok { // the notifier broke down; the next probe asks for another
			w.notifier = nil
			return changes
		}
		if id, ok := recordID(filepath.Base(event.Name)); ok && !event.Has(fsnotify.Chmod) {
			if c, changed := w.refresh(id); changed {
				changes = append(changes, c)
			}
		}
		select {
		case event, ok = <-w.events():
		default:
			return changes
		}
	}
}

// scan looks at every file of the folder.
func (w *watch) scan() ([]Change, error) {
	entries, err := os.ReadDir(string(w.dir))
	if err != nil {
		return nil, err
	}
	var changes []Change
	named := make(map[string]bool, len(entries))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			w.sweep(e)
			continue
		}
		id, ok := recordID(e.Name())
		if !ok {
			continue
		}
		named[id] = true
		if f := w.known[id]; f != nil && hasName(f, w.dir.path(id)) {
			continue // probed elsewhere
		}
		if c, changed := w.refresh(id); changed {
			changes = append(changes, c)
		}
	}
	for id := range w.known {
		if !named[id] {
			if c, changed := w.refresh(id); changed {
				changes = append(changes, c)
			}
		}
	}
	return changes, nil
}

// sweep removes a temporary file whose owner died before it had its name.
func (w *watch) sweep(e fs.DirEntry) {
	if !strings.HasSuffix(e.Name(), tmpSuffix) {
		return
	}
	if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > litterAge {
		_, _ = reap(filepath.Join(string(w.dir), e.Name())) // tried again at the next scan
	}
}

// probe looks whether the owners of the known records live.
func (w *watch) probe() []Change {
	var changes []Change
	for id, f := range w.known {
		locked, err := tryLock(f, false)
		if err != nil || !locked {
			continue
		}
		_ = unlock(f)
		// The owner died, or it put a new file in place of this one.
		if c, changed := w.refresh(id); changed {
			changes = append(changes, c)
		}
	}
	return changes
}

// refresh looks at the record that has the ID now and returns how that differs from what is known.
func (w *watch) refresh(id string) (Change, bool) {
	path := w.dir.path(id)
	for range 10 { // a new owner or a new content at each turn
		f, err := open(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return w.nameless(id)
		}
		if err != nil {
			return Change{}, false // what is known stays
		}
		dead, err := tryLock(f, false)
		if err != nil {
			f.Close()
			return Change{}, false
		}
		if dead {
			if !hasName(f, path) {
				f.Close()
				continue // it was replaced since it was opened
			}
			removed := remove(f, path)
			f.Close()
			if w.known[id] == nil && !removed {
				return Change{}, false
			}
			return w.forget(id, true)
		}
		if old := w.known[id]; old != nil && sameFile(old, f) {
			f.Close()
			return Change{}, false
		}
		content, err := read(f)
		if err != nil {
			f.Close()
			return Change{}, false
		}
		if len(content) == 0 { // it is being withdrawn
			f.Close()
			return w.forget(id, false)
		}
		if old := w.known[id]; old != nil {
			old.Close()
		}
		w.known[id] = f
		return Change{Record: Record{ID: id, Content: content}}, true
	}
	return Change{}, false // the next probe or scan sees it
}

// nameless looks at a known record whose file is gone: it was withdrawn, or its owner died and another watcher removed the file, or
// someone swept the folder away and the owner lives.
func (w *watch) nameless(id string) (Change, bool) {
	f := w.known[id]
	if f == nil {
		return Change{}, false
	}
	if info, err := f.Stat(); err == nil && info.Size() == 0 {
		return w.forget(id, false)
	}
	if dead, err := tryLock(f, false); err != nil || !dead {
		return Change{}, false // the next probe asks again
	}
	return w.forget(id, true)
}

// forget drops the record. The death of an unknown owner is told too, by the watcher that removed its file: it may have left other
// things behind.
func (w *watch) forget(id string, died bool) (Change, bool) {
	f := w.known[id]
	if f != nil {
		f.Close()
		delete(w.known, id)
	}
	return Change{Record: Record{ID: id}, Gone: true, Died: died}, died || f != nil
}

// remove removes the file of a dead owner and reports whether it did. It does not while others look at the file: then one of the
// next scans does.
func remove(f *os.File, path string) bool {
	if unlock(f) != nil {
		return false
	}
	alone, err := tryLock(f, true)
	return err == nil && alone && hasName(f, path) && os.Remove(path) == nil
}

func sameFile(a, b *os.File) bool {
	first, err := a.Stat()
	if err != nil {
		return false
	}
	second, err := b.Stat()
	return err == nil && os.SameFile(first, second)
}
