package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
	"github.com/spf13/cobra"
)

// splitFlags say what to change of the rules.
type splitFlags struct {
	headers []string
	sticky  string
	strict  bool
	off     bool
	force   bool
}

func newSplit(u *ui.UI) *cobra.Command {
	var flags splitFlags
	var where placeFlags
	cmd := &cobra.Command{
		Use:   "split SERVICE [VERSION=PERCENT…]",
		Short: "Say which versions of a service get which of its calls",
		Long: `Say which versions of a service get which of its calls: so many percent, or those that carry a header. The rules are in the registry, and
all callers follow them at once, also those that are started later. Without rules to set, show those in force.

The first header that fits a call decides, then the shares. A version that no instance has, or none that can be reached, is passed over:
its calls go to the others, unless --strict says that they fail. What is not named stays: shares replace shares, headers replace headers.
A version without a share gets no calls: to deploy one quietly, set the share of the old one to 100 first. Calls between services of one
process stay there.`,
		Example: `  hanse split cart v1=90 v2=10
  hanse split cart --header x-canary=1:v2
  hanse split cart v1=50 v2=50 --sticky x-user
  hanse split cart
  hanse split cart --off`,
		Args: argCount(1, -1, "the name of a service"),
	}
	where.add(cmd)
	where.addChanging(cmd)
	cmd.Flags().StringArrayVar(&flags.headers, "header", nil, "send calls with this `KEY=VALUE:VERSION` in their metadata there (KEY:VERSION for any value); repeatable, the first that fits decides; off takes them away")
	cmd.Flags().StringVar(&flags.sticky, "sticky", "", "calls with the same value for this `key` of their metadata get the same version; off ends that")
	cmd.Flags().BoolVar(&flags.strict, "strict", false, "calls to a version that no instance has fail, instead of going to another one")
	cmd.Flags().BoolVar(&flags.off, "off", false, "take the rules away: each instance gets its part of the calls, whatever its version")
	cmd.Flags().BoolVar(&flags.force, "force", false, "set rules also for a service or a version that does not run")
	u.JSONFlag(cmd, "the rules in force")
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		at, err := where.find()
		switch {
		case err != nil:
			return nil, cobra.ShellCompDirectiveNoFileComp
		case len(args) == 0:
			return at.services(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
		}
		list, _ := at.snapshot(cmd.Context(), args[0])
		var names []string
		for v := range versionsOf(list) {
			names = append(names, v+"=")
		}
		return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		service := args[0]
		if err := discovery.CheckName(service); err != nil {
			return ui.Usagef("%w", err)
		}
		at, err := where.find()
		if err != nil {
			return err
		}
		changes := len(args) > 1 || cmd.Flags().Changed("header") || cmd.Flags().Changed("sticky") || cmd.Flags().Changed("strict")
		if changes || flags.off {
			if err := at.mayChange(); err != nil {
				return err
			}
		}
		split, err := at.split(cmd.Context(), service)
		if err != nil {
			return err
		}
		if flags.off && changes {
			return ui.Usagef("split: --off takes all rules away, and there are others to set").Then("write one or the other")
		}
		if changes {
			err = flags.change(&split, args[1:], cmd.Flags().Changed("strict"))
		} else if flags.off {
			split.Match, split.Shares = nil, nil
		}
		if err != nil {
			return err
		}
		var list []discovery.Instance
		if flags.off || flags.force {
			list, err = at.snapshot(cmd.Context(), service)
		} else if list, err = at.instances(cmd.Context(), service); err == nil && changes {
			err = checkVersions(split, versionsOf(list))
		}
		if err != nil {
			return err
		}
		if changes || flags.off {
			if err := at.setSplit(cmd.Context(), split); err != nil {
				return err
			}
		}
		if split.Off() {
			split = discovery.Split{Service: service}
		}
		return printSplit(u, split, versionsOf(list))
	}
	return cmd
}

// change sets what the flags and arguments name.
func (f *splitFlags) change(split *discovery.Split, args []string, strict bool) error {
	var shares []discovery.SplitShare
	for _, arg := range args {
		i := strings.LastIndexByte(arg, '=')
		if i < 1 {
			return ui.Usagef("split: %q is not VERSION=PERCENT", arg).Then("write hanse split %s v1=90 v2=10", split.Service)
		}
		percent, err := strconv.ParseFloat(strings.TrimSuffix(arg[i+1:], "%"), 64)
		if err != nil {
			return ui.Usagef("split: %q: %q is no number of percent", arg, arg[i+1:]).Then("write hanse split %s v1=90 v2=10", split.Service)
		}
		shares = append(shares, discovery.SplitShare{Version: arg[:i], Percent: percent})
	}
	if shares != nil {
		split.Shares = shares
	}
	if f.headers != nil {
		split.Match = nil
	}
	for _, text := range f.headers {
		if text == "off" {
			continue
		}
		m, err := discovery.ParseSplitMatch(text)
		if err != nil {
			return ui.Usagef("split: --header %w", err)
		}
		split.Match = append(split.Match, m)
	}
	if f.sticky != "" {
		split.Sticky = strings.TrimPrefix(strings.ToLower(f.sticky), "off")
	}
	if strict {
		split.Strict = f.strict
	}
	if err := split.Validate(); err != nil {
		return ui.Usagef("%s", strings.TrimPrefix(err.Error(), "discovery: "))
	}
	if split.Off() && (f.sticky != "" || strict) {
		return ui.Usagef("split: --sticky and --strict are about rules, and there are none").Then("name versions, too: hanse split %s v1=90 v2=10", split.Service)
	}
	return nil
}

// versionsOf counts the instances of each version.
func versionsOf(list []discovery.Instance) map[string]int {
	versions := make(map[string]int)
	for _, i := range list {
		versions[i.Version]++
	}
	return versions
}

// checkVersions returns an error for a version that gets calls and that no instance has.
func checkVersions(split discovery.Split, running map[string]int) error {
	for _, v := range split.Versions() {
		gets := !slices.ContainsFunc(split.Shares, func(s discovery.SplitShare) bool { return s.Version == v && s.Percent == 0 }) ||
			slices.ContainsFunc(split.Match, func(m discovery.SplitMatch) bool { return m.Version == v })
		if !gets || running[v] > 0 {
			continue
		}
		var names []string
		for name := range running {
			if name != "" {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		there := "those that run tell no version"
		if len(names) > 0 {
			there = cmp.Or(ui.DidYouMean(v, names), "there are "+ui.List(names, "and"))
		}
		return ui.Errorf("no instance of %s has the version %s", split.Service, v).Then("%s (--force sets the rules all the same)", there)
	}
	return nil
}

// printSplit shows the rules, with the number of instances that each version has.
func printSplit(u *ui.UI, split discovery.Split, running map[string]int) error {
	if u.JSON {
		return u.PrintJSON(struct {
			discovery.Split
			Instances map[string]int `json:"instances"` // by version
		}{split, running})
	}
	if split.Off() {
		u.Printf("%s has no rules: each instance gets its part of the calls\n", split.Service)
		return nil
	}
	t := ui.NewTable("CALLS", "VERSION", "INSTANCES")
	for _, m := range split.Match {
		value := "any " + m.Header
		if m.Value != "" {
			value = m.Header + ": " + m.Value
		}
		t.Row(value, m.Version, strconv.Itoa(running[m.Version]))
	}
	for _, s := range split.Shares {
		t.Row(fmt.Sprintf("%g %%", s.Percent), s.Version, strconv.Itoa(running[s.Version]))
	}
	if len(split.Shares) == 0 {
		t.Row("others", "any", "")
	}
	var b strings.Builder
	if _, err := t.WriteTo(&b); err != nil {
		return err
	}
	u.Printf("%s\n\n%s", ui.Strong.Sprint(split.Service), b.String())
	if split.Sticky != "" {
		u.Printf("\nCalls with the same %s get the same version.\n", split.Sticky)
	}
	if split.Strict {
		u.Printf("\nCalls to a version that no instance has fail.\n")
	}
	return nil
}

// splitter returns the registry as one that holds rules.
func (p *place) splitter() (discovery.Splitter, error) {
	if s, ok := p.registry.(discovery.Splitter); ok {
		return s, nil
	}
	return nil, p.noSplits()
}

func (p *place) noSplits() error {
	return ui.Errorf("%s cannot hold split rules", p.name).Then("the registry local: can, and so can those of other engines that say so")
}

// setSplit puts rules into the registry.
func (p *place) setSplit(ctx context.Context, split discovery.Split) error {
	if err := p.mayChange(); err != nil {
		return err
	}
	s, err := p.splitter()
	if err != nil {
		return err
	}
	if err = s.SetSplit(ctx, split); errors.Is(err, errors.ErrUnsupported) {
		return p.noSplits()
	}
	return err
}

// split returns the rules of a service, without any when it has none.
func (p *place) split(ctx context.Context, service string) (discovery.Split, error) {
	list, err := p.splits(ctx, service)
	if err != nil {
		return discovery.Split{}, err
	}
	if len(list) == 0 {
		return discovery.Split{Service: service}, nil
	}
	return list[0], nil
}

// splits returns the rules of a service, of all with an empty name.
func (p *place) splits(ctx context.Context, service string) (list []discovery.Split, err error) {
	s, err := p.splitter()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	seen := false
	err = s.WatchSplits(ctx, service, func(now []discovery.Split) {
		if !seen {
			list, seen = now, true
			cancel()
		}
	})
	if err == nil && !seen {
		return nil, ui.Errorf("%s does not tell its split rules: %w", p.name, context.Cause(ctx))
	}
	return list, err
}

// part says what rules give to a version, as hanse ps shows it; empty without rules.
func part(splits []discovery.Split, service, version string) string {
	i := slices.IndexFunc(splits, func(s discovery.Split) bool { return s.Service == service })
	if i < 0 {
		return ""
	}
	var parts []string
	for _, m := range splits[i].Match {
		if m.Version == version {
			parts = append(parts, strings.TrimSuffix(m.String(), ":"+version))
		}
	}
	share := "others"
	if len(splits[i].Shares) > 0 {
		share = "0%"
		for _, s := range splits[i].Shares {
			if s.Version == version {
				share = fmt.Sprintf("%g%%", s.Percent)
			}
		}
	}
	return strings.Join(append(parts, share), ", ")
}
