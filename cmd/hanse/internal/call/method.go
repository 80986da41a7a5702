package call

import (
	"context"
	"errors"
	"strings"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/internal/everywhere"
	"github.com/hanse-go/hanse/internal/reflection"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Method is a method to call, with the types that its messages may use.
type Method struct {
	Desc  protoreflect.MethodDescriptor
	Types *reflection.Types
}

// Safe reports whether the method is marked NO_SIDE_EFFECTS: a call of it changes nothing.
func (m *Method) Safe() bool {
	o, ok := m.Desc.Options().(*descriptorpb.MethodOptions)
	return ok && o.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

// Find returns the method that t means. offered are the contracts of the service, as the registry knows them; nil: all that the
// server has.
func Find(ctx context.Context, r *reflection.Client, t Target, offered []string) (*Method, error) {
	contracts, err := contractsOf(ctx, r, t, offered)
	if err != nil {
		return nil, err
	}
	name := contracts[0]
	if t.Contract != "" || len(contracts) > 1 {
		if name, err = choose(ctx, r, t, contracts); err != nil {
			return nil, err
		}
	}
	sd, types, err := r.Contract(ctx, name)
	if err != nil {
		return nil, reflectionError(t, err)
	}
	if md := sd.Methods().ByName(protoreflect.Name(t.Method)); md != nil {
		return &Method{md, types}, nil
	}
	var names []string
	for i := range sd.Methods().Len() {
		names = append(names, string(sd.Methods().Get(i).Name()))
	}
	return nil, ui.Errorf("%s has no method %q", name, t.Method).Then("%s", ui.DidYouMean(t.Method, names))
}

// Methods returns all methods that can be called by t, which names none.
func Methods(ctx context.Context, r *reflection.Client, t Target, offered []string) ([]protoreflect.MethodDescriptor, error) {
	contracts, err := contractsOf(ctx, r, t, offered)
	if err != nil {
		return nil, err
	}
	if t.Contract != "" {
		name, err := choose(ctx, r, t, contracts)
		if err != nil {
			return nil, err
		}
		contracts = []string{name}
	}
	var methods []protoreflect.MethodDescriptor
	for _, name := range contracts {
		sd, _, err := r.Contract(ctx, name)
		if err != nil {
			return nil, reflectionError(t, err)
		}
		for i := range sd.Methods().Len() {
			methods = append(methods, sd.Methods().Get(i))
		}
	}
	return methods, nil
}

// contractsOf returns the contracts that t may mean, at least one.
func contractsOf(ctx context.Context, r *reflection.Client, t Target, offered []string) ([]string, error) {
	var known []string
	for _, name := range offered {
		if !everywhere.Has(name) {
			known = append(known, name)
		}
	}
	if len(known) > 0 {
		return known, nil
	}
	names, err := r.Contracts(ctx)
	if err != nil {
		return nil, reflectionError(t, err)
	}
	if t.Contract != "" && everywhere.Has(t.Contract) {
		names = append(names, t.Contract)
	}
	if len(names) == 0 {
		return nil, ui.Errorf("%s has no contract to call", t.who())
	}
	return names, nil
}

// choose returns the one contract of several that t means: by its full or short name, else the one that has the method.
func choose(ctx context.Context, r *reflection.Client, t Target, contracts []string) (string, error) {
	if t.Contract != "" {
		if everywhere.Has(t.Contract) {
			return t.Contract, nil
		}
		var found []string
		for _, name := range contracts {
			if name == t.Contract {
				return name, nil
			}
			if short(name) == t.Contract {
				found = append(found, name)
			}
		}
		if len(found) == 1 {
			return found[0], nil
		}
		candidates := contracts
		if !strings.Contains(t.Contract, ".") {
			candidates = nil
			for _, name := range contracts {
				candidates = append(candidates, short(name))
			}
		}
		return "", ui.Errorf("%s has no contract %q", t.who(), t.Contract).Then("%s", ui.DidYouMean(t.Contract, candidates))
	}
	var found []string
	for _, name := range contracts {
		sd, _, err := r.Contract(ctx, name)
		if err != nil {
			return "", reflectionError(t, err)
		}
		if sd.Methods().ByName(protoreflect.Name(t.Method)) != nil {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		var names []string
		for _, name := range contracts {
			sd, _, err := r.Contract(ctx, name)
			if err != nil {
				return "", reflectionError(t, err)
			}
			for i := range sd.Methods().Len() {
				names = append(names, string(sd.Methods().Get(i).Name()))
			}
		}
		return "", ui.Errorf("no contract of %s (%s) has the method %q", t.who(), ui.List(contracts, "and"), t.Method).Then("%s", ui.DidYouMean(t.Method, names))
	default:
		return "", ui.Errorf("%s have the method %s", ui.List(found, "and"), t.Method).Then("say which: %s/%s/%s", t.Service, found[0], t.Method)
	}
}

// who names the callee in errors.
func (t Target) who() string {
	if t.Service == "" {
		return "the server"
	}
	return t.Service
}

// reflectionError explains why a server does not tell its contracts.
func reflectionError(t Target, err error) error {
	switch status.Code(err) {
	case codes.Unimplemented:
		return ui.Errorf("%s does not tell its contracts: gRPC reflection is off there", t.who()).
			Then("a program built with Hanse has it on a loopback address, or with --reflection")
	case codes.NotFound:
		return ui.Errorf("%s does not have the contract that it announces: %w", t.who(), err)
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return NewStatusError(t.who()+" did not tell its contracts", err)
}

// short is the last part of a full name.
func short(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }
