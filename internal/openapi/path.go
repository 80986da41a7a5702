package openapi

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/internal/httprule"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// place is where routes stand in the document that match the same paths, whatever they call their parameters: OpenAPI has one name for
// each parameter of a path.
type place struct {
	path  string
	names []string // of its parameters
}

// path returns the path of a rule as OpenAPI writes it, and its parameters. A parameter of OpenAPI is one segment, so a variable such as
// {name=shelves/*/books/*} becomes two, which are named after what stands before them: /shelves/{shelves}/books/{books}. A segment **
// is a parameter whose value may have slashes.
func (b *builder) path(rule httprule.Rule) (string, []*Parameter) {
	t := rule.Template
	var text strings.Builder
	var parameters []*Parameter
	for i, s := range t.Segments {
		if s.Kind == httprule.Literal {
			text.WriteString("/" + s.String())
			continue
		}
		p := &Parameter{In: "path", Required: true, Slashes: s.Kind == httprule.Multi, Schema: &Schema{Type: Types{"string"}}}
		n := slices.IndexFunc(t.Variables, func(v httprule.Variable) bool { return v.Start <= i && i < v.End })
		switch {
		case n < 0:
			p.Name = fmt.Sprintf("segment%d", i+1) // matches whatever is there
		case t.Variables[n].End-t.Variables[n].Start == 1:
			way := rule.Fields[n]
			p.Name, p.Field = t.Variables[n].Field, jsonPath(way)
			p.Schema = b.field(way[len(way)-1])
			p.Schema.Description, p.Description = "", p.Schema.Description
			p.Deprecated, p.Schema.Deprecated = p.Schema.Deprecated, false
		default:
			v := t.Variables[n]
			p.Name, p.Field, p.Form = v.Field, jsonPath(rule.Fields[n]), form(t, v)
			if i > v.Start && t.Segments[i-1].Kind == httprule.Literal && wild(t, v) > 1 {
				p.Name = t.Segments[i-1].Text
			}
			p.Description = fmt.Sprintf("A part of `%s`, which has the form `%s`.", v.Field, p.Form)
		}
		for n, name := 2, p.Name; slices.ContainsFunc(parameters, func(other *Parameter) bool { return other.Name == p.Name }); n++ {
			p.Name = fmt.Sprintf("%s-%d", name, n)
		}
		parameters = append(parameters, p)
		text.WriteString("/{" + p.Name + "}")
	}
	if len(t.Segments) == 0 {
		text.WriteString("/")
	}
	if t.Verb != "" {
		text.WriteString(":" + t.Verb)
	}

	key := strings.ReplaceAll(t.Pattern(), "**", "*")
	if known, ok := b.places[key]; ok {
		for i, name := range known.names {
			p := parameters[i]
			if p.Name != name && p.Description == "" {
				p.Description = fmt.Sprintf("The field `%s`.", p.Name)
			}
			p.Name = name
		}
		return known.path, parameters
	}
	known := place{path: text.String()}
	for _, p := range parameters {
		known.names = append(known.names, p.Name)
	}
	b.places[key] = known
	return known.path, parameters
}

// jsonPath returns the path to a field as JSON has it.
func jsonPath(way []protoreflect.FieldDescriptor) string {
	names := make([]string, len(way))
	for i, f := range way {
		names[i] = f.JSONName()
	}
	return strings.Join(names, ".")
}

// wild returns how many segments of a variable are not fixed.
func wild(t *httprule.Template, v httprule.Variable) (n int) {
	for _, s := range t.Segments[v.Start:v.End] {
		if s.Kind != httprule.Literal {
			n++
		}
	}
	return n
}

// form returns what a variable matches, such as shelves/*.
func form(t *httprule.Template, v httprule.Variable) string {
	var parts []string
	for _, s := range t.Segments[v.Start:v.End] {
		parts = append(parts, s.String())
	}
	return strings.Join(parts, "/")
}
