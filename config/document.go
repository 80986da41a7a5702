package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// maxFile limits a configuration file; what is larger was not written by a person.
const maxFile = 1 << 20

// document is the file as it was read at one moment. Its zero value has no settings.
type document struct {
	path  string
	data  []byte
	root  *node
	lines []string
}

// readFile returns the content of the file.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		where := path
		if abs, err := filepath.Abs(path); err == nil { // people may not know where the program runs
			where = abs
		}
		return nil, fmt.Errorf("config file %s: %w; make it, or correct --config (HANSE_CONFIG)", where, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("read the config file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	if err != nil {
		return nil, fmt.Errorf("read the config file: %w", err)
	}
	return data, nil
}

// newDocument parses the content of the file.
func newDocument(path string, data []byte) (*document, error) {
	doc := &document{path: path, data: data, lines: strings.Split(string(data), "\n")}
	root, err := parse(data)
	if syntax, ok := errors.AsType[*syntaxError](err); ok {
		e := &Error{Source: Source{Kind: File, Name: path}, Reason: syntax.reason}
		doc.locate(e, syntax.mark, false)
		return nil, e
	}
	if root.kind != object {
		e := &Error{Source: Source{Kind: File, Name: path}, Reason: "want a mapping of service names to their settings, not " + root.kind.String()}
		doc.locate(e, root.mark, false)
		return nil, e
	}
	doc.root = root
	return doc, nil
}

// section is what the file says about a service, or nil.
func (doc *document) section(service string) *node {
	if doc.root == nil {
		return nil
	}
	return doc.root.get(service)
}

// place returns where the setting at path stands, such as cart.rules[1].name, or else what it would belong to. It is zero where there is
// nothing of it.
func (doc *document) place(path string) (m mark) {
	for n := doc.root; n != nil && path != ""; {
		switch n.kind {
		case list:
			number, rest, _ := strings.Cut(strings.TrimPrefix(path, "["), "]")
			i, err := strconv.Atoi(number)
			if err != nil || i < 0 || i >= len(n.items) {
				return m
			}
			n, path = n.items[i], strings.TrimPrefix(rest, ".")
			m = n.mark
		case object:
			var found *key // the longest name that fits: those in a map may have dots
			for i, k := range n.keys {
				rest, ok := strings.CutPrefix(path, k.name)
				if ok && (rest == "" || rest[0] == '.' || rest[0] == '[') && (found == nil || len(k.name) > len(found.name)) {
					found = &n.keys[i]
				}
			}
			if found == nil {
				return m
			}
			n, path = found.node, strings.TrimPrefix(path[len(found.name):], ".")
			if m = found.mark; n.kind == scalar && path == "" {
				m = n.mark
			}
		default:
			return m
		}
	}
	return m
}

// onlyKey matches what may stand before a value without being a value itself.
var onlyKey = regexp.MustCompile(`^[\s\-?]*([\w."'-]+\s*:\s+)?$`)

// locate fills in where an error stands. The line is shown as far as it cannot hold another value, which may be a secret.
func (doc *document) locate(e *Error, m mark, show bool) {
	e.Source.Line, e.Source.Column = m.line, m.column
	if !show || m.line < 1 || m.line > len(doc.lines) {
		return
	}
	line := []rune(strings.TrimRight(doc.lines[m.line-1], "\r"))
	from := m.column - 1
	if from < 0 || from >= len(line) {
		return
	}
	to := min(from+m.width, len(line))
	before, bad, after := string(line[:from]), string(line[from:to]), ""
	if !onlyKey.MatchString(before) {
		indent := before[:len(before)-len(strings.TrimLeft(before, " \t"))]
		before = indent + "… "
	}
	if rest := string(line[to:]); strings.HasPrefix(rest, ":") {
		after = ": …"
	} else if rest != "" {
		after = " …"
	}
	e.Line = before + bad + after
	e.caret, e.width = len([]rune(before)), to-from
}
