package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/contexts"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery/natsdiscovery"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/desk"
	"github.com/hanse-go/hanse/events/natsevents"
	"github.com/hanse-go/hanse/internal/systems"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func newEvents(u *ui.UI) *cobra.Command {
	return parent(&cobra.Command{
		Use:   "events COMMAND",
		Short: "Look at topics, publish, replay, and see to dead letters",
		Long: `Look at the events of the running system, on its backplane: that of hanse dev or hanse hub, or the one that --backplane names.
Topics are there as soon as a service that declares or subscribes them has started; they stay when it has ended.`,
		Example: `  hanse events ls                       topics, and what waits in them for whom
  hanse events tail orders.placed       what comes, as it comes
  hanse events dead ls                  what no handler could handle`,
	}, newEventsLs(u), newEventsTail(u), newEventsPublish(u), newEventsReplay(u), newEventsDead(u))
}

// parent makes cmd the parent of commands.
func parent(cmd *cobra.Command, children ...*cobra.Command) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.Args = noSuchCommand(&[]group{{commands: children}})
	for _, c := range children {
		c.DisableFlagsInUseLine = true
		cmd.AddCommand(c)
	}
	return cmd
}

// eventsFlags say where events are looked for.
type eventsFlags struct {
	system    *named
	backplane string
	context   *named // nil: the command takes none

	changes func() bool // whether the command will change something; nil: never
	production
}

func (f *eventsFlags) add(cmd *cobra.Command) {
	f.system = systemFlag(cmd)
	cmd.Flags().StringVar(&f.backplane, "backplane", "", "the NATS of the system, by its `url`, where neither hanse dev nor hanse hub runs here (variable HANSE_BACKPLANE)")
	f.context = contextFlag(cmd)
}

// addChanging is add for a command that changes something, but for --dry-run.
func (f *eventsFlags) addChanging(cmd *cobra.Command) {
	f.add(cmd)
	f.production.add(cmd)
	f.changes = func() bool {
		dry := cmd.Flags().Lookup("dry-run")
		return dry == nil || dry.Value.String() != "true"
	}
}

// inContext returns the context that is meant, nil for none.
func (f *eventsFlags) inContext() (*contexts.Context, error) {
	other := ""
	switch {
	case f.backplane != "":
		other = "--backplane"
	case f.system.given():
		other = "--system"
	}
	c, err := chosenContext(f.context, other)
	if err != nil || c == nil {
		return nil, err
	}
	if c.Backplane == "" {
		return nil, ui.Errorf("the context %s has no backplane, and so no events", c.Name)
	}
	if f.changes != nil && f.changes() {
		err = f.refuses(c, "this changes it")
	}
	return c, err
}

// eventsAt is the events of a system.
type eventsAt struct {
	*natsevents.Broker
	conn   *nats.Conn
	name   string // for people: the system shop
	system string
	folder string // "" when it is not known
}

// answerTimeout is how long the backplane may take to say what it has.
const answerTimeout = 10 * time.Second

// find returns the name of the system and its backplane: the given one; that of the system of that name; of the system or the hub that runs for the current
// folder or one above it; of the only one that runs.
func (f *eventsFlags) find() (at *eventsAt, backplane string, err error) {
	if c, err := f.inContext(); err != nil {
		return nil, "", err
	} else if c != nil {
		return &eventsAt{system: cmp.Or(c.System, natsdiscovery.DefaultSystem), name: "the context " + c.Name}, c.Backplane, nil
	}
	url := f.backplane
	if url == "" && !f.system.given() && os.Getenv("HANSE_BACKPLANE") != "off" {
		url = os.Getenv("HANSE_BACKPLANE")
	}
	if url != "" {
		system := cmp.Or(f.system.name, "default")
		return &eventsAt{system: system, name: fmt.Sprintf("the system %s on %s", system, hanse.NATS(url))}, url, nil
	}
	running, err := systems.List()
	if err != nil {
		return nil, "", err
	}
	hubs, err := systems.Hubs()
	if err != nil {
		return nil, "", err
	}
	found := func(name, dir, url string) (*eventsAt, string, error) {
		if url == "" {
			return nil, "", ui.Errorf("the system %s has no backplane, and so no events", name).Then("start hanse dev without --backplane off")
		}
		return &eventsAt{system: name, folder: dir, name: "the system " + name}, url, nil
	}
	var names []string
	for _, s := range running {
		if names = append(names, s.Name); s.Name == f.system.name {
			return found(s.Name, s.Dir, s.Backplane)
		}
	}
	for _, h := range hubs {
		if names = append(names, h.Name); h.Name == f.system.name {
			return found(h.Name, h.Dir, h.Backplane)
		}
	}
	if f.system.name != "" {
		return nil, "", noSystem(f.system.name, names)
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, "", err
	}
	if s, ok := systems.Nearest(running, dir); ok {
		return found(s.Name, s.Dir, s.Backplane)
	}
	if h, ok := systems.NearestHub(hubs, dir); ok {
		return found(h.Name, h.Dir, h.Backplane)
	}
	switch {
	case len(names) == 0:
		if err := notYet(""); err != nil {
			return nil, "", err
		}
		return nil, "", ui.Errorf("nothing that keeps events runs for this folder").Then("start it with hanse dev or hanse hub, or name another one with --backplane")
	case len(names) > 1:
		return nil, "", ui.Errorf("several systems run: %s", ui.List(names, "and")).Then("say which with --system NAME, or change to its folder")
	case len(running) == 1:
		return found(running[0].Name, running[0].Dir, running[0].Backplane)
	}
	return found(hubs[0].Name, hubs[0].Dir, hubs[0].Backplane)
}

func noSystem(name string, names []string) error {
	if err := notYet(name); err != nil {
		return err
	}
	if len(names) == 0 {
		return ui.Errorf("no system %q runs, nor any other", name).Then("start one with hanse dev")
	}
	return ui.Errorf("no system %q runs", name).Then("%s", ui.DidYouMean(name, names))
}

// open connects to the events of the system. Close it.
func (f *eventsFlags) open(ctx context.Context) (*eventsAt, error) {
	at, url, err := f.find()
	if err != nil {
		return nil, err
	}
	if err := hanse.NATS(url).Check(); err != nil {
		return nil, ui.Usagef("--backplane: %w", err)
	}
	at.conn, err = hanse.NATS(url).Connect(ctx, nats.Name("hanse events"), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.Timeout(answerTimeout))
	if err != nil {
		return nil, ui.Errorf("the backplane of %s does not answer: %w", at.name, err).Then("check that it runs, and that its URL and token are right")
	}
	at.Broker = natsevents.New(at.conn, natsevents.Options{System: at.system, Logger: quiet})
	return at, nil
}

func (at *eventsAt) close() {
	at.Broker.Close()
	at.conn.Close()
}

// run opens the place for a command.
func (f *eventsFlags) run(ctx context.Context, do func(context.Context, *eventsAt) error) error {
	at, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer at.close()
	err = do(ctx, at)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // Ctrl-C
	}
	return err
}

// desk is what is looked at and done here.
func (at *eventsAt) desk() desk.Desk { return desk.Desk{Broker: at.Broker} }

// topics returns all topics.
func (at *eventsAt) topics(ctx context.Context) ([]events.TopicState, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	list, err := at.Topics(ctx)
	return list, at.silent(err)
}

// topic returns one topic, which must be there.
func (at *eventsAt) topic(ctx context.Context, name string) (events.TopicState, error) {
	t, err := at.desk().Topic(ctx, name)
	return t, at.silent(err)
}

// silent is said of who does not tell its topics.
func (at *eventsAt) silent(err error) error {
	if err = at.missing(err); err == nil {
		return nil
	}
	if _, ok := errors.AsType[*ui.Error](err); ok {
		return err
	}
	return ui.Errorf("%s does not tell its topics: %w", at.name, err)
}

// missing says what to do where there is no topic or group of a name.
func (at *eventsAt) missing(err error) error {
	e, ok := errors.AsType[*desk.NotFoundError](err)
	switch {
	case !ok:
		return err
	case e.Group != "" && len(e.Names) == 0:
		return ui.Errorf("no group %q subscribes %s, nor any other", e.Group, e.Topic).Then("a group is there once a service has subscribed with its name")
	case e.Group != "":
		return ui.Errorf("no group %q subscribes %s", e.Group, e.Topic).Then("%s", ui.DidYouMean(e.Group, e.Names))
	case len(e.Names) == 0:
		return ui.Errorf("%s has no topic %q, nor any other", at.name, e.Topic).Then("it is made when a service that declares or subscribes it starts")
	}
	return ui.Errorf("%s has no topic %q", at.name, e.Topic).
		Then("%s", cmp.Or(ui.DidYouMean(e.Topic, e.Names), "it is made when a service that declares or subscribes it starts"))
}

// groups returns the groups of a topic.
func (at *eventsAt) groups(ctx context.Context, topic string) ([]events.GroupState, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return at.Groups(ctx, topic)
}

// schema returns how a topic's data is read; nil when nothing of it is kept.
func (at *eventsAt) schema(ctx context.Context, topic string) (*events.Schema, error) {
	return at.desk().Schema(ctx, topic)
}

// message returns the descriptor of a topic's messages, nil when it is not known.
func message(s *events.Schema) protoreflect.MessageDescriptor {
	if s == nil {
		return nil
	}
	return s.Message()
}

// completeTopics completes the names of topics that pass.
func (f *eventsFlags) completeTopics(passes func(string) bool) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second) // somebody waits for a key to do something
		defer cancel()
		at, err := f.open(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer at.close()
		list, _ := at.topics(ctx)
		for _, t := range list {
			if passes(t.Name) && !slices.Contains(args, t.Name) {
				names = append(names, t.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeGroups completes the names of the groups of the topic that is the first argument.
func (f *eventsFlags) completeGroups(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second)
	defer cancel()
	at, err := f.open(ctx)
	if err != nil || len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer at.close()
	list, _ := at.groups(ctx, args[0])
	for _, g := range list {
		names = append(names, g.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

const deadSuffix = desk.DeadSuffix

func anyTopic(string) bool    { return true }
func isDead(name string) bool { return strings.HasSuffix(name, deadSuffix) }
func isLive(name string) bool { return !isDead(name) }
