package mcp

import (
	"context"
	"net/http"
	"strings"

	"github.com/hanse-go/hanse/gateway/edge"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Handler returns a handler that serves the tools of a gateway over streamable HTTP, without sessions: each request finds the tools that there
// are now for its sender. version is what clients are told.
func Handler(tools *edge.Tools, version string) http.Handler {
	return mcp.NewStreamableHTTPHandler(func(r *http.Request) *mcp.Server {
		s := newServer(version, &mcp.ToolCapabilities{})
		caller := withoutProtocol(r)
		for _, t := range tools.List(r) {
			s.AddTool(describe(t), func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				reply, ok := tools.Call(ctx, caller, t.Method, req.Params.Arguments)
				return result(t, reply, ok), nil
			})
		}
		return s
	}, &mcp.StreamableHTTPOptions{
		Stateless: true, JSONResponse: true, DisableLocalhostProtection: true, // the gateway knows better who may connect
	})
}

// withoutProtocol returns r without the headers of the protocol.
func withoutProtocol(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	for name := range r.Header {
		if strings.HasPrefix(name, "Mcp-") {
			delete(r.Header, name)
		}
	}
	return r
}
