package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hanse-go/hanse/internal/websocket"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// A call by WebSocket: GET /package.Service/Method, of methods of any kind.
//
// The subprotocol says how messages are written: hanse.v1.json, which is that of clients without one, as text; hanse.v1.proto as binary. A
// message is a message. A client that has sent its last one sends an empty text, unless the method takes only one. The server closes with 1000
// when the call has ended well, else with 4000 and gRPC's code, and the beginning of the error's message. A client that closes cancels.
//
// Browsers cannot set headers. They may offer one more subprotocol: hanse.v1.metadata. and, in base64url, a JSON object of names and
// values, which count as headers. It is never chosen. What a handler sends as header and trailer has no place in the protocol.
const (
	webSocketJSON     = "hanse.v1.json"
	webSocketProto    = "hanse.v1.proto"
	webSocketMetadata = "hanse.v1.metadata."

	webSocketStatus = 4000 // and gRPC's code

	webSocketPing  = 30 * time.Second
	webSocketWrite = time.Minute // what a client may take to read a piece of a message, where the server has no limit for that
)

func (h *Handler) serveWebSocket(w http.ResponseWriter, r *http.Request, rt *route) {
	shown := r.Header.Clone()
	if !h.mayConnect(r, shown) {
		h.writeError(w, status.Newf(codes.PermissionDenied, "pages of %s may not connect: allow the origin (CORS) if they should", r.Header.Get("Origin")))
		return
	}
	protocol, err := chooseSubprotocol(r, shown)
	ctx, cancel := context.WithCancel(r.Context()) // nobody else notices that a client has gone
	defer cancel()
	call := r.WithContext(ctx)
	b := &begin{route: rt}
	if err == nil {
		call.Header = shown
		err = connectBegin(call, b)
	}
	if err != nil {
		h.writeError(w, statusOf(err))
		return
	}
	limits := h.limits()
	x := &webSocket{
		cancel: cancel, kind: websocket.Text, codec: plain(h.codecOf("json")), stream: rt.method.IsStreamingClient(), held: &held{h: h},
		in: make(chan webSocketMessage), over: make(chan struct{}), read: make(chan struct{}),
	}
	x.conn, err = websocket.Upgrade(w, r, protocol, websocket.Options{
		MaxMessage: limits.MessageBytes, MessageTimeout: limits.ReadTimeout, WriteTimeout: webSocketWrite, PingEvery: webSocketPing,
		Take: func(n int) error { return x.held.grow(n) },
	})
	if refused, ok := errors.AsType[*websocket.HandshakeError](err); ok {
		http.Error(w, refused.Reason, refused.Status)
		return
	}
	if err != nil {
		return // the client is gone
	}
	defer x.conn.Close()
	if protocol == webSocketProto {
		x.kind, x.codec = websocket.Binary, h.codecOf("proto")
	}
	go x.receiveAll()
	h.run(call, b, x)
	<-x.read
	x.held.release()
	if x.next != nil {
		x.next.held.release()
	}
	x.conn.Wait()
}

// mayConnect reports whether the page that a request comes from may connect: one of this host, or one that CORS allows. A browser sends cookies
// and the like with all of them; where CORS says that such pages do not get them, shown loses them. Programs that are no browsers
// do not say where they come from.
func (h *Handler) mayConnect(r *http.Request, shown http.Header) bool {
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		return true
	}
	if len(origins) > 1 {
		return false
	}
	if fromOwnPage(r, origins[0]) {
		return true
	}
	if !h.cors.all && !h.cors.origins[origins[0]] {
		return false
	}
	if !h.cors.credentials {
		delete(shown, "Cookie")
		delete(shown, "Authorization")
		return !byCertificate(r)
	}
	return true
}

// chooseSubprotocol returns which one of the offered subprotocols is spoken, and adds the headers that came as one to those shown.
func chooseSubprotocol(r *http.Request, shown http.Header) (protocol string, err error) {
	offers := websocket.Protocols(r)
	for name := range shown {
		if strings.HasPrefix(name, "Sec-Websocket-") {
			delete(shown, name)
		}
	}
	for _, offer := range offers {
		if encoded, ok := strings.CutPrefix(offer, webSocketMetadata); ok {
			if err := addMetadata(shown, encoded); err != nil {
				return "", status.Errorf(codes.InvalidArgument, "malformed subprotocol %s…: %v", webSocketMetadata, err)
			}
		} else if protocol == "" && (offer == webSocketJSON || offer == webSocketProto) {
			protocol = offer
		}
	}
	if protocol == "" && len(offers) > 0 {
		return "", status.Errorf(codes.InvalidArgument, "offer one of these subprotocols: %s, %s", webSocketJSON, webSocketProto)
	}
	return protocol, nil
}

// addMetadata adds the names and values of a JSON object in base64url to headers.
func addMetadata(h http.Header, encoded string) error {
	data, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return err
	}
	var object map[string]string
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	for name, value := range object {
		if !validKey(name) {
			return fmt.Errorf("%q cannot be the name of a header", name)
		}
		if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			return fmt.Errorf("the value of %q has control characters", name)
		}
		h.Set(name, value)
	}
	return nil
}

// webSocket is the exchange of a call by WebSocket.
type webSocket struct {
	conn   *websocket.Conn
	cancel func()
	kind   websocket.Kind
	codec  codec
	stream bool // the client sends any number of messages

	ctx  context.Context
	in   chan webSocketMessage
	next *webSocketMessage // received before it was asked for
	all  bool              // the last message was received
	out  []byte
	held *held // of the message that is being read

	over chan struct{} // closed when the call has ended
	read chan struct{} // closed when nothing is read any more
}

// webSocketMessage is a message, or the end of them.
type webSocketMessage struct {
	data []byte
	last bool
	held *held
}

// receiveAll reads what the client sends until it is gone, or the call is over. No more than one message waits for the handler.
func (x *webSocket) receiveAll() {
	defer close(x.read)
	defer x.cancel()
	for last := false; ; {
		kind, data, err := x.conn.Read()
		m := webSocketMessage{data: data, last: kind == websocket.Text && len(data) == 0, held: x.held}
		if st, ok := status.FromError(err); ok && err != nil {
			x.conn.Shutdown(webSocketStatus+int(st.Code()), st.Message())
		}
		if err != nil {
			return
		}
		switch {
		case !m.last && kind != x.kind:
			x.conn.Shutdown(websocket.StatusUnsupported, "messages are text with "+webSocketJSON+", and binary with "+webSocketProto)
			return
		case last && !m.last:
			x.conn.Shutdown(webSocketStatus+int(codes.InvalidArgument), "a message came after the last one")
			return
		case last:
			continue // said twice
		}
		last = m.last || !x.stream
		select {
		case x.in <- m:
			x.held = &held{h: m.held.h}
		case <-x.over:
			return
		}
	}
}

func (x *webSocket) begin(ctx context.Context) error {
	x.ctx = ctx
	if x.stream {
		return nil
	}
	m, err := x.await()
	if err == nil {
		x.next = &m
	}
	return err
}

// await returns what comes next.
func (x *webSocket) await() (webSocketMessage, error) {
	select {
	case m := <-x.in:
		return m, nil
	case <-x.ctx.Done():
		return webSocketMessage{}, status.FromContextError(x.ctx.Err()).Err()
	}
}

func (x *webSocket) receive(m proto.Message) error {
	if x.all {
		return io.EOF
	}
	var in webSocketMessage
	if x.next != nil {
		in = *x.next
	} else {
		var err error
		if in, err = x.await(); err != nil {
			return err
		}
	}
	x.all = in.last || !x.stream
	if in.last {
		return io.EOF
	}
	defer in.held.release()
	return decodeRequest(x.codec, in.data, m)
}

func (x *webSocket) sendHeader(metadata.MD) error { return nil }

func (x *webSocket) send(m proto.Message) (err error) {
	if x.out, err = encodeReply(x.codec, x.out[:0], m); err != nil {
		return err
	}
	return sendError(x.conn.Write(x.kind, x.out))
}

func (x *webSocket) flush() error { return nil }

func (x *webSocket) end(_, _ metadata.MD, st *status.Status) {
	code, reason := websocket.StatusNormal, ""
	if st != nil {
		code, reason = webSocketStatus+int(st.Code()), st.Message()
	}
	x.conn.Shutdown(code, reason)
	close(x.over)
}
