package mcp_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// command is hanse, built once, and a system of its own that runs in this process.
type command struct {
	t        *testing.T
	bin      string
	registry *discovery.Local
	back     *shop
}

func newCommand(t *testing.T) *command {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the command hanse")
	}
	c := &command{t: t, bin: filepath.Join(t.TempDir(), "hanse"), back: newShop(t)}
	if runtime.GOOS == "windows" {
		c.bin += ".exe"
	}
	build := exec.Command("go", "build", "-o", c.bin, "./cmd/hanse")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	for _, name := range []string{"HANSE_REGISTRY", "HANSE_SYSTEM", "HANSE_TARGET", "HANSE_IDENTITY"} {
		t.Setenv(name, "")
	}
	c.registry = &discovery.Local{System: "tools", Logger: slog.New(slog.DiscardHandler)}
	known, err := protoregistry.GlobalFiles.FindFileByPath("shop.proto")
	if err != nil { // the first test
		known = c.back.service.ParentFile()
		if err := protoregistry.GlobalFiles.RegisterFile(known); err != nil {
			t.Fatal(err)
		}
	}
	c.back.service = known.Services().Get(0)
	return c
}

// serve runs the service shop until end.
func (c *command) serve() (end func()) {
	c.t.Helper()
	desc := &grpc.ServiceDesc{ServiceName: "shop.v1.Shop", HandlerType: (*any)(nil), Metadata: "shop.proto"}
	for i := range c.back.service.Methods().Len() {
		m := c.back.service.Methods().Get(i)
		full := "/shop.v1.Shop/" + string(m.Name())
		if m.IsStreamingServer() {
			desc.Streams = append(desc.Streams, grpc.StreamDesc{StreamName: string(m.Name()), ServerStreams: true, Handler: func(any, grpc.ServerStream) error { return nil }})
			continue
		}
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: string(m.Name()), Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := &unary{ctx: ctx, decode: decode}
			err := c.back.Call(full, in)
			return in.reply, err
		}})
	}
	svc := &hanse.Service{Name: "shop"}
	svc.RegisterService(desc, struct{}{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	app := &hanse.App{Registry: c.registry, Logger: slog.New(slog.DiscardHandler)}
	go func() { ended <- app.Run(ctx, svc) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			c.t.Error(err)
		}
	})
	c.t.Cleanup(end)
	found := make(chan struct{})
	watch, seen := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer seen()
	go c.registry.Watch(watch, "shop", func(list []discovery.Instance) {
		if slices.ContainsFunc(list, func(i discovery.Instance) bool { return i.State == discovery.Ready }) && watch.Err() == nil {
			seen()
			close(found)
		}
	})
	<-watch.Done()
	select {
	case <-found:
	case <-time.After(time.Second):
		c.t.Fatal("the service does not become ready")
	}
	return end
}

// unary is a call of a unary handler as a stream.
type unary struct {
	grpc.ServerStream
	ctx    context.Context
	decode func(any) error
	reply  any
}

func (u *unary) Context() context.Context { return u.ctx }
func (u *unary) RecvMsg(m any) error      { return u.decode(m) }
func (u *unary) SendMsg(m any) error      { u.reply = m; return nil }

// start starts hanse mcp as an agent does, and returns what it is told.
func (c *command) start(args ...string) (*mcp.ClientSession, <-chan struct{}) {
	c.t.Helper()
	cmd := exec.Command(c.bin, append([]string{"mcp", "--registry", "local:tools"}, args...)...)
	stderr := new(bytes.Buffer)
	cmd.Stderr = stderr
	changed := make(chan struct{}, 16)
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { changed <- struct{}{} },
	})
	session, err := client.Connect(c.t.Context(), &mcp.CommandTransport{Command: cmd, TerminateDuration: 20 * time.Second}, nil)
	if err != nil {
		c.t.Fatalf("%v\n%s", err, stderr)
	}
	c.t.Cleanup(func() {
		if err := session.Close(); err != nil {
			c.t.Errorf("%v\n%s", err, stderr)
		}
		if stderr.Len() > 0 {
			c.t.Errorf("it complained: %s", stderr)
		}
	})
	return session, changed
}

// TestCommand is hanse mcp with the SDK's client as its agent.
func TestCommand(t *testing.T) {
	c := newCommand(t)
	end := c.serve()
	s, changed := c.start("-H", "Authorization: Bearer abc")
	all, tools := names(t, s)
	if strings.Join(all, " ") != "shop_v1_Shop_Get" {
		t.Fatalf("tools are %q", all)
	}
	get := tools["shop_v1_Shop_Get"]
	if get.Description != "Get finds an item." || !get.Annotations.ReadOnlyHint || get.OutputSchema == nil {
		t.Errorf("%+v", get)
	}
	call := func(name, item string) *mcp.CallToolResult {
		t.Helper()
		r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: name, Arguments: map[string]any{"name": item}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := call("shop_v1_Shop_Get", "cog"); r.IsError || text(t, r) != `{"name":"cog"}` || r.StructuredContent == nil {
		t.Errorf("%+v", r)
	}
	if c.back.method != "/shop.v1.Shop/Get" || strings.Join(c.back.metadata.Get("authorization"), "") != "Bearer abc" || c.back.left <= 30*time.Second || c.back.left > time.Minute {
		t.Errorf("%s with %v, %v left", c.back.method, c.back.metadata, c.back.left)
	}
	if r := call("shop_v1_Shop_Get", "gone"); !r.IsError || text(t, r) != `{"code":"not_found","message":"thereisnosuchitem"}` {
		t.Errorf("%+v", r)
	}
	if _, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "shop_v1_Shop_Add"}); err == nil {
		t.Error("a method is called that is not open")
	}

	opened, _ := c.start("--open", "shop.v1.Shop/Add", "--timeout", "100ms", "shop")
	if all, _ := names(t, opened); strings.Join(all, " ") != "shop_v1_Shop_Add shop_v1_Shop_Get" {
		t.Errorf("with Add open: %q", all)
	}
	r, err := opened.CallTool(t.Context(), &mcp.CallToolParams{Name: "shop_v1_Shop_Add", Arguments: map[string]any{"name": "slow"}})
	if err != nil || !r.IsError || !strings.Contains(text(t, r), "deadline_exceeded") {
		t.Errorf("%+v, %v", r, err)
	}
	everything, _ := c.start("--open", "/shop.v1.Shop/*")
	if all, _ := names(t, everything); strings.Join(all, " ") != "shop_v1_Shop_Add shop_v1_Shop_Get shop_v1_Shop_Put" {
		t.Errorf("with all open: %q", all)
	}

	// Tools go and come with the service.
	told := func(want string) {
		t.Helper()
		timeout := time.After(20 * time.Second)
		for {
			select {
			case <-changed:
			case <-timeout:
				all, _ := names(t, s)
				t.Fatalf("the client is not told of %q; the tools are %q", want, all)
			}
			if all, _ := names(t, s); strings.Join(all, " ") == want {
				return
			}
		}
	}
	end()
	told("")
	c.serve()
	told("shop_v1_Shop_Get")
	if r := call("shop_v1_Shop_Get", "again"); r.IsError {
		t.Errorf("%+v", r)
	}
}

// TestCommandEnds holds that the command ends well by a signal, when its client has not closed the pipe.
func TestCommandEnds(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such signals")
	}
	c := newCommand(t)
	c.serve()
	cmd := exec.Command(c.bin, "mcp", "--registry", "local:tools")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`+"\n"); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 4096)
	if n, err := out.Read(line); err != nil || !bytes.Contains(line[:n], []byte(`"listChanged":true`)) {
		t.Errorf("%s, %v", line[:n], err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer stuck.Stop()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
