package main

import (
	"cmp"
	"context"
	"net"
	"path/filepath"
	"strings"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/outside"
	"github.com/hanse-go/hanse/cmd/hanse/internal/reach"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/natsdiscovery"
	"github.com/spf13/cobra"
)

// outsideFlags say which running system is looked at from outside.
type outsideFlags struct {
	placeFlags
	who *named // --identity
}

func (f *outsideFlags) add(cmd *cobra.Command) {
	f.placeFlags.add(cmd)
	f.addContext(cmd)
	f.who = identityFlag(cmd)
}

func newDashboard(u *ui.UI) *cobra.Command {
	f := &outsideFlags{}
	var addr, otlp string
	var readOnly bool
	cmd := &cobra.Command{
		Use:   "dashboard [SERVICE]…",
		Short: "Show a running system in a browser",
		Long: `Show a system that runs already, wherever it does, in the browser: the dashboard of hanse dev, from outside. The services come from the
registry (--registry), or that on the backplane (--backplane), or from a context (--context; see hanse context). Of a system that hanse dev
runs here it is the link to its dashboard that is printed. With names it is these services only, which registries that cannot list need.

What each page needs:

  services, instances        the registry
  config, resilience, levels the admin addresses of the instances, where they are reached from here
  console                    the services' addresses, and --identity where they want to see a certificate
  events, stores             --backplane
  map, traces, logs, metrics programs that send it here: start them with OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318, or
                             what is printed. Where many are to send, give --otlp an address that they reach

What it has collected is kept, and there in the next run. A context that is marked production is only shown, and so is every system with
--read-only: the server refuses what changes something, and the console calls methods that are marked NO_SIDE_EFFECTS.`,
		Example: `  hanse dashboard --registry local:shop
  hanse dashboard --backplane 'nats://nats.example.com:4222?creds=me.creds' --system shop
  hanse dashboard --context prod
  hanse dashboard --registry 'dns:///{service}.shop.internal:8443' cart checkout
  hanse dashboard --registry local:shop --otlp :4318       others than this machine may send, too`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkLocal("--addr", addr); err != nil {
				return err
			}
			if _, _, err := net.SplitHostPort(otlp); otlp != "" && err != nil {
				return ui.Usagef("--otlp: %q is not host:port", otlp).Then("write --otlp localhost:4318, or --otlp :4318 for all of this machine's addresses")
			}
			where, err := f.find()
			if err != nil {
				return err
			}
			if where.running != nil {
				return devDashboard(cmd.Context(), u, where)
			}
			o, err := f.options(cmd.Context(), where, args)
			if err != nil {
				return err
			}
			o.UI, o.Addr, o.OTLP, o.ReadOnly = u, addr, otlp, readOnly
			return outside.Run(cmd.Context(), o)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&addr, "addr", "", "show it at this `host:port` of this machine (default a port of 127.0.0.1 that stays the same)")
	cmd.Flags().StringVar(&otlp, "otlp", "", "take in telemetry, by OTLP over HTTP and gRPC, at this `host:port` (default localhost:4318, or where that is taken another one that stays the same)")
	cmd.Flags().BoolVar(&readOnly, "read-only", false, "change nothing, whatever the context says")
	cmd.ValidArgsFunction = func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		where, err := f.find()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return where.services(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// devDashboard prints where hanse dev shows its system.
func devDashboard(ctx context.Context, u *ui.UI, where *place) error {
	status, err := control.NewClient(where.running.Control).Status(ctx)
	if err != nil {
		return asUI(err)
	}
	if status.Dashboard == "" {
		return ui.Errorf("hanse dev runs %s without a dashboard", where.running.Name).Then("start it without --dashboard off")
	}
	u.Printf("hanse dev runs %s, and shows it: %s\n", ui.Strong.Sprint(where.running.Name), ui.Accent.Sprint(status.Dashboard))
	return nil
}

// options says how the place is looked at.
func (f *outsideFlags) options(ctx context.Context, where *place, services []string) (outside.Options, error) {
	var o outside.Options
	if len(services) == 0 && !where.listable && len(where.unlistable) > 0 {
		return o, where.cannotList().Then("name the services: hanse dashboard %s cart checkout", registryFlags(where.unlistable))
	}
	for _, name := range services {
		if err := discovery.CheckName(name); err != nil {
			return o, ui.Usagef("%w", err)
		}
	}
	c := where.context
	who, err := findIdentity(f.who, where)
	if err != nil {
		return o, err
	}
	system, backplane := where.system, where.backplane
	if here := where.certified; here != nil && backplane == "" { // hanse dev runs it on this machine
		system, backplane = here.Name, here.Backplane
	}
	o = outside.Options{
		Name: cmp.Or(system, f.system.name, folderName(where.folder), localName(where.urls), "a system"), Place: where.name, Services: services, Watch: func(ctx context.Context, notify func([]discovery.Instance)) error {
			return where.watch(ctx, services, notify)
		},
		Reach: reach.Options{System: system, Registry: where.registry, Identity: who, Backplane: backplane, Logger: quiet},
	}
	if c != nil {
		o.Name, o.Production = c.Name, c.Production
	}
	o.Key, o.Dir = where.key(), where.folder
	return o, nil
}

// folderName is the name of a folder's system for people, "" without a folder.
func folderName(dir string) string {
	if dir == "" {
		return ""
	}
	return filepath.Base(dir)
}

// key is what a dashboard of the place is known by, whichever flags say where that is.
func (p *place) key() string {
	switch {
	case p.context != nil:
		return outside.ContextKey(p.context.Name)
	case p.backplane == "":
		return outside.PlaceKey(p.urls...)
	}
	return outside.PlaceKey(append([]string{cmp.Or(p.system, natsdiscovery.DefaultSystem), hanse.NATS(p.backplane).String()}, p.urls...)...)
}

// localName is the name in the only registry, where it is local:NAME.
func localName(urls []string) string {
	if len(urls) == 1 {
		if name, ok := strings.CutPrefix(urls[0], "local:"); ok && discovery.CheckName(name) == nil {
			return name
		}
	}
	return ""
}
