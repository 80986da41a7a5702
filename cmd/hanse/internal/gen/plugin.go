package gen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/cmd/hanse/internal/manifest"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

// plugin is something that turns compiled files into code.
type plugin struct {
	name string // what people call it
	out  string // absolute
	opt  []string
	// beside says that files lie beside their .proto file, whatever its root: out has no meaning.
	beside bool
	call   callFunc
}

// workshop is what a plugin may use besides its request.
type workshop struct {
	progress func(what string) (done func())
	stderr   io.Writer
}

// callFunc runs a plugin.
type callFunc func(ctx context.Context, w *workshop, req *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error)

// plugins returns the two stock plugins and the user's, in the order in which they run.
func (m *module) plugins() []plugin {
	inModule := []string{"module=" + m.path}
	goPlugin := plugin{name: "protoc-gen-go", out: m.dir, opt: inModule, call: runGo}
	grpcPlugin := plugin{name: "protoc-gen-go-grpc", out: m.dir, opt: inModule, call: runGRPC}
	var own []plugin
	for _, cfg := range m.config.Plugins {
		switch cfg.Name {
		case "go":
			goPlugin = goPlugin.with(m, cfg)
		case "go-grpc":
			grpcPlugin = grpcPlugin.with(m, cfg)
		default:
			p := plugin{name: cfg.Name, out: m.dir, opt: inModule, call: m.external(cfg)}
			own = append(own, p.with(m, cfg))
		}
	}
	return append([]plugin{goPlugin, grpcPlugin}, own...)
}

// with returns p as the user configured it. With a folder or options about paths the user says how files are placed; else
// go_package does.
func (p plugin) with(m *module, cfg manifest.Plugin) plugin {
	placed := cfg.Out != "" || slices.ContainsFunc(cfg.Opt, func(o string) bool {
		return strings.HasPrefix(o, "paths=") || strings.HasPrefix(o, "module=")
	})
	if cfg.Out != "" {
		p.out = filepath.Join(m.dir, filepath.FromSlash(cfg.Out))
	}
	if placed {
		p.opt = nil
	}
	p.beside = cfg.Out == "" && slices.Contains(cfg.Opt, "paths=source_relative")
	p.opt = slices.Concat(p.opt, cfg.Opt)
	return p
}

// generate runs the plugin for the target files and adds its files to out. Files that are to lie beside their .proto file are
// made for one root at a time, because their names are relative to it.
func (p plugin) generate(ctx context.Context, w *workshop, m *module, c *compiled, targets []string, out *output) error {
	if !p.beside {
		return p.generateIn(ctx, w, p.out, c, targets, out)
	}
	byRoot := map[string][]string{}
	for _, t := range targets {
		root := m.byName[t].root
		byRoot[root] = append(byRoot[root], t)
	}
	for _, root := range slices.Sorted(maps.Keys(byRoot)) {
		if err := p.generateIn(ctx, w, root, c, byRoot[root], out); err != nil {
			return err
		}
	}
	return nil
}

func (p plugin) generateIn(ctx context.Context, w *workshop, dir string, c *compiled, targets []string, out *output) error {
	req, err := c.request(targets, strings.Join(p.opt, ","))
	if err != nil {
		return err
	}
	res, err := p.call(ctx, w, req)
	if err != nil {
		return err
	}
	if res.Error != nil {
		return fmt.Errorf("%s: %s", p.name, strings.TrimSpace(res.GetError()))
	}
	for _, f := range res.File {
		if f.GetInsertionPoint() != "" {
			return fmt.Errorf("%s wants to insert into %s, which is not supported", p.name, f.GetName())
		}
		if !filepath.IsLocal(filepath.FromSlash(f.GetName())) {
			return fmt.Errorf("%s wants to write %q, which is outside of %s", p.name, f.GetName(), dir)
		}
		if err := out.add(filepath.Join(dir, filepath.FromSlash(f.GetName())), []byte(f.GetContent()), p.name); err != nil {
			return err
		}
	}
	return nil
}

// external returns the call of a plugin that the user has: a command, a program in PATH, or a tool in go.mod.
func (m *module) external(cfg manifest.Plugin) callFunc {
	return func(ctx context.Context, w *workshop, req *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
		argv := cfg.Command
		if len(argv) == 0 {
			var err error
			if argv, err = m.locate(ctx, cfg.Name); err != nil {
				return nil, err
			}
		}
		defer w.progress("running " + cfg.Name)()
		return w.exec(ctx, m.dir, argv, req)
	}
}

// locate returns the command of the plugin protoc-gen-NAME.
func (m *module) locate(ctx context.Context, name string) ([]string, error) {
	program := "protoc-gen-" + name
	if file, err := exec.LookPath(program); err == nil {
		return []string{file}, nil
	}
	tool := exec.CommandContext(ctx, "go", "tool", "-n", program)
	tool.Dir = m.dir
	if err := tool.Run(); err == nil {
		return []string{"go", "tool", program}, nil
	}
	return nil, fmt.Errorf("there is no plugin %s; install it in PATH, or add it to %s with: go get -tool PACKAGE/%s@VERSION", program, filepath.Join(m.dir, "go.mod"), program)
}

// exec runs a plugin as protoc does: request on standard input, response on standard output.
func (w *workshop) exec(ctx context.Context, dir string, argv []string, req *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	in, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return nil, err
	}
	var out, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Stdin = bytes.NewReader(in)
	cmd.Stdout = &out
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && stderr.Len() > 0 {
			return nil, fmt.Errorf("%s failed (%w):\n%s", filepath.Base(argv[0]), err, strings.TrimSpace(stderr.String()))
		}
		return nil, fmt.Errorf("%s failed: %w", filepath.Base(argv[0]), err)
	}
	w.stderr.Write(stderr.Bytes())
	res := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(out.Bytes(), res); err != nil {
		return nil, fmt.Errorf("%s answered something that is no protobuf: %w", filepath.Base(argv[0]), err)
	}
	return res, nil
}
