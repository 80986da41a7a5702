package rpc

import (
	"fmt"

	"github.com/hanse-go/hanse/discovery"
)

// Dial returns a Conn to a target, without an app or a registry. A target is
//
//	host:port              one server; several are separated by commas
//	dns:///host:port       each address of the host is an instance, followed as they change
//	unix:///path/to.sock   a unix socket
//	tcp://host:port        as host:port
//
// or another that [discovery.ParseTarget] reads. Dial does not wait for a connection; a malformed target is an error. The Conn must be
// closed. The servers need not be Hanse's.
func Dial(target string, opts ...ConnOption) (*Conn, error) {
	registry, err := discovery.ParseTarget(target)
	if err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	c := NewConn(target, opts...)
	client := &Client{Registry: registry, TLS: c.opts.tls, StatsHandlers: c.opts.statsHandlers, Wire: c.opts.wire, Telemetry: c.opts.telemetry}
	if err := c.bind(client); err != nil { // the Conn is the client's only one: closing it ends all
		return nil, err
	}
	return c, nil
}
