package main

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/hanse-go/hanse/cmd/hanse/internal/manifest"
	"github.com/hanse-go/hanse/cmd/hanse/internal/scaffold"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/internal/systems"
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
	cmd.Flags().StringVar(&modulePath, "module", "", "the `path` of the new module (default example.com/NAME)")
	cmd.Flags().StringVar(&source, "source", "", "the `folder` of Hanse's source to build with (default the checkout that hanse was built from, else its version; variable "+scaffold.SourceVariable+")")
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
	if name, takes := takenUp(res); name != "" {
		if takes {
			next.Row("  "+ui.Accent.Sprint("hanse ps "+res.Service), "see it run: hanse dev, which runs "+name+", builds and starts it now")
		} else {
			next.Row("  "+ui.Accent.Sprint(manifest.Name), "add it there: hanse dev, which runs "+name+", starts what that file names")
		}
	} else if dev, _, err := cmd.Root().Find([]string{"dev"}); err == nil && dev.Name() == "dev" {
		next.Row("  "+ui.Accent.Sprint("hanse dev"), "run it")
	} else {
		next.Row("  "+ui.Accent.Sprint("go run "+res.Program), "run it")
	}
	next.Row("  "+ui.Accent.Sprint("hanse call "+res.Method+" name=World"), "call it, from another terminal")
	next.WriteTo(u.Out)
}

// takenUp returns the name of the system that runs for the folder, "" when none does, and whether hanse dev takes the new service up by
// itself: unless hanse.yaml names what it runs, and not all services of that program.
func takenUp(res *scaffold.Result) (system string, takes bool) {
	wd, err := os.Getwd()
	if err != nil || res.NewModule {
		return "", false
	}
	running, err := systems.List()
	if err != nil {
		return "", false // nothing that could be said is worth an error: the service is made
	}
	s, ok := systems.Nearest(running, wd)
	if !ok {
		return "", false
	}
	man, _, err := manifest.Read(s.Dir)
	if err != nil || len(man.Processes) == 0 {
		return s.Name, err == nil
	}
	program, err := filepath.EvalSymlinks(filepath.Join(wd, filepath.FromSlash(res.Program)))
	return s.Name, err == nil && slices.ContainsFunc(man.Processes, func(p manifest.Process) bool {
		return p.Run != "" && len(p.Services) == 0 && filepath.Join(s.Dir, filepath.FromSlash(p.Run)) == program
	})
}
