// Package gateway lets those call a system's services that do not speak gRPC: browsers, curl, clients of Connect and gRPC-Web. It is an
// [http.Handler] over the descriptors of the contracts, so that there is nothing to generate and no proxy to run:
//
//	port := &rpc.Port{Servers: []*rpc.Server{greeter}}
//	port.HTTP = &gateway.Handler{Backend: port}
//
//	$ curl --json '{"name": "Ada"}' localhost:8080/greeter.v1.Greeter/SayHello
//	{"greeting":"Hello, Ada"}
//
// Package hanse mounts one on the port of every app. It serves
//
//   - the Connect protocol (https://connectrpc.com/docs/protocol), unary and streaming, with JSON and binary messages, and with GET where
//     a method is marked NO_SIDE_EFFECTS;
//   - gRPC-Web, binary and text;
//   - REST, where a method has the option google.api.http: every form of paths, bodies and queries, streams as lines of JSON or
//     server-sent events, and google.api.HttpBody for what is no JSON;
//   - WebSocket, for streams in both directions from browsers;
//   - JSON-RPC 2.0, single calls and batches, at /rpc.
//
// Whatever the protocol, a call is a call: the interceptors, rules, policies and limits of its service hold, its headers are metadata, and
// its error has the same code and details everywhere.
//
// # Adding a protocol
//
// Each protocol is one implementation of the unexported interface exchange, which receives and sends messages and says how the call
// ended, in a file of its own. Handler.ServeHTTP finds the route and decides, by method and content type, which protocol a request
// speaks; that protocol's function reads what its headers say into a begin, makes the exchange, and gives both to Handler.run, which does
// all else: context, metadata, deadline, and the call itself. What a protocol finds routes by belongs to the type table, which is made
// anew when the contracts change.
package gateway

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/internal/websocket"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Handler serves calls over HTTP. The fields are set before the first request; only Backend must be. It must not be copied, and its methods
// are safe for concurrent use.
type Handler struct {
	// Backend runs the calls.
	Backend Backend
	// Config is what can be chosen.
	Config
	// Logger gets what goes wrong in the handler itself. nil: slog.Default.
	Logger *slog.Logger

	once       sync.Once
	resolved   Limits // made once
	codecs     codecs // made once
	cors       cors   // made once
	protection http.CrossOriginProtection

	making sync.Mutex // of the table
	table  atomic.Pointer[table]

	held atomic.Int64 // bytes of messages that are being received

	tellers sync.Map // *telemetry.Service → *webtrace.Teller
}

// Config is what can be chosen of a [Handler]. The zero value is right for most.
type Config struct {
	// Limits are on what one call may take. Zero: safe ones.
	Limits Limits
	// CORS says which pages of other sites may call. Zero: none.
	CORS CORS
	// CompressFrom is the size in bytes from which a reply is compressed for a client that accepts it. 0: 1400, for what fits one packet
	// gains nothing; -1: no reply is compressed.
	CompressFrom int
	// JSONRPC is the path of JSON-RPC 2.0. Default: /rpc; "-": none.
	JSONRPC string
	// Types finds the messages in google.protobuf.Any, and extensions, when they are written as JSON. nil: those linked into the program.
	Types Types
}

// Check returns what is wrong with the configuration, all of it. A [Handler] does not ask: what is wrong then lets nobody in.
func (c Config) Check() error { return c.CORS.check() }

// Types finds types by their names, as [protoregistry.Types] does.
type Types interface {
	protoregistry.MessageTypeResolver
	protoregistry.ExtensionTypeResolver
}

// Serves reports whether the handler has a route for the request's path, whatever its method.
func (h *Handler) Serves(r *http.Request) bool {
	t := h.routes()
	return t.methods[r.URL.Path] != nil || h.isJSONRPC(r.URL.Path) || t.allowed(r.URL.EscapedPath()) != nil
}

// init makes what is made of the fields.
func (h *Handler) init() {
	h.once.Do(func() {
		message := 4 << 20
		if b, ok := h.Backend.(interface{ MaxRecvMsgSize() int }); ok {
			message = b.MaxRecvMsgSize()
		}
		h.resolved = h.Limits.resolved(message)
		h.codecs.init(h.resolved.Depth, h.Types)
		h.cors = h.CORS.resolved()
	})
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	returned := false
	defer func() {
		if !returned {
			h.panicked(r, recover())
		}
	}()
	nameRequest(w, r)
	if limit := h.limits().ReadTimeout; limit > 0 && r.ContentLength != 0 && r.ProtoMajor == 1 {
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit)) // for what is refused, too: net/http reads the body before it answers
	}
	if h.fromAllowedPage(w, r) {
		h.serve(w, r)
	}
	returned = true
}

// panicked is called when something other than the call itself panicked with p; nil: it ended its goroutine. The client must not take
// what it has for the whole answer.
func (h *Handler) panicked(r *http.Request, p any) {
	if p == nil {
		return // the goroutine ends, and with it the connection
	}
	if p != http.ErrAbortHandler {
		h.logger().ErrorContext(r.Context(), "panic while a request was served", "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	}
	panic(http.ErrAbortHandler)
}

// serve finds out what the request speaks.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	t := h.routes()
	rt := t.methods[r.URL.Path]
	if rt == nil {
		if h.isJSONRPC(r.URL.Path) && t.allowed(r.URL.EscapedPath()) == nil {
			h.tell(w, r, "", r.URL.Path, h.serveJSONRPC)
			return
		}
		if !h.serveREST(w, r, t) {
			h.notFound(w, r)
		}
		return
	}
	if websocket.Requested(r) {
		h.tell(w, r, rt.path, rt.path, func(w http.ResponseWriter, r *http.Request) { h.serveWebSocket(w, r, rt) })
		return
	}
	switch r.Method {
	case http.MethodPost:
		if !h.servePost(w, r, rt) {
			h.unsupported(w, rt)
		}
	case http.MethodGet:
		if rt.pure && rt.unary() {
			h.serveConnectGet(w, r, rt)
			return
		}
		fallthrough
	default:
		h.notAllowed(w, rt)
	}
}

// notFound answers a request for what is not there. gRPC-Web has no errors in JSON.
func (h *Handler) notFound(w http.ResponseWriter, r *http.Request) {
	what := fmt.Sprintf("nothing here answers %s %s", r.Method, r.URL.EscapedPath())
	if strings.HasPrefix(mediaTypeOf(r.Header), webType) {
		http.Error(w, what, http.StatusNotFound)
		return
	}
	h.writeFailure(w, r, status.New(codes.Unimplemented, what), http.StatusNotFound)
}

// servePost serves a POST by its content type. It reports false when that is none for the method.
func (h *Handler) servePost(w http.ResponseWriter, r *http.Request, rt *route) bool {
	mediaType := mediaTypeOf(r.Header)
	if name, ok := strings.CutPrefix(mediaType, connectStreamPrefix); ok {
		return h.serveConnectStream(w, r, rt, name)
	}
	if strings.HasPrefix(mediaType, webType) {
		return h.serveWeb(w, r, rt, mediaType)
	}
	name, ok := strings.CutPrefix(mediaType, connectUnaryPrefix)
	return ok && h.serveConnectUnary(w, r, rt, name)
}

// notAllowed answers a request whose method is none by which calls are made.
func (h *Handler) notAllowed(w http.ResponseWriter, rt *route) {
	allowed := strings.Join(rt.httpMethods(), ", ")
	w.Header().Set("Allow", allowed)
	http.Error(w, "calls of "+rt.path+" are made by "+allowed, http.StatusMethodNotAllowed)
}

// unsupported answers a request whose content type is none that the method takes.
func (h *Handler) unsupported(w http.ResponseWriter, rt *route) {
	types := strings.Join(rt.accepts(), ", ")
	w.Header().Set("Accept-Post", types)
	http.Error(w, "send one of these content types: "+types, http.StatusUnsupportedMediaType)
}

// compressFrom returns the size from which replies are compressed.
func (h *Handler) compressFrom() int { return orDefault(h.CompressFrom, 1400, math.MaxInt) }

func (h *Handler) logger() *slog.Logger {
	if h.Logger != nil {
		return h.Logger
	}
	return slog.Default()
}
