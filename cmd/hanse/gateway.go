package main

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/mcp"
	"github.com/hanse-go/hanse/cmd/hanse/internal/tokens"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/gateway/edge"
	"github.com/hanse-go/hanse/internal/systems"
	"github.com/hanse-go/hanse/telemetry"
	"github.com/spf13/cobra"
)

// gatewayIdentity is who the gateway is in a system that hanse dev runs with certificates: spiffe://SYSTEM/hanse-gateway.
const gatewayIdentity = "hanse-gateway"

func newGateway(u *ui.UI) *cobra.Command {
	g := newEdge()
	var where placeFlags
	var who *named
	format := "text"
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Show the services of a system to its clients, at one address",
		Long: `Serve clients outside of a system at one address, whatever they speak: gRPC, Connect, gRPC-Web, REST, JSON, WebSocket. What can be
called it learns from the services themselves, while they come and go.

Without --config it shows all services to this machine. A file says more: the address, TLS, which services, who may call what, and how often.

  gateway:
    listen: :8443
    tls: {cert: tls.crt, key: tls.key}
    expose: [catalog, orders]
    keys:
      partner: SHA-256 of a key, in hexadecimal digits
    users: {issuer: "https://login.example.com", audience: [shop]}
    mcp: true
    rules:
      - match: [/shop.catalog.v1.Catalog/*]
        auth: open
        rate: {per-second: 20, by: ip}
      - match: [/shop.orders.v1.Orders/*]
        auth: user
      - match: ["*"]
        auth: key
        timeout: 5s

It is checked before it counts, also when it changes while the gateway runs; one with a mistake changes nothing. /healthz and /readyz tell how
the gateway does.`,
		Example: `  hanse gateway                             all services of this folder's system, for this machine
  hanse gateway --config gateway.yaml       as the file says
  curl --json '{"page_size": 1}' localhost:8080/shop.catalog.v1.Catalog/ListProducts`,
		Args: argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if g.Logger, err = newLogger(u, format, slog.LevelInfo); err != nil {
				return err
			}
			return runGateway(cmd.Context(), u, g, &where, who)
		},
	}
	f := cmd.Flags()
	f.StringVar(&g.File, "config", "", "the YAML `file` with the gateway's settings")
	f.StringVar(&g.Settings.Listen, "listen", "", "the `host:port` for clients, without --config (default 127.0.0.1:8080)")
	f.BoolVar(&g.Settings.Docs, "docs", false, "serve /docs and /openapi.json, without --config")
	f.BoolVar(&g.Settings.MCP, "mcp", false, "offer methods without side effects to AI agents, at /mcp, without --config")
	f.BoolVar(&g.Settings.AccessLog, "access-log", false, "log every call, without --config")
	f.StringSliceVar(&g.Settings.Expose, "expose", nil, "the services that can be called: `NAME,…`, without --config (default all)")
	f.DurationVar(&g.DrainTimeout, "drain-timeout", 0, "give calls this much `time` to finish at the end (default 30s)")
	f.StringVar(&format, "log-format", format, "of the log: `text|json`")
	where.add(cmd)
	who = identityFlag(cmd)
	for _, name := range []string{"listen", "docs", "mcp", "access-log", "expose"} {
		cmd.MarkFlagsMutuallyExclusive("config", name)
	}
	return cmd
}

// newEdge returns a gateway that knows what this command links and package edge does not. Its Logger must be set.
func newEdge() *edge.Gateway {
	g := &edge.Gateway{NewMCP: func(tools *edge.Tools) http.Handler { return mcp.Handler(tools, buildVersion().Version) }}
	g.NewVerifier = func(about edge.Tokens) edge.Verifier { return tokens.New(about, g.Logger) }
	return g
}

// gatewayTelemetry is what a gateway tells, and to whom: as the environment says, or else the collector of the system before which it is, at its URL. A gateway that tells
// nobody leaves it to the services which traces are recorded.
func gatewayTelemetry(collector string) (telemetry.Config, error) {
	c, err := telemetry.FromEnv(os.LookupEnv)
	nobody := func() bool { return c.Traces.URL+c.Metrics.URL+c.Logs.URL == "" }
	if err == nil && collector != "" && nobody() {
		c, err = telemetry.FromEnv(systems.LookupTelemetry(collector))
	}
	if err != nil {
		return c, ui.Usagef("in the environment: %w", err)
	}
	c.ServiceName = cmp.Or(c.ServiceName, "gateway")
	c.Off = c.Off || nobody()
	return c, nil
}

// runGateway runs the gateway in front of the system at the place until ctx ends, or who started it has.
func runGateway(ctx context.Context, u *ui.UI, g *edge.Gateway, where *placeFlags, who *named) error {
	ctx, cancel, err := whileParentLives(ctx, "hanse gateway")
	if err != nil {
		return err
	}
	defer cancel(nil)
	at, err := where.find()
	if err != nil {
		return err
	}
	source, err := findIdentity(who, at)
	if err != nil {
		return err
	}
	if c, ok := source.(cli); ok {
		c.name = gatewayIdentity
		source = c
	}
	collector := ""
	if at.running != nil {
		collector = at.running.Telemetry
	}
	tell, err := gatewayTelemetry(collector)
	if err != nil {
		return err
	}
	app := &hanse.App{Registry: at.registry, Identity: source, Logger: g.Logger, Telemetry: tell}
	defer app.Close()
	g.Registry, g.Conn, g.Telemetry = app.Registry, app.Conn, app.CallerTelemetry()
	g.Ready = func(addr net.Addr) {
		u.Notef("%s %s is at %s", ui.Good.Sprint("✓"), at.name, ui.Accent.Sprint(addr.String()))
	}
	return g.Run(ctx)
}
