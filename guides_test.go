package hanse_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// page is a page of the documentation that is held to what is there.
type page struct {
	path string
	text string
}

// block is a fenced block of a page.
type block struct {
	page page
	lang string
	file string // that it is, told by a comment in its first line; empty when there is none
	text string
}

var (
	fencePattern  = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")
	fileComment   = regexp.MustCompile(`^(?://|#) (\S+\.[a-z]+)\n`)
	inlineCode    = regexp.MustCompile("`([^`\n]+)`")
	anyLink       = regexp.MustCompile(`\[([^\]]+)\]\(([^)\s]*)\)`)
	proofName     = regexp.MustCompile(`^((?:Test|Benchmark|Example|Fuzz)\w*)(?:/(\w+))?$`) // a test, or a part of one
	hanseVariable = regexp.MustCompile(`\bHANSE_[A-Z_]+\b`)
	heading       = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// guidePages reads the guides and answers.md.
func guidePages(t *testing.T) []page {
	t.Helper()
	paths, err := filepath.Glob("docs/guides/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var pages []page
	for _, path := range append(paths, "docs/answers.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, page{path, string(text)})
	}
	return pages
}

func guideBlocks(pages []page, langs ...string) (found []block) {
	for _, p := range pages {
		for _, m := range fencePattern.FindAllStringSubmatch(p.text, -1) {
			if !slices.Contains(langs, m[1]) {
				continue
			}
			b := block{page: p, lang: m[1], text: m[2]}
			if name := fileComment.FindStringSubmatch(b.text); name != nil {
				b.file = name[1]
			}
			found = append(found, b)
		}
	}
	return found
}

// TestGuides makes the system of the guides as a reader does, with hanse new and hanse gen, and runs its tests. Then it holds commands,
// flags and variables that the pages name to those that the programs have.
func TestGuides(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs programs")
	}
	pages := guidePages(t)
	tmp := t.TempDir()
	exe := ""
	if runtime.GOOS == "windows" {
		exe = ".exe"
	}
	hanse, program := filepath.Join(tmp, "hanse"+exe), filepath.Join(tmp, "bin", "greeter"+exe)
	command(t, ".", "go", "build", "-o", hanse, "./cmd/hanse")
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HANSE_SOURCE", root)
	command(t, tmp, hanse, "new", "greeter")
	dir := filepath.Join(tmp, "greeter")
	command(t, dir, hanse, "new", "visits")

	sources := goSources(t)
	for _, b := range guideBlocks(pages, "go", "proto", "yaml") {
		switch {
		case b.lang == "yaml":
			var any any
			if err := yaml.Unmarshal([]byte(b.text), &any); err != nil {
				t.Errorf("%s: %v\n%s", b.page.path, err, b.text)
			}
		case b.lang == "go" && b.file == "":
			if !slices.ContainsFunc(sources, func(s string) bool { return strings.Contains(s, b.text) }) {
				t.Errorf("%s: no Go file of examples, and no example_test.go of a package, has this code, and its first line names no file:\n%s", b.page.path, b.text)
			}
		}
		if b.file == "" {
			continue
		}
		file := filepath.Join(dir, filepath.FromSlash(b.file))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(b.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if b.lang == "go" {
			if out := command(t, dir, "gofmt", "-d", b.file); out != "" {
				t.Errorf("%s:\n%s", b.page.path, out)
			}
		}
		if b.file == "hanse.yaml" { // hanse gen reads it, and complains
			command(t, dir, hanse, "gen")
		}
	}
	command(t, dir, hanse, "gen")
	command(t, dir, "go", "mod", "edit", "-require", module+"/events/outbox@v0.0.0", "-replace", module+"/events/outbox="+filepath.Join(root, "events", "outbox"))
	command(t, dir, "go", "mod", "tidy")
	command(t, dir, hanse, "gen", "--check")
	command(t, dir, "go", "vet", "./...")
	command(t, dir, "go", "test", "./...")
	command(t, dir, "go", "build", "-o", program, ".")
	if deps := command(t, dir, "go", "list", "-deps", "./cmd/greeter"); strings.Contains(deps, module) {
		t.Errorf("the program of docs/guides/leave.md, which has left, links Hanse:\n%s", deps)
	}

	mistakenSettings(t, dir, program, guideBlocks(pages, "text"))

	h := &helps{t: t, dir: dir, hanse: hanse, program: command(t, dir, program, "--help"), of: map[string]string{}}
	h.root = command(t, dir, hanse, "--help")
	for _, p := range pages {
		for _, b := range guideBlocks([]page{p}, "sh") {
			for line := range strings.Lines(b.text) {
				h.check(p.path, line)
			}
		}
		for _, m := range inlineCode.FindAllStringSubmatch(fencePattern.ReplaceAllString(p.text, ""), -1) {
			h.check(p.path, m[1])
		}
		for _, v := range hanseVariable.FindAllString(p.text, -1) {
			if !strings.Contains(h.program, v) && !strings.Contains(h.help("new"), v) && !strings.Contains(h.help("run"), v) && !strings.Contains(h.help("context"), v) {
				t.Errorf("%s: no program reads the variable %s", p.path, v)
			}
		}
	}
}

// mistakenSettings holds what config.md says of a mistake in a file.
func mistakenSettings(t *testing.T, dir, program string, shown []block) {
	t.Helper()
	file := filepath.Join(dir, "settings.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "  max:", "  mx:", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--config", "settings.yaml", "--registry", "memory:")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("with a mistake in its settings the program ends with %v", err)
	}
	for _, b := range shown {
		if b.page.path == "docs/guides/config.md" && !strings.HasSuffix(string(out), b.text) {
			t.Errorf("%s shows\n%s\nbut the program says\n%s", b.page.path, b.text, out)
		}
	}
}

// goSources reads the Go files of the examples, and those of the packages of engines that are examples.
func goSources(t *testing.T) (texts []string) {
	t.Helper()
	for _, root := range []string{"examples", "discovery", "embednats", "identity", "gateway", "rpc", "store"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || root != "examples" && filepath.Base(path) != "example_test.go" {
				return err
			}
			text, err := os.ReadFile(path)
			texts = append(texts, string(text))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return texts
}

// command runs a command and returns its output.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return string(out)
}

// helps is what the programs say of themselves.
type helps struct {
	t       *testing.T
	dir     string // of the system of the guides
	hanse   string
	root    string            // of hanse
	program string            // of a program that was built with Hanse
	of      map[string]string // of hanse's commands, and of the guides' programs without Hanse
}

func (h *helps) help(command string) string {
	if h.of[command] == "" {
		out, err := exec.Command(h.hanse, append(strings.Fields(command), "--help")...).CombinedOutput()
		if err != nil {
			return ""
		}
		h.of[command] = string(out)
	}
	return h.of[command]
}

// ofProgram is the help of a program of the guides that is not built with Hanse.
func (h *helps) ofProgram(path string) string {
	if h.of[path] == "" {
		cmd := exec.Command("go", "run", path, "--help")
		cmd.Dir = h.dir
		out, _ := cmd.CombinedOutput() // go run's status is 1 whatever the program's is
		h.of[path] = string(out)
	}
	return h.of[path]
}

var flagWord = regexp.MustCompile(`^--?[a-zA-Z][a-z-]*`)

// check holds a command line, or a piece of one, to what the programs accept.
func (h *helps) check(path, line string) {
	line, _, _ = strings.Cut(line, " #")
	words := strings.Fields(line)
	for len(words) > 0 && strings.Contains(words[0], "=") && !strings.HasPrefix(words[0], "-") {
		words = words[1:] // variables
	}
	if len(words) == 0 {
		return
	}
	if rest, ok := strings.CutPrefix(strings.Join(words, " "), "go run ./cmd/hanse"); ok {
		words = append([]string{"hanse"}, strings.Fields(rest)...)
	}
	var where, help string
	switch {
	case words[0] == "hanse":
		if len(words) == 1 {
			return
		}
		where = "hanse " + words[1]
		if help = h.help(words[1]); help == "" || !strings.Contains(h.root, "\n  "+words[1]+" ") {
			h.t.Errorf("%s: there is no command %s", path, where)
			return
		}
		for _, w := range words[2:] { // a command below that
			if !strings.Contains(help, "\n  "+w+" ") {
				break
			}
			where += " " + w
			help = h.help(strings.TrimPrefix(where, "hanse "))
		}
	case len(words) > 2 && words[0] == "go" && words[1] == "run" && strings.HasPrefix(words[2], "./cmd/"):
		where = words[2]
		help = h.ofProgram(where)
	case strings.HasPrefix(words[0], "--"), strings.HasPrefix(words[0], "./"), words[0] == "go" && len(words) > 2 && words[1] == "run":
		where, help = "program", h.program
		if len(words) == 1 { // a flag alone may be anybody's
			for _, c := range []string{"new", "gen", "dev", "run", "call", "ps", "logs", "profile", "events replay"} {
				help += h.help(c)
			}
		}
	default:
		return
	}
	for _, w := range words[1:] {
		h.flag(path, where, help, w)
	}
	h.flag(path, where, help, words[0])
}

func (h *helps) flag(path, where, help, word string) {
	f := flagWord.FindString(word)
	if f == "" {
		return
	}
	if !regexp.MustCompile(`(?m)(^|[ ,\n])` + f + `\b`).MatchString(help) {
		h.t.Errorf("%s: %s has no flag %s", path, where, f)
	}
}

// TestAnswers holds that each row of answers.md has a proof, and that each proof that a page names is there.
func TestAnswers(t *testing.T) {
	rows := 0
	for _, p := range guidePages(t) {
		for line := range strings.Lines(p.text) {
			proofs := 0
			for _, m := range anyLink.FindAllStringSubmatch(line, -1) {
				name := proofName.FindStringSubmatch(m[1])
				if name == nil {
					continue
				}
				proofs++
				file := filepath.Join(filepath.Dir(p.path), m[2])
				text, err := os.ReadFile(file)
				if err != nil {
					t.Errorf("%s: %v", p.path, err)
				} else if !strings.Contains(string(text), "func "+name[1]+"(") || name[2] != "" && !strings.Contains(string(text), `t.Run("`+name[2]+`"`) {
					t.Errorf("%s: %s has no %s", p.path, file, m[1])
				}
			}
			isRow := p.path == "docs/answers.md" && strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| known as")
			if isRow {
				rows++
				if proofs == 0 {
					t.Errorf("%s: this row has no proof: %s", p.path, line)
				}
				if len(inlineCode.FindAllString(line, -1)) == 0 {
					t.Errorf("%s: this row shows no command: %s", p.path, line)
				}
			}
		}
	}
	if rows < 10 {
		t.Errorf("answers.md has %d rows: is the expression of this test right?", rows)
	}
}

// TestGuideLinks holds that links of the guides lead somewhere, to a heading too.
func TestGuideLinks(t *testing.T) {
	for _, p := range guidePages(t) {
		for _, m := range anyLink.FindAllStringSubmatch(fencePattern.ReplaceAllString(p.text, ""), -1) {
			path, anchor, _ := strings.Cut(m[2], "#")
			if strings.Contains(path, ":") {
				continue
			}
			file := p.path
			if path != "" {
				file = filepath.Join(filepath.Dir(p.path), path)
			}
			text, err := os.ReadFile(file)
			if info, statErr := os.Stat(file); statErr == nil && info.IsDir() {
				err = nil
			}
			if err != nil {
				t.Errorf("%s links to %s: %v", p.path, m[2], err)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(string(text)), anchor) {
				t.Errorf("%s links to %s, but %s has no such heading", p.path, m[2], file)
			}
		}
	}
}

// anchors returns the names by which GitHub links to the headings of a page.
func anchors(text string) (names []string) {
	for _, m := range heading.FindAllStringSubmatch(fencePattern.ReplaceAllString(text, ""), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r > 127:
				return r
			}
			return -1
		}, strings.ToLower(m[1]))
		names = append(names, name)
	}
	return names
}
