package httprule

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Rule is one way to call a method by HTTP.
type Rule struct {
	Method   string // of HTTP, or [AnyMethod]
	Template *Template
	// Fields are those that the template's variables stand for: for each the way to it from the request message, whose last
	// element is a scalar, an enum, or a message that is a single text in JSON.
	Fields [][]protoreflect.FieldDescriptor
	// WholeBody tells that the body is the request message. Then nothing comes from the query.
	WholeBody bool
	// Body is the field of the request that the body is. nil without WholeBody: there is no body.
	Body protoreflect.FieldDescriptor
	// Response is the field of the response that the answer's body is. nil: it is the response message.
	Response protoreflect.FieldDescriptor
}

// Of returns the rules of a method: what its option google.api.http says, the main one first. A method without the option has none. The
// error names all that is wrong; the rules are those without a mistake.
func Of(method protoreflect.MethodDescriptor) ([]Rule, error) {
	http, err := annotation(method)
	if http == nil || err != nil {
		return nil, err
	}
	var rules []Rule
	var mistakes []error
	for i, binding := range append([]*annotations.HttpRule{http}, http.AdditionalBindings...) {
		rule, err := newRule(method, binding)
		if i > 0 && len(binding.AdditionalBindings) > 0 {
			err = errors.Join(err, errors.New("an additional binding has additional bindings: list them all in the first one"))
		}
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: google.api.http: %w", method.FullName(), err))
			continue
		}
		rules = append(rules, rule)
	}
	return rules, errors.Join(mistakes...)
}

// annotation returns the option of a method. It is read from bytes: descriptors that were made at run time may have it in a type of
// their own, or as an unknown field.
func annotation(method protoreflect.MethodDescriptor) (*annotations.HttpRule, error) {
	data, err := proto.MarshalOptions{AllowPartial: true}.Marshal(method.Options())
	if err != nil || len(data) == 0 {
		return nil, err
	}
	var options descriptorpb.MethodOptions
	if err := (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(data, &options); err != nil {
		return nil, fmt.Errorf("%s: its options cannot be read: %w", method.FullName(), err)
	}
	http, _ := proto.GetExtension(&options, annotations.E_Http).(*annotations.HttpRule)
	return http, nil
}

func newRule(method protoreflect.MethodDescriptor, http *annotations.HttpRule) (Rule, error) {
	name, path := verbAndPath(http)
	if name == "" {
		return Rule{}, errors.New("it has neither of get, put, post, delete, patch and custom")
	}
	rule := Rule{Method: name}
	var err error
	if rule.Template, err = Parse(path); err != nil {
		return Rule{}, err
	}
	if strings.ContainsFunc(name, notToken) {
		return Rule{}, fmt.Errorf("kind %q is no method of HTTP", name)
	}
	for _, v := range rule.Template.Variables {
		fields, err := findField(method.Input(), v.Field)
		if err != nil {
			return Rule{}, fmt.Errorf("path template %q: %w", path, err)
		}
		rule.Fields = append(rule.Fields, fields)
	}
	switch http.Body {
	case "":
	case "*":
		rule.WholeBody = true
	default:
		if rule.Body = method.Input().Fields().ByName(protoreflect.Name(http.Body)); rule.Body == nil {
			return Rule{}, fmt.Errorf("body: %s has no field %q", method.Input().FullName(), http.Body)
		}
	}
	if http.Body != "" && (name == "GET" || name == "HEAD") {
		return Rule{}, fmt.Errorf("body: %q, but a %s request has none", http.Body, name)
	}
	if http.ResponseBody != "" {
		if rule.Response = method.Output().Fields().ByName(protoreflect.Name(http.ResponseBody)); rule.Response == nil {
			return Rule{}, fmt.Errorf("response_body: %s has no field %q", method.Output().FullName(), http.ResponseBody)
		}
	}
	return rule, nil
}

// verbAndPath returns the method of HTTP, empty when there is none, and the template.
func verbAndPath(http *annotations.HttpRule) (method, path string) {
	switch p := http.Pattern.(type) {
	case *annotations.HttpRule_Get:
		return "GET", p.Get
	case *annotations.HttpRule_Put:
		return "PUT", p.Put
	case *annotations.HttpRule_Post:
		return "POST", p.Post
	case *annotations.HttpRule_Delete:
		return "DELETE", p.Delete
	case *annotations.HttpRule_Patch:
		return "PATCH", p.Patch
	case *annotations.HttpRule_Custom:
		return p.Custom.GetKind(), p.Custom.GetPath()
	}
	return "", ""
}

// notToken reports whether a rune cannot be in the name of a method (RFC 9110, section 5.6.2).
func notToken(r rune) bool {
	return r > 127 || !isLetter(byte(r)) && !isDigit(byte(r)) && !strings.ContainsRune("!#$%&'*+-.^`|~", r)
}

// findField returns the way to a field of a message that a path can give a value to.
func findField(md protoreflect.MessageDescriptor, path string) (way []protoreflect.FieldDescriptor, err error) {
	names := strings.Split(path, ".")
	for i, name := range names {
		fd := md.Fields().ByName(protoreflect.Name(name))
		switch {
		case fd == nil:
			return nil, fmt.Errorf("variable %s: %s has no field %q", path, md.FullName(), name)
		case fd.IsMap():
			return nil, fmt.Errorf("variable %s: %s is a map, and a path has one value only", path, fd.FullName())
		case fd.IsList():
			return nil, fmt.Errorf("variable %s: %s is repeated, and a path has one value only", path, fd.FullName())
		case i < len(names)-1 && fd.Message() == nil:
			return nil, fmt.Errorf("variable %s: %s is no message and has no fields", path, fd.FullName())
		case i == len(names)-1 && fd.Message() != nil && !IsText(fd.Message()):
			return nil, fmt.Errorf("variable %s: %s is a message, %s: name a field of it", path, fd.FullName(), fd.Message().FullName())
		}
		way = append(way, fd)
		md = fd.Message()
	}
	return way, nil
}

// IsText reports whether a message is a single text or number in JSON: a time, a duration, a field mask, or a wrapper of a scalar. Such
// a message can be the value of a parameter.
func IsText(md protoreflect.MessageDescriptor) bool {
	switch md.FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask":
		return true
	}
	return IsWrapper(md)
}

// IsWrapper reports whether a message is one of google/protobuf/wrappers.proto: its field value is what it stands for.
func IsWrapper(md protoreflect.MessageDescriptor) bool {
	switch md.FullName() {
	case "google.protobuf.DoubleValue", "google.protobuf.FloatValue", "google.protobuf.Int64Value", "google.protobuf.UInt64Value",
		"google.protobuf.Int32Value", "google.protobuf.UInt32Value", "google.protobuf.BoolValue", "google.protobuf.StringValue",
		"google.protobuf.BytesValue":
		return true
	}
	return false
}
