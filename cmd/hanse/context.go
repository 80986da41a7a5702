package main

import (
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/contexts"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/spf13/cobra"
)

func newContext(u *ui.UI) *cobra.Command {
	return parent(&cobra.Command{
		Use:   "context COMMAND",
		Short: "Name running systems, and how they are reached",
		Long: `A context is a name for a running system and for how it is reached. They are written into contexts.yaml, in hanse in the user's folder
for settings (~/.config on Linux), or in the file that HANSE_CONTEXTS names:

  contexts:
    - name: staging
      registry: local:/srv/shop/registry
    - name: prod
      backplane: nats://nats.example.com:4222?creds=/home/ada/prod.creds
      system: shop
      identity: prod-certificates
      production: true

registry takes what HANSE_REGISTRY takes; where there is a backplane the default is the registry on it. identity is a folder with a
certificate, as --identity has it, below that of the file. system is the name of the system on the backplane, "default" by default.

A context is used by --context NAME, or HANSE_CONTEXT. None is ever used by itself. One with production: true is only looked at: commands that
would change something refuse it, and so does hanse call for methods that are not marked NO_SIDE_EFFECTS, unless they are given --confirm NAME.`,
		Example: `  hanse context ls
  hanse dashboard --context prod
  hanse ps --context staging
  hanse policy set catalog timeout=300ms --context prod --confirm prod`,
	}, newContextLs(u))
}

// contextReport is an element of the answer of `hanse context ls --json`.
type contextReport struct {
	Name       string `json:"name"`
	Registry   string `json:"registry,omitempty"`
	Backplane  string `json:"backplane,omitempty"` // without its secrets
	System     string `json:"system,omitempty"`
	Identity   string `json:"identity,omitempty"`
	Production bool   `json:"production"`
}

func newContextLs(u *ui.UI) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "List the contexts",
		Example: `  hanse context ls --json | jq -r '.[].name'`,
		Args:    argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, err := contexts.Read()
			if err != nil {
				return err
			}
			reports := []contextReport{}
			table := ui.NewTable("NAME", "REGISTRY", "BACKPLANE", "SYSTEM", "")
			for _, c := range file.Contexts {
				r := contextReport{c.Name, c.Registry, "", c.System, c.Identity, c.Production}
				if c.Backplane != "" {
					r.Backplane = hanse.NATS(c.Backplane).String()
				}
				reports = append(reports, r)
				mark := ""
				if c.Production {
					mark = ui.Bad.Sprint("production")
				}
				table.Row(ui.Strong.Sprint(r.Name), r.Registry, r.Backplane, r.System, mark)
			}
			if u.JSON {
				return u.PrintJSON(reports)
			}
			if len(reports) == 0 {
				u.Printf("no contexts in %s; hanse context --help shows how they are written\n", file.Path)
				return nil
			}
			_, err = table.WriteTo(u.Out)
			return err
		},
	}
	u.JSONFlag(cmd, "an array")
	return cmd
}

// contextFlag gives cmd the flag --context.
func contextFlag(cmd *cobra.Command) *named {
	context := namedFlag(cmd, "context", "HANSE_CONTEXT", "the running system that contexts.yaml has under this `NAME`; see hanse context")
	_ = cmd.RegisterFlagCompletionFunc("context", func(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
		if file, err := contexts.Read(); err == nil {
			for _, c := range file.Contexts {
				names = append(names, c.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	return context
}

// chosenContext returns the context that --context names, nil for none. other is a flag that was given and says where the system is,
// too, "" for none: the context of the environment gives way to it, and one that was given beside it is a mistake.
func chosenContext(context *named, other string) (*contexts.Context, error) {
	if context == nil || context.name == "" {
		return nil, nil
	}
	if other != "" && !context.given() {
		return nil, nil
	}
	if other != "" {
		return nil, besideContext(other)
	}
	file, err := contexts.Read()
	if err != nil {
		return nil, err
	}
	return file.Find(context.name)
}

// besideContext is the error for another flag that says where the system is.
func besideContext(other string) error {
	return ui.Usagef("--context says where the system is, and so does %s", other).Then("keep one of them")
}
