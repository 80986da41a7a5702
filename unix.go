package hanse

import (
	"context"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/internal/rundir"
)

// listenUnix opens the unix socket of an instance, for callers on this machine, and returns it with its endpoint. Where there can be
// none, callers use TCP, and listenUnix returns nil.
func (m *member) listenUnix(ctx context.Context) (net.Listener, string) {
	t := m.run.app.transport("unix")
	if t == nil {
		return nil, ""
	}
	path, err := rundir.Socket(m.id)
	if err == nil {
		path = filepath.ToSlash(path)
		if !strings.HasPrefix(path, "/") { // C:/…
			path = "/" + path
		}
		endpoint := &url.URL{Scheme: "unix", Path: path}
		var lis net.Listener
		if lis, err = t.Listen(ctx, endpoint); err == nil {
			return lis, endpoint.String()
		}
	}
	m.log.Warn("no unix socket: callers on this machine use TCP", "error", err)
	return nil, ""
}

// hostID identifies this machine and its folder of sockets; it is empty when there is no such folder.
func hostID() string {
	id, err := discovery.HostID()
	if err != nil {
		return ""
	}
	return id
}
