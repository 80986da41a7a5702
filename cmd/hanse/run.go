package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/gen"
	"github.com/hanse-go/hanse/cmd/hanse/internal/member"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
	"github.com/spf13/cobra"
)

// programFlags are the flags of every program that hanse run has too, with the variables that they stand for.
var programFlags = []struct{ name, env, arg, help string }{
	{"system", "HANSE_SYSTEM", "NAME", "the system to belong to (default the running one of this folder)"},
	{"registry", "HANSE_REGISTRY", "URL", "where instances are announced and found, such as dns:///{service}:8443"},
	{"target", "HANSE_TARGET", "SERVICE=TARGET", "call the service here, whatever the registry says"},
	{"addr", "HANSE_ADDR", "HOST:PORT", "where callers reach the services (default a free port of this machine)"},
	{"advertise", "HANSE_ADVERTISE", "HOST[:PORT]", "the address that others are told"},
	{"admin-addr", "HANSE_ADMIN_ADDR", "HOST:PORT|off", "health checks and profiles (default 127.0.0.1:0)"},
	{"zone", "HANSE_ZONE", "NAME", "where it runs"},
	{"weight", "HANSE_WEIGHT", "N", "how much it can take relative to others"},
	{"label", "HANSE_LABEL", "KEY=VALUE", "announced with each instance"},
	{"identity", "HANSE_IDENTITY", "FOLDER|off", "mutual TLS with the certificates in this folder (default that of the running hanse dev)"},
	{"log-level", "HANSE_LOG_LEVEL", "LEVEL", "of what hanse itself says"},
	{"log-format", "HANSE_LOG_FORMAT", "text|json", "of what hanse itself says"},
	{"drain-timeout", "HANSE_DRAIN_TIMEOUT", "DURATION", "how long calls, and the command, may take to finish (default 30s)"},
}

func newRun(u *ui.UI) *cobra.Command {
	var o member.Options
	var protos, folders []string
	health := "tcp"
	cmd := &cobra.Command{
		Use:   "run --service NAME [FLAG]… -- COMMAND [ARG]…",
		Short: "Make a program in any language a member of a system",
		Long: `Run a command as the services that it serves.

The command listens on 127.0.0.1, at --port or at the port in its variable PORT. When it is healthy, hanse run announces the services
and passes on what callers send: calls over gRPC, with --http also requests over plain HTTP. Where the system has an identity, callers
speak mutual TLS with hanse run, and the command reads in the metadata hanse-caller who calls.

For each service that --uses names, the command finds in a variable (HANSE_CATALOG_ADDR) an address of this machine where any client of
gRPC or HTTP reaches that service, as a service of the system. Where the system has an identity, HANSE_CERT_FILE, HANSE_KEY_FILE and
HANSE_CA_FILE name files with the command's certificate, which are replaced in time.

Which contracts the command serves it tells by gRPC's reflection, or --proto tells: the services of these .proto files. Without either, it
gets all calls, is announced without contracts, and has no calls by HTTP but those that --http passes on.

On SIGTERM callers are told to go elsewhere, calls that run end, and then the command gets its own SIGTERM. While it is not healthy it gets
no calls. When it ends by itself, hanse run ends with its exit status.`,
		Example: `  hanse run --service reviews --port 7001 --health grpc -- node reviews.js
  hanse run --service reviews --proto proto/reviews/v1/reviews.proto --proto-path proto -- node reviews.js
  hanse run --service pages --http --health http:/healthz --uses catalog -- python3 app.py --port {port}`,
		Args: argCount(1, -1, "a command behind --"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Command = args
			var err error
			if o.Health, err = member.ParseHealth(health); err != nil {
				return ui.Usagef("--health: %w", err)
			}
			o.HTTP = o.HTTP || o.Health.Path != ""
			if err := checkRun(o); err != nil {
				return err
			}
			if len(protos) == 0 && len(folders) > 0 {
				return ui.Usagef("--proto-path says where .proto files are, and --proto names none").Then("hanse run --proto reviews.proto …")
			}
			if len(protos) > 0 {
				if o.Contracts, err = gen.Contracts(cmd.Context(), protos, folders); err != nil {
					return ui.Errorf("--proto: %w", err)
				}
			}
			for _, f := range programFlags {
				if flag := cmd.Flag(f.name); flag.Changed {
					os.Setenv(f.env, flag.Value.String())
				}
			}
			return runMember(cmd.Context(), u, o)
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringSliceVar(&o.Services, "service", nil, "the services that the command serves: `NAME,…`")
	f.IntVar(&o.Port, "port", 0, "the `port` of 127.0.0.1 that it serves (default a free one, told in the variable PORT and in place of {port})")
	f.StringVar(&health, "health", health, "how one finds out that it can take calls: `grpc|http:/path|tcp`, by gRPC's health protocol, by a page or by a connection")
	f.BoolVar(&o.HTTP, "http", false, "it serves plain HTTP, too (--health http:/path implies it)")
	f.StringSliceVar(&protos, "proto", nil, ".proto `FILE,…` with the services that it serves, where it has no reflection")
	f.StringSliceVar(&folders, "proto-path", nil, "`FOLDER,…` that imports in them are relative to (default those of the files)")
	f.StringSliceVar(&o.Uses, "uses", nil, "services that it calls: `NAME,…`; each gets an address in a variable")
	f.StringVar(&o.Version, "service-version", "", "the `version` that is announced")
	f.StringVar(&o.Dir, "dir", "", "the `folder` to run it in (default this one)")
	for _, p := range programFlags {
		f.String(p.name, "", p.help+" (`"+p.arg+"`; "+p.env+")")
	}
	return cmd
}

// checkRun refuses what cannot be run.
func checkRun(o member.Options) error {
	if len(o.Services) == 0 {
		return ui.Usagef("--service is missing: the name by which others call the command").Then("hanse run --service reviews -- %s", strings.Join(o.Command, " "))
	}
	for _, name := range slices.Concat(o.Services, o.Uses) {
		if err := discovery.CheckName(name); err != nil {
			return ui.Usagef("%w", err)
		}
	}
	for _, name := range o.Uses {
		if slices.Contains(o.Services, name) {
			return ui.Usagef("--uses %s: the command serves that itself", name)
		}
	}
	if o.Port < 0 || o.Port > 65535 {
		return ui.Usagef("--port %d: it must be between 1 and 65535", o.Port)
	}
	return nil
}

// runMember runs the command with the settings of the environment.
func runMember(ctx context.Context, u *ui.UI, o member.Options) error {
	ctx, cancel, err := whileParentLives(ctx, "hanse run")
	if err != nil {
		return err
	}
	defer cancel(nil)
	app, err := hanse.FromEnv()
	if err != nil {
		return ui.Usagef("%w", err)
	}
	if app.AdminAddr == "" {
		app.AdminAddr = "127.0.0.1:0"
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o.App, o.Env, o.Guard = app, os.Environ(), []string{self, guardCommand}
	o.Stdout, o.Stderr = os.Stdout, os.Stderr
	if o.Dir != "" {
		if o.Dir, err = filepath.Abs(o.Dir); err != nil {
			return err
		}
	}
	exit, err := member.Run(ctx, o)
	if err != nil && exit == 1 {
		return err
	}
	if err != nil {
		fmt.Fprintln(u.Err, "hanse:", err)
	}
	if exit != 0 {
		return ui.Silent{Exit: exit}
	}
	return nil
}
