// Package strictyaml reads files that people write: what is misspelt in them is an error that says where, and what was meant.
package strictyaml

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
)

// Error is a mistake in the file and where it is.
type Error struct {
	Path         string
	Line, Column int    // from 1
	Source       string // the line
	Msg          string
}

// Error returns path:line:column: message, and the line with a caret below the mistake.
func (e *Error) Error() string {
	head := fmt.Sprintf("%s:%d:%d: %s", e.Path, e.Line, e.Column, e.Msg)
	if e.Source == "" {
		return head
	}
	line := []rune(strings.TrimRight(e.Source, "\r\n"))
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, string(line[:min(max(e.Column-1, 0), len(line))]))
	return fmt.Sprintf("%s\n    %s\n    %s^", head, string(line), pad)
}

// Doc is a file that was read. What else is wrong with it is added, where it stands.
type Doc struct {
	Body ast.Node // nil: the file is empty

	path  string
	lines []string
	errs  []error
}

// Read reads the text of the file path into the struct that dst points to, by its tags "yaml". What is wrong in it is returned as an
// [Error], several joined: keys that the struct does not have, values of another kind.
func Read(path string, text []byte, dst any) (*Doc, error) {
	p := &Doc{path: path, lines: strings.Split(string(text), "\n")}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, p.syntax(err)
	}
	if len(tree.Docs) > 1 {
		return nil, &Error{Path: path, Line: 1, Column: 1, Msg: "the file has several YAML documents; keep one"}
	}
	if len(tree.Docs) == 0 || tree.Docs[0].Body == nil {
		return p, nil
	}
	p.Body = tree.Docs[0].Body
	p.keys(p.Body, reflect.TypeOf(dst).Elem())
	if err := p.Err(); err != nil {
		return nil, err
	}
	if err := yaml.NodeToValue(p.Body, dst, yaml.Strict()); err != nil {
		return nil, p.syntax(err)
	}
	return p, nil
}

// Err returns all that is wrong, nil for nothing.
func (p *Doc) Err() error { return errors.Join(p.errs...) }

// Addf adds a mistake at a place, which [Find] finds.
func (p *Doc) Addf(tok *token.Token, format string, args ...any) {
	p.errs = append(p.errs, p.at(tok, fmt.Sprintf(format, args...)))
}

func (p *Doc) at(tok *token.Token, msg string) *Error {
	e := &Error{Path: p.path, Line: 1, Column: 1, Msg: masked(msg)}
	if tok != nil && tok.Position != nil {
		e.Line, e.Column = tok.Position.Line, tok.Position.Column
	}
	if e.Line >= 1 && e.Line <= len(p.lines) {
		e.Source = masked(p.lines[e.Line-1])
	}
	return e
}

// credentials are what stands before the host of a URL.
var credentials = regexp.MustCompile(`://[^@/\s]+@`)

// masked is text that may be shown: in URLs there are passwords.
func masked(text string) string { return credentials.ReplaceAllString(text, "://…@") }

// syntax turns an error of the yaml package into one of ours.
func (p *Doc) syntax(err error) error {
	var y yaml.Error
	if !errors.As(err, &y) {
		return fmt.Errorf("%s: %w", p.path, err)
	}
	return p.at(y.GetToken(), y.GetMessage())
}

// keys reports keys that t does not have, and values of a kind that t is not.
func (p *Doc) keys(n ast.Node, t reflect.Type) {
	switch n := n.(type) {
	case *ast.AnchorNode:
		p.keys(n.Value, t)
		return
	case *ast.AliasNode, *ast.NullNode:
		return
	}
	var right bool
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		switch n := n.(type) {
		case *ast.MappingNode:
			right = true
			for _, v := range n.Values {
				p.key(v, t)
			}
		case *ast.MappingValueNode:
			right = true
			p.key(n, t)
		}
	case reflect.Slice:
		if seq, ok := n.(*ast.SequenceNode); ok {
			right = true
			for _, v := range seq.Values {
				p.keys(v, t.Elem())
			}
		}
	case reflect.Int:
		_, right = n.(*ast.IntegerNode)
	case reflect.Bool:
		_, right = n.(*ast.BoolNode)
	default:
		_, right = n.(ast.ScalarNode)
	}
	if !right {
		p.Addf(Find(n), "%s where %s belongs", kind(n), plain(t))
	}
}

// kind names what the writer of the file wrote.
func kind(n ast.Node) string {
	switch n := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.LiteralNode:
		return "a text"
	default:
		return n.GetToken().Value
	}
}

// plain names a type as the writer of a file would.
func plain(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		switch t.Elem().Kind() {
		case reflect.String:
			return "a list of strings"
		default:
			return "a list of mappings"
		}
	case reflect.Struct, reflect.Map:
		return "a mapping"
	case reflect.Int:
		return "a number"
	case reflect.Bool:
		return "true or false"
	default:
		return "a string"
	}
}

func (p *Doc) key(v *ast.MappingValueNode, t reflect.Type) {
	if v.Key.Type() == ast.MergeKeyType {
		return
	}
	if t.Kind() == reflect.Map {
		p.keys(v.Value, t.Elem())
		return
	}
	name := v.Key.GetToken().Value
	fields := Keys(t)
	ft, ok := fields[name]
	if !ok {
		var known []string
		for k := range fields {
			known = append(known, k)
		}
		slices.Sort(known)
		hint := ui.DidYouMean(name, known)
		if hint == "" {
			hint = "there is " + ui.List(known, "and")
		}
		p.Addf(v.Key.GetToken(), "unknown key %q; %s", name, hint)
		return
	}
	p.keys(v.Value, ft)
}

// Keys returns the keys that a mapping of type t has, with the types of their values.
func Keys(t reflect.Type) map[string]reflect.Type {
	keys := make(map[string]reflect.Type)
	for i := range t.NumField() {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" && name != "-" {
			keys[name] = f.Type
		}
	}
	return keys
}

// Child returns the value of a key in a mapping, or nil.
func Child(n ast.Node, key string) ast.Node {
	switch n := n.(type) {
	case *ast.AnchorNode:
		return Child(n.Value, key)
	case *ast.MappingNode:
		for _, v := range n.Values {
			if v.Key.GetToken().Value == key {
				return v.Value
			}
		}
	case *ast.MappingValueNode:
		if n.Key.GetToken().Value == key {
			return n.Value
		}
	}
	return nil
}

// Find returns where the value of the first of the keys that n has is, or else where n itself is.
func Find(n ast.Node, keys ...string) *token.Token {
	for _, k := range keys {
		if c := Child(n, k); c != nil {
			return c.GetToken()
		}
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 {
			return n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	return n.GetToken()
}
