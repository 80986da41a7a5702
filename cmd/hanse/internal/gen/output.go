package gen

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// output collects what the plugins made and writes it at the end, all or (when something is in the way) nothing.
type output struct {
	root  string
	files map[string]outFile // by absolute path
}

type outFile struct {
	content []byte
	plugin  string
}

func newOutput(root string) *output { return &output{root: root, files: map[string]outFile{}} }

// add adds a file.
func (o *output) add(path string, content []byte, plugin string) error {
	if other, ok := o.files[path]; ok {
		return fmt.Errorf("%s and %s both write %s; give one of them a folder of its own by gen.plugins.out in hanse.yaml", other.plugin, plugin, display(o.root, path))
	}
	o.files[path] = outFile{content, plugin}
	return nil
}

// flush writes what changed and removes what is left over from earlier runs.
func (o *output) flush(j *job, check bool, res *Result) error {
	var write []string
	var foreign []string
	for path, f := range o.files {
		old, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			write = append(write, path)
		case err != nil:
			return err
		case same(old, f.content):
			res.Unchanged = append(res.Unchanged, path)
		case !isGenerated(old):
			foreign = append(foreign, display(j.base, path))
		default:
			write = append(write, path)
		}
	}
	if len(foreign) > 0 {
		slices.Sort(foreign)
		return fmt.Errorf("%s was not generated and is not overwritten; move it, or change go_package", strings.Join(foreign, ", "))
	}
	stale, err := o.stale(j)
	if err != nil {
		return err
	}
	res.Written = append(res.Written, write...)
	res.Removed = append(res.Removed, stale...)
	if check {
		return nil
	}
	slices.Sort(write)
	for _, path := range write {
		if err := writeFile(path, o.files[path].content); err != nil {
			return err
		}
	}
	for _, path := range stale {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// stale returns the files in the job's folders that hanse generated and now would not.
func (o *output) stale(j *job) ([]string, error) {
	var stale []string
	for _, dir := range j.dirs {
		err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				if p != dir && skipDir(p, d.Name()) {
					return filepath.SkipDir
				}
				return nil
			}
			if _, made := o.files[p]; made || !strings.HasSuffix(p, ".pb.go") || slices.Contains(stale, p) {
				return nil
			}
			head, err := readHead(p)
			if err != nil {
				return err
			}
			if isGenerated(head) && hanseMark.Match(head) && !j.elsewhere(head) {
				stale = append(stale, p)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return stale, nil
}

// elsewhere reports whether the generated file belongs to a .proto file that exists and is not part of this job.
func (j *job) elsewhere(head []byte) bool {
	if j.files == nil {
		return false
	}
	m := sourceLine.FindSubmatch(head)
	if m == nil {
		return true
	}
	s := j.module.byName[string(m[1])]
	return s != nil && !j.files[s.path]
}

// same reports whether generated code is equal but for the name of the compiler: a project may use protoc, too.
func same(a, b []byte) bool {
	return bytes.Equal(a, b) || bytes.Equal(compilerLine.ReplaceAll(a, nil), compilerLine.ReplaceAll(b, nil)) && isGenerated(a)
}

var (
	// compilerLine is the comment that names the compiler and its version.
	compilerLine = regexp.MustCompile(`(?m)^// (?:- |\t)protoc +\S+$`)
	// generatedLine is the line by which the go command knows generated code, in Go's comments or in another language's.
	generatedLine = regexp.MustCompile(`(?m)^\W*(Code generated .* DO NOT EDIT\.|@generated\b.*)`)
	// hanseMark is the line that names the compiler; see compilerVersion.
	hanseMark  = regexp.MustCompile(`(?m)^// (?:- |\t)protoc +v\S+-hanse$`)
	sourceLine = regexp.MustCompile(`(?m)^// source: (\S+)$`)
)

func isGenerated(content []byte) bool {
	return generatedLine.Match(content[:min(len(content), headSize)])
}

// headSize is where the marks of a generated file end; licence texts may stand before them.
const headSize = 8 << 10

func readHead(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head, err := bufio.NewReaderSize(f, headSize).Peek(headSize)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return head, err
}

// writeFile replaces a file in one step.
func writeFile(path string, content []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".hanse-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails when all went well
	_, err = tmp.Write(content)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
