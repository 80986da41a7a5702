package comments_test

import (
	"testing"

	"github.com/hanse-go/hanse/internal/comments"
	"github.com/hanse-go/hanse/internal/conformance/conformancepb"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/known/emptypb"
)

func TestResolver(t *testing.T) {
	r := new(comments.Resolver)
	linked := conformancepb.File_internal_conformance_conformancepb_conformance_proto
	for range 2 {
		file, err := r.FindFileByPath(linked.Path())
		if err != nil || file.SourceLocations().Len() == 0 || linked.SourceLocations().Len() != 0 {
			t.Fatalf("%v, %v", file, err)
		}
		service := linked.Services().Get(0)
		d, err := r.FindDescriptorByName(service.FullName())
		if err != nil || d.ParentFile() != file || protodesc.ToFileDescriptorProto(d.ParentFile()).GetSourceCodeInfo() == nil {
			t.Fatalf("%v, %v", d, err)
		}
		n := 0
		for i := range linked.Messages().Len() {
			m := linked.Messages().Get(i)
			again, err := r.FindDescriptorByName(m.FullName())
			if err != nil || new(comments.Reader).Of(again) != new(comments.Reader).Of(m) {
				t.Errorf("%s: %v", m.FullName(), err)
			}
			if new(comments.Reader).Of(m) != "" {
				n++
			}
		}
		if n == 0 {
			t.Error("no message has a comment")
		}
	}
	if file, err := r.FindFileByPath(emptypb.File_google_protobuf_empty_proto.Path()); err != nil || file != emptypb.File_google_protobuf_empty_proto {
		t.Errorf("a file without comments: %v, %v", file, err)
	}
	if _, err := r.FindFileByPath("nothing.proto"); err == nil {
		t.Error("a file that is not there")
	}
	if _, err := r.FindDescriptorByName("no.Thing"); err == nil {
		t.Error("a declaration that is not there")
	}
}
