package gen_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/cmd/hanse/internal/gen"
	"github.com/hanse-go/hanse/internal/httprule"
)

func TestContracts(t *testing.T) {
	dir := t.TempDir() // no Go module
	write(t, dir, "proto/reviews/v1/reviews.proto", `syntax = "proto3";
package reviews.v1;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
import "common/page.proto";
service Reviews {
  rpc List(common.Page) returns (Review) { option (google.api.http) = {get: "/v1/reviews"}; }
}
service Votes { rpc Vote(Review) returns (Review); }
message Review { google.protobuf.Timestamp at = 1; }
`)
	write(t, dir, "proto/common/page.proto", "syntax = \"proto3\";\npackage common;\nmessage Page { int32 size = 1; }\nservice Pages { rpc Turn(Page) returns (Page); }\n")
	write(t, dir, "alone.proto", "syntax = \"proto3\";\npackage alone;\nservice Alone { rpc Be(M) returns (M); }\nmessage M {}\n")
	write(t, dir, "bad.proto", "syntax = \"proto3\";\nmessage M { Missing m = 1; }\nmessage N { Gone g = 1; }\n")
	in := func(names ...string) (paths []string) {
		for _, name := range names {
			paths = append(paths, filepath.Join(dir, filepath.FromSlash(name)))
		}
		return paths
	}
	found, err := gen.Contracts(t.Context(), in("proto/reviews/v1/reviews.proto"), in("proto"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range found {
		names = append(names, string(c.FullName()))
	}
	equal(t, "contracts", names, "reviews.v1.Reviews", "reviews.v1.Votes") // and not those of imports
	if path := found[0].ParentFile().Path(); path != "reviews/v1/reviews.proto" {
		t.Errorf("the file is called %s", path)
	}
	if rules, err := httprule.Of(found[0].Methods().Get(0)); err != nil || len(rules) != 1 || rules[0].Method != "GET" {
		t.Errorf("the annotation is lost: %v, %v", rules, err)
	}
	if found, err := gen.Contracts(t.Context(), in("alone.proto"), nil); err != nil || len(found) != 1 || found[0].FullName() != "alone.Alone" {
		t.Errorf("a file alone: %v, %v", found, err)
	}
	for name, tt := range map[string]struct {
		files, folders []string
		want           []string
	}{
		"elsewhere":   {in("alone.proto"), in("proto"), []string{"alone.proto is in none of the folders"}},
		"no import":   {in("proto/reviews/v1/reviews.proto"), nil, []string{"common/page.proto"}},
		"mistakes":    {in("bad.proto"), nil, []string{"bad.proto:2:13", "Missing", "bad.proto:3:13", "Gone"}},
		"no file":     {in("none.proto"), nil, []string{"none.proto"}},
		"no services": {in("proto/empty.proto"), in("proto"), []string{"there is no service in"}},
	} {
		write(t, dir, "proto/empty.proto", "syntax = \"proto3\";\n")
		_, err := gen.Contracts(t.Context(), tt.files, tt.folders)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v; want %q", name, err, want)
			}
		}
	}
}
