package gen

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Config is the section gen of hanse.yaml. All folders are relative to the module's.
type Config struct {
	// Roots are the folders that imports are relative to, and the only ones in which .proto files are looked for. Default: every
	// folder called proto, and the module's own for files outside of those.
	Roots []string `yaml:"roots"`
	// Imports are further folders of .proto files that may be imported and get no code.
	Imports []string `yaml:"imports"`
	// Plugins run after protoc-gen-go and protoc-gen-go-grpc. A plugin called go or go-grpc sets the options of these two.
	Plugins []Plugin `yaml:"plugins"`
}

// Plugin is a protoc plugin.
type Plugin struct {
	// Name is what follows protoc-gen- in the name of a program in PATH, or of a tool in go.mod; or a path with a slash.
	Name string `yaml:"name"`
	// Out is the folder to write to. Default: the module's folder, with the option module=MODULE.
	Out string `yaml:"out"`
	// Opt are the options of the plugin, as in --NAME_opt.
	Opt optionList `yaml:"opt"`
}

// optionList is a list of strings, or one string with commas.
type optionList []string

// UnmarshalYAML reads either form.
func (o *optionList) UnmarshalYAML(unmarshal func(any) error) error {
	var list []string
	if err := unmarshal(&list); err == nil {
		*o = list
		return nil
	}
	var text string
	if err := unmarshal(&text); err != nil {
		return err
	}
	if text != "" {
		*o = strings.Split(text, ",")
	}
	return nil
}

// readConfig reads the section gen of the file; neither the file nor the section must be there.
func readConfig(file string) (Config, error) {
	var c Config
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return c, fmt.Errorf("%s: %s", file, yaml.FormatError(err, false, true))
	}
	for _, doc := range tree.Docs {
		body, ok := doc.Body.(*ast.MappingNode)
		if !ok {
			continue
		}
		for _, entry := range body.Values {
			if entry.Key.String() != "gen" {
				continue
			}
			if _, null := entry.Value.(*ast.NullNode); null {
				continue
			}
			if err := yaml.NodeToValue(entry.Value, &c, yaml.Strict()); err != nil {
				return c, fmt.Errorf("%s: %s", file, yaml.FormatError(err, false, true))
			}
		}
	}
	for _, p := range c.Plugins {
		if p.Name == "" {
			return c, fmt.Errorf("%s: a plugin in gen.plugins has no name; write the part after protoc-gen-, or a path", file)
		}
	}
	return c, nil
}
