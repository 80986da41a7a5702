package rpc

import (
	"slices"

	"github.com/hanse-go/hanse/internal/http2"
	"github.com/hanse-go/hanse/telemetry"
)

// wireRoute says where calls of one kind go.
type wireRoute struct {
	path, authority string
	instances       []string

	srv              *Server
	method           *method           // nil: the server has no such method, or was not started yet
	err              error             // instead of a server
	tells            *telemetry.Method // who is told of its calls; nil: nobody, or it is not known yet
	maxRecv, maxSend int
}

// is reports whether the route is that of the call.
func (r *wireRoute) is(path, authority string, instances []string) bool {
	return r.path == path && r.authority == authority && slices.Equal(r.instances, instances)
}

// routeOf finds out where a call goes.
func (r *router) routeOf(h *http2.Header, known *knownRun, head *callHead) *wireRoute {
	authority := h.Authority
	if authority == "" {
		authority = head.host
	}
	if known.route != nil && known.route.is(h.Path, authority, head.instances) {
		return known.route
	}
	route := &wireRoute{path: h.Path, authority: authority, instances: head.instances}
	settled := r.settled()
	route.srv, route.err = r.choose(h.Path, authority, head.instances)
	if s := route.srv; s != nil {
		route.maxRecv, route.maxSend = limitOr(s.MaxRecvMsgSize, r.maxRecv), limitOr(s.MaxSendMsgSize, noLimit)
		if s.phase.Load() >= serving {
			route.method, _ = s.lookup(h.Path)
			if route.tells = s.Telemetry.Serves(""); route.method != nil {
				route.tells = route.method.tells
			}
		}
	}
	if settled {
		known.route = route
	}
	return route
}

// settled reports whether no contract can be registered any more.
func (r *router) settled() bool {
	for _, s := range r.all() {
		if s.phase.Load() == fresh {
			return false
		}
	}
	return true
}
