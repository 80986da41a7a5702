package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/gateway/internal/librarypb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

func TestAcceptable(t *testing.T) {
	for _, tt := range []struct{ accept, want string }{
		{"", "a/x"},
		{"*/*", "a/x"},
		{"b/y", "b/y"},
		{"B/Y", "b/y"},
		{"a/*, b/y", "b/y"},
		{"*/*, b/*", "b/y"},
		{"b/y;q=0.5, a/x;q=0.4", "b/y"},
		{"b/y;q=0.5, a/*", "a/x"},
		{"a/x;q=0, */*", "b/y"},
		{"a/x;level=1;q=0.1 , b/y;q=0.2", "b/y"},
		{"a/x;q=nonsense, b/y;q=7", "a/x"},
		{"c/z", ""},
		{"c/z, ,", ""},
	} {
		header := http.Header{}
		if tt.accept != "" {
			header["Accept"] = []string{tt.accept}
		}
		if got := acceptable(header, "a/x", "b/y"); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.accept, got, tt.want)
		}
	}
	two := http.Header{"Accept": {"a/x;q=0.1", "b/y"}}
	if got := acceptable(two, "a/x", "b/y"); got != "b/y" {
		t.Errorf("two fields: %q", got)
	}
}

func TestJSONPath(t *testing.T) {
	const data = `{"a": {"b": [1, {"c": "x\"y"}, []]}, "d": null, "e": [[2, 3]]}`
	for text, want := range map[string]string{
		`{"a`: "", `"a"`: "a", `{"b`: "a", `"b"`: "a.b", `[1`: "a.b", `1`: "a.b[0]", `{"c`: "a.b[1]", `"c"`: "a.b[1].c", `"x`: "a.b[1].c", `[]`: "a.b[2]",
		`"d"`: "d", `null`: "d", `"e"`: "e", `2`: "e[0][0]", `3`: "e[0][1]",
	} {
		if got := jsonPath([]byte(data), strings.Index(data, text)); got != want {
			t.Errorf("at %s: %q, want %q", text, got, want)
		}
	}
	if got := jsonPath([]byte(`{"`+strings.Repeat("x", 1000)+`":1}`), 0); got != "" {
		t.Errorf("%q", got)
	}
	if got := jsonPath([]byte(`{"`+strings.Repeat("x", 1000)+`":1}`), 1); len(got) > maxFieldPath+len("…") {
		t.Errorf("%d bytes", len(got))
	}
}

func FuzzJSONMistake(f *testing.F) {
	f.Add(`{"book":{"sequels":[{},{"pages":"x"}]}}`)
	f.Add("{\"parent\":\n\n  7, \"é\":\xff}")
	f.Fuzz(func(t *testing.T, text string) {
		codec := jsonCodec{depth: 10, strict: true}
		if err := codec.decode([]byte(text), new(librarypb.CreateBookRequest)); err != nil && err.Error() == "" {
			t.Error("an empty error")
		}
		codec.decodeField([]byte(text), new(librarypb.Book), new(librarypb.Book).ProtoReflect().Descriptor().Fields().ByName("tags"))
		for i := range text {
			jsonPath([]byte(text), i)
		}
	})
}

// TestKeepAlive holds that a stream of events is never silent for long, and that nothing is written behind its end.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/v1/books:watch", nil)
		r.Header.Set("Accept", eventsType)
		watch := librarypb.File_gateway_internal_librarypb_library_proto.Services().Get(0).Methods().ByName("WatchBooks")
		x := newRESTStream(rest{h: new(Handler), w: w, r: r, route: &restRoute{route: newRoute(watch), response: partOf(watch.Output(), nil)}})
		x.sendHeader(nil)
		time.Sleep(2*keepAlive + time.Second) // of the bubble's clock
		if err := x.send(&librarypb.Book{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(keepAlive)
		x.end(nil, nil, nil)
		time.Sleep(time.Hour)
		if got := w.Body.String(); got != ":\n\n:\n\ndata: {}\n\n:\n\nevent: end\ndata: {}\n\n" {
			t.Errorf("%q", got)
		}
	})
}

// contract compiles nothing: it is the library with other names and annotations.
func contract(t *testing.T, name string, change func(method string) string) protoreflect.ServiceDescriptor {
	t.Helper()
	file := protodesc.ToFileDescriptorProto(librarypb.File_gateway_internal_librarypb_library_proto)
	file.Name, file.Package = proto.String(name+".proto"), proto.String(name)
	data, err := proto.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(data), ".library.", "."+name+".")
	if change != nil {
		text = change(text)
	}
	file.Reset()
	if err := proto.Unmarshal([]byte(text), file); err != nil {
		t.Fatal(err)
	}
	fd, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return fd.Services().Get(0)
}

func TestCheck(t *testing.T) {
	first := librarypb.File_gateway_internal_librarypb_library_proto.Services().Get(0)
	if err := Check([]protoreflect.ServiceDescriptor{first, first}); err != nil {
		t.Error(err)
	}
	second := contract(t, "another", nil) // "another" is as long as "library"
	err := Check([]protoreflect.ServiceDescriptor{first, second})
	want := "library.Library.GetBook and another.Library.GetBook have the same route: GET /v1/{name=shelves/*/books/*} and /v1/{name=shelves/*/books/*}"
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "library.Library.Upload and") {
		t.Errorf("%v\nwant\n%s", err, want)
	}
	bad := contract(t, "another", func(text string) string { return strings.ReplaceAll(text, "/v1/chat", "/v1/ch*t") })
	want = `another.Library.Chat: google.api.http: path template "/v1/ch*t": unexpected '*' at byte 7`
	if err := Check([]protoreflect.ServiceDescriptor{bad}); err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

// changing is a backend whose contracts come and go.
type changing struct {
	contracts  []protoreflect.ServiceDescriptor
	generation uint64
	called     string
}

func (c *changing) Contracts() []protoreflect.ServiceDescriptor { return c.contracts }
func (c *changing) Generation() uint64                          { return c.generation }
func (c *changing) Call(method string, stream grpc.ServerStream) error {
	c.called = method
	return nil
}

// TestRoutesChange holds that routes follow the contracts, and that of two equal ones the first is served.
func TestRoutesChange(t *testing.T) {
	first, second := librarypb.File_gateway_internal_librarypb_library_proto.Services().Get(0), contract(t, "another", nil)
	b := &changing{contracts: []protoreflect.ServiceDescriptor{first, second}}
	h := &Handler{Backend: b}
	get := func() int {
		b.called = ""
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/v1/books/x", nil))
		return w.Code
	}
	if get(); b.called != "/library.Library/GetBook" {
		t.Errorf("called %s", b.called)
	}
	b.contracts, b.generation = b.contracts[1:], 1
	if get(); b.called != "/another.Library/GetBook" {
		t.Errorf("called %s", b.called)
	}
	b.contracts, b.generation = nil, 2
	if code := get(); b.called != "" || code != 404 || h.Serves(httptest.NewRequest("GET", "/v1/books/x", nil)) {
		t.Errorf("%d, called %s", code, b.called)
	}
}
