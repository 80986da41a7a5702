// Package manifest reads hanse.yaml, the file that says which programs a system consists of and how its code is generated. A
// system needs none as long as each service is offered by one program only.
//
// docs/hanse.schema.json is the same description for editors; a test holds the two together.
package manifest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Name of the file.
const Name = "hanse.yaml"

// File is a hanse.yaml.
type File struct {
	Name      string    `yaml:"name"`      // of the system; default: the folder's name
	Processes []Process `yaml:"processes"` // what hanse dev starts; default: the programs below the folder that run services
	Gen       Gen       `yaml:"gen"`       // what hanse gen makes

	Dir string `yaml:"-"` // the folder of the file, absolute
}

// Process is a program that hanse dev starts: a Go main package (Run) or a command in any language (Command).
type Process struct {
	Name     string            `yaml:"name"`     // default: the last part of Run, or the first service
	Run      string            `yaml:"run"`      // folder of a main package, relative to the file: ./cart
	Command  []string          `yaml:"command"`  // a program and its arguments; {port} in them is the port to serve
	Args     []string          `yaml:"args"`     // arguments of the program that Run names
	Dir      string            `yaml:"dir"`      // where it runs, relative to the file; default: the file's folder
	Services []string          `yaml:"services"` // Run: those to start, default all that it offers. Command: those that it serves, default Name
	Together bool              `yaml:"together"` // all services of Run in one process instead of one process each
	Replicas int               `yaml:"replicas"` // copies of each process; 0 is 1
	Manual   bool              `yaml:"manual"`   // start on demand only, by hanse start
	Optional bool              `yaml:"optional"` // the system runs without a Command whose program is not on this machine
	Env      map[string]string `yaml:"env"`      // added to the environment
	Port     int               `yaml:"port"`     // Run: the port of its pages. Command: the port that it serves. 0: any, for a command in the variable PORT
	HTTP     bool              `yaml:"http"`     // a Command that serves pages
	Health   string            `yaml:"health"`   // how a Command tells that it can take calls: grpc, http:/path or tcp, the default
	Proto    []string          `yaml:"proto"`    // .proto files, relative to Dir, with the services of a Command that has no reflection
	Uses     []string          `yaml:"uses"`     // services that a Command calls: it finds their addresses in variables such as HANSE_CART_ADDR
	Watch    []string          `yaml:"watch"`    // folders and files whose change restarts it, besides the Go code of Run
}

// Gen configures hanse gen.
type Gen struct {
	Roots   []string `yaml:"roots"`   // folders that imports are relative to; default: each one called proto, else that of go.mod
	Imports []string `yaml:"imports"` // folders to import from that get no code
	Plugins []Plugin `yaml:"plugins"` // run after protoc-gen-go and protoc-gen-go-grpc; the names go and go-grpc set the options of these
}

// Plugin is a protoc plugin.
type Plugin struct {
	Name    string   `yaml:"name"`    // such as connect-go, for protoc-gen-connect-go on the PATH
	Command []string `yaml:"command"` // instead of a plugin on the PATH: [go, tool, protoc-gen-connect-go]
	Out     string   `yaml:"out"`     // folder of what it makes, relative to the file; default: where go_package says
	Opt     []string `yaml:"opt"`     // options; default, without out: module=MODULE
}

// Read reads the hanse.yaml of the folder dir. Without one it returns a File that has only Dir, and found is false.
func Read(dir string) (f *File, found bool, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, false, err
	}
	path := filepath.Join(dir, Name)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &File{Dir: dir}, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	f, err = Parse(path, text)
	if err != nil {
		return nil, true, err
	}
	return f, true, nil
}
