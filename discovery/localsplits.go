package discovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	splitFolder = "splits" // in the folder of the leases: SERVICE.json for each service that has rules
	splitSuffix = ".json"

	splitsEvery = 250 * time.Millisecond // how often the folder is read: a few system calls
	splitsTouch = time.Hour              // how often the time of a file is renewed, for those who clean temporary folders by age

	renameTries = 100 // a file that is being read cannot be replaced on Windows
	renamePause = 10 * time.Millisecond
)

// SetSplit implements [Splitter]. All processes that use the folder follow within a second, and those that come later, too.
func (l *Local) SetSplit(ctx context.Context, split Split) error {
	if err := split.Validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	leases, err := l.dir()
	if err != nil {
		return err
	}
	record, err := split.Record()
	if err != nil {
		return err
	}
	dir := filepath.Join(string(leases), splitFolder)
	path := filepath.Join(dir, split.Service+splitSuffix)
	if split.Off() {
		err = os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else if err = os.MkdirAll(dir, 0o700); err == nil {
		err = replaceFile(path, record)
	}
	if err != nil {
		return fmt.Errorf("discovery: set the split of %s: %w", split.Service, err)
	}
	return nil
}

// replaceFile puts the content in place of a file, so that who reads it sees the old one or the new one.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".split-*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		for range renameTries {
			if err = os.Rename(f.Name(), path); !errors.Is(err, fs.ErrPermission) {
				break
			}
			time.Sleep(renamePause)
		}
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// WatchSplits implements [Splitter].
func (l *Local) WatchSplits(ctx context.Context, service string, notify func([]Split)) error {
	if err := checkWatch(service); err != nil {
		return err
	}
	run, err := l.joinSplits()
	if err != nil {
		return err
	}
	defer l.leaveSplits(run)
	run.board.watch(ctx, service, notify)
	return nil
}

// splitRun follows the folder of splits for all watchers of a Local, from the first to the last.
type splitRun struct {
	dir    string
	logger *slog.Logger
	board  splitBoard
	users  int // guarded by Local.mu
	cancel context.CancelFunc
	done   chan struct{}

	known map[string][]byte // content by service, understood or not
}

func (l *Local) joinSplits() (*splitRun, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.splits == nil {
		leases, err := l.dir()
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		run := &splitRun{
			dir: filepath.Join(string(leases), splitFolder), logger: l.logger(), cancel: cancel, done: make(chan struct{}),
			known: make(map[string][]byte),
		}
		run.read() // the first watchers are told all at once
		l.splits = run
		go run.follow(ctx)
	}
	l.splits.users++
	return l.splits, nil
}

func (l *Local) leaveSplits(run *splitRun) {
	l.mu.Lock()
	run.users--
	last := run.users == 0
	if last {
		l.splits = nil
	}
	l.mu.Unlock()
	if last {
		run.cancel()
		<-run.done
	}
}

func (r *splitRun) follow(ctx context.Context) {
	defer close(r.done)
	tick := time.NewTicker(splitsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.read()
		}
	}
}

// read takes what the folder has now. What cannot be read stays as it was.
func (r *splitRun) read() {
	entries, err := os.ReadDir(r.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	named := make(map[string]bool)
	for _, e := range entries {
		service, ok := strings.CutSuffix(e.Name(), splitSuffix)
		if !ok || CheckName(service) != nil {
			continue
		}
		named[service] = true
		path := filepath.Join(r.dir, e.Name())
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			delete(named, service)
		}
		if err != nil || bytes.Equal(content, r.known[service]) {
			keepYoung(path, e)
			continue
		}
		r.known[service] = content
		split, err := ParseSplit(content)
		if err == nil && split.Service != service {
			err = fmt.Errorf("discovery: it is the split of %s", split.Service)
		}
		if err != nil {
			r.logger.Warn("local registry: split ignored; the rules that were known stay", "file", path, "error", strings.TrimPrefix(err.Error(), "discovery: "))
			continue
		}
		r.board.set(split)
	}
	for service := range r.known {
		if !named[service] {
			delete(r.known, service)
			r.board.set(Split{Service: service})
		}
	}
}

// keepYoung keeps those who clean temporary folders from taking rules that are in force for litter.
func keepYoung(path string, e fs.DirEntry) {
	if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > splitsTouch {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // the next one who reads tries again
	}
}
