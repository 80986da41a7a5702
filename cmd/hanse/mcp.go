package main

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/mcp"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/gateway/edge"
	"github.com/spf13/cobra"
	"google.golang.org/grpc/metadata"
)

// mcpPatience is how long the first answer waits for services that do not tell their contracts: clients that start a server wait for it.
const mcpPatience = 3 * time.Second

// mcpFlags are the flags of hanse mcp.
type mcpFlags struct {
	outsideFlags
	observe bool
	open    []string
	headers []string
	timeout time.Duration
}

func newMCP(u *ui.UI) *cobra.Command {
	f := &mcpFlags{}
	cmd := &cobra.Command{
		Use:   "mcp [SERVICE]…",
		Short: "Offer methods of running services to AI agents, as tools",
		Long: `Serve the Model Context Protocol on standard input and output, to the agent that starts the command. It belongs into the agent's
configuration. The services are found as every caller finds them, and describe themselves by gRPC reflection; tools come and go with
them. With names, it is these services only.

A tool is a unary method: its comment is the description, its messages are the schemas. Methods that are marked NO_SIDE_EFFECTS in their
.proto file are tools; others only when --open names them. An error of a call is an error of the tool, and what the agent may call is
decided by the services, as for any caller.

With --observe the tools are others, by which an agent looks at the system and changes nothing: services and their health, who calls whom,
traces, logs and metrics. They are what the hanse dev that runs the system has collected, or the hanse dashboard that shows it from this machine;
without either, what the registry and the instances tell. The system is that of --context, --registry or --backplane; that of the name, by --system;
what runs for the current folder; or the only one that runs. It is found anew for each call, and each answer says which it is: an agent starts the
command once, and it stays while nothing runs.`,
		Example: `  hanse mcp
  hanse mcp --system shop catalog
  hanse mcp --observe
  hanse mcp --observe --context prod
  hanse mcp --open /shop.cart.v1.Carts/AddItem --open '/shop.orders.v1.Orders/*'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.observe {
				return observeMCP(cmd, u, f, args)
			}
			return runMCP(cmd.Context(), u, f, args)
		},
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			where, err := f.find()
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return where.services(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.observe, "observe", false, "offer tools that look at the system, instead of its methods")
	cmd.Flags().StringArrayVar(&f.open, "open", nil, "make a tool of this `method`, too: /pkg.Contract/Method, or /pkg.Contract/* for all of a contract; repeatable")
	cmd.Flags().StringArrayVarP(&f.headers, "header", "H", nil, "send the header `name:value` with all calls; repeatable, a name that ends in -bin takes base64")
	cmd.Flags().DurationVar(&f.timeout, "timeout", time.Minute, "give each call this much `time`")
	return cmd
}

func runMCP(ctx context.Context, u *ui.UI, f *mcpFlags, services []string) error {
	for _, name := range f.open {
		if contract, method, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/"); !ok || contract == "" || method == "" {
			return ui.Usagef("--open: %q names no method", name).Then("write /package.Service/Method, or /package.Service/* for all of a contract")
		}
	}
	if f.timeout <= 0 {
		return ui.Usagef("mcp: the timeout %v is no time", f.timeout)
	}
	md, err := parseHeaders(f.headers)
	if err != nil {
		return err
	}
	where, err := f.find()
	if err != nil {
		return err
	}
	if c := where.context; c != nil && c.Production && len(f.open) > 0 {
		return ui.Usagef("the context %s is marked production: only methods that are marked NO_SIDE_EFFECTS become tools", c.Name).Then("leave --open out")
	}
	if len(services) == 0 && !where.listable && len(where.unlistable) > 0 {
		return where.cannotList().Then("name the services: hanse mcp cart %s", registryFlags(where.unlistable))
	}
	for _, name := range services {
		if _, err := where.instances(ctx, name); err != nil {
			return err
		}
	}
	who, err := findIdentity(f.who, where)
	if err != nil {
		return err
	}
	app := &hanse.App{Registry: where.registry, Logger: quiet, Identity: who, NoTelemetry: true} // as of hanse call
	defer app.Close()
	logger := slog.New(slog.NewTextHandler(u.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	looked := make(chan struct{}, 1)
	contracts := &edge.Contracts{Registry: where.registry, Conn: app.Conn, Services: services, Logger: logger, Looked: func() {
		select {
		case looked <- struct{}{}:
		default:
		}
	}}
	tools := &gateway.Tools{
		Backend: contracts, Safe: true, Open: opened(f.open), Timeout: f.timeout, Config: gateway.Config{Types: contracts.Types()}, Logger: logger,
	}

	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { contracts.Run(ctx) })
	server := mcp.New(tools, httpHeader(md), buildVersion().Version)
	settle(ctx, contracts, looked)
	server.Update()
	for _, name := range tools.Open {
		if !slices.ContainsFunc(tools.List(), func(t gateway.Tool) bool {
			return t.Method == name || strings.HasSuffix(name, "/*") && strings.HasPrefix(t.Method, strings.TrimSuffix(name, "*"))
		}) {
			u.Notef("hanse mcp: no unary method is %s; it becomes a tool when a service has it", name)
		}
	}
	running.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-looked:
				server.Update()
			}
		}
	})
	if u.InTerminal {
		u.Notef("%s", ui.Faint.Sprint("this speaks MCP on standard input and output: an agent starts it; Ctrl-D ends it"))
	}
	return server.Run(ctx, os.Stdin, os.Stdout)
}

// settle waits until all services have told their contracts, or for as long as a client can wait.
func settle(ctx context.Context, contracts *edge.Contracts, looked <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, mcpPatience)
	defer cancel()
	for len(contracts.Missing()) > 0 {
		select {
		case <-looked:
		case <-ctx.Done():
			return
		}
	}
}

// opened returns the methods as [gateway.Tools] takes them: the slash at the beginning may be left out.
func opened(methods []string) []string {
	var list []string
	for _, m := range methods {
		list = append(list, "/"+strings.TrimPrefix(m, "/"))
	}
	return list
}

// httpHeader returns metadata as headers.
func httpHeader(md metadata.MD) http.Header {
	h := http.Header{}
	for name, values := range md {
		for _, value := range values {
			if strings.HasSuffix(name, "-bin") {
				value = base64.RawStdEncoding.EncodeToString([]byte(value))
			}
			h.Add(name, value)
		}
	}
	return h
}
