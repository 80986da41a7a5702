package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/call"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/cmd/hanse/internal/where"
	"github.com/hanse-go/hanse/events"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// publishFlags say what an event is besides its message.
type publishFlags struct {
	key      string
	hasKey   bool
	id       string
	source   string
	subject  string
	at       string
	metadata []string
}

func newEventsPublish(u *ui.UI) *cobra.Command {
	var at eventsFlags
	var f publishFlags
	cmd := &cobra.Command{
		Use:   "publish TOPIC {FIELD=VALUE… | JSON | @FILE | -}",
		Short: "Publish an event",
		Long: `Publish an event. Its message is given as in hanse call: by field=value arguments, or as JSON; @FILE takes the JSON from a file, - from standard input.
It is checked against the schema that is kept with the topic, and refused where a program's Publish would be.

The function that finds the key of an event is a part of the programs, so an event of a topic with keys needs --key.`,
		Example: `  hanse events publish orders.placed order_id=4711 email=ada@example.com --key 4711
  hanse events publish orders.placed '{"orderId": "4711"}' --key 4711
  hanse events publish prices.changed @price.json`,
		Args: argCount(2, -1, "the name of a topic and a message"),
	}
	at.addChanging(cmd)
	cmd.Flags().StringVar(&f.key, "key", "", "the `key` of the event, as the programs compute it; '' is none, and then it has no order")
	cmd.Flags().StringVar(&f.id, "id", "", "the `ID` of the event (default one that is drawn)")
	cmd.Flags().StringVar(&f.source, "source", "hanse:///cli", "the `URI` of who publishes it")
	cmd.Flags().StringVar(&f.subject, "subject", "", "what the event is about, a `text`")
	cmd.Flags().StringArrayVar(&f.metadata, "metadata", nil, "a header `key=value`; repeatable")
	cmd.Flags().StringVar(&f.at, "at", "", "deliver it at this `time`, or in so long (90m), where the topic's events may be for later")
	u.JSONFlag(cmd, "the ID and the number of the event")
	cmd.ValidArgsFunction = at.completePublish
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.hasKey = cmd.Flags().Changed("key")
		return at.run(cmd.Context(), func(ctx context.Context, at *eventsAt) error { return f.publish(ctx, u, at, args[0], args[1:]) })
	}
	return cmd
}

// published is the answer of `hanse events publish --json`.
type published struct {
	Topic    string `json:"topic"`
	ID       string `json:"id"`
	Source   string `json:"source"`
	Sequence uint64 `json:"sequence,omitempty"` // absent for an event that is for later, or was there already
}

func (f *publishFlags) publish(ctx context.Context, u *ui.UI, at *eventsAt, topic string, args []string) error {
	t, err := at.topic(ctx, topic)
	if err != nil {
		return err
	}
	if isDead(topic) {
		return ui.Usagef("%s is for dead letters, which come from handlers", topic).Then("publish to %s", strings.TrimSuffix(topic, deadSuffix))
	}
	schema, err := at.schema(ctx, topic)
	if err != nil {
		return err
	}
	if schema == nil {
		return ui.Errorf("it is not known what the events of %s carry", topic).Then("start a service that declares the topic once")
	}
	switch {
	case t.Keyed && !f.hasKey:
		return ui.Usagef("the events of %s have keys, and how one is found is a part of the programs", topic).Then("say it with --key KEY (--key '' for an event without an order)")
	case !t.Keyed && f.key != "":
		return ui.Usagef("the events of %s have no keys", topic).Then("leave --key out, or declare the topic with events.Key")
	}
	msg, err := readMessage(schema.Message(), args, u.In)
	if err != nil {
		return err
	}
	m, err := f.message(t, schema, msg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if err := at.desk().PublishOne(ctx, topic, m); err != nil {
		return ui.Errorf("not published: %w", err)
	}
	done := published{Topic: topic, ID: m.ID, Source: m.Source}
	if m.Due.IsZero() {
		for s, err := range at.Read(ctx, topic, events.Start{Sequence: t.Last + 1}) {
			if err != nil {
				return ui.Errorf("%s is published, but its number is not known: %w", m.ID, err)
			}
			if s.Message.ID == m.ID && s.Message.Source == m.Source {
				done.Sequence = s.Sequence
				break
			}
		}
	}
	switch {
	case u.JSON:
		return u.PrintJSON(done)
	case !m.Due.IsZero():
		u.Printf("%s: %s, due at %s\n", topic, m.ID, m.Due.Local().Format(time.RFC3339))
	case done.Sequence == 0:
		u.Printf("%s: an event of the ID %s was there already, and is the same for the backplane\n", topic, m.ID)
	default:
		u.Printf("%s #%d: %s\n", topic, done.Sequence, m.ID)
	}
	return nil
}

// message makes the event.
func (f *publishFlags) message(t events.TopicState, schema *events.Schema, msg proto.Message) (*events.Message, error) {
	data, contentType, err := schema.Encode(msg)
	if err != nil {
		return nil, ui.Usagef("the message is no %s: %w", schema.Message().FullName(), err)
	}
	if most := t.Limits.MaxSize; most > 0 && len(data) > most {
		return nil, ui.Usagef("the message has %d bytes, and the topic takes %d", len(data), most)
	}
	m := &events.Message{
		ID: strings.ToLower(rand.Text()), Source: f.source, Type: string(schema.Message().FullName()), Key: f.key, Time: time.Now(), ContentType: contentType, Data: data,
	}
	var options []events.PublishOption
	if f.id != "" {
		options = append(options, events.ID(f.id))
	}
	if f.subject != "" {
		options = append(options, events.Subject(f.subject))
	}
	for _, text := range f.metadata {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, ui.Usagef("--metadata: %q is not name=value", text)
		}
		options = append(options, events.Metadata(name, value))
	}
	for _, option := range options {
		if err := option(m); err != nil {
			return nil, ui.Usagef("%w", err)
		}
	}
	if f.at == "" {
		return m, nil
	}
	if !t.Delayed {
		return nil, ui.Usagef("--at: the events of %s are not for later", t.Name).Then("declare the topic with events.Delayed()")
	}
	if d, err := time.ParseDuration(f.at); err == nil {
		m.Due = time.Now().Add(d)
	} else if m.Due, err = where.ParseTime(f.at, time.Now()); err != nil {
		return nil, ui.Usagef("--at: %w", err)
	}
	return m, nil
}

// readMessage reads a message from arguments.
func readMessage(md protoreflect.MessageDescriptor, args []string, in io.Reader) (proto.Message, error) {
	text := []byte(strings.TrimSpace(args[0]))
	what := "the argument"
	var err error
	switch {
	case args[0] == "-":
		what = "standard input"
		text, err = io.ReadAll(in)
	case strings.HasPrefix(args[0], "@"):
		what = args[0][1:]
		text, err = os.ReadFile(what)
	case len(text) == 0 || text[0] != '{' && strings.Contains(args[0], "="):
		return call.Assigned(md, args)
	}
	if err != nil {
		return nil, ui.Usagef("the message: %w", err)
	}
	if len(args) > 1 {
		return nil, ui.Usagef("the message is given twice: %q is one too many", args[1]).Then("quote JSON as one argument")
	}
	msg, err := call.ParseJSON(text, md, nil)
	if err != nil {
		var e *ui.Error
		if errors.As(err, &e) {
			return nil, ui.Usagef("%s: %s", what, e.What).Then("%s", e.Do)
		}
		return nil, ui.Usagef("%s: %w", what, err)
	}
	return msg, nil
}

// completePublish completes topics, and then the fields of their messages.
func (f *eventsFlags) completePublish(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return f.completeTopics(isLive)(cmd, args, toComplete)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second)
	defer cancel()
	at, err := f.open(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer at.close()
	if _, err := at.topic(ctx, args[0]); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	schema, err := at.schema(ctx, args[0])
	if err != nil || schema == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for i := range schema.Message().Fields().Len() {
		names = append(names, fmt.Sprintf("%s=", schema.Message().Fields().Get(i).Name()))
	}
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
