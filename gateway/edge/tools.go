package edge

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/hanse-go/hanse/gateway"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// mcpPath is where AI agents find tools.
const mcpPath = "/mcp"

// mcpHeaders are those that pages send besides what other protocols need.
var mcpHeaders = []string{"Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name"}

// Tools are the methods that a gateway offers to AI agents, under the rules that hold for all calls. Its methods are safe for concurrent
// use.
type Tools struct {
	gateway *Gateway
	all     gateway.Tools
}

// List returns the tools that the sender of a request may call.
func (t *Tools) List(r *http.Request) []gateway.Tool {
	list, ok := r.Context().Value(toolsKey{}).([]gateway.Tool)
	if !ok {
		list, _, _ = t.allowed(r)
	}
	return list
}

type toolsKey struct{}

// Call calls the method of a tool for the sender of a request, as [gateway.Tools.Call] does.
func (t *Tools) Call(ctx context.Context, from *http.Request, method string, arguments json.RawMessage) (reply json.RawMessage, ok bool) {
	return t.all.Call(ctx, from, method, arguments)
}

// allowed returns the tools that the sender of a request may call, and if there are others, why it may not call one of these, behind the
// header that says what to do about it.
func (t *Tools) allowed(r *http.Request) (list []gateway.Tool, header metadata.MD, why error) {
	ctx := metadata.NewIncomingContext(r.Context(), metadata.MD{
		"authorization": r.Header.Values("Authorization"), keyHeader: r.Header.Values(keyHeader),
	})
	rules := t.gateway.rules.Load()
	known := make(map[*rule]error)
	list = []gateway.Tool{}
	for _, tool := range t.all.List() {
		rule := rules.of(tool.Method)
		err, seen := known[rule]
		asked := &asking{ctx: ctx}
		if !seen {
			err = t.gateway.identify(rules, rule, new(caller), nil, asked, &grpc.StreamServerInfo{FullMethod: tool.Method}, enter)
			known[rule] = err
		}
		switch {
		case err == nil:
			list = append(list, tool)
		case why == nil || status.Code(why) == codes.PermissionDenied: // that others may not call it either says least
			header, why = asked.header, err
		}
	}
	return list, header, why
}

// enter is where a caller comes who may call.
func enter(any, grpc.ServerStream) error { return nil }

// asking stands for the stream of a call that is not made, for who asks whether it might be.
type asking struct {
	grpc.ServerStream
	ctx    context.Context
	header metadata.MD
}

func (a *asking) Context() context.Context { return a.ctx }

func (a *asking) SetHeader(md metadata.MD) error {
	a.header = metadata.Join(a.header, md)
	return nil
}

func (a *asking) SendHeader(md metadata.MD) error { return a.SetHeader(md) }

func (a *asking) SetTrailer(metadata.MD) {}

// handler returns a handler that lets requests through to next whose sender may call a tool. Others hear why not, as an HTTP client does,
// so that agents know that they have to log in.
func (t *Tools) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		list, header, why := t.allowed(r)
		if len(list) == 0 && why != nil {
			for _, challenge := range header.Get("www-authenticate") {
				w.Header().Add("WWW-Authenticate", challenge)
			}
			code := http.StatusForbidden
			switch status.Code(why) {
			case codes.Unauthenticated:
				code = http.StatusUnauthorized
			case codes.Unavailable:
				code = http.StatusServiceUnavailable
			}
			http.Error(w, status.Convert(why).Message(), code)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), toolsKey{}, list)))
	})
}
