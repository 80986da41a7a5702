package openapi

import (
	"fmt"
	"strings"

	"github.com/hanse-go/hanse/internal/httprule"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Media types.
const (
	jsonType   = "application/json"
	ndjsonType = "application/x-ndjson"
	sseType    = "text/event-stream"
	framedType = "application/connect+json"
	anyType    = "*/*"
)

// annotated adds the routes of a method's google.api.http annotation. A rule with a mistake is no route.
func (b *builder) annotated(m protoreflect.MethodDescriptor) {
	rules, _ := httprule.Of(m)
	for i, rule := range rules {
		op := b.operation(m, "rest", fmt.Sprintf("%s.rest%d", m.FullName(), i+1))
		path, parameters := b.path(rule)
		op.Parameters = parameters
		used := map[string]bool{} // fields of the request that the path has
		for _, v := range rule.Template.Variables {
			used[v.Field] = true
		}
		switch {
		case rule.WholeBody:
			op.Call.Body = "*"
			op.RequestBody = &Body{Content: b.content(m.Input(), used), Required: true}
		case rule.Body != nil:
			op.Call.Body = rule.Body.JSONName()
			used[string(rule.Body.Name())] = true
			op.RequestBody = &Body{Description: b.comments.Of(rule.Body), Content: b.fieldContent(rule.Body), Required: required(rule.Body)}
		}
		if m.IsStreamingClient() && op.RequestBody != nil && op.RequestBody.Content.Has(jsonType) {
			op.RequestBody.Description = "Messages, one on a line."
			op.RequestBody.Content = one(ndjsonType, op.RequestBody.Content.Get(jsonType).Schema)
		}
		if !rule.WholeBody {
			q := query{builder: b, used: used}
			q.message(m.Input(), "", "")
			op.Parameters = append(op.Parameters, q.parameters...)
		}
		answer := b.content(m.Output(), nil)
		if rule.Response != nil {
			answer = b.fieldContent(rule.Response)
		}
		b.answers(op, answer)
		b.add(path, rule.Method, op)
	}
}

// plain adds the routes that a method has without an annotation.
func (b *builder) plain(m protoreflect.MethodDescriptor) {
	path := fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
	op := b.operation(m, "default", string(m.FullName()))
	if op.Call.Stream == "" {
		op.RequestBody = &Body{Content: one(jsonType, b.message(m.Input())), Required: true}
		b.answers(op, one(jsonType, b.message(m.Output())))
	} else {
		op.RequestBody = &Body{Content: one(framedType, b.message(m.Input())), Required: true, Description: enveloped("The request")}
		if m.IsStreamingClient() {
			op.RequestBody.Description = enveloped("The requests, each")
		}
		b.answers(op, one(framedType, b.message(m.Output())))
	}
	b.add(path, "POST", op)

	if call := op.Call; call.Idempotency == "NO_SIDE_EFFECTS" && call.Stream == "" {
		get := b.operation(m, "default", string(m.FullName())+".get")
		get.Parameters = []*Parameter{
			{Name: "encoding", In: "query", Required: true, Description: "How the message is written.", Schema: &Schema{Type: Types{"string"}, Enum: []any{"json", "proto"}}},
			{Name: "message", In: "query", Required: true, Description: "The request.", Content: one(jsonType, b.message(m.Input()))},
			{Name: "base64", In: "query", Description: "Whether the message is in URL-safe base64.", Schema: &Schema{Type: Types{"string"}, Enum: []any{"1"}}},
			{Name: "compression", In: "query", Description: "How the message is compressed.", Schema: &Schema{Type: Types{"string"}, Enum: []any{"identity", "gzip"}}},
			{Name: "connect", In: "query", Description: "The version of the Connect protocol.", Schema: &Schema{Type: Types{"string"}, Enum: []any{"v1"}}},
		}
		b.answers(get, one(jsonType, b.message(m.Output())))
		b.add(path, "GET", get)
	}
}

// operation returns what all operations of a method say.
func (b *builder) operation(m protoreflect.MethodDescriptor, route, id string) *Operation {
	text := b.comments.Of(m)
	op := &Operation{
		Tags:        []string{string(m.Parent().FullName())},
		OperationID: id,
		Summary:     summary(text),
		Description: text,
		Deprecated:  deprecated(m) || deprecated(m.Parent()),
		Call:        &Call{Method: fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()), Route: route},
	}
	if b.named != nil {
		op.Call.Service = b.named(m.Parent().(protoreflect.ServiceDescriptor))
	}
	switch {
	case m.IsStreamingClient() && m.IsStreamingServer():
		op.Call.Stream = "both"
	case m.IsStreamingClient():
		op.Call.Stream = "client"
	case m.IsStreamingServer():
		op.Call.Stream = "server"
	}
	if o, ok := m.Options().(*descriptorpb.MethodOptions); ok {
		if level := o.GetIdempotencyLevel(); level != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN {
			op.Call.Idempotency = level.String()
		}
	}
	return op
}

// enveloped says that messages are in envelopes.
func enveloped(what string) string {
	return what + " in an envelope of the Connect protocol: a byte of flags, four of its length, and the message as JSON."
}

// answers adds the responses of an operation: what a call returns, and errors.
func (b *builder) answers(op *Operation, content Map[*Media]) {
	ok := &Response{Description: "The answer.", Content: content}
	streams := op.Call.Stream == "server" || op.Call.Stream == "both"
	switch {
	case op.Call.Stream != "" && op.Call.Route == "default":
		ok.Description = enveloped("The answer")
		if streams {
			ok.Description = enveloped("The answers as they come, each")
		}
	case streams && content.Has(jsonType):
		ok.Description = "The answers, as they come: in application/x-ndjson each is a line, in text/event-stream the data of an event."
		message := content.Get(jsonType).Schema
		ok.Content = Map[*Media]{}
		ok.Content.Set(ndjsonType, &Media{Schema: message})
		ok.Content.Set(sseType, &Media{Schema: message})
	}
	op.Responses.Set("200", ok)
	op.Responses.Set("default", &Response{Ref: "#/components/responses/Error"})
	b.failing = true
}

// content returns what a body that is a message can be, without the fields that are used already.
func (b *builder) content(m protoreflect.MessageDescriptor, used map[string]bool) Map[*Media] {
	if m.FullName() == httpBody {
		return one(anyType, &Schema{})
	}
	var left []string
	for name := range used {
		if !strings.Contains(name, ".") {
			left = append(left, name)
		}
	}
	if len(left) == 0 {
		return one(jsonType, b.message(m))
	}
	s := &Schema{}
	b.fill(s, m, left)
	return one(jsonType, s)
}

// fieldContent returns what a body that is one field can be.
func (b *builder) fieldContent(f protoreflect.FieldDescriptor) Map[*Media] {
	if !f.IsList() && f.Message() != nil && f.Message().FullName() == httpBody {
		return one(anyType, &Schema{})
	}
	s := b.field(f)
	s.Description = ""
	return one(jsonType, s)
}

func one(mediaType string, s *Schema) Map[*Media] {
	var m Map[*Media]
	m.Set(mediaType, &Media{Schema: s})
	return m
}

// add puts an operation in its place. The first one stays.
func (b *builder) add(path, method string, op *Operation) {
	item := b.doc.Paths.Get(path)
	if item == nil {
		item = &PathItem{}
		b.doc.Paths.Set(path, item)
	}
	if method == httprule.AnyMethod {
		method = "POST"
		if op.RequestBody == nil {
			method = "GET"
		}
	}
	place := item.place(method)
	switch {
	case place == nil && !item.Others.Has(method):
		item.Others.Set(method, op)
	case place != nil && *place == nil:
		*place = op
	}
}

// finish adds what operations refer to, and puts everything in order.
func (b *builder) finish() {
	if b.failing {
		b.errors()
	}
	b.doc.Components.Schemas.sort()
}
