// Package watch tells which files in a set of folders changed.
package watch

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long nothing may change before changes are reported: an editor writes in several steps, a tool many files.
	quiet = 100 * time.Millisecond
	// atMost is how long changes are held back when it does not get quiet.
	atMost = time.Second
	// maxFolders bounds how much of a tree is watched; the system's limit is for all programs of the user.
	maxFolders = 4000
)

// Watcher watches folders, each by itself, without those below it.
type Watcher struct {
	fs      *fsnotify.Watcher
	changes chan []string
	folders map[string]bool
	done    chan struct{}
}

// New returns a Watcher that watches nothing yet.
func New() (*Watcher, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	watcher := &Watcher{fs: w, changes: make(chan []string), folders: make(map[string]bool), done: make(chan struct{})}
	go watcher.run()
	return watcher, nil
}

// Changes delivers the files and folders that were written, made, renamed or removed, sorted, each set once it is quiet. What
// happens while nobody receives is added to the next set. The channel is closed by [Watcher.Close].
func (w *Watcher) Changes() <-chan []string { return w.changes }

// Close ends the watching.
func (w *Watcher) Close() error {
	err := w.fs.Close()
	<-w.done
	return err
}

// Set replaces the folders that are watched. It returns an error for those that cannot be; the others are watched. It must not be
// called concurrently.
func (w *Watcher) Set(folders []string) error {
	var errs []error
	want := make(map[string]bool)
	for _, dir := range folders {
		want[dir] = true
		if w.folders[dir] {
			continue
		}
		if err := w.fs.Add(dir); err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
			continue
		}
		w.folders[dir] = true
	}
	for dir := range w.folders {
		if !want[dir] {
			w.fs.Remove(dir) // it may be gone by itself
			delete(w.folders, dir)
		}
	}
	return errors.Join(errs...)
}

func (w *Watcher) run() {
	defer close(w.done)
	defer close(w.changes)
	pending := make(map[string]bool)
	var since time.Time
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	var out chan []string
	var set []string
	for {
		select {
		case e, ok := <-w.fs.Events:
			if !ok {
				return
			}
			if e.Op == fsnotify.Chmod || ignored(filepath.Base(e.Name)) {
				continue
			}
			if len(pending) == 0 {
				since = time.Now()
			}
			pending[e.Name] = true
			out = nil // not while more is coming
			timer.Reset(min(quiet, max(0, atMost-time.Since(since))))
		case _, ok := <-w.fs.Errors:
			if !ok {
				return
			}
			// An overflow: what was lost cannot be known, and the next save shows it.
		case <-timer.C:
			set = set[:0:0]
			for f := range pending {
				set = append(set, f)
			}
			slices.Sort(set)
			out = w.changes
		case out <- set:
			clear(pending)
			out = nil
		}
	}
}

// ignored reports whether a file is an editor's own.
func ignored(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") || strings.HasSuffix(name, "~") ||
		strings.HasSuffix(name, ".swp") || strings.HasSuffix(name, ".swx") || strings.HasSuffix(name, ".tmp") || name == "4913"
}

// Tree returns the folder dir and those below it that may have source code in them, at most some thousand: not hidden ones, vendor,
// testdata, node_modules, and those whose name begins with an underscore.
func Tree(dir string) []string {
	var dirs []string
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // what cannot be read is not watched
		}
		name := d.Name()
		if path != dir && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "vendor" || name == "testdata" || name == "node_modules") {
			return fs.SkipDir
		}
		if dirs = append(dirs, path); len(dirs) >= maxFolders {
			return fs.SkipAll
		}
		return nil
	})
	return dirs
}
