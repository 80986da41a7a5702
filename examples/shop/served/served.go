// Package served notes which calls a piece of work made, where they went and how long they took, so that a page can tell what served it.
//
// [Client] and [Server] are interceptors. A page makes a [Log] and puts it into its context; Client notes every call that is made with
// that context. When the called service has Server, it sends back what it called in turn.
package served

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Call is one call that was made.
type Call struct {
	Service  string        `json:"service"`
	Method   string        `json:"method"`   // without its package and contract
	Instance string        `json:"instance"` // ID; empty when no instance was reached
	Path     string        `json:"path"`     // "inprocess", "unix" or "tcp"; empty when no instance was reached
	Attempts int           `json:"attempts"`
	Start    time.Duration `json:"start"` // since the log began
	Took     time.Duration `json:"took"`
	Code     string        `json:"code"`            // "OK" or the name of another status code
	Calls    []Call        `json:"calls,omitempty"` // that the service made in turn
}

// Log collects calls. It may be used concurrently.
type Log struct {
	began time.Time

	mu    sync.Mutex
	calls []Call
}

type key struct{}

// Begin returns a context whose calls are noted in the log.
func Begin(ctx context.Context) (context.Context, *Log) {
	l := &Log{began: time.Now()}
	return context.WithValue(ctx, key{}, l), l
}

// Calls returns what was noted until now, in the order in which the calls began.
func (l *Log) Calls() []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	calls := slices.Clone(l.calls)
	slices.SortStableFunc(calls, func(a, b Call) int { return int(a.Start - b.Start) })
	return calls
}

// Took returns how long ago the log began.
func (l *Log) Took() time.Duration { return time.Since(l.began) }

const (
	askKey    = "shop-served" // request: the caller wants to know
	answerKey = "shop-served" // trailer: the calls, as JSON

	maxAnswer = 8 << 10 // bytes; trailers are small
)

// Client is a grpc.UnaryClientInterceptor that notes the calls whose context has a log.
func Client(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	l, ok := ctx.Value(key{}).(*Log)
	if !ok {
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	var info hanse.CallInfo
	var trailer metadata.MD
	ctx = metadata.AppendToOutgoingContext(ctx, askKey, "1")
	start := time.Now()
	err := invoke(ctx, method, req, reply, cc, append(slices.Clip(opts), &info, grpc.Trailer(&trailer))...)
	l.note(Call{
		Service:  name(method, &info, cc),
		Method:   method[strings.LastIndexByte(method, '/')+1:],
		Instance: info.Instance,
		Path:     string(info.Path),
		Attempts: info.Attempts,
		Start:    start.Sub(l.began),
		Took:     time.Since(start),
		Code:     status.Code(err).String(),
		Calls:    answer(trailer),
	})
	return err
}

// name returns the name of the called service. Connections other than hanse's tell only the contract.
func name(method string, info *hanse.CallInfo, cc *grpc.ClientConn) string {
	switch {
	case info.Service != "":
		return info.Service
	case cc != nil:
		return strings.TrimPrefix(cc.Target(), "hanse:///")
	}
	contract, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	return contract
}

func (l *Log) note(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c)
}

func answer(trailer metadata.MD) []Call {
	values := trailer.Get(answerKey)
	if len(values) == 0 {
		return nil
	}
	var calls []Call
	if err := json.Unmarshal([]byte(values[0]), &calls); err != nil {
		return nil // a page is no worse for not knowing
	}
	return calls
}

// Server is a grpc.UnaryServerInterceptor that tells callers who ask which calls the handler made.
func Server(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if len(md.Get(askKey)) == 0 {
		return handle(ctx, req)
	}
	ctx, l := Begin(ctx)
	reply, err := handle(ctx, req)
	if text, jsonErr := json.Marshal(l.Calls()); jsonErr == nil && len(text) <= maxAnswer {
		// It fails when the call is over already; then nobody reads it.
		_ = grpc.SetTrailer(ctx, metadata.Pairs(answerKey, string(text)))
	}
	return reply, err
}
