package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/cmd/hanse/internal/where"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/desk"
	"github.com/nats-io/nuid"
	"github.com/spf13/cobra"
)

// whereHelp explains conditions.
const whereHelp = `A condition is PATH, one of = != > >= < <= and ~ (contains), and a value; of several, all must be met. PATH leads to a field of the message,
through lists (any element, or the one of a number) and maps (by key), or is an attribute: key, id, type, source, subject, time, stored,
sequence, trace, metadata.NAME, extension.NAME; of dead letters dead.group, dead.error, dead.attempts, dead.id and dead.time. Where a name is
both, write data.NAME or event.NAME. A field that is not set has its default.`

const positionHelp = `beginning, a time such as 12:30, 2026-01-31T12:30:00Z or 90m (so long ago), or the number of an event`

func whereFlag(cmd *cobra.Command) *[]string {
	return cmd.Flags().StringArray("where", nil, "only events that meet this `condition`, such as total.units>100 or key=4711; repeatable")
}

func newEventsTail(u *ui.UI) *cobra.Command {
	var at eventsFlags
	var follow bool
	var from string
	var lines int
	cmd := &cobra.Command{
		Use:   "tail TOPIC",
		Short: "Show events as they come, or those that are there",
		Long: `Show the events of a topic: those that come from now on, until Ctrl-C; with --from or -n those that are there, and with -f what comes then, too.
No group loses anything by it. The data are read by the schema that is kept with the topic, so no service must run. Off a terminal each event is
a line of JSON.

` + whereHelp,
		Example: `  hanse events tail orders.placed
  hanse events tail orders.placed --where total.units>100 --where metadata.tenant=acme
  hanse events tail orders.placed -n 20
  hanse events tail orders.placed --from 15m -f
  hanse events tail orders.placed --from beginning --json | jq .data`,
		Args: argCount(1, 1, "the name of a topic"),
	}
	at.add(cmd)
	conditions := whereFlag(cmd)
	cmd.Flags().StringVar(&from, "from", "", "begin with what is there, at this `position`: "+positionHelp)
	cmd.Flags().IntVarP(&lines, "lines", "n", 0, "show the last `N` of those that are there")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes, after --from or -n")
	u.JSONFlag(cmd, "each event on a line, also on a terminal,")
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return at.completeTopics(anyTopic)(cmd, args, toComplete)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if lines < 0 {
			return ui.Usagef("events tail: -n is %d", lines).Then("give the number of events to show")
		}
		start := events.Start{All: true}
		if from != "" {
			var err error
			if start, err = parsePosition("--from", from); err != nil {
				return err
			}
		}
		return at.run(cmd.Context(), func(ctx context.Context, at *eventsAt) error {
			t := &tail{at: at, ui: u, topic: args[0]}
			return t.run(ctx, *conditions, from != "" || lines > 0, start, lines, follow)
		})
	}
	return cmd
}

// parsePosition reads a position in a topic.
func parsePosition(flag, text string) (events.Start, error) {
	if strings.EqualFold(text, "beginning") {
		return events.Start{All: true}, nil
	}
	if n, err := strconv.ParseUint(strings.TrimPrefix(text, "#"), 10, 64); err == nil && n > 0 {
		return events.Start{Sequence: n}, nil
	}
	t, err := where.ParseTime(text, time.Now())
	if err != nil {
		return events.Start{}, ui.Usagef("%s: %q is no position", flag, text).Then("give %s", positionHelp)
	}
	return events.Start{Time: t}, nil
}

// tail shows the events of a topic.
type tail struct {
	at     *eventsAt
	ui     *ui.UI
	topic  string
	reader *desk.Reader
	last   uint64 // number of the last one that was seen
}

func (t *tail) run(ctx context.Context, conditions []string, stored bool, start events.Start, lines int, follow bool) error {
	var err error
	if t.reader, err = t.at.newReader(ctx, t.topic, conditions); err != nil {
		return err
	}
	var live events.Source
	if !stored || follow { // before anything is read, so that nothing is missed
		live, err = t.at.Subscribe(ctx, events.SubscriptionInfo{Topic: t.topic, Member: "tail-" + nuid.Next(), AckWait: 30 * time.Second, MaxInFlight: 256})
		if err != nil {
			return err
		}
		defer func() {
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			_ = live.Close(closing) // it leaves nothing behind
		}()
	}
	if stored {
		if err := t.past(ctx, start, lines); err != nil {
			return err
		}
	}
	if live == nil {
		return nil
	}
	if t.ui.Terminal && !stored {
		t.ui.Notef("%s", ui.Faint.Sprint("waiting for events of "+t.topic+"; Ctrl-C ends, --from beginning shows those that are there"))
	}
	return t.follow(ctx, live)
}

// past shows what is stored, of it the last lines; 0 is all.
func (t *tail) past(ctx context.Context, start events.Start, lines int) error {
	var kept []events.Stored
	for s, err := range t.reader.Read(ctx, start, 0, time.Time{}) {
		if err != nil {
			return err
		}
		t.last = s.Sequence
		if lines == 0 {
			if err := t.show(s); err != nil {
				return err
			}
			continue
		}
		if len(kept) == lines {
			kept = append(kept[:0], kept[1:]...)
		}
		kept = append(kept, s)
	}
	for _, s := range kept {
		if err := t.show(s); err != nil {
			return err
		}
	}
	return nil
}

// follow shows what comes.
func (t *tail) follow(ctx context.Context, live events.Source) error {
	for {
		some, err := live.Next(ctx, 100)
		if err != nil {
			return err
		}
		for _, d := range some {
			s := events.Stored{Message: d.Message(), Sequence: d.Sequence(), Time: time.Now()}
			if s.Sequence > t.last && t.reader.Passes(s) {
				if err := t.show(s); err != nil {
					return err
				}
			}
			_ = d.Ack(ctx) // else it comes again, and is passed over
			t.last = max(t.last, s.Sequence)
		}
	}
}

func (t *tail) show(s events.Stored) error { return showEvent(t.ui, t.reader.Event(s)) }
