package main

import (
	"os"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/internal/systems"
	"github.com/spf13/cobra"
)

// systemFlag gives cmd the flag --system.
func systemFlag(cmd *cobra.Command) *named {
	return systemFlagAmong(cmd, func() []string {
		list, _ := systems.List()
		return systemNames(list)
	})
}

// systemFlagAmong gives cmd the flag --system, which is completed with names.
func systemFlagAmong(cmd *cobra.Command, names func() []string) *named {
	system := namedFlag(cmd, "system", "HANSE_SYSTEM", "the system to use, by `NAME` (default that of the folder, or the only one that runs)")
	_ = cmd.RegisterFlagCompletionFunc("system", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return names(), cobra.ShellCompDirectiveNoFileComp
	})
	return system
}

// findSystem returns the running system of that name; without a name the one of the current folder or of a folder above it, or else
// the only one that runs.
func findSystem(name string) (systems.System, error) {
	list, err := systems.List()
	if err != nil {
		return systems.System{}, err
	}
	if name != "" {
		for _, s := range list {
			if s.Name == name {
				return s, nil
			}
		}
		if err := notYet(name); err != nil {
			return systems.System{}, err
		}
		if len(list) == 0 {
			return systems.System{}, ui.Errorf("no system %q runs, nor any other", name).Then("start one with hanse dev")
		}
		return systems.System{}, ui.Errorf("no system %q runs", name).Then("%s", ui.DidYouMean(name, systemNames(list)))
	}
	dir, err := os.Getwd()
	if err != nil {
		return systems.System{}, err
	}
	if s, ok := systems.Nearest(list, dir); ok {
		return s, nil
	}
	switch len(list) {
	case 0:
		if err := notYet(""); err != nil {
			return systems.System{}, err
		}
		return systems.System{}, ui.Errorf("no system runs").Then("start one with hanse dev")
	case 1:
		return list[0], nil
	}
	return systems.System{}, ui.Errorf("several systems run: %s", ui.List(systemNames(list), "and")).
		Then("say which with --system NAME, or change to its folder:\n%s", folders(list))
}

// notYet returns an error that says so when a system is about to start for the current folder, or one of that name, or with neither
// any; and nil otherwise.
func notYet(name string) error {
	list, err := systems.Starting()
	if err != nil || len(list) == 0 {
		return err
	}
	s := list[0]
	if name != "" {
		i := slices.IndexFunc(list, func(s systems.System) bool { return s.Name == name })
		if i < 0 {
			return nil
		}
		s = list[i]
	} else if dir, err := os.Getwd(); err == nil {
		if near, ok := systems.Nearest(list, dir); ok {
			s = near
		}
	}
	return ui.Errorf("the system %s is being built (hanse dev, process %d)", s.Name, s.PID).Then("try again when hanse dev says that it is ready")
}

func systemNames(list []systems.System) (names []string) {
	for _, s := range list {
		names = append(names, s.Name)
	}
	return names
}

func folders(list []systems.System) string {
	t := ui.NewTable("", "")
	for _, s := range list {
		t.Row("  "+s.Name, s.Dir)
	}
	var b strings.Builder
	t.WriteTo(&b)
	return strings.TrimRight(b.String(), "\n")
}
