package gen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

// plugin is something that turns compiled files into code.
type plugin struct {
	name string // what people call it
	out  string // absolute
	opt  []string
	// call runs it.
	call func(ctx context.Context, progress func(string) func(), req *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error)
}

// plugins returns the two stock plugins and the user's, in the order in which they run.
func (m *module) plugins() []plugin {
	inModule := "module=" + m.path
	goPlugin := plugin{name: "protoc-gen-go", out: m.dir, opt: []string{inModule}, call: runGo}
	grpcPlugin := plugin{name: "protoc-gen-go-grpc", out: m.dir, opt: []string{inModule}, call: runGRPC}
	var own []plugin
	for _, cfg := range m.config.Plugins {
		switch cfg.Name {
		case "go":
			goPlugin = goPlugin.with(m, cfg)
		case "go-grpc":
			grpcPlugin = grpcPlugin.with(m, cfg)
		default:
			p := plugin{name: cfg.Name, out: m.dir, opt: []string{inModule}, call: m.external(cfg.Name)}
			own = append(own, p.with(m, cfg))
		}
	}
	return append([]plugin{goPlugin, grpcPlugin}, own...)
}

// with returns p as the user configured it.
func (p plugin) with(m *module, cfg Plugin) plugin {
	if cfg.Out != "" {
		p.out = filepath.Join(m.dir, filepath.FromSlash(cfg.Out))
		p.opt = nil // the user says how paths are made
	}
	for _, o := range cfg.Opt {
		if strings.HasPrefix(o, "paths=") || strings.HasPrefix(o, "module=") {
			p.opt = nil // excludes ours
		}
	}
	p.opt = append(p.opt[:len(p.opt):len(p.opt)], cfg.Opt...)
	return p
}

// generate runs the plugin for the target files and adds its files to out.
func (p plugin) generate(ctx context.Context, progress func(string) func(), m *module, c *compiled, targets []string, out *output) error {
	req, err := c.request(targets, strings.Join(p.opt, ","))
	if err != nil {
		return err
	}
	res, err := p.call(ctx, progress, req)
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
			return fmt.Errorf("%s wants to write %q, which is outside of %s", p.name, f.GetName(), p.out)
		}
		if err := out.add(filepath.Join(p.out, filepath.FromSlash(f.GetName())), []byte(f.GetContent()), p.name); err != nil {
			return err
		}
	}
	return nil
}

// external returns the call of a plugin that the user has: a path, a program in PATH, or a tool in go.mod.
func (m *module) external(name string) func(context.Context, func(string) func(), *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	return func(ctx context.Context, progress func(string) func(), req *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
		argv, err := m.locate(ctx, name)
		if err != nil {
			return nil, err
		}
		defer progress("running " + name)()
		return execPlugin(ctx, m.dir, argv, req)
	}
}

// locate returns the command of the plugin.
func (m *module) locate(ctx context.Context, name string) ([]string, error) {
	if strings.ContainsAny(name, `/\`) {
		file := filepath.FromSlash(name)
		if !filepath.IsAbs(file) {
			file = filepath.Join(m.dir, file)
		}
		if _, err := exec.LookPath(file); err != nil {
			return nil, fmt.Errorf("the plugin %s in hanse.yaml cannot be run: %w", name, err)
		}
		return []string{file}, nil
	}
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

// execPlugin runs a plugin as protoc does: request on standard input, response on standard output.
func execPlugin(ctx context.Context, dir string, argv []string, req *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
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
	os.Stderr.Write(stderr.Bytes())
	res := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(out.Bytes(), res); err != nil {
		return nil, fmt.Errorf("%s answered something that is no protobuf: %w", filepath.Base(argv[0]), err)
	}
	return res, nil
}
