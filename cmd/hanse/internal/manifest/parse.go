package manifest

import (
	"errors"
	"fmt"
	"path/filepath"
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

// Parse reads the text of the file path. What is wrong in it is returned as an [Error], several joined.
func Parse(path string, text []byte) (*File, error) {
	p := &checker{path: path, lines: strings.Split(string(text), "\n")}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, p.syntax(err)
	}
	f := &File{Dir: filepath.Dir(path)}
	if len(tree.Docs) > 1 {
		return nil, &Error{Path: path, Line: 1, Column: 1, Msg: "the file has several YAML documents; keep one"}
	}
	if len(tree.Docs) == 0 || tree.Docs[0].Body == nil {
		return f, nil
	}
	body := tree.Docs[0].Body
	p.keys(body, reflect.TypeFor[File]())
	if err := p.err(); err != nil {
		return nil, err
	}
	if err := yaml.NodeToValue(body, f, yaml.Strict()); err != nil {
		return nil, p.syntax(err)
	}
	p.meaning(body, f)
	if err := p.err(); err != nil {
		return nil, err
	}
	return f, nil
}

type checker struct {
	path  string
	lines []string
	errs  []error
}

func (p *checker) err() error { return errors.Join(p.errs...) }

func (p *checker) addf(tok *token.Token, format string, args ...any) {
	p.errs = append(p.errs, p.at(tok, fmt.Sprintf(format, args...)))
}

func (p *checker) at(tok *token.Token, msg string) *Error {
	e := &Error{Path: p.path, Line: 1, Column: 1, Msg: msg}
	if tok != nil && tok.Position != nil {
		e.Line, e.Column = tok.Position.Line, tok.Position.Column
	}
	if e.Line >= 1 && e.Line <= len(p.lines) {
		e.Source = p.lines[e.Line-1]
	}
	return e
}

// syntax turns an error of the yaml package into one of ours.
func (p *checker) syntax(err error) error {
	var y yaml.Error
	if !errors.As(err, &y) {
		return fmt.Errorf("%s: %w", p.path, err)
	}
	return p.at(y.GetToken(), y.GetMessage())
}

// keys reports keys that t does not have, and values of a kind that t is not.
func (p *checker) keys(n ast.Node, t reflect.Type) {
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
		p.addf(find(n), "%s where %s belongs", kind(n), plain(t))
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

func (p *checker) key(v *ast.MappingValueNode, t reflect.Type) {
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
		p.addf(v.Key.GetToken(), "unknown key %q; %s", name, hint)
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

// names of services, and so of processes: they become host names.
var names = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// meaning checks what the types cannot say, and fills in default names.
func (p *checker) meaning(body ast.Node, f *File) {
	if f.Name != "" && !names.MatchString(f.Name) {
		p.addf(find(body, "name"), "%q is no name: use lower-case letters, digits and hyphens, beginning with a letter", f.Name)
	}
	list, _ := child(body, "processes").(*ast.SequenceNode)
	taken := make(map[string]bool)
	for i := range f.Processes {
		proc := &f.Processes[i]
		var node ast.Node = body
		if list != nil && i < len(list.Values) {
			node = list.Values[i]
		}
		p.process(node, proc)
		if proc.Name != "" && taken[proc.Name] {
			p.addf(find(node, "name", "run"), "there is a process %q already; give this one another name", proc.Name)
		}
		taken[proc.Name] = true
	}
}

func (p *checker) process(node ast.Node, proc *Process) {
	switch {
	case proc.Run == "" && len(proc.Command) == 0:
		p.addf(find(node), "the process has neither run (a Go main package, such as ./cart) nor command (a program and its arguments)")
	case proc.Run != "" && len(proc.Command) > 0:
		p.addf(find(node, "command"), "the process has both run and command; keep one")
	}
	if len(proc.Command) > 0 && len(proc.Args) > 0 {
		p.addf(find(node, "args"), "args belongs to run; write the arguments behind the program in command")
	}
	if filepath.IsAbs(proc.Run) {
		p.addf(find(node, "run"), "run is a folder relative to %s, such as ./cart", Name)
	}
	if proc.HTTP && proc.Run != "" {
		p.addf(find(node, "http"), "http belongs to command; a Go program says itself which services have pages")
	}
	p.member(node, proc)
	if proc.Together && proc.Run == "" {
		p.addf(find(node, "together"), "together belongs to run; a command is one process anyway")
	}
	if proc.Replicas < 0 {
		p.addf(find(node, "replicas"), "replicas is %d; it must be 1 or more", proc.Replicas)
	}
	if proc.Port < 0 || proc.Port > 65535 {
		p.addf(find(node, "port"), "port is %d; it must be between 1 and 65535", proc.Port)
	}
	if len(proc.Command) > 0 && proc.Port != 0 && proc.Replicas > 1 {
		p.addf(find(node, "port"), "%d copies cannot serve one port; leave port out and use {port} in command, or the variable PORT", proc.Replicas)
	}
	for _, s := range proc.Services {
		if !names.MatchString(s) {
			p.addf(find(node, "services"), "%q is no name of a service: use lower-case letters, digits and hyphens, beginning with a letter", s)
		}
	}
	if proc.Name == "" {
		proc.Name = proc.defaultName()
	}
	if proc.Name != "" && !names.MatchString(proc.Name) {
		p.addf(find(node, "name", "run"), "%q is no name of a process: give it a name of lower-case letters, digits and hyphens", proc.Name)
	}
	if len(proc.Command) > 0 && proc.Name == "" {
		p.addf(find(node, "command"), "the process has no name; name it after the service that it serves")
	}
	if len(proc.Command) > 0 && len(proc.Services) == 0 && proc.Name != "" {
		proc.Services = []string{proc.Name}
	}
}

// member checks what only commands have.
func (p *checker) member(node ast.Node, proc *Process) {
	path, page := strings.CutPrefix(proc.Health, "http:")
	switch {
	case proc.Run != "" && proc.Health != "":
		p.addf(find(node, "health"), "health belongs to command; a Go program says itself when it is ready")
	case proc.Health == "", proc.Health == "grpc", proc.Health == "tcp", page && strings.HasPrefix(path, "/"):
	default:
		p.addf(find(node, "health"), "%q is none of grpc, http:/path and tcp", proc.Health)
	}
	if proc.Run != "" && proc.Optional {
		p.addf(find(node, "optional"), "optional belongs to command; a Go program can always be built")
	}
	if proc.Run != "" && len(proc.Proto) > 0 {
		p.addf(find(node, "proto"), "proto belongs to command; a Go program knows its contracts")
	}
	if proc.Run != "" && len(proc.Uses) > 0 {
		p.addf(find(node, "uses"), "uses belongs to command; a Go program finds services by itself")
	}
	for _, s := range proc.Uses {
		if !names.MatchString(s) {
			p.addf(find(node, "uses"), "%q is no name of a service: use lower-case letters, digits and hyphens, beginning with a letter", s)
		}
	}
}

func (proc *Process) defaultName() string {
	if proc.Run != "" {
		if base := filepath.Base(filepath.Clean(proc.Run)); base != "." && base != ".." {
			return base
		}
		return ""
	}
	if len(proc.Services) > 0 {
		return proc.Services[0]
	}
	return ""
}

// child returns the value of a key in a mapping, or nil.
func child(n ast.Node, key string) ast.Node {
	switch n := n.(type) {
	case *ast.AnchorNode:
		return child(n.Value, key)
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

// find returns where the value of the first of the keys that n has is, or else where n itself is.
func find(n ast.Node, keys ...string) *token.Token {
	for _, k := range keys {
		if c := child(n, k); c != nil {
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
