package rpc

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/hanse-go/hanse/internal/hpack"
	"github.com/hanse-go/hanse/rpc/internal/wire"
)

// headTemplates are the headers of a link's calls, one for each method, so that a connection sends them as a few bytes. Programs have
// few methods; calls of more than maxHeads, as a proxy may make, have their headers written out.
type headTemplates struct {
	scheme    string
	authority string
	instance  string

	mu       sync.Mutex
	byMethod atomic.Pointer[map[string]*hpack.Template] // replaced, never changed
}

const (
	maxHeads  = 256
	userAgent = "hanse"
)

func (t *headTemplates) init(cfg *wire.LinkConfig) {
	t.scheme, t.authority, t.instance = "http", cfg.Authority, cfg.Instance
	if cfg.TLS != nil {
		t.scheme = "https"
	}
	t.byMethod.Store(&map[string]*hpack.Template{})
}

// head is what the header of a call begins with: a template, or fields that were appended to dst.
func (t *headTemplates) head(dst []byte, method string, o *callOptions) (*hpack.Template, []byte) {
	if o.authority == "" && o.contentSubtype == "" && o.compressor == "" {
		if head := (*t.byMethod.Load())[method]; head != nil {
			return head, dst
		}
		if head := t.add(method); head != nil {
			return head, dst
		}
	}
	for _, f := range t.fields(method, o) {
		dst = hpack.AppendLiteral(dst, f.Name, f.Value, false)
	}
	return nil, dst
}

func (t *headTemplates) add(method string) *hpack.Template {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := *t.byMethod.Load()
	if head := known[method]; head != nil || len(known) >= maxHeads {
		return head
	}
	more := maps.Clone(known)
	more[method] = hpack.NewTemplate(t.fields(method, &callOptions{})...)
	t.byMethod.Store(&more)
	return more[method]
}

// fields are those of a call's header that do not come from its context.
func (t *headTemplates) fields(method string, o *callOptions) []hpack.Field {
	authority, contentType := t.authority, "application/grpc"
	if o.authority != "" {
		authority = o.authority
	}
	if o.contentSubtype != "" {
		contentType += "+" + o.contentSubtype
	}
	fields := []hpack.Field{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: t.scheme},
		{Name: ":path", Value: method},
		{Name: ":authority", Value: authority},
		{Name: "content-type", Value: contentType},
		{Name: "user-agent", Value: userAgent},
		{Name: "te", Value: "trailers"},
		{Name: "grpc-accept-encoding", Value: accepts()},
	}
	if o.compressor != "" {
		fields = append(fields, hpack.Field{Name: "grpc-encoding", Value: o.compressor})
	}
	if t.instance != "" {
		fields = append(fields, hpack.Field{Name: wire.InstanceKey, Value: t.instance})
	}
	return fields
}
