package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/internal/httprule"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// restRoute is one way to call a method by its option google.api.http.
type restRoute struct {
	*route
	rule     httprule.Rule
	pattern  string // of its template
	request  part
	response part
}

// part is what of a message is the body of a request or a response.
type part struct {
	shape shape
	field protoreflect.FieldDescriptor // nil: the message itself
}

type shape uint8

const (
	noBody  shape = iota
	object        // JSON of a message
	value         // JSON of a list, a map or a scalar
	rawBody       // google.api.HttpBody: bytes and their content type
)

func partOf(md protoreflect.MessageDescriptor, field protoreflect.FieldDescriptor) part {
	if field != nil {
		if field.Message() == nil || field.IsList() || field.IsMap() {
			return part{value, field}
		}
		md = field.Message()
	}
	if md.FullName() == "google.api.HttpBody" {
		return part{rawBody, field}
	}
	return part{object, field}
}

// of returns the message which the part is; it must not be a value.
func (p part) of(m protoreflect.Message, mutable bool) protoreflect.Message {
	if p.field == nil {
		return m
	}
	fd := httprule.FieldOf(m, p.field)
	if mutable {
		return m.Mutable(fd).Message()
	}
	return m.Get(fd).Message()
}

// addREST adds a method's routes. Of two with the same method and pattern the first one stays; what is wrong is returned.
func (t *table) addREST(rt *route) error {
	rules, err := httprule.Of(rt.method)
	mistakes := []error{err}
	for _, rule := range rules {
		rr := &restRoute{route: rt, rule: rule, pattern: fmt.Sprint(rule.Template), response: partOf(rt.method.Output(), rule.Response)}
		if rule.WholeBody || rule.Body != nil {
			rr.request = partOf(rt.method.Input(), rule.Body)
		}
		if rr.request.shape == noBody && rt.method.IsStreamingClient() {
			mistakes = append(mistakes, fmt.Errorf("%s: google.api.http: it takes a stream of messages, which are in the body, and %s %s has none: say body: \"*\"", rt.method.FullName(), rule.Method, rule.Template))
			continue
		}
		if other, ok := t.rest.Add(rule.Method, rule.Template, rr); !ok {
			mistakes = append(mistakes, fmt.Errorf("%s and %s have the same route: %s %s and %s", other.method.FullName(), rt.method.FullName(), rule.Method, other.rule.Template, rule.Template))
		}
	}
	return errors.Join(mistakes...)
}

// Check returns what is wrong with the HTTP routes of contracts that are to be served together: annotations that cannot be followed, and
// routes that two methods have. A [Handler] logs these, too, and serves all else; of two equal routes it serves the first.
func Check(contracts []protoreflect.ServiceDescriptor) error {
	return newTable(contracts).mistakes
}

// allowed returns the methods of HTTP that a path takes; none: there is no such path.
func (t *table) allowed(path string) []string {
	methods := t.rest.Methods(path)
	if len(methods) == 0 {
		return nil
	}
	var found httprule.Match[*restRoute]
	if !slices.Contains(methods, "HEAD") && t.rest.Lookup("GET", path, &found) && found.Value.headable() {
		methods = append(methods, "HEAD")
	}
	if !slices.Contains(methods, "OPTIONS") {
		methods = append(methods, "OPTIONS")
	}
	slices.Sort(methods)
	return methods
}

// headable reports whether a HEAD request can stand for a GET. Of a stream it would hear nothing until the end.
func (rr *restRoute) headable() bool { return rr.unary() }

// bodyTypes are the content types that a route takes.
func (rr *restRoute) bodyTypes() string {
	switch {
	case rr.request.shape == rawBody:
		return "*/*"
	case rr.method.IsStreamingClient():
		return strings.Join([]string{linesTypes[0], "application/json"}, ", ")
	}
	return "application/json"
}
