package conformancepb_test

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/internal/conformance/conformancepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

func TestMessages(t *testing.T) {
	var stream bytes.Buffer
	want := []*conformancepb.ServerCompatResponse{{Host: "127.0.0.1", Port: 4711, PemCert: []byte("cert")}, {}}
	for _, m := range want {
		if err := conformancepb.WriteMessage(&stream, m); err != nil {
			t.Fatal(err)
		}
	}
	if head := stream.Bytes()[:4]; !bytes.Equal(head, []byte{0, 0, 0, byte(proto.Size(want[0]))}) {
		t.Errorf("the first message begins with % x", head)
	}
	whole := bytes.Clone(stream.Bytes())
	for _, m := range want {
		got := new(conformancepb.ServerCompatResponse)
		if err := conformancepb.ReadMessage(&stream, got); err != nil || !proto.Equal(got, m) {
			t.Errorf("got %v, %v; want %v", got, err, m)
		}
	}
	if err := conformancepb.ReadMessage(&stream, want[0]); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	for name, data := range map[string][]byte{
		"cut in the length":  whole[:2],
		"cut in the message": whole[:9],
		"too long":           {0xff, 0xff, 0xff, 0xff},
		"no message":         {0, 0, 0, 1, 0xff},
	} {
		err := conformancepb.ReadMessage(bytes.NewReader(data), new(conformancepb.ServerCompatResponse))
		if err == nil || err == io.EOF {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHeaders(t *testing.T) {
	md := metadata.MD{"b": {"2", "1"}, "a-bin": {"\x00\xff", ""}}
	headers := conformancepb.HeadersOf(md)
	if got := fmt.Sprint(headers[0].Name, headers[0].Value, headers[1].Name, headers[1].Value); got != "a-bin[AP8 ]b[2 1]" {
		t.Error(got)
	}
	if md["a-bin"][0] != "\x00\xff" {
		t.Error("the metadata was changed")
	}
	back, err := conformancepb.MetadataOf(headers)
	if err != nil || !reflect.DeepEqual(back, md) {
		t.Errorf("%v, %v", back, err)
	}
	padded, err := conformancepb.MetadataOf([]*conformancepb.Header{{Name: "X-Bin", Value: []string{"AP8="}}})
	if err != nil || padded["x-bin"][0] != "\x00\xff" {
		t.Errorf("%v, %v", padded, err)
	}
	if _, err := conformancepb.MetadataOf([]*conformancepb.Header{{Name: "x-bin", Value: []string{"?"}}}); err == nil || !strings.Contains(err.Error(), "x-bin") {
		t.Error(err)
	}
}

func TestStatus(t *testing.T) {
	in := &conformancepb.Error{Code: conformancepb.Code_CODE_ABORTED, Message: proto.String("why")}
	err := conformancepb.StatusOf(in, &conformancepb.Header{Name: "n"})
	if st := status.Convert(err); st.Code() != codes.Aborted || st.Message() != "why" || len(st.Details()) != 1 {
		t.Errorf("%v", st)
	}
	if len(in.Details) != 0 {
		t.Error("the definition was changed")
	}
	if out := conformancepb.ErrorOf(err); out.Code != in.Code || out.GetMessage() != "why" || len(out.Details) != 1 {
		t.Errorf("%v", out)
	}
	if conformancepb.ErrorOf(nil) != nil {
		t.Error("no error became one")
	}
}
