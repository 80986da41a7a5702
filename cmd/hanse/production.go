package main

import (
	"github.com/hanse-go/hanse/cmd/hanse/internal/contexts"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/spf13/cobra"
)

// production decides what may be done to a system whose context is marked production: it is looked at, and what changes it needs the name of
// the context a second time. No command decides by itself.
type production struct{ confirm string }

// add adds the flag --confirm.
func (p *production) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.confirm, "confirm", "", "do it although this context, by its `NAME`, is marked production")
}

// refuses returns why something is not done in the context c, and nil where it may be. what is the reason to ask: "this changes it".
func (p production) refuses(c *contexts.Context, what string) error {
	if c == nil || !c.Production || p.confirm == c.Name {
		return nil
	}
	return ui.Errorf("the context %s is marked production, and %s", c.Name, what).Then("add --confirm %s to do it", c.Name)
}

// mayChange returns why nothing at the place is changed by this command, and nil where it may be. What sends an order to the place asks
// again, so a command that does not only does its work in vain.
func (p *place) mayChange() error { return p.production.refuses(p.context, "this changes it") }
