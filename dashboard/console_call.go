package dashboard

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/internal/reflection"
	"github.com/hanse-go/hanse/internal/websocket"
	"github.com/hanse-go/hanse/rpc"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails" // the usual details of errors
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
)

// A call over WebSocket: the page sends one [callStart], and then [callInput]s for the messages after the first; it gets
// [callEvent]s, of which the last has the type end. It cancels by closing.

// callStart begins a call.
type callStart struct {
	Service   string          `json:"service"`
	Method    string          `json:"method"`            // package.Service/Method
	Metadata  [][2]string     `json:"metadata"`          // values of names that end in -bin are base64
	TimeoutMS int64           `json:"timeout_ms"`        // 0: 10 s for a unary call, none for others
	Message   json.RawMessage `json:"message,omitempty"` // the first one
	End       bool            `json:"end"`               // and the last
}

// callInput is what comes later.
type callInput struct {
	Message json.RawMessage `json:"message,omitempty"`
	End     bool            `json:"end"` // no more messages
}

// callEvent is what the page is told.
type callEvent struct {
	Type string        `json:"type"` // header, message, sent, refused (a message that was not sent), end
	At   time.Duration `json:"at"`   // since the call began

	Metadata [][2]string     `json:"metadata,omitempty"` // of the header, and with end of the trailer
	Message  json.RawMessage `json:"message,omitempty"`
	Bytes    int             `json:"bytes,omitempty"` // of the message on the wire
	Error    string          `json:"error,omitempty"` // of refused

	Code     int            `json:"code"` // of end, and what follows
	CodeName string         `json:"code_name,omitempty"`
	Text     string         `json:"text,omitempty"`
	Details  []detailReport `json:"details,omitempty"`
	Instance string         `json:"instance,omitempty"`
	Endpoint string         `json:"endpoint,omitempty"`
	Path     string         `json:"path,omitempty"`
	Attempts int            `json:"attempts,omitempty"`
}

type detailReport struct {
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

const (
	maxCallMessage = 16 << 20
	waitingInputs  = 256 // messages that the called service has not taken
	unaryTimeout   = 10 * time.Second
)

// consoleCall is one call.
type consoleCall struct {
	ws     *websocket.Conn
	began  time.Time
	method protoreflect.MethodDescriptor
	types  *reflection.Types
	inputs chan callInput
	last   bool // the last message was taken
}

func (c *console) serve(w http.ResponseWriter, r *http.Request, readOnly func(context.Context) (bool, error)) {
	ws, err := websocket.Upgrade(w, r, "", websocket.Options{
		MaxMessage: maxCallMessage, MessageTimeout: time.Minute, WriteTimeout: time.Minute, PingEvery: 30 * time.Second,
	})
	if refused, ok := errors.AsType[*websocket.HandshakeError](err); ok {
		http.Error(w, refused.Reason, refused.Status)
		return
	}
	if err != nil {
		return // the page is gone
	}
	defer ws.Close()
	// The page's context ends with the server's, and a hijacked connection is the handler's to end.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(ctx, func() { ws.Close() })()
	call := &consoleCall{ws: ws, began: time.Now(), inputs: make(chan callInput, waitingInputs)}
	_, data, err := ws.Read()
	if err != nil {
		return
	}
	var start callStart
	if err := json.Unmarshal(data, &start); err != nil {
		call.end(status.Newf(codes.InvalidArgument, "the call cannot be read: %v", err), nil, rpc.CallInfo{})
		ws.Wait()
		return
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer cancel() // who has left waits for no answer
		call.read(start)
	}()
	c.run(ctx, call, start, readOnly)
	<-read // who has the answer closes
}

// read passes on what the page sends until it closes.
func (c *consoleCall) read(start callStart) {
	if start.Message != nil || start.End {
		c.inputs <- callInput{Message: start.Message, End: start.End}
	}
	for {
		_, data, err := c.ws.Read()
		if err != nil {
			return
		}
		var in callInput
		if err := json.Unmarshal(data, &in); err != nil {
			c.tell(callEvent{Type: "refused", Error: "it cannot be read: " + err.Error()})
			continue
		}
		select {
		case c.inputs <- in:
		default:
			c.tell(callEvent{Type: "refused", Error: fmt.Sprintf("%d messages wait for the service to take them", waitingInputs)})
		}
	}
}

// run makes the call, and tells the page how it ended.
func (c *console) run(ctx context.Context, call *consoleCall, start callStart, readOnly func(context.Context) (bool, error)) {
	var info rpc.CallInfo
	trailer, err := c.call(ctx, call, start, readOnly, &info)
	call.end(statusOf(err), trailer, info)
}

func (c *console) call(ctx context.Context, call *consoleCall, start callStart, readOnly func(context.Context) (bool, error), info *rpc.CallInfo) (metadata.MD, error) {
	md, err := outgoing(start.Metadata)
	if err != nil {
		return nil, err
	}
	if start.TimeoutMS < 0 {
		return nil, status.Error(codes.InvalidArgument, "the deadline is over before the call begins")
	}
	method, described, err := c.method(ctx, start.Service, strings.TrimPrefix(start.Method, "/"))
	if err != nil {
		return nil, err
	}
	if !safe(method) {
		if ro, err := readOnly(ctx); err != nil {
			return nil, err
		} else if ro {
			return nil, status.Errorf(codes.PermissionDenied, "the dashboard only shows this system: it calls methods that are marked NO_SIDE_EFFECTS, and %s is not", method.Name())
		}
	}
	call.method, call.types = method, described.types
	unary := !method.IsStreamingClient() && !method.IsStreamingServer()
	timeout := time.Duration(start.TimeoutMS) * time.Millisecond
	if timeout == 0 && unary {
		timeout = unaryTimeout
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	ctx = metadata.NewOutgoingContext(ctx, md)
	call.began = time.Now()
	if unary {
		return call.unary(ctx, c.conn(start.Service), info)
	}
	return call.stream(ctx, c.conn(start.Service), info)
}

// path is the name of the method as it is called.
func (c *consoleCall) path() string {
	return "/" + string(c.method.Parent().FullName()) + "/" + string(c.method.Name())
}

// next returns the next message; io.EOF after the last one.
func (c *consoleCall) next(ctx context.Context) (proto.Message, error) {
	for !c.last {
		select {
		case in := <-c.inputs:
			c.last = in.End
			if in.Message == nil {
				continue
			}
			m := dynamicpb.NewMessage(c.method.Input())
			if err := (protojson.UnmarshalOptions{Resolver: c.types}).Unmarshal(in.Message, m); err != nil {
				text := protoText(err)
				c.tell(callEvent{Type: "refused", Error: fmt.Sprintf("the message is no %s: %s", c.method.Input().Name(), text)})
				if !c.method.IsStreamingClient() {
					return nil, status.Errorf(codes.InvalidArgument, "not sent: the message is no %s: %s", c.method.Input().Name(), text)
				}
				continue
			}
			return m, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, io.EOF
}

// protoText is the text of an error of protojson without its prefix, in which it varies blanks at random.
func protoText(err error) string {
	return strings.TrimSpace(strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto:"))
}

func (c *consoleCall) unary(ctx context.Context, conn grpc.ClientConnInterface, info *rpc.CallInfo) (trailer metadata.MD, err error) {
	in, err := c.one(ctx)
	if err != nil {
		return nil, err
	}
	var header metadata.MD
	out := dynamicpb.NewMessage(c.method.Output())
	c.sent(in)
	err = conn.Invoke(ctx, c.path(), in, out, grpc.Header(&header), grpc.Trailer(&trailer), info)
	if len(header) > 0 {
		c.header(header)
	}
	if err != nil {
		return trailer, err
	}
	return trailer, c.message(out)
}

// one returns the message of a method that takes one.
func (c *consoleCall) one(ctx context.Context) (proto.Message, error) {
	in, err := c.next(ctx)
	if errors.Is(err, io.EOF) {
		return dynamicpb.NewMessage(c.method.Input()), nil
	}
	return in, err
}

func (c *consoleCall) stream(ctx context.Context, conn grpc.ClientConnInterface, info *rpc.CallInfo) (metadata.MD, error) {
	ctx, cancel := context.WithCancel(ctx)
	desc := &grpc.StreamDesc{StreamName: string(c.method.Name()), ClientStreams: c.method.IsStreamingClient(), ServerStreams: c.method.IsStreamingServer()}
	s, err := conn.NewStream(ctx, desc, c.path(), info)
	if err != nil {
		cancel()
		return nil, err
	}
	sending := make(chan error, 1)
	go func() { sending <- c.send(ctx, s, cancel) }()
	trailer, err := c.receive(s)
	cancel()
	if mistake := <-sending; mistake != nil {
		err = mistake
	}
	return trailer, err
}

// send sends what the page wants sent. Its error is of a message that could not be, for which it has ended the call.
func (c *consoleCall) send(ctx context.Context, s grpc.ClientStream, end func()) error {
	next := c.next
	if !c.method.IsStreamingClient() {
		next = c.one
	}
	for {
		m, err := next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			s.CloseSend() // an error is what RecvMsg returns, too
			c.tell(callEvent{Type: "sent"})
			return nil
		case ctx.Err() != nil:
			return nil
		case err != nil:
			end()
			return err
		}
		if s.SendMsg(m) != nil { // the same
			return nil
		}
		c.sent(m)
		if !c.method.IsStreamingClient() {
			s.CloseSend()
			return nil
		}
	}
}

func (c *consoleCall) receive(s grpc.ClientStream) (metadata.MD, error) {
	if header, err := s.Header(); err == nil && len(header) > 0 {
		c.header(header)
	}
	for {
		out := dynamicpb.NewMessage(c.method.Output())
		err := s.RecvMsg(out)
		if errors.Is(err, io.EOF) {
			return s.Trailer(), nil
		}
		if err == nil {
			err = c.message(out)
		}
		if err != nil || !c.method.IsStreamingServer() {
			return s.Trailer(), err
		}
	}
}

func (c *consoleCall) header(md metadata.MD) {
	c.tell(callEvent{Type: "header", Metadata: shownMetadata(md)})
}

func (c *consoleCall) sent(m proto.Message) {
	data, err := reflection.FormatJSON(m, c.types, false)
	if err != nil { // it came from JSON
		data = nil
	}
	c.tell(callEvent{Type: "sent", Message: data, Bytes: proto.Size(m)})
}

func (c *consoleCall) message(m proto.Message) error {
	data, err := reflection.FormatJSON(m, c.types, false)
	if err != nil {
		return status.Errorf(codes.Internal, "the answer cannot be shown: %v", err)
	}
	return c.tell(callEvent{Type: "message", Message: data, Bytes: proto.Size(m)})
}

// end tells the page how the call ended, and closes.
func (c *consoleCall) end(st *status.Status, trailer metadata.MD, info rpc.CallInfo) {
	e := callEvent{
		Type: "end", Metadata: shownMetadata(trailer), Code: int(st.Code()), CodeName: st.Code().String(), Text: st.Message(),
		Instance: info.Instance, Endpoint: info.Endpoint, Path: string(info.Path), Attempts: info.Attempts,
	}
	for _, a := range st.Proto().GetDetails() {
		e.Details = append(e.Details, detailReport{string(a.MessageName()), c.detail(a)})
	}
	_ = c.tell(e) // who left does not see it
	c.ws.Shutdown(websocket.StatusNormal, "")
}

// detail returns a detail of an error as JSON; of one whose type nobody knows, the bytes.
func (c *consoleCall) detail(a *anypb.Any) json.RawMessage {
	if mt, err := c.types.FindMessageByURL(a.GetTypeUrl()); err == nil {
		m := mt.New().Interface()
		if proto.Unmarshal(a.GetValue(), m) == nil {
			if data, err := reflection.FormatJSON(m, c.types, false); err == nil {
				return data
			}
		}
	}
	data, err := json.Marshal(a.GetValue())
	if err != nil { // bytes can always be marshalled
		panic(err)
	}
	return data
}

// tell sends the page an event.
func (c *consoleCall) tell(e callEvent) error {
	e.At = time.Since(c.began)
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return c.ws.Write(websocket.Text, data)
}

// statusOf returns the status of an error of this page, too.
func statusOf(err error) *status.Status {
	if e, ok := errors.AsType[*Error](err); ok {
		code := codes.Unavailable
		if e.Status == http.StatusNotFound {
			code = codes.Unimplemented
		}
		return status.New(code, e.Error())
	}
	if st, ok := status.FromError(err); ok {
		return st
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return status.FromContextError(err)
	}
	return status.New(codes.Unknown, err.Error())
}

// outgoing reads metadata that people wrote.
func outgoing(pairs [][2]string) (metadata.MD, error) {
	md := metadata.MD{}
	for _, pair := range pairs {
		name, value := strings.ToLower(strings.TrimSpace(pair[0])), strings.TrimSpace(pair[1])
		wrong := func(format string, args ...any) (metadata.MD, error) {
			return nil, status.Errorf(codes.InvalidArgument, "metadata: "+format, args...)
		}
		switch {
		case name == "":
			return wrong("the value %q has no name", value)
		case strings.ContainsFunc(name, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
		}):
			return wrong("%q cannot be a name: use letters, digits, hyphens, underscores and dots", name)
		case strings.HasPrefix(name, "grpc-"):
			return wrong("%s is gRPC's own", name)
		case strings.HasSuffix(name, "-bin"):
			data, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
			if err != nil {
				return wrong("the value of %s is no base64", name)
			}
			value = string(data)
		case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
			return wrong("the value of %s has characters that are not printable ASCII: send them in base64 as %s-bin", name, name)
		}
		md.Append(name, value)
	}
	return md, nil
}

// shownMetadata returns metadata by name.
func shownMetadata(md metadata.MD) [][2]string {
	var pairs [][2]string
	for name, values := range md {
		for _, v := range values {
			if strings.HasSuffix(name, "-bin") {
				v = base64.StdEncoding.EncodeToString([]byte(v))
			}
			pairs = append(pairs, [2]string{name, v})
		}
	}
	slices.SortStableFunc(pairs, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return pairs
}
