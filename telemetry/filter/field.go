package filter

import (
	"strings"

	"github.com/hanse-go/hanse/internal/nearest"
)

// Field is a field whose meaning is fixed, by its name.
type Field string

// The fields. What each means stands in the comment of the package.
const (
	Service  Field = "service"
	Instance Field = "instance"
	Level    Field = "level"
	Message  Field = "msg"
	Method   Field = "method"
	Status   Field = "status"
	Duration Field = "duration"
	Kind     Field = "kind"
	Trace    Field = "trace"
	Span     Field = "span"
)

// fieldNames is in the order in which they are shown to people.
var fieldNames = []string{
	string(Service), string(Level), string(Message), string(Method), string(Status), string(Duration),
	string(Trace), string(Span), string(Kind), string(Instance),
}

// aliases are the names by which other tools call the fields.
var aliases = map[string]Field{
	"service.name":        Service,
	"service.instance.id": Instance,
	"severity":            Level,
	"message":             Message,
	"trace_id":            Trace,
	"span_id":             Span,
	"rpc.method":          Method,
}

// Fields returns the names of the fields, for completion.
func Fields() []string { return append([]string(nil), fieldNames...) }

// fieldOf returns the field that a name means, or "" for an attribute, and what was probably meant when it is nearly a field's.
func fieldOf(name string) (f Field, meant string) {
	lower := strings.ToLower(name)
	for _, known := range fieldNames {
		if lower == known {
			return Field(known), ""
		}
	}
	if f, ok := aliases[lower]; ok {
		return f, ""
	}
	if len(name) < 4 { // id is not kind
		return "", ""
	}
	return "", nearest.Name(lower, fieldNames)
}
