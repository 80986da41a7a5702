package rpc

import (
	"context"

	"google.golang.org/grpc/stats"
)

// statsHandler tells the stats handlers of each server of its calls, and those of all servers of the port's connections. It is nil when
// there are none.
func (r *router) statsHandler() stats.Handler {
	for _, s := range r.all() {
		if len(s.StatsHandlers) > 0 {
			return routeStats{r}
		}
	}
	return nil
}

type routeStats struct{ router *router }

// routeTag keeps what was found out about a call for those that come after.
type routeTag struct {
	server *Server
	path   string
	err    error
}

type routeKey struct{}

func (h routeStats) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	tag := &routeTag{path: info.FullMethodName}
	tag.server, tag.err = h.router.find(ctx, info.FullMethodName)
	ctx = context.WithValue(ctx, routeKey{}, tag)
	if tag.server != nil {
		for _, sh := range tag.server.StatsHandlers {
			ctx = sh.TagRPC(ctx, info)
		}
	}
	return ctx
}

func (h routeStats) HandleRPC(ctx context.Context, s stats.RPCStats) {
	tag, ok := ctx.Value(routeKey{}).(*routeTag)
	if !ok || tag.server == nil || len(tag.server.StatsHandlers) == 0 {
		return
	}
	// grpc-go, which knows no methods here, takes all for streams. (Before Start, methods may still be added.)
	if begin, ok := s.(*stats.Begin); ok && tag.server.phase.Load() >= serving {
		if m, err := tag.server.lookup(tag.path); err == nil {
			b := *begin
			b.IsClientStream, b.IsServerStream = m.info.IsClientStream, m.info.IsServerStream
			s = &b
		}
	}
	for _, sh := range tag.server.StatsHandlers {
		sh.HandleRPC(ctx, s)
	}
}

func (h routeStats) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	for _, s := range h.router.all() {
		for _, sh := range s.StatsHandlers {
			ctx = sh.TagConn(ctx, info)
		}
	}
	return ctx
}

func (h routeStats) HandleConn(ctx context.Context, s stats.ConnStats) {
	for _, srv := range h.router.all() {
		for _, sh := range srv.StatsHandlers {
			sh.HandleConn(ctx, s)
		}
	}
}
