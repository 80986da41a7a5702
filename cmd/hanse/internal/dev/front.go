package dev

import (
	"bytes"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/logs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/identity"
)

// Front is what a gateway before the whole system is given.
type Front struct {
	Listener  net.Listener
	Registry  discovery.Registry
	Authority *identity.Authority // of the services' certificates; nil: they speak plaintext
	Telemetry string              // URL of the system's collector; "": there is none
	Logger    *slog.Logger
}

// frontName is under which the port of the gateway is remembered. No service can be called so.
const frontName = "(gateway)"

// listenFront takes the address of the gateway, which stays the same in the next run: before all else, for it may be taken.
func (s *supervisor) listenFront() (err error) {
	switch {
	case s.Gateway == nil:
		return nil
	case s.GatewayAddr == "":
		s.frontDoor, err = s.doors.listen(frontName)
	default:
		s.frontDoor, err = net.Listen("tcp", s.GatewayAddr)
	}
	if err != nil {
		return ui.Errorf("the gateway cannot listen: %w", err).Then("give another address with --gateway HOST:PORT, or go without: --gateway off")
	}
	return nil
}

// serveFront runs the gateway until the services end.
func (s *supervisor) serveFront(services *sync.WaitGroup) {
	if s.frontDoor == nil {
		return
	}
	f := Front{
		Listener: s.frontDoor, Registry: s.registry, Telemetry: s.telemetryURL,
		Logger: slog.New(slog.NewJSONHandler(lines{s: s}, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if s.certs != nil {
		f.Authority = s.certs.authority
	}
	services.Go(func() {
		if err := s.Gateway(s.ctx, f); err != nil && s.ctx.Err() == nil {
			s.problemf("the gateway has ended: %v", err)
		}
	})
}

// lines puts records of a logger into the logs of the system.
type lines struct {
	s      *supervisor
	unkept bool // the collector speaks: it must not be told of its own troubles
}

func (l lines) Write(record []byte) (int, error) {
	line := logs.Parse(string(bytes.TrimSpace(record)), time.Now())
	if line.Dev = true; line.Service == "" {
		line.Service = devName
	}
	if l.unkept {
		l.s.ring.Add(line)
	} else {
		l.s.tell(line)
	}
	return len(record), nil
}
