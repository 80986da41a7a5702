package dev

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/manifest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func server(name string, offers ...string) *program {
	return &program{Program: &programs.Program{Name: name, Package: "m/" + name, Kind: programs.Server}, shown: "./" + name, offers: offers}
}

func client(name string) *program {
	return &program{Program: &programs.Program{Name: name, Package: "m/" + name, Kind: programs.Client}, shown: "./" + name}
}

func named(p *program, e manifest.Process) *program {
	if e.Name == "" {
		e.Name = p.Name
	}
	p.entry = &e
	return p
}

// unnamed gives p an entry without a name, as run: . has.
func unnamed(p *program, e manifest.Process) *program {
	p.entry = &e
	return p
}

func show(wishes []*wish) string {
	var lines []string
	for _, w := range wishes {
		line := fmt.Sprintf("%s: %s x%d", w.name, strings.Join(w.services, ","), w.copies)
		if w.manual {
			line += " manual"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// A command that the system can do without is not started where its program is missing.
func TestPlanOptional(t *testing.T) {
	for _, tt := range []struct {
		command  string
		optional bool
		manual   bool
	}{{"no-such-program-here", true, true}, {"no-such-program-here", false, false}, {"go", true, false}, {"./no-such", true, false}} {
		man := &manifest.File{Processes: []manifest.Process{{Name: "a", Command: []string{tt.command}, Services: []string{"a"}, Optional: tt.optional}}}
		wishes, err := plan(nil, man, Options{})
		if err != nil || len(wishes) != 1 || wishes[0].manual != tt.manual {
			t.Errorf("%+v: %+v, %v", tt, wishes, err)
		}
	}
}

func TestPlan(t *testing.T) {
	tests := []struct {
		name  string
		progs []*program
		man   manifest.File
		o     Options
		want  string
	}{
		{name: "each service by itself", progs: []*program{server("all", "cart", "catalog"), client("loadgen")},
			want: "cart: cart x1\ncatalog: catalog x1\nloadgen:  x1 manual"},
		{name: "one", progs: []*program{server("all", "cart", "catalog"), server("mail", "mail")}, o: Options{One: true},
			want: "all: cart,catalog x1\nmail: mail x1"},
		{name: "a process without a name of its own", progs: []*program{unnamed(server("all", "cart", "catalog"), manifest.Process{Run: ".", Together: true})},
			want: "all: cart,catalog x1"},
		{name: "a program called like a service of another", progs: []*program{server("cart", "a", "b"), server("x", "cart", "d")}, o: Options{One: true},
			want: "cart-program: a,b x1\nx: cart,d x1"},
		{name: "a program called like its own service", progs: []*program{server("cart", "cart", "b")}, o: Options{One: true},
			want: "cart: cart,b x1"},
		{name: "replicas", progs: []*program{server("all", "cart", "catalog")}, o: Options{Replicas: map[string]int{"cart": 3, "catalog": 0}},
			want: "cart: cart x3\ncatalog: catalog x1 manual"},
		{name: "services", progs: []*program{server("all", "cart", "catalog", "mail")}, o: Options{Services: []string{"mail", "cart"}},
			want: "cart: cart x1\ncatalog: catalog x1 manual\nmail: mail x1"},
		{name: "services of one", progs: []*program{server("all", "cart", "catalog", "mail")}, o: Options{One: true, Services: []string{"mail", "cart"}},
			want: "all: cart,mail x1"},
		{name: "not built yet", progs: []*program{server("all"), server("mail", "mail")}, want: "mail: mail x1"},
		{name: "yaml", progs: []*program{
			named(server("all", "cart", "catalog", "mail"), manifest.Process{Services: []string{"cart", "catalog"}, Together: true, Replicas: 2}),
			named(server("all", "cart", "catalog", "mail"), manifest.Process{Name: "rest", Services: []string{"mail"}, Manual: true}),
		}, man: manifest.File{Processes: []manifest.Process{{Run: "./all"}, {Run: "./all"}, {Name: "rec", Command: []string{"rec"}, Services: []string{"rec"}}}},
			want: "all: cart,catalog x2\nmail: mail x1 manual\nrec: rec x1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wishes, err := plan(tt.progs, &tt.man, tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(wishes); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestPlanMistakes(t *testing.T) {
	tests := []struct {
		name  string
		progs []*program
		man   manifest.File
		o     Options
		want  string
	}{
		{name: "twice", progs: []*program{server("a", "cart", "mail"), server("b", "cart", "mail", "pay")},
			want: `the service cart is offered by two programs, ./a and ./b (and so are mail); say in hanse.yaml which to take, for instance:

processes:
  - run: ./a
  - run: ./b
    services: [pay]
`},
		{name: "twice, by a command", progs: []*program{server("a", "cart")},
			man:  manifest.File{Processes: []manifest.Process{{Name: "cart", Command: []string{"x"}, Services: []string{"cart"}}}},
			want: "the service cart is offered by two programs, ./a and the command cart; say in hanse.yaml which to take, for instance:\n\nprocesses:\n  - run: ./a\n"},
		{name: "unknown service in yaml", progs: []*program{named(server("a", "cart"), manifest.Process{Services: []string{"crat"}})},
			want: `hanse.yaml: the process a has no service "crat"; did you mean cart?`},
		{name: "unknown --services", progs: []*program{server("a", "cart")}, o: Options{Services: []string{"crat"}},
			want: `--services: there is no service "crat"; did you mean cart?`},
		{name: "unknown --replicas", progs: []*program{server("a", "cart")}, o: Options{Replicas: map[string]int{"crat": 2}},
			want: `--replicas: there is no service "crat"; did you mean cart?`},
		{name: "copies on one port", o: Options{Replicas: map[string]int{"web": 2}},
			man:  manifest.File{Processes: []manifest.Process{{Name: "web", Command: []string{"x"}, Services: []string{"web"}, Port: 80}}},
			want: `--replicas: 2 copies of web cannot serve its one port 80; leave port out of hanse.yaml`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := plan(tt.progs, &tt.man, tt.o)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got\n%v\nwant\n%s", err, tt.want)
			}
		})
	}
}

// The hanse.yaml that is proposed is one that parses, and settles the matter.
func TestChoiceSettles(t *testing.T) {
	progs := []*program{server("a", "cart", "mail"), server("b", "cart", "pay"), server("c", "cart")}
	_, err := plan(progs, &manifest.File{}, Options{})
	_, text, _ := strings.Cut(err.Error(), "\n\n")
	man, err := manifest.Parse("hanse.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var chosen []*program
	for i := range man.Processes {
		k := slices.IndexFunc(progs, func(p *program) bool { return p.shown == man.Processes[i].Run })
		chosen = append(chosen, named(progs[k], man.Processes[i]))
	}
	wishes, err := plan(chosen, man, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := show(wishes), "cart: cart x1\nmail: mail x1\npay: pay x1"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFolderName(t *testing.T) {
	for dir, want := range map[string]string{"/a/shop": "shop", "/a/My Shop!": "my-shop", "/": "system", "/a/2024": "s2024", "/a/Ünï": "n",
		"/" + strings.Repeat("x", 100): strings.Repeat("x", 60)} {
		if got := folderName(filepath.FromSlash(dir)); got != want {
			t.Errorf("%s: %s, want %s", dir, got, want)
		}
	}
}
