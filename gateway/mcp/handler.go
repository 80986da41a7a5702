package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
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
	calls *gateway.Handler

	mu    sync.Mutex
	made  uint64 // generation of the contracts that the tools are of
	tools []tool
}

// Check returns what is wrong with the fields.
func (h *Handler) Check() error {
	var errs []error
	if h.Backend == nil {
		errs = append(errs, errors.New("mcp: Backend is missing"))
	}
	for _, name := range h.Open {
		if contract, method, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/"); !ok || contract == "" || method == "" || name[0] != '/' {
			errs = append(errs, errors.New("mcp: Open has "+name+": write /package.Service/Method, or /package.Service/*"))
		}
	}
	return errors.Join(errs...)
}

func (h *Handler) init() {
	h.once.Do(func() {
		h.calls = &gateway.Handler{Backend: h.Backend, Config: h.Config, Logger: h.Logger}
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
	for _, t := range h.current() {
		s.AddTool(t.tool, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return h.call(ctx, r, t.path, req.Params.Arguments), nil
		})
	}
	return s
}

// call runs a tool for the caller that has sent from.
func (h *Handler) call(ctx context.Context, from *http.Request, path string, arguments json.RawMessage) *mcp.CallToolResult {
	caller, cancel := context.WithCancel(from.Context()) // it says who calls; that of the tool says when that ends
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	timeout := h.Timeout
	if timeout == 0 {
		timeout = time.Minute
	}
	if deadline, ok := ctx.Deadline(); ok && (timeout < 0 || time.Until(deadline) < timeout) {
		timeout = time.Until(deadline)
	}
	if timeout > 0 {
		caller, cancel = context.WithTimeout(caller, timeout)
		defer cancel()
	}
	if len(bytes.TrimSpace(arguments)) == 0 {
		arguments = json.RawMessage("{}")
	}
	r := &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: path}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Host: from.Host, RemoteAddr: from.RemoteAddr, TLS: from.TLS,
		Body: io.NopCloser(bytes.NewReader(arguments)), ContentLength: int64(len(arguments)),
	}
	for name, values := range from.Header {
		if !strings.HasPrefix(name, "Mcp-") && !about[name] {
			r.Header[name] = values
		}
	}
	r.Header.Set("Content-Type", "application/json")
	w := &answer{header: http.Header{}}
	h.calls.ServeHTTP(w, r.WithContext(caller))
	result := &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: w.body.String()}}, IsError: w.status != http.StatusOK}
	if !result.IsError {
		result.StructuredContent = json.RawMessage(w.body.Bytes())
	}
	return result
}

// about are the headers that are about the request which a tool was called by, and not about the call.
var about = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Content-Type": true, "Content-Length": true, "Content-Encoding": true, "Last-Event-Id": true,
	"Connect-Timeout-Ms": true, "Connect-Protocol-Version": true, "Origin": true, "Sec-Fetch-Site": true, "Upgrade": true, "Connection": true,
}

// answer is a response that is kept.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (h *Handler) logger() *slog.Logger {
	if h.Logger != nil {
		return h.Logger
	}
	return slog.Default()
}
