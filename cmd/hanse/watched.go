package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/outside"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/internal/systems"
	"github.com/hanse-go/hanse/telemetry/collector"
	"github.com/spf13/cobra"
)

// watched is a system whose traces, logs and numbers are collected on this machine: by the hanse dev that runs it, or by a hanse dashboard that
// shows it from outside.
type watched struct {
	name   string
	dir    string // that it belongs to; "": that is not known
	client *control.Client
	board  *outside.Record // nil: hanse dev
}

func ofDev(s systems.System) *watched {
	return &watched{name: s.Name, dir: s.Dir, client: control.NewClient(s.Control)}
}

func ofDashboard(r outside.Record) *watched {
	c := control.NewClient(r.Control)
	c.Peer = "hanse dashboard"
	return &watched{name: r.Name, dir: r.Dir, client: c, board: &r}
}

// title names the system for people, with whom is asked about it.
func (w *watched) title() string {
	if w.board == nil {
		return ui.Strong.Sprint(w.name)
	}
	text := ui.Strong.Sprint(w.name) + " " + ui.Faint.Sprint(fmt.Sprintf("(%s, by hanse dashboard, process %d)", w.board.Place, w.board.PID))
	if w.board.Production {
		text += " " + ui.Bad.Sprint("production")
	}
	return text
}

// services returns the names of the services that run or should, and of those that told something in the last hour.
func (w *watched) services(ctx context.Context) (names []string, err error) {
	status, err := w.client.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range status.Services {
		names = append(names, s.Name)
	}
	for _, p := range status.Processes {
		names = append(names, p.Name)
	}
	var told struct {
		Services []collector.ServiceSummary `json:"services"`
	}
	err = w.client.API(ctx, "services", url.Values{"window": {"1h"}}, &told)
	for _, s := range told.Services {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// watchedHelp says which system a command asks.
const watchedHelp = `The system is the one that hanse dev runs for this folder, or else the only one that runs. One that hanse dashboard shows from outside, while it does
so on this machine, is found in the same way; --system says which by its name, and --context by its context.`

// watchedFlags say which of them is asked.
type watchedFlags struct{ system, context *named }

// add adds the flags --system and --context.
func (f *watchedFlags) add(cmd *cobra.Command) {
	f.system = systemFlagAmong(cmd, func() (names []string) {
		list, _ := allWatched()
		for _, w := range list {
			names = append(names, w.name)
		}
		return names
	})
	f.context = contextFlag(cmd)
}

// find returns the system that is meant: that of the context; that of the name; the one of the current folder or of a folder above it; else the
// only one. What hanse dev runs comes before what a dashboard shows.
func (f *watchedFlags) find() (*watched, error) {
	other := ""
	if f.system.given() {
		other = "--system"
	}
	c, err := chosenContext(f.context, other)
	if err != nil {
		return nil, err
	}
	if c != nil {
		r, found, err := outside.Find(outside.ContextKey(c.Name))
		if err == nil && !found {
			err = ui.Errorf("no hanse dashboard of the context %s runs on this machine, and so nobody collects its traces, logs and numbers", c.Name).
				Then("start it with hanse dashboard --context %s", c.Name)
		}
		return ofDashboard(r), err
	}
	list, err := allWatched()
	if err != nil {
		return nil, err
	}
	if f.system.name != "" {
		return namedWatched(list, f.system.name)
	}
	if w, err := nearestWatched(list); w != nil || err != nil {
		return w, err
	}
	return onlyWatched(list)
}

// nearestWatched returns the one of the current folder or of a folder above it, nil where there is none.
func nearestWatched(list []*watched) (*watched, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	var folders []systems.System // only to find the nearest
	for _, w := range list {
		if w.dir != "" {
			folders = append(folders, systems.System{Dir: w.dir})
		}
	}
	s, ok := systems.Nearest(folders, dir)
	if !ok {
		return nil, nil
	}
	return list[slices.IndexFunc(list, func(w *watched) bool { return w.dir == s.Dir })], nil
}

// onlyWatched returns the only one that there is.
func onlyWatched(list []*watched) (*watched, error) {
	switch len(list) {
	case 0:
		if err := notYet(""); err != nil {
			return nil, err
		}
		return nil, ui.Errorf("no system runs").Then("start one with hanse dev, or show one that runs elsewhere with hanse dashboard")
	case 1:
		return list[0], nil
	}
	return nil, ui.Errorf("several systems run: %s", ui.List(watchedNames(list), "and")).
		Then("say which with --system NAME, or change to its folder:\n%s", watchedPlaces(list))
}

// ask is find, and says who answers where that is not the folder's own hanse dev.
func (f *watchedFlags) ask(u *ui.UI) (*watched, error) {
	w, err := f.find()
	if err == nil && w.board != nil {
		u.Notef("%s", w.title())
	}
	return w, err
}

// complete completes the names of services, and of the programs that only call.
func (f *watchedFlags) complete(cmd *cobra.Command, _ []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second) // somebody waits for a key to do something
	defer cancel()
	if w, err := f.find(); err == nil {
		names, _ = w.services(ctx)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// allWatched returns all of them, those of hanse dev first.
func allWatched() (list []*watched, err error) {
	running, err := systems.List()
	if err != nil {
		return nil, err
	}
	boards, err := outside.Running()
	if err != nil {
		return nil, err
	}
	for _, s := range running {
		list = append(list, ofDev(s))
	}
	for _, r := range boards {
		list = append(list, ofDashboard(r))
	}
	return list, nil
}

// namedWatched returns the one of that name.
func namedWatched(list []*watched, name string) (*watched, error) {
	var found []*watched
	for _, w := range list {
		if w.name == name {
			found = append(found, w)
		}
	}
	switch {
	case len(found) == 1 || len(found) > 1 && found[0].board == nil:
		return found[0], nil
	case len(found) > 1:
		return nil, ui.Errorf("several dashboards show a system %q", name).Then("end one, or give them contexts and say which with --context NAME:\n%s", watchedPlaces(found))
	}
	if err := notYet(name); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, ui.Errorf("no system %q runs, nor any other", name).Then("start one with hanse dev, or show one that runs elsewhere with hanse dashboard")
	}
	return nil, ui.Errorf("no system %q runs", name).Then("%s", ui.DidYouMean(name, watchedNames(list)))
}

func watchedNames(list []*watched) (names []string) {
	for _, w := range list {
		names = append(names, w.name)
	}
	return names
}

// watchedPlaces is where they are, one on a line.
func watchedPlaces(list []*watched) string {
	t := ui.NewTable("", "")
	for _, w := range list {
		place := w.dir
		if w.board != nil {
			place = fmt.Sprintf("hanse dashboard, process %d: %s", w.board.PID, w.board.Place)
		}
		t.Row("  "+w.name, place)
	}
	var b strings.Builder
	t.WriteTo(&b)
	return strings.TrimRight(b.String(), "\n")
}
