package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/desk"
	"github.com/spf13/cobra"
)

// confirmFlags say whether something is to be done that concerns many events.
type confirmFlags struct {
	yes    bool
	dryRun bool
}

func (f *confirmFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do it without asking")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only say what would be done")
}

// ask asks whether to do what was told. Where nobody can be asked, --yes is needed.
func (f *confirmFlags) ask(u *ui.UI, question string) (bool, error) {
	switch {
	case f.dryRun:
		return false, nil
	case f.yes:
		return true, nil
	case !u.InTerminal || !u.Terminal:
		return false, ui.Errorf("nothing is done: there is nobody to ask").Then("add --yes, or --dry-run to see only what it would be")
	}
	fmt.Fprintf(u.Err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(u.In).ReadString('\n')
	if err != nil && err != io.EOF {
		return false, err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true, nil
	}
	u.Notef("nothing is done")
	return false, nil
}

func newEventsReplay(u *ui.UI) *cobra.Command {
	var at eventsFlags
	var confirm confirmFlags
	var group, from, to string
	cmd := &cobra.Command{
		Use:   "replay TOPIC --group GROUP --from POSITION",
		Short: "Have one group handle events once more",
		Long: `Have a group handle events of a topic once more: those stored from a position on, until now or --to. First it is said how many they are; on a
terminal you are asked then, elsewhere --yes is needed.

They are published again with a mark that has all other groups pass them over, so the group may be at work meanwhile: it gets them after what it
has still to do, those of a key in their order. They take room in the topic as others do. What is a redelivery itself is left out. An
event has the ID that it had, so a handler that remembers what it did (an inbox) does nothing: that is what it is for.

` + whereHelp,
		Example: `  hanse events replay orders.placed --group mailer --from 15m --dry-run
  hanse events replay orders.placed --group mailer --from '2026-01-31 12:00' --to '2026-01-31 13:00'
  hanse events replay orders.placed --group stock --from beginning --where lines.sku=X-1 --yes`,
		Args: argCount(1, 1, "the name of a topic"),
	}
	at.addChanging(cmd)
	conditions := whereFlag(cmd)
	cmd.Flags().StringVar(&group, "group", "", "the `name` of the group")
	cmd.Flags().StringVar(&from, "from", "", "the first event, by a `position`: "+positionHelp)
	cmd.Flags().StringVar(&to, "to", "", "the last event by its number, or the time before which it was stored: a `position` (default now)")
	confirm.add(cmd)
	u.JSONFlag(cmd, "what was done")
	_ = cmd.RegisterFlagCompletionFunc("group", at.completeGroups)
	cmd.ValidArgsFunction = at.completeTopics(isLive)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		topic := args[0]
		switch {
		case group == "":
			return ui.Usagef("events replay needs the group that is to handle the events").Then("name it: --group mailer; hanse events ls lists the groups")
		case from == "":
			return ui.Usagef("events replay needs the first event").Then("say where with --from: %s", positionHelp)
		case isDead(topic):
			return ui.Usagef("%s has dead letters, which go back to the group that they came from", topic).Then("use hanse events dead redeliver %s", strings.TrimSuffix(topic, deadSuffix))
		}
		p := replay{ui: u, topic: topic, group: group, conditions: *conditions, confirm: confirm}
		var err error
		if p.from, err = parsePosition("--from", from); err != nil {
			return err
		}
		if to != "" {
			end, err := parsePosition("--to", to)
			if err != nil || end.All {
				return ui.Usagef("--to: %q is no end", to).Then("give a time, or the number of an event")
			}
			p.last, p.before = end.Sequence, end.Time
		}
		return at.run(cmd.Context(), func(ctx context.Context, at *eventsAt) error {
			p.at = at
			return p.run(ctx)
		})
	}
	return cmd
}

// replay has a group handle events once more.
type replay struct {
	at           *eventsAt
	ui           *ui.UI
	topic, group string
	from         events.Start
	last         uint64    // number of the last event; 0: none yet
	before       time.Time // when it was stored; zero: any time
	conditions   []string
	confirm      confirmFlags
}

func (p *replay) run(ctx context.Context) error {
	reader, err := p.at.newReader(ctx, p.topic, p.conditions)
	if err != nil {
		return err
	}
	progress := p.ui.Progress("counting the events of %s", p.topic)
	r := desk.Replay{Reader: reader, Group: p.group, From: p.from, Last: p.last, Before: p.before}
	r.Progress = func(n uint64) { progress.Set("counting the events of %s: %d", p.topic, n) }
	report, err := r.Count(ctx)
	progress.Done()
	if err != nil {
		return p.at.missing(err)
	}
	if !p.ui.JSON {
		p.ui.Notef("%s", replayText(report))
	}
	if report.Events > 0 {
		ok, err := p.confirm.ask(p.ui, fmt.Sprintf("have %s handle %s once more?", p.group, them(report.Events)))
		if err != nil {
			return err
		}
		if ok {
			progress := p.ui.Progress("redelivering to %s", p.group)
			err := r.Run(ctx, report)
			progress.Done()
			if part, ok := errors.AsType[*desk.PartError](err); ok {
				e := ui.Errorf("%w", part)
				if part.At > 0 {
					e = e.Then("go on with --from %d", part.At)
				}
				return halfDone(ctx, p.ui, e)
			}
			if !p.ui.JSON {
				p.ui.Printf("%s of %s redelivered to %s\n", plural(report.Redelivered, "event"), p.topic, p.group)
			}
		}
	}
	if p.ui.JSON {
		return p.ui.PrintJSON(report)
	}
	return nil
}

func them(n uint64) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

// replayText says what would be done.
func replayText(r *desk.Replayed) string {
	if r.Events == 0 {
		return fmt.Sprintf("no events of %s are meant", r.Topic)
	}
	text := fmt.Sprintf("%s of %s", plural(r.Events, "event"), r.Topic)
	if r.Events == 1 {
		text += fmt.Sprintf(": #%d, stored at %s", r.First, r.FirstTime.Local().Format(time.DateTime))
	} else {
		text += fmt.Sprintf(": #%d to #%d, stored from %s to %s", r.First, r.Last, r.FirstTime.Local().Format(time.DateTime), r.LastTime.Local().Format(time.DateTime))
	}
	if r.Left > 0 {
		text += fmt.Sprintf("; %s among them left out", plural(r.Left, "redelivery"))
		text = strings.Replace(text, "redeliverys", "redeliveries", 1)
	}
	return text
}

// halfDone returns the error of something of which a part is done. It is told also after Ctrl-C.
func halfDone(ctx context.Context, u *ui.UI, e *ui.Error) error {
	if ctx.Err() == nil {
		return e
	}
	return ui.Silent{Exit: u.Fail(e)}
}
