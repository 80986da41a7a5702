// Package outmeta reads the metadata that a context sends. Package metadata of grpc copies all of it into a map for each look; this one
// looks at it where it is.
package outmeta

import (
	"context"
	"reflect"
	"sync"
	"unsafe"

	"google.golang.org/grpc/metadata"
)

// Raw is how package metadata keeps what a context sends. It must not be changed.
type Raw struct {
	MD    metadata.MD // as it was given: a key with capitals in it is not sent, the call fails
	Added [][]string  // pairs that were appended: key, value, …; keys in small letters
}

// From returns what ctx sends; nil when it sends nothing. It reports false when this release of grpc keeps it in another way: then
// [metadata.FromOutgoingContext] tells.
func From(ctx context.Context) (*Raw, bool) {
	v := ctx.Value(key())
	if v == nil {
		return nil, true
	}
	if !known() {
		return nil, false
	}
	return (*Raw)((*[2]unsafe.Pointer)(unsafe.Pointer(&v))[1]), true
}

// Value returns the first value that ctx sends for a key in small letters.
func Value(ctx context.Context, key string) (string, bool) {
	raw, ok := From(ctx)
	if !ok {
		md, _ := metadata.FromOutgoingContext(ctx)
		return first(md[key])
	}
	if raw == nil {
		return "", false
	}
	if value, ok := first(raw.MD[key]); ok {
		return value, true
	}
	for _, pairs := range raw.Added {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == key {
				return pairs[i+1], true
			}
		}
	}
	return "", false
}

func first(values []string) (string, bool) {
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// key learns the key of the context's value by asking grpc's own function for it.
var key = sync.OnceValue(func() (key any) {
	metadata.FromOutgoingContext(probe{context.Background(), &key})
	return key
})

// probe is a context without values that notes the key it is asked for.
type probe struct {
	context.Context
	key *any
}

func (p probe) Value(key any) any {
	*p.key = key
	return nil
}

// known reports whether this release of grpc keeps outgoing metadata in the known shape.
var known = sync.OnceValue(func() bool {
	v := metadata.NewOutgoingContext(context.Background(), nil).Value(key())
	t, want := reflect.TypeOf(v), reflect.TypeFor[Raw]()
	if t == nil || t.Kind() != reflect.Struct || t.NumField() != want.NumField() || t.Size() != want.Size() {
		return false
	}
	for i := range t.NumField() {
		if t.Field(i).Type != want.Field(i).Type || t.Field(i).Offset != want.Field(i).Offset {
			return false
		}
	}
	return true
})
