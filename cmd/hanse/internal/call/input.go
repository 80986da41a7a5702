package call

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// input is the messages to send. next returns io.EOF after the last one.
type input struct{ next func() (proto.Message, error) }

// newInput reads the arguments after the target: JSON values, one message each; field=value arguments, which together make one
// message; or "-" for JSON values from in. Without any, a method that takes a stream reads in, and another sends an empty message.
func newInput(m *Method, args []string, in io.Reader) (*input, error) {
	md := m.Desc.Input()
	stream := m.Desc.IsStreamingClient()
	if len(args) == 1 && args[0] == "-" || len(args) == 0 && stream {
		next := fromReader(m, in)
		if !stream {
			next = exactlyOne(m, next)
		}
		return &input{next}, nil
	}
	var messages []proto.Message
	var assigned *fields
	for _, arg := range args {
		trimmed := strings.TrimSpace(arg)
		if strings.HasPrefix(trimmed, "{") {
			msg, err := ParseJSON([]byte(trimmed), md, m.Types)
			if err != nil {
				return nil, usage(err, arg)
			}
			messages = append(messages, msg)
			continue
		}
		path, value, ok := strings.Cut(arg, "=")
		if !ok || path == "" {
			return nil, ui.Usagef("%q is neither field=value nor JSON in braces", arg).Then("%s", exampleOf(m))
		}
		if assigned == nil {
			assigned = newFields(dynamicpb.NewMessage(md), m.Types)
			messages = append(messages, assigned.msg)
		}
		if err := assigned.assign(path, value); err != nil {
			return nil, usage(err, arg)
		}
	}
	switch {
	case assigned != nil && len(messages) > 1:
		return nil, ui.Usagef("the message is given as JSON and as field=value").Then("use one of both")
	case len(messages) == 0:
		messages = append(messages, dynamicpb.NewMessage(md))
	case len(messages) > 1 && !stream:
		return nil, ui.Usagef("%s takes one message, and there are %d", m.Desc.Name(), len(messages)).Then("quote the JSON as one argument")
	}
	for _, msg := range messages {
		if err := proto.CheckInitialized(msg); err != nil {
			return nil, ui.Usagef("%s: %s", md.Name(), protoMessage(err))
		}
	}
	return &input{func() (proto.Message, error) {
		if len(messages) == 0 {
			return nil, io.EOF
		}
		msg := messages[0]
		messages = messages[1:]
		return msg, nil
	}}, nil
}

// Assigned returns the message that field=value arguments make.
func Assigned(md protoreflect.MessageDescriptor, args []string) (proto.Message, error) {
	f := newFields(dynamicpb.NewMessage(md), nil)
	for _, arg := range args {
		path, value, ok := strings.Cut(arg, "=")
		if !ok || path == "" {
			return nil, ui.Usagef("%q is neither field=value nor JSON in braces", arg)
		}
		if err := f.assign(path, value); err != nil {
			return nil, usage(err, arg)
		}
	}
	return f.msg, nil
}

// usage says which argument is wrong.
func usage(err error, arg string) error {
	arg = ui.Shorten(arg, 60)
	var e *ui.Error
	if errors.As(err, &e) {
		out := ui.Usagef("%s: %s", arg, e.What)
		out.Do = e.Do
		return out
	}
	return ui.Usagef("%s: %w", arg, err)
}

// exampleOf shows how the fields of a method's message are written.
func exampleOf(m *Method) string {
	if fs := m.Desc.Input().Fields(); fs.Len() > 0 {
		return fmt.Sprintf("such as %s=… or '{%q: …}'", fs.Get(0).Name(), fs.Get(0).JSONName())
	}
	return fmt.Sprintf("%s has no fields", m.Desc.Input().Name())
}

// fromReader returns the JSON values of a reader as messages, as they come.
func fromReader(m *Method, in io.Reader) func() (proto.Message, error) {
	dec := json.NewDecoder(in)
	n := 0
	return func() (proto.Message, error) {
		var raw json.RawMessage
		n++
		switch err := dec.Decode(&raw); {
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		case err != nil:
			return nil, ui.Usagef("message %d of standard input: %w", n, err)
		}
		msg, err := ParseJSON(raw, m.Desc.Input(), m.Types)
		if err != nil {
			return nil, usage(err, fmt.Sprintf("message %d of standard input", n))
		}
		return msg, nil
	}
}

// exactlyOne checks that there is one message.
func exactlyOne(m *Method, next func() (proto.Message, error)) func() (proto.Message, error) {
	done := false
	return func() (proto.Message, error) {
		if done {
			return nil, io.EOF
		}
		done = true
		msg, err := next()
		if errors.Is(err, io.EOF) {
			return nil, ui.Usagef("standard input has no message").Then("%s takes one", m.Desc.Name())
		}
		if err != nil {
			return nil, err
		}
		if _, err := next(); !errors.Is(err, io.EOF) {
			return nil, ui.Usagef("%s takes one message, and standard input has more", m.Desc.Name())
		}
		return msg, nil
	}
}
