package dev

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/process"
	"github.com/hanse-go/hanse/discovery"
)

// CommandKey is the metadata key of an instance that is a command and takes calls over TLS at another address than it serves itself; its
// value is the latter, HOST:PORT.
const CommandKey = "command"

// foreignSpec fills in how a command in any language is run: with its port in the arguments or in the variable PORT.
func (s *supervisor) foreignSpec(c *child, spec *process.Spec) error {
	entry := c.slot.unit.entry
	c.port = entry.Port
	if c.port == 0 {
		var err error
		if c.port, err = freePort(); err != nil {
			return fmt.Errorf("looking for a free port for %s: %w", entry.Name, err)
		}
	}
	port := strconv.Itoa(c.port)
	for _, arg := range entry.Command {
		spec.Command = append(spec.Command, strings.ReplaceAll(arg, "{port}", port))
	}
	spec.Env = append(spec.Env, "PORT="+port)
	spec.Dir = filepath.Join(s.Dir, filepath.FromSlash(entry.Dir))
	spec.Foreign, spec.Guard = true, s.Guard
	if name := spec.Command[0]; strings.ContainsAny(name, `/\`) && !filepath.IsAbs(name) {
		spec.Command[0] = filepath.Join(spec.Dir, filepath.FromSlash(name))
	} else if _, err := exec.LookPath(name); err != nil {
		return fmt.Errorf("starting %s: %w", entry.Name, err) // the guard would only say it later
	}
	return nil
}

// awaitForeign waits until the command takes connections on its port and announces it.
func (s *supervisor) awaitForeign(ctx context.Context, c *child) bool {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port))
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", addr)
		if err == nil {
			conn.Close()
			break
		}
		select {
		case <-tick.C:
		case <-c.process.Done():
			return false
		case <-ctx.Done():
			return false
		}
	}
	select {
	case <-c.process.Done(): // the port is another's
		return false
	default:
	}
	endpoint := addr
	if s.certs != nil {
		front, err := s.certs.openFront(c.port, c.slot.unit.services)
		if err != nil {
			s.problemf("taking calls for %s: %v", c.slot.unit.name, err)
			return false
		}
		s.mu.Lock()
		if ended(c.process) { // attend may not see it any more
			s.mu.Unlock()
			front.close()
			return false
		}
		c.front = front
		s.mu.Unlock()
		endpoint = front.addr()
	}
	var leases []discovery.Lease
	withdraw := func() {
		for _, l := range leases {
			if err := l.Close(); err != nil {
				s.problemf("withdrawing %s: %v", c.slot.unit.name, err)
			}
		}
	}
	for _, service := range c.slot.unit.services {
		inst := discovery.Instance{
			Service:   service,
			ID:        service + "-" + strings.ToLower(rand.Text()[:10]),
			State:     discovery.Ready,
			Endpoints: []string{"tcp://" + endpoint},
			PID:       c.process.PID(),
			Started:   c.started,
		}
		inst.Metadata = make(map[string]string)
		if endpoint != addr {
			inst.Metadata[CommandKey] = addr
		}
		if c.slot.unit.entry.HTTP {
			inst.Metadata[httpKey] = "http://" + addr
		}
		l, err := s.registry.Register(ctx, inst)
		if err != nil {
			s.problemf("announcing %s: %v", service, err)
			continue
		}
		leases = append(leases, l)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.withdraw = withdraw
	return true
}
