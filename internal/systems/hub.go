package systems

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hanse-go/hanse/internal/lease"
)

// Hub is a running hanse hub: the backplane of the programs of a folder. A system of hanse dev there is another matter, and comes first.
type Hub struct {
	Version   int       `json:"version"`
	Name      string    `json:"name"`      // of the system whose programs use it
	Dir       string    `json:"dir"`       // absolute, without symbolic links
	Backplane string    `json:"backplane"` // URL, as --backplane takes it
	PID       int       `json:"pid"`
	Started   time.Time `json:"started"`
}

// ErrHub is returned by [HoldHub] when a hub runs for the folder.
var ErrHub = errors.New("a hub runs for this folder already")

// HubLease keeps the record of a hub.
type HubLease struct{ record *lease.Lease }

// HoldHub makes a hub known that runs.
func HoldHub(h Hub) (*HubLease, error) {
	h.Version = version
	dir, err := realPath(h.Dir)
	if err != nil {
		return nil, err
	}
	h.Dir = dir
	hubs, err := leases("hubs")
	if err != nil {
		return nil, err
	}
	content, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(h.Dir))
	record, err := hubs.Hold(hex.EncodeToString(sum[:8]), content)
	switch {
	case errors.Is(err, lease.ErrHeld):
		return nil, fmt.Errorf("%w: %s", ErrHub, h.Dir)
	case err != nil:
		return nil, fmt.Errorf("recording the hub: %w", err)
	}
	return &HubLease{record}, nil
}

// Close removes the record.
func (l *HubLease) Close() error { return l.record.Close() }

// Hubs returns the hubs that run, by folder.
func Hubs() ([]Hub, error) {
	dir, err := leases("hubs")
	if err != nil {
		return nil, err
	}
	list, err := lease.Contents(dir, func(h *Hub) bool { return h.Backplane != "" })
	if err != nil {
		return nil, fmt.Errorf("reading which hubs run: %w", err)
	}
	slices.SortFunc(list, func(a, b Hub) int { return cmp.Compare(a.Dir, b.Dir) })
	return list, nil
}

// NearestHub returns the hub whose folder dir is or is below; of several, the nearest.
func NearestHub(list []Hub, dir string) (h Hub, found bool) {
	dir, err := realPath(dir)
	if err != nil {
		return Hub{}, false
	}
	return nearest(list, dir, func(h Hub) string { return h.Dir })
}
