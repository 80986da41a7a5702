package openapi

import (
	"slices"

	"github.com/hanse-go/hanse/internal/httprule"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// query collects the fields of a request that come from the query: all that path and body leave, those of messages within by their
// path, such as address.city. Maps, lists of messages, and messages within themselves cannot be written so.
type query struct {
	*builder
	used       map[string]bool // by path in proto names
	within     []protoreflect.FullName
	parameters []*Parameter
}

// message adds the fields of a message, whose paths begin with the given prefixes: in proto names and as JSON has them.
func (q *query) message(m protoreflect.MessageDescriptor, path, prefix string) {
	if slices.Contains(q.within, m.FullName()) {
		return
	}
	q.within = append(q.within, m.FullName())
	defer func() { q.within = q.within[:len(q.within)-1] }()
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if q.used[path+string(f.Name())] || f.IsMap() {
			continue
		}
		if inner := f.Message(); inner != nil && !httprule.IsText(inner) {
			if !f.IsList() && wellKnown(inner.FullName()) == nil {
				q.message(inner, path+string(f.Name())+".", prefix+f.JSONName()+".")
			}
			continue
		}
		s := q.field(f)
		if s.ReadOnly {
			continue
		}
		p := &Parameter{Name: prefix + f.JSONName(), In: "query", Schema: s, Required: required(f) && prefix == ""}
		p.Description, s.Description = s.Description, ""
		p.Deprecated, s.Deprecated = s.Deprecated, false
		s.WriteOnly = false
		q.parameters = append(q.parameters, p)
	}
}
