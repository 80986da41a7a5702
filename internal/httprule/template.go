// Package httprule is the HTTP side of protobuf methods: the rules of google.api.http, the path templates in them, and a router over
// such templates.
//
//	rules, err := httprule.Of(method)                 // what the method's annotation says, checked against its messages
//	router.Add(rule.Method, rule.Template, something) // for each of them
//	found := router.Lookup(r.Method, r.URL.EscapedPath(), &match)
package httprule

import "strings"

// Template is a path template such as
//
//	/v1/{name=shelves/*/books/*}:publish
//
// which matches paths of as many segments, and captures some of them as values of fields. It is not changed after [Parse].
type Template struct {
	text string
	// Segments are what is between the slashes.
	Segments []Segment
	// Variables are the fields that a path gives values to, in the order of their places in the path.
	Variables []Variable
	// Verb follows the last segment and a colon, such as "publish". Empty: there is none.
	Verb string

	multi int // index of the segment **, or -1
}

// Kind says what a [Segment] matches.
type Kind uint8

const (
	Literal Kind = iota // a certain text
	Single              // * : one segment that is not empty
	Multi               // ** : any number of segments, also none
)

// Segment is one part of a [Template] between slashes.
type Segment struct {
	Kind Kind
	Text string // of a Literal, without percent-encoding
}

func (s Segment) String() string {
	switch s.Kind {
	case Single:
		return "*"
	case Multi:
		return "**"
	}
	return escape(s.Text, false)
}

// Variable is a part of a [Template] in braces: the segments from Start up to and without End are the value of a field.
type Variable struct {
	Field      string // path of the field: names joined by dots
	Start, End int
	// Multi tells that the value can have several segments. Then the slashes in it are separators, and one that belongs to a name
	// stays percent-encoded ("%2F").
	Multi bool
}

// String returns the template as it was written.
func (t *Template) String() string { return t.text }

// Pattern is the template without the names of its variables: two templates with the same pattern match the same paths.
func (t *Template) Pattern() string {
	var b strings.Builder
	t.write(&b, 0, len(t.Segments), true)
	if len(t.Segments) == 0 {
		b.WriteByte('/')
	}
	if t.Verb != "" {
		b.WriteString(":" + escape(t.Verb, false))
	}
	return b.String()
}

// pattern is what a variable's segments match, such as shelves/*.
func (t *Template) pattern(v Variable) string {
	var b strings.Builder
	t.write(&b, v.Start, v.End, false)
	return b.String()
}

func (t *Template) write(b *strings.Builder, start, end int, slash bool) {
	for i := start; i < end; i++ {
		if slash || i > start {
			b.WriteByte('/')
		}
		b.WriteString(t.Segments[i].String())
	}
}
