// Package mcp serves tools by the Model Context Protocol: a [Server] to the agent that has started the program, over a pair of pipes, and a
// [Handler] to all who send requests.
//
// Programs of one's own have module gateway/mcp. All of them are thin: what the tools are and how they are called is [gateway.Tools].
package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"sync"

	"github.com/hanse-go/hanse/gateway"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Server serves tools that come and go. It is made by [New], and safe for concurrent use.
type Server struct {
	tools  *gateway.Tools
	header http.Header
	server *mcp.Server

	mu    sync.Mutex
	shown map[string]gateway.Tool // by name
}

// New returns a server of the tools. header goes with all calls, and may be nil; version is what clients are told.
func New(tools *gateway.Tools, header http.Header, version string) *Server {
	return &Server{
		tools: tools, header: header, shown: map[string]gateway.Tool{},
		server: newServer(version, &mcp.ToolCapabilities{ListChanged: true}),
	}
}

func newServer(version string, tools *mcp.ToolCapabilities) *mcp.Server {
	return mcp.NewServer(&mcp.Implementation{Name: "hanse", Version: version}, &mcp.ServerOptions{
		Logger:       slog.New(slog.DiscardHandler), // callers hear what goes wrong
		Capabilities: &mcp.ServerCapabilities{Tools: tools},
	})
}

// Update makes the tools that there are now those that the client has, and tells it when they have changed.
func (s *Server) Update() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := make(map[string]gateway.Tool)
	for _, t := range s.tools.List() {
		if now[t.Name] = t; !reflect.DeepEqual(s.shown[t.Name], t) {
			s.server.AddTool(describe(t), s.handler(t))
		}
	}
	var gone []string
	for name := range s.shown {
		if _, ok := now[name]; !ok {
			gone = append(gone, name)
		}
	}
	if gone != nil {
		s.server.RemoveTools(gone...)
	}
	s.shown = now
}

func (s *Server) handler(t gateway.Tool) mcp.ToolHandler {
	return func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		caller := (&http.Request{Header: s.header}).WithContext(ctx)
		reply, ok := s.tools.Call(ctx, caller, t.Method, req.Params.Arguments)
		return result(t, reply, ok), nil
	}
}

// result returns what a call of t gave as the protocol has it.
func result(t gateway.Tool, reply json.RawMessage, ok bool) *mcp.CallToolResult {
	r := &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(reply)}}, IsError: !ok}
	if ok && t.Output != nil {
		r.StructuredContent = reply
	}
	return r
}

// describe returns the tool as the protocol has it.
func describe(t gateway.Tool) *mcp.Tool {
	tool := &mcp.Tool{
		Name: t.Name, Title: t.Title, Description: t.Description, InputSchema: t.Input,
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: t.ReadOnly, IdempotentHint: t.Idempotent},
	}
	if t.ReadOnly {
		tool.Annotations.DestructiveHint = new(bool)
	}
	if t.Output != nil {
		tool.OutputSchema = t.Output
	}
	return tool
}

// Run serves the client that writes to in and reads from out, until ctx or in ends. It closes both.
func (s *Server) Run(ctx context.Context, in io.ReadCloser, out io.WriteCloser) error {
	return Run(ctx, s.server, in, out)
}

// Run is [Server.Run] of any server.
func Run(ctx context.Context, s *mcp.Server, in io.ReadCloser, out io.WriteCloser) error {
	err := s.Run(ctx, &mcp.IOTransport{Reader: in, Writer: out})
	if ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, mcp.ErrConnectionClosed) {
		return nil
	}
	return err
}
