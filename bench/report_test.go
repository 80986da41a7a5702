package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is measured takes the place of what was, and what was written by hand stays.
func TestWriteReport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "benchmarks.md")
	before := "# Old head\n\n## The wire\n\nold wire\n\n## REST\n\nold rest\n\n## By hand\n\nfirst\n\nsecond\n"
	if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	rest := &section{title: "REST", intro: "new rest", header: []string{"", "a"}}
	inProcess := &section{title: "In process", intro: "new subject", header: []string{"", "a"}}
	if err := writeReport(path, []string{"The wire", "In process", "REST"}, []*section{rest, inProcess}); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := string(written)
	at := 0
	for _, want := range []string{reportHead, "## The wire\n\nold wire\n", "## In process\n", "new subject", "## REST\n", "new rest", "## By hand\n\nfirst\n\nsecond\n"} {
		i := strings.Index(got[at:], want)
		if i < 0 {
			t.Fatalf("%q is not there, or not in its place, in:\n%s", want, got)
		}
		at += i + len(want)
	}
	for _, gone := range []string{"Old head", "old rest"} {
		if strings.Contains(got, gone) {
			t.Errorf("%q is there still", gone)
		}
	}
}
