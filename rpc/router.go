package rpc

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/rpc/internal/wire"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// router finds the server that a call from outside is for.
type router struct {
	servers []*Server
	byName  map[string]*Server
	shared  *Server
	maxRecv int          // message size of servers that do not say theirs
	refuse  func() error // the status of all calls; nil: they are served
}

func newRouter(servers []*Server, shared *Server, maxRecv int) *router {
	r := &router{servers: servers, shared: shared, maxRecv: maxRecv, byName: make(map[string]*Server)}
	for _, s := range servers {
		if s.Name != "" {
			r.byName[s.Name] = s
		}
	}
	return r
}

// serve runs a call on the server that it is for.
func (r *router) serve(method string, stream grpc.ServerStream) error {
	srv, err := r.routed(stream.Context(), method)
	return r.serveOn(srv, err, method, stream)
}

// serveOn runs a call on a server, unless err says why there is none.
func (r *router) serveOn(srv *Server, err error, method string, stream grpc.ServerStream) error {
	if err == nil {
		err = srv.serveStream(method, stream, r.maxRecv)
	}
	if notProcessed(err) {
		stream.SetTrailer(metadata.Pairs(wire.NotProcessedKey, "1"))
	}
	return err
}

// routed returns what a stats handler found before, or finds it.
func (r *router) routed(ctx context.Context, method string) (*Server, error) {
	if tag, ok := ctx.Value(routeKey{}).(*routeTag); ok {
		return tag.server, tag.err
	}
	return r.find(ctx, method)
}

// find returns the server that a call with this context is for. Its error is the call's.
func (r *router) find(ctx context.Context, method string) (*Server, error) {
	authority := ""
	if values := incomingValues(ctx, ":authority"); len(values) > 0 {
		authority = values[0]
	}
	return r.choose(method, authority, incomingValues(ctx, wire.InstanceKey))
}

// choose returns the server that a call is for. meant are the instances that it names, if any.
func (r *router) choose(method, authority string, meant []string) (*Server, error) {
	if r.refuse != nil {
		return nil, r.refuse()
	}
	contract, _ := splitMethod(method)
	named := r.byName[authority]
	if len(meant) > 0 && !r.isInstance(named, meant) {
		return nil, errNotProcessed("the call is meant for instance %s, which is not at this address any more", meant[len(meant)-1])
	}
	if named != nil && (named.has(contract) || r.shared == nil || !r.shared.has(contract)) {
		return named, nil
	}
	if r.shared != nil && r.shared.has(contract) {
		return r.shared, nil
	}
	var only *Server
	having := 0
	for _, s := range r.servers {
		if s.has(contract) {
			only = s
			having++
		}
	}
	switch {
	case having == 1:
		return only, nil
	case having > 1:
		var names []string
		for _, s := range r.servers {
			if s.has(contract) {
				names = append(names, fmt.Sprintf("%q", s.Name))
			}
		}
		slices.Sort(names)
		return nil, status.Errorf(codes.Unimplemented, "several services of this app have the contract %s: call one of them by its name as the authority: %s", contract, strings.Join(names, ", "))
	case len(r.servers) == 1:
		return r.servers[0], nil // says what it lacks
	}
	return nil, status.Errorf(codes.Unimplemented, "unknown service %s", contract)
}

// isInstance reports whether an instance with that ID may answer here. Servers without an ID do not mind.
func (r *router) isInstance(named *Server, meant []string) bool {
	if named != nil {
		return named.Instance == "" || slices.Contains(meant, named.Instance)
	}
	anonymous := true
	for _, s := range r.servers {
		if s.Instance == "" {
			continue
		}
		anonymous = false
		if slices.Contains(meant, s.Instance) {
			return true
		}
	}
	return anonymous
}

// mostRecvMsgSize is the largest limit of the servers; the smaller ones they see to themselves.
func (r *router) mostRecvMsgSize() int {
	limit := 0
	for _, s := range r.all() {
		limit = max(limit, limitOr(s.MaxRecvMsgSize, r.maxRecv))
	}
	return limit
}

func (r *router) all() []*Server {
	if r.shared == nil {
		return r.servers
	}
	return append(r.servers[:len(r.servers):len(r.servers)], r.shared)
}
