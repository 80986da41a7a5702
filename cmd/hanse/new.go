package main

import (
	"github.com/hanse-go/hanse/cmd/hanse/internal/scaffold"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/spf13/cobra"
)

func newNew(u *ui.UI) *cobra.Command {
	var modulePath, source string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Make a service that builds, tests and answers",
		Long: `Make a service: a contract, its code, a test, and a program that runs it.

In a Go module the service is added to it, and to the program there that calls hanse.Main. Anywhere else a module is made in
the folder NAME. Nothing that exists is overwritten.`,
		Example: `  hanse new greeter                    a module in ./greeter with the service greeter
  hanse new github.com/me/greeter      the same, with that module path
  hanse new order-mail                 inside of a module: one more service`,
		Args: argCount(1, 1, "a name for the service"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := scaffold.New(cmd.Context(), scaffold.Options{
				Name:     args[0],
				Module:   modulePath,
				Source:   source,
				Progress: func(what string) func() { return u.Progress("%s", what).Done },
			})
			if err != nil {
				return err
			}
			if u.JSON {
				return u.PrintJSON(res)
			}
			reportNew(u, cmd, res)
			return nil
		},
	}
	cmd.Flags().StringVar(&modulePath, "module", "", "`path` of the new module (default example.com/NAME)")
	cmd.Flags().StringVar(&source, "source", "", "`dir` of Hanse's source to build with (default: the checkout that hanse was built from, else its version; variable "+scaffold.SourceVariable+")")
	u.JSONFlag(cmd, "what was made")
	return cmd
}

// reportNew lists the files and says what to do next.
func reportNew(u *ui.UI, cmd *cobra.Command, res *scaffold.Result) {
	where := ""
	if res.NewModule {
		where = res.Dir + "/"
	}
	for _, f := range res.Written {
		u.Printf("%s %s%s\n", ui.Good.Sprint("wrote  "), where, f)
	}
	for _, f := range res.Changed {
		u.Printf("%s %s%s\n", ui.Warning.Sprint("changed"), where, f)
	}
	u.Printf("\n%s\n", heading("Next"))
	next := ui.NewTable("", "")
	if res.NewModule {
		next.Row("  "+ui.Accent.Sprint("cd "+res.Dir), "")
	}
	next.Row("  "+ui.Accent.Sprint("go test ./..."), "test it")
	if dev, _, err := cmd.Root().Find([]string{"dev"}); err == nil && dev.Name() == "dev" {
		next.Row("  "+ui.Accent.Sprint("hanse dev"), "run it")
	} else {
		next.Row("  "+ui.Accent.Sprint("go run "+res.Program), "run it")
	}
	next.Row("  "+ui.Accent.Sprint("hanse call "+res.Method+" name=World"), "call it, from another terminal")
	next.WriteTo(u.Out)
}
