package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// JSON-RPC 2.0 (https://www.jsonrpc.org/specification): POST of a call or a batch of calls to one path. A method is called
// "package.Service/Method", or "package.Service.Method", or without the package where only one contract has that name. Its params are the request in
// JSON, alone or in a list; what comes back as result is the reply. The headers of the request count for all of its calls.
const (
	defaultJSONRPC = "/rpc"

	maxBatch     = 100 // calls
	batchAtOnce  = 8   // of them run at the same time
	rpcServerErr = -32000

	rpcParse    = -32700
	rpcInvalid  = -32600
	rpcNoMethod = -32601
	rpcParams   = -32602
	rpcInternal = -32603
)

type rpcRequest struct {
	Version string          `json:"jsonrpc"`
	Method  *string         `json:"method"`
	Params  json.RawMessage `json:"params"`
	ID      json.RawMessage `json:"id"` // nil: a notification
}

type rpcResponse struct {
	Version string          `json:"jsonrpc"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
	ID      json.RawMessage `json:"id"`
}

type rpcError struct {
	Code    int        `json:"code"`
	Message string     `json:"message"`
	Data    *jsonError `json:"data,omitempty"`
}

var rpcNull = json.RawMessage("null")

// isJSONRPC reports whether the path is that of JSON-RPC.
func (h *Handler) isJSONRPC(path string) bool {
	at := h.JSONRPC
	if at == "" {
		at = defaultJSONRPC
	}
	return path == at && at != "-"
}

func (h *Handler) serveJSONRPC(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "calls of JSON-RPC are made by POST", http.StatusMethodNotAllowed)
		return
	}
	if mediaTypeOf(r.Header) != "application/json" {
		w.Header().Set("Accept-Post", "application/json")
		http.Error(w, "send one of these content types: application/json", http.StatusUnsupportedMediaType)
		return
	}
	b := &begin{}
	data, held, err := h.readJSONRPC(w, r, b)
	defer held.release()
	if err != nil {
		h.writeError(w, statusOf(err))
		return
	}
	answer := h.answer(r, b, data)
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(answer); err != nil {
		h.writeError(w, status.Newf(codes.Internal, "the replies cannot be encoded: %v", err))
		return
	}
	out := body.Bytes()
	header := w.Header()
	if c := chooseCompressor(r.Header["Accept-Encoding"]); c != nil && len(out) >= h.compressFrom() {
		if zipped, err := compress(c, nil, out); err == nil {
			header["Content-Encoding"] = []string{c.Name()}
			out = zipped
		}
	}
	header["Content-Type"] = []string{"application/json"}
	header["Content-Length"] = []string{strconv.Itoa(len(out))}
	w.Write(out) // the client is gone if this fails
}

// readJSONRPC reads the request, and its headers into b.
func (h *Handler) readJSONRPC(w http.ResponseWriter, r *http.Request, b *begin) (data []byte, m *held, err error) {
	m = &held{h: h}
	if err := connectBegin(r, b); err != nil {
		return nil, m, err
	}
	if b.metadata == nil { // the calls of a batch share it
		b.metadata, _ = incoming(r)
	}
	var c encoding.Compressor
	if c, err = compressorOf(r.Header.Get("Content-Encoding")); err != nil {
		w.Header()["Accept-Encoding"] = []string{compressions}
		return nil, m, err
	}
	ctx := r.Context()
	if b.hasTimeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, b.timeout)
		defer cancel()
	}
	if data, err = h.readBody(ctx, w, r, m, nil); err == nil && c != nil && len(data) > 0 {
		data, err = decompress(c, data, h.limits().MessageBytes, m)
	}
	return data, m, err
}

// answer runs the calls in data, and returns what is sent for them: a response, some, or nil for notifications.
func (h *Handler) answer(r *http.Request, b *begin, data []byte) any {
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '[' {
		if !json.Valid(data) {
			return rpcFailure(nil, rpcParse, "the request is not JSON")
		}
		if reply := h.answerOne(r, b, data); reply != nil {
			return reply
		}
		return nil // not a nil *rpcResponse
	}
	calls, err := splitBatch(data)
	switch {
	case err == errBatch:
		return rpcFailure(nil, rpcInvalid, fmt.Sprintf("the batch has more than %d calls, which is the most that is taken", maxBatch))
	case err != nil:
		return rpcFailure(nil, rpcParse, "the request is not JSON")
	case len(calls) == 0:
		return rpcFailure(nil, rpcInvalid, "the batch has no calls")
	}
	replies := make([]*rpcResponse, len(calls))
	slots := make(chan struct{}, batchAtOnce)
	var running sync.WaitGroup
	for i, call := range calls {
		slots <- struct{}{}
		running.Go(func() {
			answered := false
			defer func() {
				if !answered {
					replies[i] = h.unanswered(r, call, recover())
				}
				<-slots
			}()
			own := *b
			if key := own.metadata.Get("idempotency-key"); len(key) == 1 && len(calls) > 1 { // it names the batch: each call is one of its own
				own.metadata = own.metadata.Copy()
				own.metadata.Set("idempotency-key", key[0]+"#"+strconv.Itoa(i))
			}
			replies[i] = h.answerOne(r, &own, call)
			answered = true
		})
	}
	running.Wait()
	if replies = slices.DeleteFunc(replies, func(r *rpcResponse) bool { return r == nil }); len(replies) > 0 {
		return replies
	}
	return nil
}

// unanswered is the reply to a call of a batch that panicked with p outside of the call itself, or ended its goroutine, when p is nil. The
// others have theirs, and nobody above recovers here.
func (h *Handler) unanswered(r *http.Request, data []byte, p any) *rpcResponse {
	h.logger().ErrorContext(r.Context(), "panic while a call of a batch was answered", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	var call rpcRequest
	if err := json.Unmarshal(data, &call); err != nil || call.ID == nil {
		return nil
	}
	return rpcFailure(call.ID, rpcInternal, "panic in the call; see the server's log")
}

var errBatch = fmt.Errorf("a batch has more than %d calls", maxBatch)

// splitBatch returns the elements of a list. It looks at no more of them than may be there.
func splitBatch(data []byte) (calls []json.RawMessage, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	for d.More() {
		if len(calls) == maxBatch {
			return nil, errBatch
		}
		var call json.RawMessage
		if err := d.Decode(&call); err != nil {
			return nil, err
		}
		calls = append(calls, call)
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, io.ErrUnexpectedEOF
	}
	return calls, nil
}

// answerOne runs a call. It returns nil for a notification.
func (h *Handler) answerOne(r *http.Request, b *begin, data []byte) *rpcResponse {
	var call rpcRequest
	if err := json.Unmarshal(data, &call); err != nil || call.Version != "2.0" || call.Method == nil || !validID(call.ID) {
		return rpcFailure(nil, rpcInvalid, `a call is an object with "jsonrpc": "2.0", a "method", and an "id" that is text or a number`)
	}
	reply := h.invoke(r, b, &call)
	if call.ID == nil {
		return nil
	}
	reply.ID = call.ID
	return reply
}

// validID reports whether a call's ID is none, text, a number or null.
func validID(id json.RawMessage) bool {
	return len(id) == 0 || id[0] != '{' && id[0] != '[' && id[0] != 't' && id[0] != 'f'
}

func (h *Handler) invoke(r *http.Request, b *begin, call *rpcRequest) *rpcResponse {
	rt, problem := h.routes().named(*call.Method)
	if problem != "" {
		return rpcFailure(call.ID, rpcNoMethod, problem)
	}
	params := bytes.TrimSpace(call.Params)
	var list []json.RawMessage
	switch {
	case len(params) == 0:
		params = []byte("{}")
	case params[0] == '[':
		if err := json.Unmarshal(params, &list); err != nil || len(list) > 1 {
			return rpcFailure(call.ID, rpcParams, "a list of params has one element, which is the request")
		}
		params = []byte("{}")
		if len(list) == 1 {
			params = list[0]
		}
	case params[0] != '{':
		return rpcFailure(call.ID, rpcParams, "params are an object, or a list with one")
	}
	x := &rpcCall{codec: plain(h.codecOf("json")), params: params}
	own := *b
	own.route = rt
	h.run(r, &own, x)
	if x.status == nil && x.reply == nil {
		x.status = status.New(codes.Internal, "the call ended well, but without a reply")
	}
	if x.status == nil {
		return &rpcResponse{Version: "2.0", Result: x.reply}
	}
	code := rpcServerErr - int(x.status.Code())
	switch x.status.Code() {
	case codes.InvalidArgument:
		code = rpcParams
	case codes.Internal:
		code = rpcInternal
	case codes.Unimplemented:
		code = rpcNoMethod
	}
	reply := rpcFailure(call.ID, code, x.status.Message())
	reply.Error.Data = h.newJSONError(x.status)
	return reply
}

func rpcFailure(id json.RawMessage, code int, message string) *rpcResponse {
	if id == nil {
		id = rpcNull
	}
	return &rpcResponse{Version: "2.0", Error: &rpcError{Code: code, Message: message}, ID: id}
}

// named finds the method that a call of JSON-RPC names, or says why there is none.
func (t *table) named(name string) (rt *route, problem string) {
	contract, method := strings.TrimPrefix(name, "/"), ""
	i := strings.LastIndexByte(contract, '/')
	if i < 0 {
		i = strings.LastIndexByte(contract, '.')
	}
	if i >= 0 {
		contract, method = contract[:i], contract[i+1:]
	}
	rt = t.methods["/"+contract+"/"+method]
	if rt == nil && !strings.Contains(contract, ".") {
		var found []string
		for _, c := range t.contracts {
			if string(c.Name()) != contract {
				continue
			}
			if m := t.methods["/"+string(c.FullName())+"/"+method]; m != nil {
				rt, found = m, append(found, m.path[1:])
			}
		}
		if len(found) > 1 {
			return nil, fmt.Sprintf("several contracts have %s: call %s", name, strings.Join(found, " or "))
		}
	}
	switch {
	case rt == nil:
		return nil, fmt.Sprintf("there is no method %q", name)
	case !rt.unary():
		return nil, fmt.Sprintf("%s streams, and cannot be called by JSON-RPC: connect to it by WebSocket", name)
	}
	return rt, ""
}

// rpcCall is the exchange of a call by JSON-RPC.
type rpcCall struct {
	codec  codec
	params []byte
	got    bool
	reply  []byte
	status *status.Status // nil: it ended well
}

func (x *rpcCall) begin(context.Context) error { return nil }

func (x *rpcCall) receive(m proto.Message) error {
	if x.got {
		return io.EOF
	}
	x.got = true
	return decodeRequest(x.codec, x.params, m)
}

func (x *rpcCall) sendHeader(metadata.MD) error { return nil }

func (x *rpcCall) send(m proto.Message) (err error) {
	x.reply, err = encodeReply(x.codec, x.reply[:0], m)
	return err
}

func (x *rpcCall) flush() error { return nil }

func (x *rpcCall) end(_, _ metadata.MD, st *status.Status) { x.status = st }
