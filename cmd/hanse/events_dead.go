package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/events/desk"
	"github.com/spf13/cobra"
)

func newEventsDead(u *ui.UI) *cobra.Command {
	return parent(&cobra.Command{
		Use:   "dead COMMAND",
		Short: "List, show, redeliver or drop dead letters",
		Long: `See to dead letters: events that a group failed to handle as often as it may, or for good. They wait in the topic whose name ends in .dead,
with the error, until they go back to that group or are dropped.`,
		Example: `  hanse events dead ls                                  which topics have some
  hanse events dead ls orders.placed                    what they are, and why
  hanse events dead redeliver orders.placed 17          back to its group`,
	}, newDeadLs(u), newDeadShow(u), newDeadRedeliver(u), newDeadDrop(u))
}

// letters are the dead letters of a topic.
type letters struct{ *desk.Letters }

// deadLetters opens the dead letters of a topic, which is named with or without .dead.
func (at *eventsAt) deadLetters(ctx context.Context, topic string, conditions []string) (*letters, error) {
	l, err := at.desk().Letters(ctx, topic)
	if err != nil {
		return nil, at.silent(err)
	}
	if l.Reader != nil {
		err = choose(l.Reader, conditions)
	}
	return &letters{l}, err
}

// chosen returns those that arguments name: by number, or by the ID of the event or of the letter.
func (l *letters) chosen(ctx context.Context, topic string, names []string) (chosen []desk.Letter, err error) {
	all, err := l.All(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		found := false
		for _, one := range all {
			if strings.TrimPrefix(name, "#") == strconv.FormatUint(one.Sequence, 10) || name == one.Dead.ID || name == one.Message.ID {
				found = true
				if !slices.ContainsFunc(chosen, func(other desk.Letter) bool { return other.Sequence == one.Sequence }) {
					chosen = append(chosen, one)
				}
			}
		}
		if !found {
			return nil, ui.Errorf("%s has no dead letter %q", strings.TrimSuffix(topic, deadSuffix), name).Then("hanse events dead ls %s lists them", strings.TrimSuffix(topic, deadSuffix))
		}
	}
	return chosen, nil
}

func (f *eventsFlags) completeDead(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		names, directive := f.completeTopics(isDead)(cmd, args, toComplete)
		for i, name := range names {
			names[i] = strings.TrimSuffix(name, deadSuffix)
		}
		return names, directive
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second)
	defer cancel()
	at, err := f.open(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer at.close()
	var names []string
	if l, err := at.deadLetters(ctx, args[0], nil); err == nil {
		all, _ := l.All(ctx)
		for _, one := range all {
			names = append(names, fmt.Sprintf("%d\t%s", one.Sequence, one.Dead.Error))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func newDeadLs(u *ui.UI) *cobra.Command {
	var at eventsFlags
	cmd := &cobra.Command{
		Use:   "ls [TOPIC]",
		Short: "List dead letters, with what went wrong",
		Long: `List the dead letters of a topic, oldest first; without a name, the topics that have some.

` + whereHelp,
		Example: `  hanse events dead ls
  hanse events dead ls orders.placed --where dead.error~timeout`,
		Args: argCount(0, 1, "the name of a topic"),
	}
	at.add(cmd)
	conditions := whereFlag(cmd)
	u.JSONFlag(cmd, "an array")
	cmd.ValidArgsFunction = at.completeDead
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return at.run(cmd.Context(), func(ctx context.Context, at *eventsAt) error {
			if len(args) == 0 {
				if len(*conditions) > 0 {
					return ui.Usagef("--where is about the dead letters of a topic").Then("name one: hanse events dead ls TOPIC")
				}
				return at.countDead(ctx, u)
			}
			l, err := at.deadLetters(ctx, args[0], *conditions)
			if err != nil {
				return err
			}
			all, err := l.All(ctx)
			if err != nil {
				return err
			}
			return printLetters(u, args[0], l.Reader, all)
		})
	}
	return cmd
}

// deadCount is an element of the answer of `hanse events dead ls --json` without a topic.
type deadCount struct {
	Topic  string     `json:"topic"`
	Dead   uint64     `json:"dead"`
	Oldest *time.Time `json:"oldest,omitempty"`
	Newest *time.Time `json:"newest,omitempty"`
}

func (at *eventsAt) countDead(ctx context.Context, u *ui.UI) error {
	list, err := at.topics(ctx)
	if err != nil {
		return err
	}
	counts := []deadCount{}
	for _, t := range list {
		if isDead(t.Name) && t.Messages > 0 {
			counts = append(counts, deadCount{strings.TrimSuffix(t.Name, deadSuffix), t.Messages, some(t.FirstTime), some(t.LastTime)})
		}
	}
	if u.JSON {
		return u.PrintJSON(counts)
	}
	if len(counts) == 0 {
		u.Printf("no dead letters in %s\n", at.name)
		return nil
	}
	table := ui.NewTable("TOPIC", "DEAD", "OLDEST", "NEWEST")
	for _, c := range counts {
		table.Row(ui.Strong.Sprint(c.Topic), ui.Bad.Sprint(strconv.FormatUint(c.Dead, 10)), ago(c.Oldest), ago(c.Newest))
	}
	_, err = table.WriteTo(u.Out)
	return err
}

func printLetters(u *ui.UI, topic string, r *desk.Reader, all []desk.Letter) error {
	if u.JSON {
		reports := []desk.Event{}
		for _, l := range all {
			reports = append(reports, r.Event(l.Stored))
		}
		return u.PrintJSON(reports)
	}
	if len(all) == 0 {
		u.Printf("no dead letters of %s\n", strings.TrimSuffix(topic, deadSuffix))
		return nil
	}
	table := ui.NewTable("NUMBER", "EVENT", "KEY", "GROUP", "ATTEMPTS", "SINCE", "ERROR")
	for _, l := range all {
		table.Row(ui.Accent.Sprint(fmt.Sprintf("%d", l.Sequence)), printable(l.Dead.ID), printable(l.Message.Key), groupLabel(l.Dead.Group), strconv.Itoa(l.Dead.Attempts), since(l.Dead.Time),
			ui.Bad.Sprint(printable(ui.Shorten(l.Dead.Error, 80))))
	}
	_, err := table.WriteTo(u.Out)
	return err
}

func newDeadShow(u *ui.UI) *cobra.Command {
	var at eventsFlags
	cmd := &cobra.Command{
		Use:   "show TOPIC ID…",
		Short: "Show dead letters with all that is known of them",
		Long: `Show dead letters: the error, the attempts, the group, what was published, and its message.
ID is the number that hanse events dead ls shows, or the ID of the event.`,
		Example: `  hanse events dead show orders.placed 17
  hanse events dead show orders.placed 17 --json | jq '.[].data'`,
		Args: argCount(2, -1, "the name of a topic and the number or ID of a dead letter"),
	}
	at.add(cmd)
	u.JSONFlag(cmd, "an array")
	cmd.ValidArgsFunction = at.completeDead
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return at.run(cmd.Context(), func(ctx context.Context, at *eventsAt) error {
			l, err := at.deadLetters(ctx, args[0], nil)
			if err != nil {
				return err
			}
			chosen, err := l.chosen(ctx, args[0], args[1:])
			if err != nil {
				return err
			}
			if u.JSON {
				return printLetters(u, args[0], l.Reader, chosen)
			}
			for i, one := range chosen {
				if i > 0 {
					u.Printf("\n")
				}
				u.Printf("%s", eventText(l.Reader.Event(one.Stored), true))
			}
			return nil
		})
	}
	return cmd
}

func newDeadRedeliver(u *ui.UI) *cobra.Command {
	return newDeadChange(u, deadChange{
		use: "redeliver", done: "redelivered", ask: "have their groups handle them once more?",
		short: "Have the group handle dead letters once more",
		long: `Have the group that failed handle the event of a dead letter once more, and remove the letter. Other groups do not get it. What fails again
becomes a dead letter again.

The event is published again, and then the letter removed: if the command is ended between the two, the letter is still there, and a second
time within two minutes does nothing more than remove it; later the event is handled twice.`,
		example: `  hanse events dead redeliver orders.placed 17 18
  hanse events dead redeliver orders.placed --all --where dead.error~timeout`,
		check:  (*desk.Letters).CheckGroups,
		change: (*desk.Letters).Redeliver,
	})
}

func newDeadDrop(u *ui.UI) *cobra.Command {
	return newDeadChange(u, deadChange{
		use: "drop", done: "dropped", ask: "drop them for good?",
		short: "Remove dead letters for good",
		long:  `Remove dead letters: nobody handles their events any more.`,
		example: `  hanse events dead drop orders.placed 17
  hanse events dead drop orders.placed --all --where dead.group=mailer --dry-run`,
		change: (*desk.Letters).Drop,
	})
}

// deadChange is a command that has something done with dead letters.
type deadChange struct {
	use, done, ask       string
	short, long, example string
	check                func(*desk.Letters, context.Context, []desk.Letter) error // whether it can be done; nil: it can
	change               func(*desk.Letters, context.Context, desk.Letter) error
}

// deadDone is the answer of such a command with --json.
type deadDone struct {
	Topic string   `json:"topic"`
	Meant int      `json:"meant"`
	Done  int      `json:"done"`
	IDs   []string `json:"ids"` // of the events of these
}

func newDeadChange(u *ui.UI, c deadChange) *cobra.Command {
	var at eventsFlags
	var confirm confirmFlags
	var all bool
	cmd := &cobra.Command{
		Use:   c.use + " TOPIC {ID… | --all}",
		Short: c.short,
		Long: c.long + `

ID is the number that hanse events dead ls shows, or the ID of the event. With --all it is first said how many there are; on a terminal you are asked
then, elsewhere --yes is needed.

` + whereHelp,
		Example: c.example,
		Args:    argCount(1, -1, "the name of a topic"),
	}
	at.addChanging(cmd)
	conditions := whereFlag(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all dead letters of the topic, or those that meet --where")
	confirm.add(cmd)
	u.JSONFlag(cmd, "what was done")
	cmd.ValidArgsFunction = at.completeDead
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case all && len(args) > 1:
			return ui.Usagef("events dead %s: --all and %q exclude each other", c.use, args[1])
		case !all && len(args) == 1:
			return ui.Usagef("events dead %s needs the dead letters", c.use).Then("name them by number, or write --all")
		case !all && len(*conditions) > 0:
			return ui.Usagef("events dead %s: --where chooses among --all", c.use).Then("add --all, or leave it out")
		}
		return at.run(cmd.Context(), func(ctx context.Context, at *eventsAt) error {
			l, err := at.deadLetters(ctx, args[0], *conditions)
			if err != nil {
				return err
			}
			var list []desk.Letter
			if all {
				list, err = l.All(ctx)
			} else {
				list, err = l.chosen(ctx, args[0], args[1:])
			}
			if err != nil {
				return err
			}
			return c.run(ctx, u, at, l, strings.TrimSuffix(args[0], deadSuffix), list, all, confirm)
		})
	}
	return cmd
}

func (c *deadChange) run(ctx context.Context, u *ui.UI, at *eventsAt, l *letters, topic string, list []desk.Letter, all bool, confirm confirmFlags) error {
	if c.check != nil {
		if err := c.check(l.Letters, ctx, list); err != nil {
			return at.missing(err)
		}
	}
	ok := !confirm.dryRun
	if all || confirm.dryRun {
		if !u.JSON {
			u.Notef("%s", summary(topic, list))
		}
		if len(list) > 0 {
			var err error
			if ok, err = confirm.ask(u, c.ask); err != nil {
				return err
			}
		}
	}
	report := deadDone{Topic: topic, Meant: len(list), IDs: []string{}}
	if ok {
		for _, one := range list {
			if err := c.change(l.Letters, ctx, one); err != nil {
				e := ui.Errorf("%d of %s %s, and not number %d: %w", report.Done, plural(uint64(len(list)), "dead letter"), c.done, one.Sequence, err)
				return halfDone(ctx, u, e)
			}
			report.Done++
			report.IDs = append(report.IDs, one.Dead.ID)
		}
	}
	switch {
	case u.JSON:
		return u.PrintJSON(report)
	case report.Done > 0:
		u.Printf("%s of %s %s\n", plural(uint64(report.Done), "dead letter"), topic, c.done)
	}
	return nil
}

// summary says which dead letters are meant.
func summary(topic string, list []desk.Letter) string {
	if len(list) == 0 {
		return "no dead letters of " + topic + " are meant"
	}
	byGroup := make(map[string]uint64)
	var groups []string
	first, last := list[0].Dead.Time, list[0].Dead.Time
	for _, l := range list {
		name := groupLabel(l.Dead.Group)
		if byGroup[name]++; byGroup[name] == 1 {
			groups = append(groups, name)
		}
		first, last = minTime(first, l.Dead.Time), maxTime(last, l.Dead.Time)
	}
	slices.SortFunc(groups, func(a, b string) int { return cmp.Or(cmp.Compare(byGroup[b], byGroup[a]), strings.Compare(a, b)) })
	for i, name := range groups {
		groups[i] = fmt.Sprintf("%d of %s", byGroup[name], name)
	}
	return fmt.Sprintf("%s of %s, from %s to %s: %s", plural(uint64(len(list)), "dead letter"), topic,
		first.Local().Format(time.DateTime), last.Local().Format(time.DateTime), strings.Join(groups, ", "))
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func maxTime(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
