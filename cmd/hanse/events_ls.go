package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/desk"
	"github.com/spf13/cobra"
)

func newEventsLs(u *ui.UI) *cobra.Command {
	var watch bool
	var at eventsFlags
	cmd := &cobra.Command{
		Use:   "ls [TOPIC]…",
		Short: "List topics, and what waits in them for which group",
		Long: `List the topics of the running system: how many events they keep, how many came in the last minute, and for each group that
subscribes one how many are not handled yet (LAG), how many of these are in the hands of its instances, and how old the oldest is.

DEAD counts the dead letters. With names, list these topics only; the topic of dead letters of orders.placed is orders.placed.dead.`,
		Example: `  hanse events ls
  hanse events ls orders.placed --watch
  hanse events ls --json | jq -r '.[] | select(.dead > 0) | .topic'`,
	}
	at.add(cmd)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show the list again when it changes, until Ctrl-C")
	u.JSONFlag(cmd, "an array of topics")
	cmd.ValidArgsFunction = at.completeTopics(anyTopic)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return at.run(cmd.Context(), func(ctx context.Context, at *eventsAt) error {
			if !watch {
				list, err := at.report(ctx, args)
				if err != nil {
					return err
				}
				if u.JSON {
					return u.PrintJSON(list)
				}
				text, err := topicsText(at, list)
				u.Printf("%s", text)
				return err
			}
			return watchEvents(ctx, u, at, args)
		})
	}
	return cmd
}

// some returns t, nil when it is zero.
func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// report returns the state of the topics of these names; with none, of all but those of dead letters that nobody subscribes.
func (at *eventsAt) report(ctx context.Context, names []string) ([]desk.Topic, error) {
	list, err := at.desk().Topics(ctx, names...)
	return list, at.silent(err)
}

// topicsText is the list as people read it.
func topicsText(at *eventsAt, list []desk.Topic) (string, error) {
	var b strings.Builder
	if at.folder != "" {
		fmt.Fprintf(&b, "%s %s\n\n", ui.Strong.Sprint(at.system), ui.Faint.Sprint(at.folder))
	} else {
		fmt.Fprintf(&b, "%s\n\n", at.name)
	}
	if len(list) == 0 {
		fmt.Fprintln(&b, "no topics; one is made when a service that declares or subscribes it starts")
		return b.String(), nil
	}
	t := ui.NewTable("TOPIC", "EVENTS", "SIZE", "RATE", "NEWEST", "LATER", "DEAD", "GROUP", "LAG", "IN HAND", "OLDEST", "MEMBERS")
	for _, r := range list {
		dead, later := "", ""
		if r.Dead > 0 {
			dead = ui.Bad.Sprint(strconv.FormatUint(r.Dead, 10))
		}
		if r.Waiting > 0 {
			later = strconv.FormatUint(r.Waiting, 10)
		}
		row := []string{ui.Strong.Sprint(r.Topic), strconv.FormatUint(r.Events, 10), size(r.Bytes), rate(r.LastMinute), ago(r.LastTime), later, dead}
		for _, g := range r.Groups {
			name := g.Group
			if g.Ordered {
				name += ui.Faint.Sprint(" by key")
			}
			members, lag := "", strconv.FormatUint(g.Lag, 10)
			if g.Members != nil {
				members = strconv.Itoa(len(g.Members))
			}
			if g.Lag > 0 {
				lag = ui.Warning.Sprint(lag)
			}
			t.Row(append(row, name, lag, strconv.FormatUint(g.InFlight, 10), ago(g.Oldest), members)...)
			row = make([]string, len(row)) // further groups of the same
		}
		if len(r.Groups) == 0 {
			t.Row(append(row, ui.Faint.Sprint("none"))...)
		}
	}
	_, err := t.WriteTo(&b)
	return b.String(), err
}

// ago is since of what may be missing.
func ago(t *time.Time) string {
	if t == nil {
		return ""
	}
	return since(*t)
}

// rate is how often something happens that happened n times in a minute.
func rate(n uint64) string {
	switch {
	case n == 0:
		return "0"
	case n < 60:
		return fmt.Sprintf("%d/min", n)
	case n < 600:
		return fmt.Sprintf("%.1f/s", float64(n)/60)
	}
	return fmt.Sprintf("%.0f/s", math.Round(float64(n)/60))
}

// size writes a number of bytes.
func size(n uint64) string {
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value := float64(n) / 1024
	for value >= 1024 && len(units) > 1 {
		value, units = value/1024, units[1:]
	}
	if value < 10 {
		return fmt.Sprintf("%.1f %s", value, units[0])
	}
	return fmt.Sprintf("%.0f %s", value, units[0])
}

// watchEvents shows the list each second: on a terminal in place, elsewhere when something came or was handled.
func watchEvents(ctx context.Context, u *ui.UI, at *eventsAt, names []string) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	if u.OutTerminal && !u.JSON {
		u.Printf("\x1b[2J")
	}
	shown := ""
	for {
		list, err := at.report(ctx, names)
		if err != nil {
			return err
		}
		text, err := topicsText(at, list)
		if err != nil {
			return err
		}
		now := counts(list)
		switch {
		case u.OutTerminal && !u.JSON:
			redraw(u, text)
		case now == shown:
		case u.JSON:
			if err := u.PrintJSON(list); err != nil {
				return err
			}
		default:
			u.Printf("%s\n", text)
		}
		shown = now
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// counts is what must differ for the list to be printed again where it cannot be redrawn.
func counts(list []desk.Topic) string {
	var b strings.Builder
	for _, r := range list {
		fmt.Fprintln(&b, r.Topic, r.Events, r.Last, r.Dead, r.Waiting)
		for _, g := range r.Groups {
			fmt.Fprintln(&b, g.Group, g.Lag, g.InFlight, g.Members)
		}
	}
	return b.String()
}

var _ events.Admin = (*eventsAt)(nil)
