// Package openapi describes services in an OpenAPI 3.1 document, made from their descriptors and comments.
//
//	doc := openapi.Build(services, openapi.Options{Title: "shop"})
//	data, err := json.MarshalIndent(doc, "", "  ")
//
// The document has what package gateway serves: for each method the route POST /pkg.Service/Method, GET of it where the method is
// marked NO_SIDE_EFFECTS, and the routes of its google.api.http annotation. Equal services give equal bytes.
package openapi

import (
	"cmp"
	"slices"

	"github.com/hanse-go/hanse/internal/comments"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Version is the version of OpenAPI that documents are written in.
const Version = "3.1.0"

// Options says what a document tells beside what descriptors do. The zero value works.
type Options struct {
	// Title names what is described. Default: the services' full names, or how many there are.
	Title string
	// Version is that of what is described. Default: "0".
	Version string
	// Description introduces what is described, in Markdown. Default: the comment of the only service.
	Description string
	// Servers are the URLs at which it is served. Default: where the document is.
	Servers []string
	// Service returns what the service with a contract is called by others in the system, "" if that is not known. Default: it is not.
	Service func(contract protoreflect.ServiceDescriptor) string
	// Constraints adds to the schema of a field what its values must be beyond their type. It is called with the schema of the
	// field's value: for a repeated field or a map that of the whole list or map. Default: nothing is known.
	Constraints func(field protoreflect.FieldDescriptor, schema *Schema)
}

// Build describes the services. A service that is given more than once is described once.
func Build(services []protoreflect.ServiceDescriptor, o Options) *Document {
	services = slices.Clone(services)
	slices.SortFunc(services, func(a, b protoreflect.ServiceDescriptor) int { return cmp.Compare(a.FullName(), b.FullName()) })
	services = slices.CompactFunc(services, func(a, b protoreflect.ServiceDescriptor) bool { return a.FullName() == b.FullName() })

	b := &builder{
		constraints: o.Constraints,
		named:       o.Service,
		comments:    new(comments.Reader),
		places:      map[string]place{},
		doc: &Document{
			OpenAPI: Version,
			Info:    Info{Title: o.Title, Version: cmp.Or(o.Version, "0"), Description: o.Description},
		},
	}
	if b.doc.Info.Title == "" {
		b.doc.Info.Title = title(services)
	}
	for _, url := range o.Servers {
		b.doc.Servers = append(b.doc.Servers, Server{URL: url})
	}
	for _, s := range services {
		b.service(s)
	}
	if len(services) == 1 && b.doc.Info.Description == "" {
		b.doc.Info.Description = b.doc.Tags[0].Description
	}
	b.finish()
	return b.doc
}

// title names services that nobody named.
func title(services []protoreflect.ServiceDescriptor) string {
	switch len(services) {
	case 0:
		return "No services"
	case 1:
		return string(services[0].FullName())
	}
	return string(services[0].FullName()) + " and others"
}

// builder makes a document.
type builder struct {
	doc         *Document
	constraints func(protoreflect.FieldDescriptor, *Schema)
	named       func(protoreflect.ServiceDescriptor) string
	comments    *comments.Reader
	places      map[string]place // by pattern
	failing     bool             // an operation refers to the errors
}

// service adds a service's methods.
func (b *builder) service(s protoreflect.ServiceDescriptor) {
	text := b.comments.Of(s)
	b.doc.Tags = append(b.doc.Tags, Tag{Name: string(s.FullName()), Description: text})
	for i := range s.Methods().Len() {
		m := s.Methods().Get(i)
		b.annotated(m)
		b.plain(m)
	}
}
