package events

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Topic is a named stream of events, all of which carry a message of type T. It is declared once, as a package variable, and used by many
// services at the same time; declaring it has no effect. See [NewTopic].
type Topic[T proto.Message] struct {
	decl *declaration
	key  func(T) string
}

// NewTopic declares a topic that carries messages of type T, such as *ordersv1.Placed. A name has the form
// [a-z][a-z0-9-]*(\.[a-z0-9-]+)* and at most 123 bytes. Mistakes are errors when the topic is used first, and of the start of services that declare or
// subscribe it.
//
// Options: [Key], [Limits], [JSON], [Delayed].
func NewTopic[T proto.Message](name string, opts ...TopicOption) *Topic[T] {
	t := &Topic[T]{decl: &declaration{info: TopicInfo{Name: name}}}
	d := t.decl
	d.check(checkTopicName(name))
	d.check(d.setType(func() protoreflect.Message {
		var zero T
		return zero.ProtoReflect()
	}))
	for _, opt := range opts {
		if opt == nil {
			d.check(errors.New("an option is nil"))
			continue
		}
		opt.applyTopic(d)
	}
	if d.key != nil {
		key, ok := d.key.(func(T) string)
		if !ok {
			d.check(fmt.Errorf("the function given to Key is a %T, but the topic carries %T: let it take that", d.key, *new(T)))
		}
		t.key = key
	}
	d.info.Limits = d.info.Limits.WithDefaults()
	return t
}

// Name returns the name of the topic.
func (t *Topic[T]) Name() string { return t.decl.info.Name }

// Declare says, in a set-up, that the host publishes the topic: it is then made before the host is ready, and if that is impossible the host
// does not start. Without it a topic is made when it is first published. Subscribing implies it.
func (t *Topic[T]) Declare(host Host) {
	if b := busOf(host); b != nil {
		b.declare(t.decl)
	}
}

// declaration is what is the same for topics of all types.
type declaration struct {
	info TopicInfo
	typ  protoreflect.MessageType
	name string // of typ
	json bool
	key  any   // a func(T) string
	err  error // what is wrong with it
}

func (d *declaration) check(err error) {
	if err != nil {
		d.err = errors.Join(d.err, fmt.Errorf("topic %q: %w", d.info.Name, err))
	}
}

func (d *declaration) setType(message func() protoreflect.Message) (err error) {
	defer func() {
		if recover() != nil || err == nil && d.typ == nil {
			err = errors.New("its type is not that of a generated message: write NewTopic[*pb.Placed](…)")
		}
	}()
	m := message()
	if m.Descriptor().FullName() != "" { // and it does not panic
		d.typ, d.name = m.Type(), string(m.Descriptor().FullName())
	}
	return nil
}

// typeName returns the full name of the message type, which is the type of the events.
func (d *declaration) typeName() string { return d.name }

// differs says how another declaration of the same name differs, "" when it does not.
func (d *declaration) differs(other *declaration) string {
	switch {
	case d.typ != other.typ:
		return fmt.Sprintf("one carries %s and one %s", d.typeName(), other.typeName())
	case d.info != other.info || d.json != other.json:
		return "their options are not the same"
	}
	return ""
}

const (
	maxTopicName = 128
	deadSuffix   = ".dead"
)

var (
	topicName = regexp.MustCompile(`^[a-z][a-z0-9-]*(\.[a-z0-9-]+)*$`)
	groupName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
)

func checkTopicName(name string) error {
	if !topicName.MatchString(name) {
		return errors.New("its name must be words of a-z, 0-9 and '-' with dots between them, beginning with a letter, such as orders.placed")
	}
	most := maxTopicName
	if !isDeadTopic(name) {
		most -= len(deadSuffix)
	}
	if len(name) > most {
		return fmt.Errorf("its name has %d bytes, and may have %d", len(name), most)
	}
	return nil
}

func isDeadTopic(name string) bool { return strings.HasSuffix(name, deadSuffix) }
