package manifest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/cmd/hanse/internal/manifest"
	"github.com/hanse-go/hanse/cmd/hanse/internal/strictyaml"
)

const full = `# the shop
name: shop
processes:
  - run: ./cart
    replicas: 2
    env: {LOG: debug}
  - name: recommendation
    command: [python3, main.py, --port, "{port}"]
    dir: recommend
    http: true
    watch: [recommend]
  - name: rest
    run: ./all
    services: [orders, payment]
    together: true
    manual: true
    args: [-v]
    port: 8080
gen:
  plugins:
    - name: connect-go
      command: [go, tool, protoc-gen-connect-go]
      out: gen
      opt: [paths=source_relative]
`

func TestParse(t *testing.T) {
	got, err := manifest.Parse(filepath.Join("/x", "hanse.yaml"), []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	want := &manifest.File{
		Name: "shop",
		Dir:  filepath.Dir(filepath.Join("/x", "hanse.yaml")),
		Processes: []manifest.Process{
			{Name: "cart", Run: "./cart", Replicas: 2, Env: map[string]string{"LOG": "debug"}},
			{Name: "recommendation", Command: []string{"python3", "main.py", "--port", "{port}"}, Dir: "recommend",
				Services: []string{"recommendation"}, HTTP: true, Watch: []string{"recommend"}},
			{Name: "rest", Run: "./all", Services: []string{"orders", "payment"}, Together: true, Manual: true, Args: []string{"-v"}, Port: 8080},
		},
		Gen: manifest.Gen{Plugins: []manifest.Plugin{{Name: "connect-go", Command: []string{"go", "tool", "protoc-gen-connect-go"},
			Out: "gen", Opt: []string{"paths=source_relative"}}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParseEmpty(t *testing.T) {
	for _, text := range []string{"", "# nothing yet\n", "---\n"} {
		if f, err := manifest.Parse("hanse.yaml", []byte(text)); err != nil || len(f.Processes) != 0 {
			t.Errorf("Parse(%q) = %+v, %v", text, f, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown key", "nmae: shop\n", `hanse.yaml:1:1: unknown key "nmae"; did you mean name?
    nmae: shop
    ^`},
		{"unknown key below", "processes:\n  - run: ./cart\n    replica: 2\n", `hanse.yaml:3:5: unknown key "replica"; did you mean replicas?
        replica: 2
        ^`},
		{"several unknown keys", "nmae: shop\nporcesses: []\n", `hanse.yaml:1:1: unknown key "nmae"; did you mean name?
    nmae: shop
    ^
hanse.yaml:2:1: unknown key "porcesses"; did you mean processes?
    porcesses: []
    ^`},
		{"far from any key", "gen: {zzzzzz: 1}\n", `hanse.yaml:1:7: unknown key "zzzzzz"; there are imports, plugins and roots
    gen: {zzzzzz: 1}
          ^`},
		{"wrong type", "processes:\n  - run: ./cart\n    replicas: many\n", `hanse.yaml:3:15: many where a number belongs
        replicas: many
                  ^`},
		{"wrong shape", "processes:\n  run: ./cart\n", `hanse.yaml:2:3: a mapping where a list of mappings belongs
      run: ./cart
      ^`},
		{"no list", "processes:\n  - run: ./a\n    services: a\n", `hanse.yaml:3:15: a where a list of strings belongs
        services: a
                  ^`},
		{"no string in a map", "processes:\n  - run: ./a\n    env: {A: [1]}\n", `hanse.yaml:3:14: a list where a string belongs
        env: {A: [1]}
                 ^`},
		{"no file", "- shop\n", `hanse.yaml:1:1: a list where a mapping belongs
    - shop
    ^`},
		{"twice", "name: a\nname: b\n", `hanse.yaml:2:1: mapping key "name" already defined at [1:1]
    name: b
    ^`},
		{"syntax", "name: [a\n", `hanse.yaml:1:7: sequence end token ']' not found
    name: [a
          ^`},
		{"bad name", "name: My Shop\n", `hanse.yaml:1:7: "My Shop" is no name: use lower-case letters, digits and hyphens, beginning with a letter
    name: My Shop
          ^`},
		{"nothing to run", "processes:\n  - name: cart\n", `hanse.yaml:2:5: the process has neither run (a Go main package, such as ./cart) nor command (a program and its arguments)
      - name: cart
        ^`},
		{"both", "processes:\n  - run: ./cart\n    command: [cart]\n", `hanse.yaml:3:14: the process has both run and command; keep one
        command: [cart]
                 ^`},
		{"two of one name", "processes:\n  - run: ./a/cart\n  - run: ./b/cart\n", `hanse.yaml:3:10: there is a process "cart" already; give this one another name
      - run: ./b/cart
             ^`},
		{"copies on one port", "processes:\n  - name: web\n    command: [web]\n    port: 80\n    replicas: 2\n",
			`hanse.yaml:4:11: 2 copies cannot serve one port; leave port out and use {port} in command, or the variable PORT
        port: 80
              ^`},
		{"health", "processes:\n  - name: web\n    command: [web]\n    health: http\n", `hanse.yaml:4:13: "http" is none of grpc, http:/path and tcp
        health: http
                ^`},
		{"contracts of a program", "processes:\n  - run: ./web\n    proto: [web.proto]\n", `hanse.yaml:3:12: proto belongs to command; a Go program knows its contracts
        proto: [web.proto]
               ^`},
		{"uses of a program", "processes:\n  - run: ./web\n    uses: [cart]\n", `hanse.yaml:3:11: uses belongs to command; a Go program finds services by itself
        uses: [cart]
              ^`},
		{"port", "processes:\n  - run: ./web\n    port: 80000\n", `hanse.yaml:3:11: port is 80000; it must be between 1 and 65535
        port: 80000
              ^`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := manifest.Parse("hanse.yaml", []byte(tt.text))
			if err == nil {
				t.Fatal("no error")
			}
			if err.Error() != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", err, tt.want)
			}
		})
	}
}

func TestReadNone(t *testing.T) {
	dir := t.TempDir()
	f, found, err := manifest.Read(dir)
	if err != nil || found || f.Dir != dir {
		t.Errorf("Read = %+v, %v, %v", f, found, err)
	}
}

// TestSchema holds the published schema and the types together: the same keys with the same types.
func TestSchema(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/hanse.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var root schema
	dec := json.NewDecoder(strings.NewReader(string(text)))
	if err := dec.Decode(&root); err != nil {
		t.Fatal(err)
	}
	compare(t, "hanse.yaml", &root, &root, reflect.TypeFor[manifest.File]())
}

type schema struct {
	Ref                  string `json:"$ref"`
	Type, Description    string
	Properties           map[string]*schema
	Items                *schema
	AdditionalProperties any
	Defs                 map[string]*schema `json:"$defs"`
}

func compare(t *testing.T, path string, root, s *schema, typ reflect.Type) {
	t.Helper()
	described := s.Description != ""
	if s.Ref != "" {
		s = root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
		described = described || s.Description != ""
	}
	if !described && !strings.HasSuffix(path, "[]") {
		t.Errorf("%s: the schema does not describe it", path)
	}
	want := map[reflect.Kind]string{reflect.String: "string", reflect.Int: "integer", reflect.Bool: "boolean", reflect.Slice: "array",
		reflect.Struct: "object", reflect.Map: "object"}[typ.Kind()]
	if s.Type != want {
		t.Errorf("%s: the schema says %s, the parser takes %s", path, s.Type, want)
	}
	switch typ.Kind() {
	case reflect.Slice:
		compare(t, path+"[]", root, s.Items, typ.Elem())
	case reflect.Struct:
		if s.AdditionalProperties != false {
			t.Errorf("%s: the schema takes unknown keys, the parser does not", path)
		}
		keys := strictyaml.Keys(typ)
		var inSchema, inType []string
		for k := range s.Properties {
			inSchema = append(inSchema, k)
		}
		for k := range keys {
			inType = append(inType, k)
		}
		slices.Sort(inSchema)
		slices.Sort(inType)
		if !slices.Equal(inSchema, inType) {
			t.Fatalf("%s: the schema has %v, the parser %v", path, inSchema, inType)
		}
		for k, ft := range keys {
			compare(t, path+"."+k, root, s.Properties[k], ft)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(full)
	f.Add("processes: [{run: ./a}, {command: [b], name: b}]")
	f.Add("a: &x {b: *x}\n<<: *x")
	f.Fuzz(func(t *testing.T, text string) {
		if file, err := manifest.Parse("hanse.yaml", []byte(text)); (file == nil) != (err != nil) {
			t.Errorf("Parse = %v, %v", file, err)
		}
	})
}
