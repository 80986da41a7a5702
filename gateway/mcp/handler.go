package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/gateway"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Handler serves the tools over streamable HTTP; [Handler.Run] serves them on a pair of pipes. The fields are set before the first request;
// only Backend must be. It must not be copied, and its methods are safe for concurrent use.
type Handler struct {
	// Backend says which methods there are, and runs their calls.
	Backend gateway.Backend
	// Open names the methods that are tools: "/package.Service/Method", or "/package.Service/*" for all of a contract. nil: those that are
	// marked NO_SIDE_EFFECTS. Methods that stream are never tools.
	Open []string
	// Public answers all requests: say so where there is authentication before the handler, or in the interceptors of all services that are
	// open. Default: those that [gateway.Local] lets through, which come from this machine and no page of another site.
	Public bool
	// Timeout is what a call may take. Default: 1 min; -1: no limit but the caller's.
	Timeout time.Duration
	// Config is that of the calls: their limits.
	Config gateway.Config
	// Constraints says what the values of fields must be. nil: nothing is known.
	Constraints gateway.Constraints
	// Name and Version are what clients are told of the server. Default: "hanse", "0".
	Name, Version string
	// Logger gets what goes wrong in the handler itself. nil: slog.Default.
	Logger *slog.Logger

	once  sync.Once
	http  http.Handler
	tools gateway.Tools
}

// Check returns what is wrong with the fields.
func (h *Handler) Check() error {
	if err := (&gateway.Tools{Backend: h.Backend, Open: h.Open}).Check(); err != nil {
		return fmt.Errorf("mcp: %w", err)
	}
	return nil
}

func (h *Handler) init() {
	h.once.Do(func() {
		t := &h.tools
		t.Backend, t.Safe, t.Open, t.Timeout = h.Backend, h.Open == nil, h.Open, h.Timeout
		t.Config, t.Constraints, t.Logger = h.Config, h.Constraints, h.Logger
		var protection http.CrossOriginProtection
		// Without sessions each request finds the tools that there are now, in any instance.
		streamable := mcp.NewStreamableHTTPHandler(func(r *http.Request) *mcp.Server { return h.server(r) }, &mcp.StreamableHTTPOptions{
			Stateless: true, JSONResponse: true, Logger: h.logger(),
		})
		h.http = protection.Handler(streamable)
		if !h.Public {
			h.http = gateway.Local(h.http)
		}
	})
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.init()
	h.http.ServeHTTP(w, r)
}

// Run serves one client that writes to in and reads from out, such as one that has started the program, until ctx or in ends. The calls
// have no metadata but header, which may be nil.
func (h *Handler) Run(ctx context.Context, in io.ReadCloser, out io.WriteCloser, header http.Header) error {
	h.init()
	r := (&http.Request{Header: header}).WithContext(ctx)
	err := h.server(r).Run(ctx, &mcp.IOTransport{Reader: in, Writer: out})
	if ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, mcp.ErrConnectionClosed) {
		return nil
	}
	return err
}

// server makes the server for the caller that has sent r.
func (h *Handler) server(r *http.Request) *mcp.Server {
	name, version := h.Name, h.Version
	if name == "" {
		name = "hanse"
	}
	if version == "" {
		version = "0"
	}
	s := mcp.NewServer(&mcp.Implementation{Name: name, Version: version}, &mcp.ServerOptions{Logger: h.logger(), Capabilities: &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{}}})
	for _, t := range h.tools.List() {
		s.AddTool(describe(t), func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			reply, ok := h.tools.Call(ctx, withoutMCP(r), t.Method, req.Params.Arguments)
			return result(t, reply, ok), nil
		})
	}
	return s
}

// withoutMCP returns r without the headers of the protocol.
func withoutMCP(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	for name := range r.Header {
		if strings.HasPrefix(name, "Mcp-") {
			delete(r.Header, name)
		}
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

// result returns what a call of t gave as the protocol has it.
func result(t gateway.Tool, reply json.RawMessage, ok bool) *mcp.CallToolResult {
	r := &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(reply)}}, IsError: !ok}
	if ok && t.Output != nil {
		r.StructuredContent = reply
	}
	return r
}

func (h *Handler) logger() *slog.Logger {
	if h.Logger != nil {
		return h.Logger
	}
	return slog.Default()
}
