package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hanse-go/hanse/cmd/hanse/internal/gen"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/spf13/cobra"
)

func newGen(u *ui.UI) *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "gen [DIR|FILE]…",
		Short: "Generate Go code from .proto files",
		Long: `Generate Go code from the .proto files of the module around the current folder, or from the given files and folders.

The stock protoc-gen-go and protoc-gen-go-grpc run at fixed versions; neither protoc nor buf is needed. The code lands where
option go_package says. Comments, which that code drops, are kept beside it in *_comments.pb.go, so that a running service can show
them (text between "(--" and "--)" is left out). Imports are relative to the nearest folder called proto, or to the module; google/protobuf, google/api
and google/rpc are always there. Files that were not generated are never touched, leftovers of earlier runs are removed, and what
differs from protoc's output in the name of the compiler only is left alone.

hanse.yaml beside go.mod can add plugins and folders:

  gen:
    roots: [api]                 # imports are relative to it (default: every folder called proto)
    imports: [third_party]       # to import from, without code
    plugins:
      - name: connect-go         # protoc-gen-connect-go from PATH or from the tools in go.mod
        opt: [simple]            # its options
        out: gen                 # a folder for its files (default: where go_package says)`,
		Example: `  hanse gen                  the whole module
  hanse gen proto/cart       what is below a folder
  hanse gen --check          exit with 1 if generated code is not current, for CI`,
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := gen.Run(cmd.Context(), gen.Options{
				Args:     args,
				Check:    check,
				Stderr:   u.Err,
				Progress: func(what string) func() { return u.Progress("%s", what).Done },
			})
			return reportGen(u, res, err, check)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "write nothing; exit with 1 if something would change")
	u.JSONFlag(cmd, "what was done, or what is wrong,")
	cmd.AddCommand(newGenOpenAPI(u))
	return cmd
}

// genReport is the answer of `hanse gen --json`.
type genReport struct {
	Written   []string         `json:"written"`
	Removed   []string         `json:"removed"`
	Unchanged []string         `json:"unchanged"`
	Warnings  []gen.Diagnostic `json:"warnings"`
	Errors    []gen.Diagnostic `json:"errors"`
}

// reportGen shows what gen.Run did, or the mistakes that it found.
func reportGen(u *ui.UI, res *gen.Result, err error, check bool) error {
	var source *gen.SourceError
	if errors.As(err, &source) && u.JSON {
		if err := u.PrintJSON(genReport{[]string{}, []string{}, []string{}, []gen.Diagnostic{}, source.Diagnostics}); err != nil {
			return err
		}
		return ui.Silent{Exit: ui.ExitFailure}
	}
	if err != nil {
		return showMistakes(u, err)
	}
	if u.JSON {
		report := genReport{orEmpty(res.Written), orEmpty(res.Removed), orEmpty(res.Unchanged), orEmpty(res.Warnings), []gen.Diagnostic{}}
		if err := u.PrintJSON(report); err != nil {
			return err
		}
		if check && !res.Current() {
			return ui.Silent{Exit: ui.ExitFailure}
		}
		return nil
	}
	showWarnings(u, res.Warnings)
	for _, note := range res.Notes {
		u.Notef("%s %s", ui.Warning.Sprint("note:"), note)
	}
	wrote, removed := "wrote  ", "removed"
	if check {
		wrote, removed = "would write ", "would remove"
	}
	for _, f := range res.Written {
		u.Printf("%s %s\n", ui.Good.Sprint(wrote), f)
	}
	for _, f := range res.Removed {
		u.Printf("%s %s\n", ui.Warning.Sprint(removed), f)
	}
	switch {
	case check && !res.Current():
		return ui.Errorf("generated code is not current").Then("run hanse gen")
	case res.Protos == 0 && len(res.Removed) == 0:
		u.Notef("there is no .proto file here; hanse new NAME makes a service with one")
	case res.Current():
		u.Printf("%s of %s up to date\n", count(len(res.Unchanged), "file"), count(res.Protos, ".proto file"))
	}
	return nil
}

// showMistakes shows the mistakes in .proto files, if err is about them, and returns what is left to say.
func showMistakes(u *ui.UI, err error) error {
	var source *gen.SourceError
	if !errors.As(err, &source) {
		return err
	}
	files := map[string]bool{}
	for _, d := range source.Diagnostics {
		showDiagnostic(u, d, ui.Bad)
		files[d.File] = true
	}
	return ui.Errorf("%s in %s; nothing was written", count(len(source.Diagnostics), "mistake"), count(len(files), "file"))
}

// showWarnings shows remarks that nothing fails on.
func showWarnings(u *ui.UI, warnings []gen.Diagnostic) {
	for _, d := range warnings {
		d.Message = "warning: " + d.Message
		showDiagnostic(u, d, ui.Warning)
	}
}

// showDiagnostic prints a remark with the line that it is about.
func showDiagnostic(u *ui.UI, d gen.Diagnostic, style ui.Style) {
	text := d.String()
	where := strings.TrimSuffix(text, d.Message)
	u.Notef("%s%s", ui.Strong.Sprint(strings.TrimRight(where, " ")), style.Sprint(" "+d.Message))
	if excerpt := d.Excerpt(); excerpt != "" {
		u.Notef("%s", excerpt)
	}
}

// count returns "1 file" or "3 files".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// orEmpty returns a slice that JSON shows as [] when there is nothing.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
