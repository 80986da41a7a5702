package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/events"
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
	at.add(cmd)
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
	reader       *reader
}

// replayReport is the answer of `hanse events replay --json`.
type replayReport struct {
	Topic       string     `json:"topic"`
	Group       string     `json:"group"`
	Events      uint64     `json:"events"`
	Left        uint64     `json:"left"` // redeliveries, which are left out
	First       uint64     `json:"first,omitempty"`
	Last        uint64     `json:"last,omitempty"`
	FirstTime   *time.Time `json:"firstTime,omitempty"`
	LastTime    *time.Time `json:"lastTime,omitempty"`
	Redelivered uint64     `json:"redelivered"`
	Name        string     `json:"name,omitempty"` // what tells these redeliveries from others
}

func (p *replay) run(ctx context.Context) error {
	t, err := p.at.topic(ctx, p.topic)
	if err != nil {
		return err
	}
	if _, err := p.at.group(ctx, p.topic, p.group); err != nil {
		return err
	}
	if p.reader, err = p.at.newReader(ctx, p.topic, p.conditions); err != nil {
		return err
	}
	if p.last == 0 || p.last > t.Last { // what comes from now on is not among them, nor what is published here
		p.last = max(t.Last, 1)
	}
	report, err := p.count(ctx)
	if err != nil {
		return err
	}
	if !p.ui.JSON {
		p.ui.Notef("%s", report)
	}
	if report.Events > 0 {
		ok, err := p.confirm.ask(p.ui, fmt.Sprintf("have %s handle %s once more?", p.group, them(report.Events)))
		if err != nil {
			return err
		}
		if ok {
			report.Name = "replay-" + strings.ToLower(rand.Text()[:12])
			if err := p.redeliver(ctx, report); err != nil {
				return err
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

// String says what would be done.
func (r *replayReport) String() string {
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

// each calls f for each event that is meant.
func (p *replay) each(ctx context.Context, from events.Start, f func(events.Stored) error) error {
	for s, err := range p.at.read(ctx, p.topic, p.reader, from, p.last, p.before) {
		if err == nil {
			err = f(s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// count says which events are meant.
func (p *replay) count(ctx context.Context) (*replayReport, error) {
	r := &replayReport{Topic: p.topic, Group: p.group}
	progress := p.ui.Progress("counting the events of %s", p.topic)
	defer progress.Done()
	return r, p.each(ctx, p.from, func(s events.Stored) error {
		if _, again := s.Message.OnlyFor(); again {
			r.Left++
			return nil
		}
		if r.Events++; r.Events == 1 {
			r.First, r.FirstTime = s.Sequence, &s.Time
		}
		r.Last, r.LastTime = s.Sequence, &s.Time
		if r.Events%1000 == 0 {
			progress.Set("counting the events of %s: %d", p.topic, r.Events)
		}
		return nil
	})
}

// halfDone returns the error of something of which a part is done. It is told also after Ctrl-C.
func halfDone(ctx context.Context, u *ui.UI, e *ui.Error) error {
	if ctx.Err() == nil {
		return e
	}
	return ui.Silent{Exit: u.Fail(e)}
}

// replayWindow is how many redeliveries are on their way at the same time.
const replayWindow = 256

// redeliver publishes the events again. What is on its way is published in its order; after an error nothing more is.
func (p *replay) redeliver(ctx context.Context, r *replayReport) error {
	progress := p.ui.Progress("redelivering to %s", p.group)
	defer progress.Done()
	var mu sync.Mutex
	var failed error
	var failedAt uint64 // the first event of which it is not known that it is stored
	window := make(chan struct{}, replayWindow)
	err := p.each(ctx, events.Start{Sequence: r.First}, func(s events.Stored) error {
		if _, again := s.Message.OnlyFor(); again {
			return nil
		}
		window <- struct{}{}
		mu.Lock()
		err := failed
		mu.Unlock()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			<-window
			mu.Lock()
			defer mu.Unlock()
			if failedAt == 0 || s.Sequence < failedAt {
				failedAt = s.Sequence
			}
			return err
		}
		p.at.Publish(ctx, p.topic, s.Message.Redelivery(p.group, r.Name), func(err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				r.Redelivered++
			} else if failed == nil || s.Sequence < failedAt {
				failed, failedAt = err, s.Sequence
			}
			<-window
		})
		return nil
	})
	for range replayWindow { // all have been answered
		window <- struct{}{}
	}
	if failed != nil {
		err = failed
	}
	if err == nil {
		return nil
	}
	e := ui.Errorf("%d of %d events were redelivered: %w", r.Redelivered, r.Events, err)
	if failedAt > 0 {
		e = e.Then("go on with --from %d", failedAt)
	}
	progress.Done()
	return halfDone(ctx, p.ui, e)
}
