package dev

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/internal/rundir"
)

const (
	defaultCertificateLife = time.Hour
	// devIdentity is who hanse dev itself is, where it calls: for tools that call by a door.
	devIdentity = "hanse-dev"
)

// certificates are those of a system's processes. Each service has a folder with its own, which a process reads and hanse dev renews;
// the key of the authority is in another folder, for hanse dev and other commands of this user. Nothing of it is on a command line.
type certificates struct {
	authority *identity.Authority
	home      string // folder of the authority
	services  string // folder of the services' folders

	mu    sync.Mutex
	names map[string]bool // that have certificates
}

// openCertificates makes the authority of a system, or finds that of the last run.
func openCertificates(system string, life time.Duration) (*certificates, error) {
	dir, err := rundir.Path("identity", system)
	if err != nil {
		return nil, fmt.Errorf("the folder for certificates: %w", err)
	}
	c := &certificates{home: filepath.Join(dir, "authority"), services: filepath.Join(dir, "services"), names: make(map[string]bool)}
	if c.authority, err = identity.OpenAuthority(c.home, trustDomain(system)); err != nil {
		return nil, fmt.Errorf("the authority of the system: %w", err)
	}
	if c.authority.Lifetime = life; life == 0 {
		c.authority.Lifetime = defaultCertificateLife
	}
	return c, c.remove() // of the last run
}

// trustDomain is the name of a system as SPIFFE IDs have it.
func trustDomain(system string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '-'
	}, system)
}

// remove takes the certificates of all services away. The authority stays for the next run.
func (c *certificates) remove() error { return os.RemoveAll(c.services) }

// give makes certificates for services that have none.
func (c *certificates) give(names ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range names {
		if c.names[name] {
			continue
		}
		if err := c.authority.WriteFiles(c.folder(name), name); err != nil {
			return fmt.Errorf("a certificate for %s: %w", name, err)
		}
		c.names[name] = true
	}
	return nil
}

// folder is where a service finds its certificate. "{service}" is all folders.
func (c *certificates) folder(service string) string { return filepath.Join(c.services, service) }

// run renews the certificates when a third of their time is over, until ctx ends. It goes by the clock on the wall, as certificates do:
// timers stand still while a machine sleeps, and do not notice when the clock is set.
func (c *certificates) run(ctx context.Context, notef, problemf func(string, ...any)) {
	life := c.authority.Lifetime
	tick := time.NewTicker(min(life/30, time.Second))
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := time.Now()
		age := now.Round(0).Sub(last.Round(0))
		if age >= 0 && age < life/3 { // below 0, the clock was set back
			continue
		}
		if jump := (age - now.Sub(last)).Round(time.Second); jump.Abs() >= life/3 {
			notef("the clock jumped by %v, or the machine slept: certificates are made anew", jump)
		}
		last = now
		c.mu.Lock()
		for _, name := range slices.Sorted(maps.Keys(c.names)) {
			if err := c.authority.WriteFiles(c.folder(name), name); err != nil {
				problemf("the certificate of %s was not renewed: %v", name, err)
			}
		}
		c.mu.Unlock()
	}
}
