package httprule

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	maxParameters = 1000 // of one query
	maxName       = 512  // bytes of a parameter's name
)

// SetQuery gives fields of a message the values in the query of a URL. A parameter is the path of a field, its names (those of the
// contract or those of JSON) joined by dots: page_size=10, filter.colour=RED. Elements of a list come one by one: tag=a&tag=b. Fields
// that the path or the body gives cannot be in the query, nor can maps, lists of messages, and messages other than times, durations,
// field masks and wrappers. depth bounds how deeply a field may be nested. The error is a [*FieldError].
func (r *Rule) SetQuery(m protoreflect.Message, query string, depth int) error {
	q := querying{rule: r, depth: depth}
	count := 0
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if pair == "" {
			continue
		}
		if count++; count > maxParameters {
			return fieldError("query", "it has more than %d parameters", maxParameters)
		}
		key, value, _ := strings.Cut(pair, "=")
		if len(key) > maxName {
			return fieldError("query", "the name of a parameter is longer than %d bytes", maxName)
		}
		name, err := url.QueryUnescape(key)
		if err != nil || !utf8.ValidString(name) {
			return fieldError("query", "the parameter %q is wrongly encoded", key)
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return fieldError(name, "the value is wrongly encoded: %v", err)
		}
		if err := q.set(m, name, value); err != nil {
			return err
		}
	}
	return nil
}

// querying is the state of one SetQuery.
type querying struct {
	rule  *Rule
	depth int
	way   []protoreflect.FieldDescriptor // to the field of the parameter
	done  [][]protoreflect.FieldDescriptor
	room  []protoreflect.FieldDescriptor // for the ways in done
}

// set gives the field with this path a value.
func (q *querying) set(m protoreflect.Message, path, value string) error {
	if q.rule.WholeBody {
		return fieldError(path, "this route takes all fields from the path and the body, none from the query")
	}
	q.way = q.way[:0]
	for rest := path; ; {
		name, more, nested := strings.Cut(rest, ".")
		fd := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		if fd == nil {
			fd = m.Descriptor().Fields().ByJSONName(name)
		}
		if fd == nil {
			return noField(path, m.Descriptor(), name)
		}
		q.way = append(q.way, fd)
		if err := q.check(m, fd, path); err != nil {
			return err
		}
		if !nested {
			return q.leaf(m, fd, path, value)
		}
		switch {
		case fd.Message() == nil:
			return fieldError(path, "%s is no message and has no fields", fd.FullName())
		case fd.IsList():
			return fieldError(path, "%s is a list of messages, which a query cannot have", fd.FullName())
		case IsText(fd.Message()):
			return fieldError(path, "%s is one value; write %s=", fd.FullName(), strings.TrimSuffix(path, "."+more))
		case len(q.way) >= q.depth:
			return fieldError(path, "it is nested more than %d deep", q.depth)
		}
		m, rest = m.Mutable(fd).Message(), more
	}
}

// check holds what is so for a field and for messages on the way to one.
func (q *querying) check(m protoreflect.Message, fd protoreflect.FieldDescriptor, path string) error {
	if q.rule.Body != nil && len(q.way) == 1 && fd.Number() == q.rule.Body.Number() {
		return fieldError(path, "it is given by the body of the request")
	}
	if slices.ContainsFunc(q.rule.Fields, func(way []protoreflect.FieldDescriptor) bool { return same(way, q.way) }) {
		return fieldError(path, "it is given by the path")
	}
	if fd.IsMap() {
		return fieldError(path, "%s is a map, which a query cannot have", fd.FullName())
	}
	if one := fd.ContainingOneof(); one != nil && !one.IsSynthetic() {
		if other := m.WhichOneof(one); other != nil && other != fd {
			return fieldError(path, "%s and %s exclude each other", other.Name(), fd.Name())
		}
	}
	return nil
}

func (q *querying) leaf(m protoreflect.Message, fd protoreflect.FieldDescriptor, path, value string) error {
	if md := fd.Message(); md != nil && !IsText(md) {
		if fd.IsList() {
			return fieldError(path, "%s is a list of messages, which a query cannot have", fd.FullName())
		}
		return fieldError(path, "%s is a message; name a field of it, such as %s", fd.FullName(), example(path, md))
	}
	if !fd.IsList() {
		for _, way := range q.done {
			if same(way, q.way) {
				return fieldError(path, "it is in the query twice and has one value only")
			}
		}
		start := len(q.room)
		q.room = append(q.room, q.way...)
		q.done = append(q.done, q.room[start:])
	}
	v, err := parse(m, fd, value)
	if err != nil {
		return fieldError(path, "it %v", err)
	}
	if fd.IsList() {
		m.Mutable(fd).List().Append(v)
	} else {
		m.Set(fd, v)
	}
	return nil
}

// example is a parameter below a message.
func example(path string, md protoreflect.MessageDescriptor) string {
	if md.Fields().Len() == 0 {
		return path + ".FIELD="
	}
	return path + "." + string(md.Fields().Get(0).Name()) + "="
}

// same reports whether two ways lead to the same field, by whatever copy of its descriptor.
func same(a, b []protoreflect.FieldDescriptor) bool {
	return slices.EqualFunc(a, b, func(a, b protoreflect.FieldDescriptor) bool { return a.Number() == b.Number() })
}
