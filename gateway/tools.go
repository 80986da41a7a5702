package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Tools are methods for programs that choose what to call by its description, such as AI agents. They speak no protocol by themselves:
// [github.com/hanse-go/hanse/gateway/mcp] and the command hanse mcp serve them by the Model Context Protocol. The fields are set before the
// first use; only Backend must be. Tools must not be copied, and their methods are safe for concurrent use.
type Tools struct {
	// Backend says which methods there are, and runs their calls.
	Backend Backend
	// Safe makes tools of the methods that are marked NO_SIDE_EFFECTS.
	Safe bool
	// Open names methods that are tools whatever they do: "/package.Service/Method", or "/package.Service/*" for all of a contract. Methods
	// that stream are never tools.
	Open []string
	// Timeout is what a call may take. Default: 1 min; -1: no limit but the caller's.
	Timeout time.Duration
	// Config is that of the calls: their limits, and the types that messages name.
	Config Config
	// Constraints says what the values of fields must be. nil: nothing is known.
	Constraints Constraints
	// Logger gets what goes wrong in the tools themselves. nil: slog.Default.
	Logger *slog.Logger

	once  sync.Once
	calls *Handler

	mu   sync.Mutex
	made uint64 // generation of the contracts that list is of
	list []Tool
}

// Tool is a unary method as who calls it by its description sees it.
type Tool struct {
	Method      string          // the full method: "/package.Service/Method"
	Name        string          // of at most 64 letters, digits and '_'
	Title       string          // for people: Service.Method
	Description string          // the comment in the .proto file
	Input       json.RawMessage // the JSON Schema of the request, which is an object
	Output      json.RawMessage // that of the reply; nil for one that is no object in JSON
	ReadOnly    bool            // it is marked NO_SIDE_EFFECTS
	Idempotent  bool            // a second call changes nothing more: it is marked so, or NO_SIDE_EFFECTS
}

// Check returns what is wrong with the fields.
func (t *Tools) Check() error {
	var errs []error
	if t.Backend == nil {
		errs = append(errs, errors.New("there is no Backend"))
	}
	for _, name := range t.Open {
		if contract, method, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/"); !ok || contract == "" || method == "" || name[0] != '/' {
			errs = append(errs, fmt.Errorf("%q is in Open: write /package.Service/Method, or /package.Service/*", name))
		}
	}
	return errors.Join(errs...)
}

// List returns the tools that there are now. It is cheap while the contracts are the same. Nobody may change it.
func (t *Tools) List() []Tool {
	generation := uint64(0)
	if g, ok := t.Backend.(interface{ Generation() uint64 }); ok {
		generation = g.Generation()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.list == nil || t.made != generation {
		t.list, t.made = t.makeList(), generation
	}
	return t.list
}

func (t *Tools) makeList() []Tool {
	list := []Tool{}
	for _, contract := range t.Backend.Contracts() {
		for i := range contract.Methods().Len() {
			m := contract.Methods().Get(i)
			path := "/" + string(contract.FullName()) + "/" + string(m.Name())
			if !t.open(path, m) {
				continue
			}
			made, err := t.makeTool(path, m)
			if err != nil {
				t.logger().Warn("a method cannot be a tool", "method", path, "error", err)
				continue
			}
			list = append(list, made)
		}
	}
	return list
}

// open reports whether the operator has opened a method.
func (t *Tools) open(path string, m protoreflect.MethodDescriptor) bool {
	if m.IsStreamingClient() || m.IsStreamingServer() {
		return false
	}
	return t.Safe && idempotency(m) == descriptorpb.MethodOptions_NO_SIDE_EFFECTS ||
		slices.Contains(t.Open, path) || slices.Contains(t.Open, path[:strings.LastIndexByte(path, '/')]+"/*")
}

func idempotency(m protoreflect.MethodDescriptor) descriptorpb.MethodOptions_IdempotencyLevel {
	o, _ := m.Options().(*descriptorpb.MethodOptions)
	return o.GetIdempotencyLevel()
}

func (t *Tools) makeTool(path string, m protoreflect.MethodDescriptor) (Tool, error) {
	level := idempotency(m)
	made := Tool{
		Method: path, Name: toolName(path), Title: string(m.Parent().Name()) + "." + string(m.Name()), Description: Comment(m),
		ReadOnly:   level == descriptorpb.MethodOptions_NO_SIDE_EFFECTS,
		Idempotent: level != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN,
	}
	if made.Description == "" {
		made.Description = "Calls " + path[1:] + "."
	}
	var err error
	if made.Input, err = t.schema(m.Input()); err != nil {
		return Tool{}, err
	}
	if made.Input == nil {
		return Tool{}, fmt.Errorf("its request, %s, is no object in JSON", m.Input().FullName())
	}
	made.Output, err = t.schema(m.Output())
	return made, err
}

// schema returns the schema of a message, and nil for one that is something else than an object in JSON.
func (t *Tools) schema(m protoreflect.MessageDescriptor) (json.RawMessage, error) {
	data, err := Schema(m, t.Constraints)
	if err != nil {
		return nil, err
	}
	var s struct {
		Type any `json:"type"`
	}
	if err := json.Unmarshal(data, &s); err != nil || s.Type != "object" {
		return nil, err
	}
	return bytes.TrimSpace(data), nil
}

// maxToolName is the longest name that clients in use take.
const maxToolName = 64

// toolName makes a method's name one for tools.
func toolName(path string) string {
	name := strings.NewReplacer(".", "_", "/", "_").Replace(path[1:])
	if len(name) <= maxToolName {
		return name
	}
	sum := fnv.New32a()
	sum.Write([]byte(path))
	return fmt.Sprintf("%08x_%s", sum.Sum32(), name[len(name)-maxToolName+9:])
}

// Call calls the method of a tool for the caller that has sent from: its context, headers and peer are those of the call, which ends with ctx,
// too. It returns the reply, or the error of the call, in JSON. Methods that are no tool are not refused.
func (t *Tools) Call(ctx context.Context, from *http.Request, method string, arguments json.RawMessage) (reply json.RawMessage, ok bool) {
	t.once.Do(func() { t.calls = &Handler{Backend: t.Backend, Config: t.Config, Logger: t.Logger} })
	caller, cancel := context.WithCancel(from.Context()) // it says who calls; that of the tool says when that ends
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	timeout := t.Timeout
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
		Method: http.MethodPost, URL: &url.URL{Path: method}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Host: from.Host, RemoteAddr: from.RemoteAddr, TLS: from.TLS,
		Body: io.NopCloser(bytes.NewReader(arguments)), ContentLength: int64(len(arguments)),
	}
	for name, values := range from.Header {
		if !aboutRequest[name] {
			r.Header[name] = values
		}
	}
	r.Header.Set("Content-Type", "application/json")
	w := &keptAnswer{header: http.Header{}}
	t.calls.ServeHTTP(w, r.WithContext(caller))
	return w.body.Bytes(), w.status == http.StatusOK
}

// aboutRequest are the headers that are about the request which a tool was called by, and not about the call.
var aboutRequest = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Content-Type": true, "Content-Length": true, "Content-Encoding": true, "Last-Event-Id": true,
	"Connect-Timeout-Ms": true, "Connect-Protocol-Version": true, "Origin": true, "Sec-Fetch-Site": true, "Upgrade": true, "Connection": true,
}

// keptAnswer is a response that is kept.
type keptAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *keptAnswer) Header() http.Header { return a.header }

func (a *keptAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *keptAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (t *Tools) logger() *slog.Logger {
	if t.Logger != nil {
		return t.Logger
	}
	return slog.Default()
}
