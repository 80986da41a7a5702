package embednats

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hanse-go/hanse/internal/lease"
	"github.com/hanse-go/hanse/internal/rundir"
)

// dir returns the absolute path of the folder for what is kept.
func (s *Server) dir() (string, error) {
	dir := s.Dir
	if dir == "" {
		var err error
		if dir, err = rundir.State(strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")); err != nil {
			return "", fmt.Errorf("no folder for what the server keeps: %w: set Dir", err)
		}
	}
	return filepath.Abs(dir)
}

// ownerID is the name of the lease on a folder: the file owner.json.
const ownerID = "owner"

// owner is what the process says that has the folder.
type owner struct {
	PID     int    `json:"pid"`
	Program string `json:"program"`
}

// hold makes the folder, and takes it for this process until it ends, however it does.
func hold(dir string) (*lease.Lease, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the folder for what the server keeps: %w", err)
	}
	text, err := json.Marshal(owner{os.Getpid(), filepath.Base(os.Args[0])})
	if err != nil {
		return nil, err
	}
	l, err := lease.Dir(dir).Hold(ownerID, text)
	if errors.Is(err, lease.ErrHeld) {
		return nil, fmt.Errorf("the folder %s is in use%s: two servers must not share one, give each its own Dir", dir, by(dir))
	}
	if err != nil {
		return nil, fmt.Errorf("the folder %s cannot be used: %w", dir, err)
	}
	return l, nil
}

// by says which process has the folder, as far as it can be told.
func by(dir string) string {
	records, _ := lease.Dir(dir).List() // the error that is told anyway is better
	for _, r := range records {
		var o owner
		if r.ID == ownerID && json.Unmarshal(r.Content, &o) == nil && o.PID != 0 {
			return fmt.Sprintf(" by process %d (%s)", o.PID, o.Program)
		}
	}
	return ""
}

// used returns how many bytes the files below dir have.
func used(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // what cannot be read is not counted
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return nil
	})
	return n
}
