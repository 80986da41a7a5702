package config

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxDepth limits how deep a file nests, so that a hostile one cannot exhaust the stack.
const maxDepth = 100

type kind int

const (
	null kind = iota
	scalar
	list
	object
)

func (k kind) String() string {
	return [...]string{"nothing", "a single value", "a list", "a mapping"}[k]
}

// node is a value as it stands in a file, a variable or a flag. An alias shares the node of its anchor, so a file of many aliases
// stays small here.
type node struct {
	kind  kind
	text  string  // of a scalar
	plain bool    // the scalar is not quoted: true, 5 and null mean what they say where any value may stand
	items []*node // of a list
	keys  []key   // of an object
	mark  mark
}

type key struct {
	name string
	node *node
	mark mark
}

// get returns the value of a key, or nil.
func (n *node) get(name string) *node {
	for _, k := range n.keys {
		if k.name == name {
			return k.node
		}
	}
	return nil
}

// mark is a place in the file and how many characters belong to it. It is zero outside a file.
type mark struct{ line, column, width int }

func markOf(t *token.Token, width int) mark {
	if t == nil || t.Position == nil {
		return mark{}
	}
	return mark{t.Position.Line, t.Position.Column, max(1, width)}
}

// syntaxError is a mistake in YAML itself. It shows no line, for a line that cannot be read may hold a secret anywhere.
type syntaxError struct {
	mark   mark
	reason string
}

func (e *syntaxError) Error() string { return e.reason }

// parse reads one YAML document. A document without content is an object without keys.
func parse(data []byte) (n *node, err error) {
	if !utf8.Valid(data) {
		return nil, &syntaxError{mark{1, 1, 1}, "the text is not UTF-8"}
	}
	// The parser recurses: refuse what would take its stack before it starts.
	if depth := strings.Count(string(data), "[") + strings.Count(string(data), "{"); depth > 100*maxDepth {
		return nil, &syntaxError{mark{1, 1, 1}, "too many brackets"}
	}
	defer func() {
		if r := recover(); r != nil { // a defect of the parser must not end the process: a changed file is read while it serves
			n, err = nil, &syntaxError{mark{1, 1, 1}, fmt.Sprintf("the text is not YAML: %v", r)}
		}
	}()
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		if e, ok := err.(interface {
			GetMessage() string
			GetToken() *token.Token
		}); ok {
			return nil, &syntaxError{markOf(e.GetToken(), 1), e.GetMessage()}
		}
		return nil, &syntaxError{mark{1, 1, 1}, err.Error()}
	}
	c := converter{anchors: map[string]*node{}}
	var root *node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			return nil, &syntaxError{markOf(doc.Body.GetToken(), 1), "a second document begins here: write one only"}
		}
		if root, err = c.convert(doc.Body, 0); err != nil {
			return nil, err
		}
	}
	if root == nil || root.kind == null {
		root = &node{kind: object}
	}
	return root, nil
}

// converter turns the parser's tree into nodes.
type converter struct {
	anchors map[string]*node // nil while the anchored value is being converted
}

func (c *converter) convert(n ast.Node, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, &syntaxError{markOf(n.GetToken(), 1), fmt.Sprintf("nested more than %d deep", maxDepth)}
	}
	switch n := n.(type) {
	case nil:
		return &node{}, nil
	case *ast.NullNode:
		return &node{mark: markOf(n.Token, 1)}, nil
	case *ast.StringNode:
		quoted := n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType
		width := utf8.RuneCountInString(n.Value)
		if quoted {
			width += 2
		}
		return &node{kind: scalar, text: n.Value, plain: !quoted, mark: markOf(n.Token, width)}, nil
	case *ast.LiteralNode:
		return &node{kind: scalar, text: n.Value.Value, mark: markOf(n.Start, 1)}, nil
	case *ast.MappingNode:
		o := &node{kind: object, mark: markOf(n.Start, 1)}
		for _, v := range n.Values {
			if err := c.add(o, v, depth); err != nil {
				return nil, err
			}
		}
		if !n.IsFlowStyle && len(o.keys) > 0 {
			o.mark = o.keys[0].mark
		}
		return o, nil
	case *ast.MappingValueNode:
		o := &node{kind: object, mark: markOf(n.Start, 1)}
		if err := c.add(o, n, depth); err != nil {
			return nil, err
		}
		if len(o.keys) > 0 {
			o.mark = o.keys[0].mark
		}
		return o, nil
	case *ast.SequenceNode:
		l := &node{kind: list, mark: markOf(n.Start, 1)}
		for _, v := range n.Values {
			item, err := c.convert(v, depth+1)
			if err != nil {
				return nil, err
			}
			l.items = append(l.items, item)
		}
		return l, nil
	case *ast.AnchorNode:
		name := n.Name.GetToken().Value
		c.anchors[name] = nil
		v, err := c.convert(n.Value, depth+1)
		c.anchors[name] = v
		return v, err
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		v, ok := c.anchors[name]
		switch {
		case !ok:
			return nil, &syntaxError{markOf(n.Start, 1+len(name)), fmt.Sprintf("nothing above is anchored as &%s", name)}
		case v == nil:
			return nil, &syntaxError{markOf(n.Start, 1+len(name)), fmt.Sprintf("*%s contains itself", name)}
		}
		return v, nil
	case *ast.TagNode:
		return c.convert(n.Value, depth+1)
	case ast.ScalarNode: // numbers, booleans, infinities
		t := n.GetToken()
		return &node{kind: scalar, text: t.Value, plain: true, mark: markOf(t, utf8.RuneCountInString(t.Value))}, nil
	}
	return nil, &syntaxError{markOf(n.GetToken(), 1), fmt.Sprintf("a %s cannot stand here", strings.ToLower(n.Type().String()))}
}

// add puts one entry of a mapping into o. What is merged with << gives way to keys that the mapping has itself.
func (c *converter) add(o *node, v *ast.MappingValueNode, depth int) error {
	value, err := c.convert(v.Value, depth+1)
	if err != nil {
		return err
	}
	if v.Key.IsMergeKey() {
		merged := []*node{value}
		if value.kind == list {
			merged = value.items
		}
		for _, m := range merged {
			if m.kind != object {
				return &syntaxError{m.mark, "<< takes a mapping or a list of them, not " + m.kind.String()}
			}
			for _, k := range m.keys {
				if o.get(k.name) == nil {
					o.keys = append(o.keys, k)
				}
			}
		}
		return nil
	}
	name, err := c.convert(v.Key, depth+1)
	if k, ok := v.Key.(*ast.MappingKeyNode); ok && err != nil {
		name, err = c.convert(k.Value, depth+1)
	}
	if err != nil {
		return err
	}
	if name.kind != scalar {
		return &syntaxError{markOf(v.Key.GetToken(), 1), "a key must be a single value"}
	}
	k := key{name.text, value, name.mark}
	for i := range o.keys {
		if o.keys[i].name == k.name { // merged before; the parser refuses a real duplicate
			o.keys[i] = k
			return nil
		}
	}
	o.keys = append(o.keys, k)
	return nil
}
