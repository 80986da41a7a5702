package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/hanse-go/hanse/cmd/hanse/internal/gen"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/internal/openapi"
	"github.com/spf13/cobra"
)

func newGenOpenAPI(u *ui.UI) *cobra.Command {
	var o openapi.Options
	var check bool
	cmd := &cobra.Command{
		Use:   "openapi FILE [DIR|FILE.proto]…",
		Short: "Describe the services in .proto files in an OpenAPI 3.1 document",
		Long: `Describe the services in the .proto files of the module around the current folder, or in the given files and folders, in an OpenAPI 3.1
document: every route that the gateway serves for them, those of google.api.http annotations included, with comments, schemas and
errors.

FILE is written as YAML if its name ends in .yaml or .yml, else as JSON; - is standard output. The same .proto files give the same bytes.
A running service has its document at /openapi.json, under hanse dev or with --docs.`,
		Example: `  hanse gen openapi api.yaml                       the whole module
  hanse gen openapi api.json proto/cart            what is below a folder
  hanse gen openapi --check api.yaml               exit with 1 if the file is not current, for CI
  hanse gen openapi --title Shop --server https://api.example.com api.yaml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return ui.Usagef("which file is the document to be written to?").Then("hanse gen openapi api.yaml, or - for standard output")
			}
			if strings.HasSuffix(args[0], ".proto") {
				return ui.Usagef("%s is where to write to, and a .proto file", args[0]).Then("hanse gen openapi api.yaml %s", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runGenOpenAPI(cmd.Context(), u, args[0], args[1:], o, check)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "write nothing; exit with 1 if the file would change")
	cmd.Flags().StringVar(&o.Title, "title", "", "the `name` of what is described (default that of its only service)")
	cmd.Flags().StringVar(&o.Version, "api-version", "", "the `version` of what is described (default 0)")
	cmd.Flags().StringVar(&o.Description, "description", "", "introduce it with this `text`, in Markdown")
	cmd.Flags().StringArrayVar(&o.Servers, "server", nil, "a `URL` at which it is served; repeatable")
	return cmd
}

func runGenOpenAPI(ctx context.Context, u *ui.UI, file string, args []string, o openapi.Options, check bool) error {
	doc, warnings, err := gen.Describe(ctx, gen.Options{Args: args, Progress: func(what string) func() { return u.Progress("%s", what).Done }}, o)
	if err != nil {
		return showMistakes(u, err)
	}
	showWarnings(u, warnings)
	data, err := doc.JSON()
	if err != nil {
		return err
	}
	if ext := filepath.Ext(file); ext == ".yaml" || ext == ".yml" {
		if data, err = yaml.JSONToYAML(data); err != nil {
			return err
		}
	}
	if file == "-" {
		u.Printf("%s", data)
		return nil
	}
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	routes := 0
	for _, path := range doc.Paths.Keys() {
		routes += doc.Paths.Get(path).Len()
	}
	what := count(routes, "operation") + " of " + count(len(doc.Tags), "service")
	switch {
	case err == nil && bytes.Equal(old, data):
		u.Printf("%s is up to date: %s\n", file, what)
		return nil
	case check:
		u.Printf("%s %s\n", ui.Good.Sprint("would write "), file)
		return ui.Errorf("%s is not current", file).Then("run hanse gen openapi without --check")
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		return err
	}
	u.Printf("%s %s: %s\n", ui.Good.Sprint("wrote  "), file, what)
	return nil
}
