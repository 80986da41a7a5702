package picture_test

import (
	"strings"
	"testing"

	"github.com/hanse-go/hanse/examples/shop/catalog/picture"
)

func TestDraw(t *testing.T) {
	good := picture.Spec{Motif: picture.Tin, Ground: "#d9e4e1", Main: "#17405c", Accent: "#e3b55b", Text: "A & <B>"}
	svg, err := picture.Draw(good)
	if err != nil || !strings.Contains(string(svg), "A &amp; &lt;B&gt;") {
		t.Fatalf("%v, %s", err, svg)
	}
	again, err := picture.Draw(good)
	if err != nil || picture.Version(svg) != picture.Version(again) || len(picture.Version(svg)) != 10 {
		t.Errorf("versions %q and %q, %v", picture.Version(svg), picture.Version(again), err)
	}
	for name, change := range map[string]func(*picture.Spec){
		"no motif":    func(s *picture.Spec) { s.Motif = nil },
		"no colour":   func(s *picture.Spec) { s.Main = "" },
		"a name":      func(s *picture.Spec) { s.Ground = "orange." },
		"not hex":     func(s *picture.Spec) { s.Accent = "#zzzzzz" },
		"too short":   func(s *picture.Spec) { s.Accent = "#fff" },
		"with quotes": func(s *picture.Spec) { s.Main = `#"><"/a` },
	} {
		bad := good
		change(&bad)
		if _, err := picture.Draw(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	good.Main = "#ffffff"
	other, err := picture.Draw(good)
	if err != nil || picture.Version(other) == picture.Version(svg) {
		t.Errorf("another colour has the same version, %v", err)
	}
}
