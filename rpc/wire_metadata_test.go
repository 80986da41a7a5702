package rpc

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/hanse-go/hanse/internal/hpack"
	"github.com/hanse-go/hanse/internal/http2"
	xhpack "golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/metadata"
)

// fieldsOf decodes a block of literals.
func fieldsOf(t testing.TB, block []byte) []hpack.Field {
	t.Helper()
	fields, err := xhpack.NewDecoder(4096, nil).DecodeFull(block)
	if err != nil {
		t.Fatal(err)
	}
	var out []hpack.Field
	for _, f := range fields {
		out = append(out, hpack.Field{Name: f.Name, Value: f.Value, Sensitive: f.Sensitive})
	}
	return out
}

func TestOutgoingMetadata(t *testing.T) {
	ctx := metadata.NewOutgoingContext(t.Context(), metadata.Pairs("a", "1", "a", "2", "te", "x", "content-type", "x"))
	ctx = metadata.AppendToOutgoingContext(ctx, "A", "3", "b-bin", "\x00\xff", "grpc-timeout", "1n", "authorization", "secret")
	block, err := appendOutgoing(nil, ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := []hpack.Field{
		{Name: "a", Value: "1"}, {Name: "a", Value: "2"}, {Name: "a", Value: "3"}, {Name: "b-bin", Value: "AP8"},
		{Name: "authorization", Value: "secret", Sensitive: true},
	}
	if got := fieldsOf(t, block); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	for _, md := range []metadata.MD{{"Upper": {"x"}}, {"a b": {"x"}}, {"": {"x"}}, {"a": {"\n"}}} {
		if _, err := appendOutgoing(nil, metadata.NewOutgoingContext(t.Context(), md)); err == nil {
			t.Errorf("%v was sent", md)
		}
	}
	if block, err := appendOutgoing(nil, context.Background()); len(block) > 0 || err != nil {
		t.Errorf("nothing: %v, %v", block, err)
	}
}

func TestReceivedMetadata(t *testing.T) {
	fields := []hpack.Field{
		{Name: ":path", Value: "/s/m"}, {Name: ":authority", Value: "cart"}, {Name: "te", Value: "trailers"}, {Name: "grpc-timeout", Value: "1S"},
		{Name: "content-type", Value: "application/grpc"}, {Name: "x", Value: "2"}, {Name: "x", Value: "1"},
		{Name: "a-bin", Value: "AP8"}, {Name: "a-bin", Value: "AP8=, YQ== ,"}, {Name: "grpc-status-details-bin", Value: "AP8"},
	}
	md := metadata.MD{}
	addFields(md, fields, nil)
	want := metadata.MD{":authority": {"cart"}, "content-type": {"application/grpc"}, "x": {"2", "1"}, "a-bin": {"\x00\xff", "\x00\xff", "a", ""}}
	if len(md) != len(want) {
		t.Errorf("got %v", md)
	}
	for k, v := range want {
		if !slices.Equal(md[k], v) {
			t.Errorf("%s = %q, want %q", k, md[k], v)
		}
	}
	if err := checkBinary(fields); err != nil {
		t.Error(err)
	}
	if err := checkBinary([]hpack.Field{{Name: "a-bin", Value: "AP8,*"}}); err == nil {
		t.Error("a malformed value is in order")
	}
}

// What requests of a kind have in common is kept once: what one of them adds to it, others must not see.
func TestSharedMetadata(t *testing.T) {
	known := &knownRun{run: &hpack.Run{Fields: []hpack.Field{{Name: ":authority", Value: "cart"}, {Name: "x", Value: "1"}, {Name: "te", Value: "trailers"}}}}
	for _, tt := range []struct {
		rest []hpack.Field
		host string
		want metadata.MD
	}{
		{rest: []hpack.Field{{Name: "x", Value: "2"}, {Name: "y", Value: "3"}, {Name: "z", Value: "4"}, {Name: "y", Value: "5"}},
			want: metadata.MD{":authority": {"cart"}, "x": {"1", "2"}, "y": {"3", "5"}, "z": {"4"}}},
		{rest: []hpack.Field{{Name: "x", Value: "6"}}, want: metadata.MD{":authority": {"cart"}, "x": {"1", "6"}}},
		{host: "till", want: metadata.MD{":authority": {"till"}, "x": {"1"}}},
		{rest: []hpack.Field{{Name: "grpc-timeout", Value: "1S"}}, want: metadata.MD{":authority": {"cart"}, "x": {"1"}}},
		{rest: []hpack.Field{{Name: "a", Value: "1"}, {Name: "grpc-timeout", Value: "1S"}, {Name: "b", Value: "2"}, {Name: "c-bin", Value: "AP8,YQ"},
			{Name: "d", Value: "3"}, {Name: "e", Value: "4"}, {Name: "f", Value: "5"}, {Name: "g", Value: "6"}, {Name: "a", Value: "7"}}, // more than there is room for
			want: metadata.MD{":authority": {"cart"}, "x": {"1"}, "a": {"1", "7"}, "b": {"2"}, "c-bin": {"\x00\xff", "a"}, "d": {"3"}, "e": {"4"}, "f": {"5"}, "g": {"6"}}},
	} {
		for _, room := range []*requestRoom{nil, new(requestRoom)} {
			rest := slices.Clone(tt.rest)
			request := newWireRequest(&http2.Header{Rest: rest}, known, &callHead{host: tt.host, extra: true}, room)
			clear(rest) // it is the reader's
			if got := request.metadata(); !maps.EqualFunc(got, tt.want, slices.Equal) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		}
	}
}

func TestAddMetadata(t *testing.T) {
	first := metadata.MD{"A": {"1"}, "b": {"2", "3"}}
	md := addMetadata(nil, first)
	md = addMetadata(md, metadata.MD{"a": {"4"}, "b": {"5"}, "c": {"6"}})
	md = addMetadata(md, nil)
	first["A"][0], first["b"][0] = "x", "x"
	if want := (metadata.MD{"a": {"1", "4"}, "b": {"2", "3", "5"}, "c": {"6"}}); !maps.EqualFunc(md, want, slices.Equal) {
		t.Errorf("got %v, want %v", md, want)
	}
}

func FuzzBinaryMetadata(f *testing.F) {
	f.Add("\x00\xff")
	f.Add("AP8=,a")
	f.Fuzz(func(t *testing.T, value string) {
		fields := fieldsOf(t, appendField(nil, "k-bin", value))
		md := metadata.MD{}
		addFields(md, fields, nil)
		if err := checkBinary(fields); err != nil || !slices.Equal(md["k-bin"], []string{value}) {
			t.Errorf("%q came back as %q, %v", value, md["k-bin"], err)
		}
		raw := []hpack.Field{{Name: "k-bin", Value: value}}
		checkBinary(raw)
		addFields(md, raw, nil)
	})
}
