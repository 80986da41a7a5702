package manifest

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/hanse-go/hanse/cmd/hanse/internal/strictyaml"
)

// Parse reads the text of the file path. What is wrong in it is returned as a [strictyaml.Error], several joined.
func Parse(path string, text []byte) (*File, error) {
	f := &File{Dir: filepath.Dir(path)}
	doc, err := strictyaml.Read(path, text, f)
	if err != nil {
		return nil, err
	}
	p := &checker{doc}
	if doc.Body != nil {
		p.meaning(doc.Body, f)
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return f, nil
}

// checker finds what the types cannot say.
type checker struct{ *strictyaml.Doc }

// names of services, and so of processes: they become host names.
var names = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// meaning checks what the types cannot say, and fills in default names.
func (p *checker) meaning(body ast.Node, f *File) {
	if f.Name != "" && !names.MatchString(f.Name) {
		p.Addf(strictyaml.Find(body, "name"), "%q is no name: use lower-case letters, digits and hyphens, beginning with a letter", f.Name)
	}
	list, _ := strictyaml.Child(body, "processes").(*ast.SequenceNode)
	taken := make(map[string]bool)
	for i := range f.Processes {
		proc := &f.Processes[i]
		var node ast.Node = body
		if list != nil && i < len(list.Values) {
			node = list.Values[i]
		}
		p.process(node, proc)
		if proc.Name != "" && taken[proc.Name] {
			p.Addf(strictyaml.Find(node, "name", "run"), "there is a process %q already; give this one another name", proc.Name)
		}
		taken[proc.Name] = true
	}
}

func (p *checker) process(node ast.Node, proc *Process) {
	switch {
	case proc.Run == "" && len(proc.Command) == 0:
		p.Addf(strictyaml.Find(node), "the process has neither run (a Go main package, such as ./cart) nor command (a program and its arguments)")
	case proc.Run != "" && len(proc.Command) > 0:
		p.Addf(strictyaml.Find(node, "command"), "the process has both run and command; keep one")
	}
	if len(proc.Command) > 0 && len(proc.Args) > 0 {
		p.Addf(strictyaml.Find(node, "args"), "args belongs to run; write the arguments behind the program in command")
	}
	if filepath.IsAbs(proc.Run) {
		p.Addf(strictyaml.Find(node, "run"), "run is a folder relative to %s, such as ./cart", Name)
	}
	if proc.HTTP && proc.Run != "" {
		p.Addf(strictyaml.Find(node, "http"), "http belongs to command; a Go program says itself which services have pages")
	}
	p.member(node, proc)
	if proc.Together && proc.Run == "" {
		p.Addf(strictyaml.Find(node, "together"), "together belongs to run; a command is one process anyway")
	}
	if proc.Replicas < 0 {
		p.Addf(strictyaml.Find(node, "replicas"), "replicas is %d; it must be 1 or more", proc.Replicas)
	}
	if proc.Port < 0 || proc.Port > 65535 {
		p.Addf(strictyaml.Find(node, "port"), "port is %d; it must be between 1 and 65535", proc.Port)
	}
	if len(proc.Command) > 0 && proc.Port != 0 && proc.Replicas > 1 {
		p.Addf(strictyaml.Find(node, "port"), "%d copies cannot serve one port; leave port out and use {port} in command, or the variable PORT", proc.Replicas)
	}
	for _, s := range proc.Services {
		if !names.MatchString(s) {
			p.Addf(strictyaml.Find(node, "services"), "%q is no name of a service: use lower-case letters, digits and hyphens, beginning with a letter", s)
		}
	}
	if proc.Name == "" {
		proc.Name = proc.defaultName()
	}
	if proc.Name != "" && !names.MatchString(proc.Name) {
		p.Addf(strictyaml.Find(node, "name", "run"), "%q is no name of a process: give it a name of lower-case letters, digits and hyphens", proc.Name)
	}
	if len(proc.Command) > 0 && proc.Name == "" {
		p.Addf(strictyaml.Find(node, "command"), "the process has no name; name it after the service that it serves")
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
		p.Addf(strictyaml.Find(node, "health"), "health belongs to command; a Go program says itself when it is ready")
	case proc.Health == "", proc.Health == "grpc", proc.Health == "tcp", page && strings.HasPrefix(path, "/"):
	default:
		p.Addf(strictyaml.Find(node, "health"), "%q is none of grpc, http:/path and tcp", proc.Health)
	}
	if proc.Run != "" && proc.Optional {
		p.Addf(strictyaml.Find(node, "optional"), "optional belongs to command; a Go program can always be built")
	}
	if proc.Run != "" && len(proc.Proto) > 0 {
		p.Addf(strictyaml.Find(node, "proto"), "proto belongs to command; a Go program knows its contracts")
	}
	if proc.Run != "" && len(proc.Uses) > 0 {
		p.Addf(strictyaml.Find(node, "uses"), "uses belongs to command; a Go program finds services by itself")
	}
	for _, s := range proc.Uses {
		if !names.MatchString(s) {
			p.Addf(strictyaml.Find(node, "uses"), "%q is no name of a service: use lower-case letters, digits and hyphens, beginning with a letter", s)
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
