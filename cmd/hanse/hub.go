package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/embednats"
	"github.com/hanse-go/hanse/internal/rundir"
	"github.com/hanse-go/hanse/internal/systems"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// hub is what the flags of hanse hub say.
type hub struct {
	ui                 *ui.UI
	server             embednats.Server
	cluster            embednats.Cluster
	system             string
	tls                string // folder
	tokenFile          string
	health             string // HOST:PORT
	maxDisk, maxMemory string
	logFormat          string
	logLevel           slog.Level
}

func newHub(u *ui.UI) *cobra.Command {
	h := &hub{ui: u, logFormat: "text"}
	cmd := &cobra.Command{
		Use:   "hub",
		Short: "Run the backplane of a system: NATS with JetStream, one server or three",
		Long: `Run the NATS that carries the events, stores and, where there is no other, the registry of a system, until Ctrl-C.

What it acknowledges is on the disk, in --dir. Programs that are started in the current folder, or below it, find it by themselves; others are
told with --backplane, and the first line that is printed says what to write. Who connects shows the token, which is made at the first start and
kept in a file beside the data, or with --tls a certificate.

Three of them make a cluster that keeps everything in three places: each is told its own address with --cluster, and with --join those of the
others. They share a token: copy the file, and name it with --token-file. A server that lost its disk is started as it was, and gets all from
the others.`,
		Example: `  hanse hub                                                     for this machine
  hanse hub --addr :4222 --dir /var/lib/hanse                   for a network
  hanse hub --addr :4222 --cluster hub-1:6222 --join hub-2:6222,hub-3:6222 --token-file /etc/hanse/token`,
		Args: argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return h.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.StringVar(&h.server.Dir, "dir", "", "the `folder` of the data (default one for the system in the user's state)")
	f.StringVar(&h.server.Addr, "addr", "127.0.0.1:4222", "the `host:port` for programs")
	f.StringVar(&h.server.Advertise, "advertise", "", "the `host:port` that programs are told, where it is not what they reach (default that of --addr)")
	f.StringVar(&h.tokenFile, "token-file", "", "the `file` with the token that programs show (default token in the folder of the data, made when it is missing)")
	f.StringVar(&h.tls, "tls", "", "demand certificates, by the tls.crt, tls.key and ca.crt in this `folder`, instead of the token")
	f.StringVar(&h.cluster.Addr, "cluster", "", "the `host:port` where the other servers reach this one")
	f.StringSliceVar(&h.cluster.Peers, "join", nil, "the --cluster of the other servers: `host:port,…`")
	f.StringVar(&h.health, "health", "", "serve /healthz (it lives) and /readyz (it stores) at this `host:port` (default nowhere)")
	f.BoolVar(&h.server.NoSync, "no-sync", false, "acknowledge before the disk has it: faster, and a crash of the machine loses the last seconds")
	f.StringVar(&h.maxDisk, "max-disk", "", "the most `bytes` to keep on the disk, such as 50GiB (default three quarters of what is free)")
	f.StringVar(&h.maxMemory, "max-memory", "", "the most `bytes` to keep in memory, such as 1GiB (default 256MiB)")
	f.DurationVar(&h.server.Drain, "drain", 0, "give programs this much `time` at the end to go to the other servers of a cluster (default 5s)")
	f.StringVar(&h.system, "system", os.Getenv("HANSE_SYSTEM"), "the `name` of the system (default that in hanse.yaml, or the folder's)")
	f.StringVar(&h.logFormat, "log-format", h.logFormat, "of the log: `text|json`")
	f.TextVar(&h.logLevel, "log-level", slog.LevelInfo, "of the log: `debug|info|warn|error`")
	cmd.MarkFlagsRequiredTogether("cluster", "join")
	return cmd
}

// run runs the server until ctx ends, or who started it has.
func (h *hub) run(ctx context.Context) error {
	ctx, cancel, err := whileParentLives(ctx, "hanse hub")
	if err != nil {
		return err
	}
	defer cancel(nil)
	if h.server.Logger, err = newLogger(h.ui, h.logFormat, h.logLevel); err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	if h.system == "" {
		if h.system, err = dev.SystemName(dir); err != nil {
			return err
		}
	}
	if err := h.settle(); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.server.Run(ctx) })
	g.Go(func() error { return h.serveHealth(ctx) })
	g.Go(func() error { return h.announce(ctx, dir) })
	return g.Wait()
}

// settle fills in what the flags leave open.
func (h *hub) settle() (err error) {
	if h.server.Dir == "" {
		if h.server.Dir, err = rundir.State("hub", h.system); err != nil {
			return fmt.Errorf("no folder for the data: %w: give one with --dir", err)
		}
	}
	if h.server.Dir, err = filepath.Abs(h.server.Dir); err != nil {
		return err
	}
	if h.server.MaxDisk, err = parseSize("--max-disk", h.maxDisk); err != nil {
		return err
	}
	if h.server.MaxMemory, err = parseSize("--max-memory", h.maxMemory); err != nil {
		return err
	}
	if len(h.cluster.Peers) > 0 {
		h.server.Cluster = &h.cluster
	}
	if h.tls != "" {
		if h.tls, err = filepath.Abs(h.tls); err != nil {
			return err
		}
		if h.server.TLS, err = mutualTLS(h.tls); err != nil {
			return ui.Usagef("--tls: %w", err)
		}
		if h.tokenFile == "" {
			return nil
		}
	}
	return h.findToken()
}

// findToken reads the token, or makes one.
func (h *hub) findToken() (err error) {
	named := h.tokenFile != ""
	h.tokenFile, err = filepath.Abs(cmp.Or(h.tokenFile, filepath.Join(h.server.Dir, "token")))
	if err != nil {
		return err
	}
	text, err := os.ReadFile(h.tokenFile)
	switch {
	case err == nil:
	case !errors.Is(err, fs.ErrNotExist) || named:
		return ui.Errorf("--token-file: %w", err).Then("make one with: openssl rand -hex 20 > FILE")
	case h.server.Cluster != nil:
		return ui.Usagef("the servers of a cluster share a token, and there is none in %s", h.tokenFile).
			Then("make one with openssl rand -hex 20 > FILE, copy the file to all, and name it with --token-file")
	default:
		text = []byte(rand.Text())
		if err := writeToken(h.tokenFile, string(text)); err != nil {
			return err
		}
	}
	if h.server.Token = strings.TrimSpace(string(text)); h.server.Token == "" {
		return ui.Errorf("the file %s has no token in it", h.tokenFile).Then("remove it, and a token is made")
	}
	return nil
}

// writeToken keeps a token where the user alone reads it.
func writeToken(file, token string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(token + "\n")
	return errors.Join(err, f.Close())
}

// backplane returns what a program is told with --backplane. There are no secrets in it, but where they are.
func (h *hub) backplane(ctx context.Context) (string, error) {
	text, err := h.server.URL(ctx)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", err
	}
	u.User = nil
	var query []string
	add := func(key, file string) {
		query = append(query, key+"="+strings.NewReplacer("%", "%25", "&", "%26", "+", "%2B", " ", "%20", "#", "%23").Replace(file))
	}
	if h.tokenFile != "" {
		add("token-file", h.tokenFile)
	}
	if h.tls != "" {
		add("ca", filepath.Join(h.tls, caFile))
		add("cert", filepath.Join(h.tls, certFile))
		add("key", filepath.Join(h.tls, keyFile))
	}
	u.RawQuery = strings.Join(query, "&")
	return u.String(), nil
}

// announce says that the hub runs, and has programs of the folder find it until ctx ends.
func (h *hub) announce(ctx context.Context, dir string) error {
	backplane, err := h.backplane(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	who := "programs below " + dir + " find it, others take"
	record, err := systems.HoldHub(systems.Hub{Name: h.system, Dir: dir, Backplane: backplane, PID: os.Getpid(), Started: time.Now()})
	if errors.Is(err, systems.ErrHub) { // as the servers of a cluster do on one machine
		who = "programs take"
	} else if err != nil {
		return err
	}
	h.ui.Notef("%s hub of %s in %s; %s %s", ui.Good.Sprint("✓"), ui.Strong.Sprint(h.system), h.server.Dir, who, ui.Accent.Sprint("--backplane '"+backplane+"'"))
	<-ctx.Done()
	if record == nil {
		return nil
	}
	return record.Close()
}

// serveHealth serves what probes ask, until ctx ends.
func (h *hub) serveHealth(ctx context.Context) error {
	if h.health == "" {
		return nil
	}
	lis, err := net.Listen("tcp", h.health)
	if err != nil {
		return ui.Errorf("--health: %w", err).Then("give another address, or none")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := h.server.Health(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(lis) }()
	select {
	case err := <-served:
		return fmt.Errorf("--health: %w", err)
	case <-ctx.Done():
	}
	err = server.Close()
	<-served
	return err
}

// parseSize reads a number of bytes, such as 512MiB or 20G; 0 for the empty text.
func parseSize(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	digits := strings.TrimRight(text, "KMGTiB")
	unit, ok := map[string]float64{"": 1, "B": 1, "K": 1e3, "KB": 1e3, "KiB": 1 << 10, "M": 1e6, "MB": 1e6, "MiB": 1 << 20,
		"G": 1e9, "GB": 1e9, "GiB": 1 << 30, "T": 1e12, "TB": 1e12, "TiB": 1 << 40}[text[len(digits):]]
	n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil || !ok || !(n*unit >= 1 && n*unit < math.MaxInt64) {
		return 0, ui.Usagef("%s: %q is no number of bytes", flag, text).Then("write it as 512MiB or 20GB")
	}
	return int64(n * unit), nil
}

// newLogger returns the logger of a command that serves.
func newLogger(u *ui.UI, format string, level slog.Leveler) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: level}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(u.Err, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(u.Err, options)), nil
	}
	return nil, ui.Usagef("--log-format: %q is not text or json", format)
}
