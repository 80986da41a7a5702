package dashboard_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/store"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
)

var (
	payloads = store.NewBucket[*testpb.SimpleRequest]("payloads")
	blobs    = store.NewBucket[[]byte]("blobs")
	counts   = store.NewBucket[map[string]int]("counts")
)

// fill makes a store with values of each kind.
func fill(t *testing.T) *store.Memory {
	t.Helper()
	memory := new(store.Memory)
	host := &store.Client{Driver: memory}
	must := func(_ uint64, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(payloads.Put(t.Context(), host, "ann", &testpb.SimpleRequest{ResponseSize: 7}))
	must(blobs.Put(t.Context(), host, "text", []byte("hello\nworld")))
	must(blobs.Put(t.Context(), host, "noise", []byte{0, 1, 0xff}))
	must(counts.Put(t.Context(), host, "a", map[string]int{"x": 1}))
	for i := range 30 {
		must(counts.Put(t.Context(), host, fmt.Sprintf("page/%02d", i), nil))
	}
	must(0, store.Lock(t.Context(), host, "leader", func(_ context.Context, _ uint64) error { return nil }))
	return memory
}

// value is what the page is told of one.
type value struct {
	Revision uint64
	Type     string
	JSON     any
	Text     *string
	Base64   []byte
	Note     string
	Editable bool
}

func TestStore(t *testing.T) {
	sys := newSystem()
	memory := fill(t)
	sys.state.Services[0].Name = "echo"
	c, base := enter(t, &dashboard.Server{System: sys, Store: memory, Conn: connect(t, echoService())})
	buckets := get[[]struct {
		Name, Type string
		Records    uint64
		Internal   bool
	}](t, c, base+"/api/store/buckets")
	if len(buckets) != 4 || buckets[0].Name != "blobs" || buckets[0].Records != 2 || buckets[2].Name != "hanse-locks" || !buckets[2].Internal || buckets[3].Type != "grpc.testing.SimpleRequest" {
		t.Errorf("%+v", buckets)
	}
	type keys struct {
		Keys []string
		More bool
	}
	if k := get[keys](t, c, base+"/api/store/keys?bucket=counts&prefix=page/&limit=5"); len(k.Keys) != 5 || k.Keys[4] != "page/04" || !k.More {
		t.Errorf("%+v", k)
	}
	if k := get[keys](t, c, base+"/api/store/keys?bucket=counts"); len(k.Keys) != 31 || k.More {
		t.Errorf("%+v", k)
	}
	at := func(bucket, key string) value {
		return get[value](t, c, base+"/api/store/value?bucket="+bucket+"&key="+key)
	}
	message := at("payloads", "ann")
	if fmt.Sprint(message.JSON) != "map[responseSize:7]" || !message.Editable {
		t.Errorf("a message of a type that a service tells: %+v", message)
	}
	if v := at("blobs", "text"); v.Text == nil || *v.Text != "hello\nworld" || !v.Editable {
		t.Errorf("%+v", v)
	}
	if v := at("blobs", "noise"); v.Text != nil || len(v.Base64) != 3 || v.Editable {
		t.Errorf("%+v", v)
	}
	if v := at("counts", "a"); fmt.Sprint(v.JSON) != "map[x:1]" {
		t.Errorf("%+v", v)
	}
	for _, path := range []string{"keys?bucket=nothing", "value?bucket=blobs&key=nothing"} {
		if res, text := ask(t, c, "GET", base+"/api/store/"+path, ""); res.StatusCode != 404 {
			t.Errorf("%s: %s %s", path, res.Status, text)
		}
	}

	order := map[string]any{"bucket": "payloads", "key": "ann", "revision": message.Revision, "text": `{"responseSize":8}`}
	post[struct{}](t, c, base+"/api/store/put", order)
	record, err := memory.Get(t.Context(), "payloads", "ann")
	var got testpb.SimpleRequest
	if err != nil || proto.Unmarshal(record.Value, &got) != nil || got.GetResponseSize() != 8 {
		t.Errorf("written: %v, %v", &got, err)
	}
	refused := func(path, order string, status int, want string) {
		t.Helper()
		if res, text := ask(t, c, "POST", base+"/api/store/"+path, order, "Hanse-Dashboard", "1"); res.StatusCode != status || !strings.Contains(text, want) {
			t.Errorf("%s %s: %s %s", path, order, res.Status, text)
		}
	}
	refused("put", fmt.Sprintf(`{"bucket":"payloads","key":"ann","revision":%d,"text":"{}"}`, message.Revision), 409, "somebody has changed it")
	refused("put", `{"bucket":"counts","key":"a","text":"{}"}`, 409, "") // it is there
	refused("put", `{"bucket":"counts","key":"b","text":"nonsense"}`, 400, "no JSON")
	refused("put", fmt.Sprintf(`{"bucket":"payloads","key":"ann","revision":%d,"text":"{\"x\":1}"}`, record.Revision), 400, "unknown field")
	refused("put", `{"bucket":"hanse-locks","key":"leader","text":"{}"}`, 403, "Hanse's own")
	refused("delete", `{"bucket":"hanse-locks","key":"leader"}`, 403, "Hanse's own")
	post[struct{}](t, c, base+"/api/store/delete", map[string]any{"bucket": "payloads", "key": "ann", "revision": record.Revision})
	if _, err := memory.Get(t.Context(), "payloads", "ann"); err == nil {
		t.Error("it is still there")
	}
	sys.state.Kind = dashboard.KindRegistry
	refused("delete", `{"bucket":"counts","key":"a"}`, 403, "in hanse dev only")
	if v := at("counts", "a"); v.Editable {
		t.Errorf("%+v", v)
	}
}

func TestValueOfUnknownType(t *testing.T) {
	c, base := enter(t, &dashboard.Server{Store: fill(t)})
	v := get[value](t, c, base+"/api/store/value?bucket=payloads&key=ann")
	if v.JSON != nil || v.Text != nil || len(v.Base64) == 0 || !strings.Contains(v.Note, "grpc.testing.SimpleRequest") || v.Editable {
		t.Errorf("%+v", v)
	}
}
