package dev

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/embednats"
	"github.com/hanse-go/hanse/internal/rundir"
)

// noBackplane is what --backplane says for none.
const noBackplane = "off"

// backplane is what the programs of a system are told to use: a server inside of hanse dev, one elsewhere, or none.
type backplane struct {
	server *embednats.Server // nil: elsewhere, or none
	url    string            // with the token of the server; "": none. It goes to processes by their environment
}

// newBackplane returns the one that --backplane says. Its data are in a folder of that name, and outlive hanse dev.
func newBackplane(flag, folder string) (*backplane, error) {
	switch flag {
	case "":
	case noBackplane:
		return new(backplane), nil
	default:
		if err := hanse.NATS(flag).Check(); err != nil {
			return nil, ui.Usagef("--backplane: %w", err)
		}
		return &backplane{url: flag}, nil
	}
	dir, err := rundir.State("dev", folder, "backplane")
	if err != nil {
		return nil, fmt.Errorf("no folder for the data of the backplane: %w; --backplane off goes without", err)
	}
	return &backplane{server: &embednats.Server{Dir: dir, Addr: "127.0.0.1:0"}}, nil
}

// run runs the server, if there is one, until ctx ends.
func (b *backplane) run(ctx context.Context, problemf func(string, ...any)) error {
	if b.server == nil {
		<-ctx.Done()
		return nil
	}
	b.server.Logger = slog.New(problems{problemf})
	return b.server.Run(ctx)
}

// await returns when programs may be started.
func (b *backplane) await(ctx context.Context) (err error) {
	if b.server != nil {
		b.url, err = b.server.URL(ctx)
	}
	return err
}

// problems shows what a server warns of.
type problems struct{ f func(string, ...any) }

func (problems) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (p problems) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += " " + a.String()
		return true
	})
	p.f("the backplane: %s", text)
	return nil
}

func (p problems) WithAttrs([]slog.Attr) slog.Handler { return p }
func (p problems) WithGroup(string) slog.Handler      { return p }
