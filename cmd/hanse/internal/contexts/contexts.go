// Package contexts reads the file in which people keep how running systems are reached, each by a name.
package contexts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/hanse-go/hanse/cmd/hanse/internal/strictyaml"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
)

// Variable names another file.
const Variable = "HANSE_CONTEXTS"

// File is a contexts.yaml.
type File struct {
	Contexts []Context `yaml:"contexts"`

	Path string `yaml:"-"`
}

// Context is how one system is reached.
type Context struct {
	Name       string `yaml:"name"`
	Registry   string `yaml:"registry"`   // URLs as HANSE_REGISTRY has them, with blanks between them; backplane: is that on Backplane, and the default where there is one
	Backplane  string `yaml:"backplane"`  // URL of its NATS; what is secret in it is better in a file that it names (token-file, creds)
	System     string `yaml:"system"`     // its name on the backplane; default: default
	Identity   string `yaml:"identity"`   // folder with the certificate to show, or cert=FILE,key=FILE,ca=FILE; a relative one is below the file's folder
	Production bool   `yaml:"production"` // it is only looked at, unless somebody says more
}

// Path returns where the file is: as HANSE_CONTEXTS says, else hanse/contexts.yaml in the user's folder for settings.
func Path() (string, error) {
	if path := os.Getenv(Variable); path != "" {
		return filepath.Abs(path)
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no folder for settings: %w", err)
	}
	return filepath.Join(dir, "hanse", "contexts.yaml"), nil
}

// Read reads the file. One that is not there has no contexts.
func Read() (*File, error) {
	path, err := Path()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &File{Path: path}, nil
	}
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

// Find returns the context of that name.
func (f *File) Find(name string) (*Context, error) {
	var names []string
	for i := range f.Contexts {
		if f.Contexts[i].Name == name {
			return &f.Contexts[i], nil
		}
		names = append(names, f.Contexts[i].Name)
	}
	if len(names) == 0 {
		return nil, ui.Errorf("there is no context %q, nor any other", name).Then("write it into %s; hanse context --help shows how", f.Path)
	}
	do := ui.DidYouMean(name, names)
	if do == "" {
		do = "hanse context ls lists them"
	}
	return nil, ui.Errorf("there is no context %q in %s", name, f.Path).Then("%s", do)
}

// Parse reads the text of the file path. What is wrong in it is returned as a [strictyaml.Error], several joined.
func Parse(path string, text []byte) (*File, error) {
	f := &File{Path: path}
	doc, err := strictyaml.Read(path, text, f)
	if err != nil || doc.Body == nil {
		return f, err
	}
	list, _ := strictyaml.Child(doc.Body, "contexts").(*ast.SequenceNode)
	taken := make(map[string]bool)
	for i := range f.Contexts {
		var node ast.Node = doc.Body
		if list != nil && i < len(list.Values) {
			node = list.Values[i]
		}
		c := &f.Contexts[i]
		c.check(doc, node, filepath.Dir(path))
		if c.Name != "" && taken[c.Name] {
			doc.Addf(strictyaml.Find(node, "name"), "there is a context %q already; give this one another name", c.Name)
		}
		taken[c.Name] = true
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return f, nil
}

// check says what is wrong with a context. Its backplane is looked at when it is used: it may name files that are not there now.
func (c *Context) check(doc *strictyaml.Doc, node ast.Node, dir string) {
	at := func(key, format string, args ...any) { doc.Addf(strictyaml.Find(node, key), format, args...) }
	switch {
	case c.Name == "":
		at("", "the context has no name")
	case discovery.CheckName(c.Name) != nil:
		at("name", "%q is no name of a context: use lower-case letters, digits and hyphens, beginning with a letter", c.Name)
	}
	if c.Registry == "" && c.Backplane == "" {
		at("name", "the context has neither registry nor backplane: nothing says where the system is")
	}
	if c.System != "" && discovery.CheckName(c.System) != nil {
		at("system", "%q is no name of a system", c.System)
	}
	for _, url := range strings.Fields(c.Registry) {
		if url == "backplane:" {
			if c.Backplane == "" {
				at("registry", "the registry is on the backplane, and the context has none")
			}
		} else if _, err := discovery.Parse(url, nil); err != nil {
			at("registry", "%v", err)
		}
	}
	if c.Identity != "" && c.Identity != "off" && !strings.Contains(c.Identity, "=") && !filepath.IsAbs(c.Identity) {
		c.Identity = filepath.Join(dir, c.Identity)
	}
}
