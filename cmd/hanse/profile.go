package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/hot"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
	"github.com/spf13/cobra"
)

// profileKind is one of the profiles that a program has.
type profileKind struct {
	flag   string
	path   string // below /debug/pprof/
	sample string // what is shown of it; "" is its own choice
	lasts  bool   // it is taken over a time
	help   string
	empty  string // what it means that there is nothing in it
	then   string // and what to do
}

var profileKinds = []profileKind{
	{"cpu", "profile", "cpu", true, "where processor time goes, for so `long` (the default, 10s)",
		"the process used next to no processor time", "call the service while the profile is taken, take it for longer (--cpu 1m), or see what it waits for: --block 10s, --goroutine"},
	{"heap", "heap", "inuse_space", false, "what memory is in use, and who allocated it",
		"so little memory is in use that no sample fell on it; one is taken in every 512 KiB that are allocated", "take it when the service has worked, or see all that was allocated: --allocs"},
	{"allocs", "allocs", "alloc_space", false, "who allocated memory since the program began",
		"so little memory was allocated that no sample fell on it; one is taken in every 512 KiB", "take it when the service has worked"},
	{"goroutine", "goroutine", "goroutine", false, "where the goroutines are",
		"the instance told of no goroutine", "take it again, or another kind"},
	{"block", "block", "delay", true, "who waits for channels and locks, for so `long`",
		"no wait for a channel or a lock ended in this time; one that lasts is not counted", "call the service while the profile is taken, take it for longer (--block 1m), or see what waits now: --goroutine"},
	{"mutex", "mutex", "delay", true, "who holds up others with locks, for so `long`",
		"nobody had to wait for a lock", "call the service while the profile is taken, take it for longer (--mutex 1m), or see all waits: --block 10s"},
	{"trace", "trace", "", true, "all that the scheduler does, for so `long`, for go tool trace", "", ""},
}

const (
	defaultProfile = 10 * time.Second
	longestProfile = 5 * time.Minute // that a program takes one
)

// profiled is the answer with --json.
type profiled struct {
	Service  string `json:"service"`
	Instance string `json:"instance"`
	Profile  string `json:"profile"`
	File     string `json:"file"`
	*hot.Summary
}

func newProfile(u *ui.UI) *cobra.Command {
	var instance, output string
	var top int
	var open bool
	cmd := &cobra.Command{
		Use:   "profile SERVICE",
		Short: "Take a profile of a service and show what costs most",
		Long: `Fetch a profile from an instance of a service, save it in a file and show the functions that cost most: FLAT is what a function cost
itself, CUM with all that it called. Without a flag it is a profile of the processor over 10 s. It comes from the admin listener
(--admin-addr, which hanse dev gives each program), while the service goes on at nearly its full speed.

All services of a process are in its profile. The profile of goroutines, of allocations and of waits counts since the program began.`,
		Example: `  hanse profile cart
  hanse profile cart --cpu 30s --open
  hanse profile cart --heap
  hanse profile cart --goroutine --json | jq .total`,
		Args: argCount(1, 1, "the name of a service"),
	}
	var flags placeFlags
	flags.add(cmd)
	flags.addContext(cmd)
	for _, k := range profileKinds {
		if k.lasts {
			cmd.Flags().Duration(k.flag, defaultProfile, k.help)
		} else {
			cmd.Flags().Bool(k.flag, false, k.help)
		}
	}
	cmd.Flags().StringVar(&instance, "instance", "", "the instance whose `ID` begins so (default one that is ready)")
	cmd.Flags().StringVarP(&output, "output", "o", "", "save it as this `file` (default SERVICE-KIND-TIME.pb.gz in this folder)")
	cmd.Flags().IntVar(&top, "top", 15, "show so `many` functions")
	cmd.Flags().BoolVar(&open, "open", false, "show it in the browser with go tool pprof, or go tool trace, until Ctrl-C")
	u.JSONFlag(cmd, "the file and the functions")
	cmd.ValidArgsFunction = func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		where, err := flags.find()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return where.services(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		kind, long, err := chosenProfile(cmd)
		if err != nil {
			return err
		}
		if open && u.JSON {
			return ui.Usagef("--open shows it to people, and --json to programs").Then("leave one out")
		}
		if top < 1 {
			return ui.Usagef("--top has to be at least 1")
		}
		where, err := flags.find()
		if err != nil {
			return err
		}
		list, err := where.instances(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		i, err := toProfile(list, instance)
		if err != nil {
			return err
		}
		file := cmp.Or(output, profileFile(args[0], kind, time.Now()))
		bar := u.Progress("%s of %s", kind.flag, instanceLabel(i))
		err = fetchProfile(cmd.Context(), i, kind, long, file)
		bar.Done()
		if err != nil {
			return ui.Errorf("no profile of %s: %w", instanceLabel(i), err)
		}
		result := profiled{Service: i.Service, Instance: i.ID, Profile: kind.flag, File: file}
		if kind.flag != "trace" {
			if result.Summary, err = readProfile(file, kind, top); err != nil {
				return err
			}
		}
		if u.JSON {
			return u.PrintJSON(result)
		}
		printProfile(u, kind, &result)
		if open {
			return openProfile(cmd.Context(), u, kind, file)
		}
		u.Printf("%s\n", ui.Faint.Sprint("look closer: "+strings.Join(viewer(kind, file), " ")))
		return nil
	}
	return cmd
}

// chosenProfile returns the kind that the flags name, and how long it is taken.
func chosenProfile(cmd *cobra.Command) (profileKind, time.Duration, error) {
	var chosen []profileKind
	for _, k := range profileKinds {
		if cmd.Flags().Changed(k.flag) {
			chosen = append(chosen, k)
		}
	}
	if len(chosen) == 0 {
		return profileKinds[0], defaultProfile, nil
	}
	k := chosen[0]
	if len(chosen) > 1 {
		return k, 0, ui.Usagef("--%s and --%s are two profiles", k.flag, chosen[1].flag).Then("take one after the other")
	}
	if !k.lasts {
		return k, 0, nil
	}
	long, err := cmd.Flags().GetDuration(k.flag)
	if err == nil && (long <= 0 || long > longestProfile) {
		err = ui.Usagef("--%s %v: it has to be more than 0 and at most %v", k.flag, long, longestProfile)
	}
	return k, long, err
}

// toProfile chooses an instance: the one that was asked for, else one that is ready.
func toProfile(list []discovery.Instance, prefix string) (discovery.Instance, error) {
	if prefix != "" {
		found, err := beginsWith(list, prefix)
		if err != nil {
			return discovery.Instance{}, err
		}
		return found[0], nil
	}
	better := slices.MaxFunc(list, func(a, b discovery.Instance) int {
		rank := func(i discovery.Instance) (n int) {
			if i.Admin != "" {
				n += 2
			}
			if i.State == discovery.Ready {
				n++
			}
			return n
		}
		return cmp.Compare(rank(a), rank(b))
	})
	return better, nil
}

// profileFile names a file after what is in it.
func profileFile(service string, k profileKind, at time.Time) string {
	suffix := ".pb.gz"
	if k.flag == "trace" {
		suffix = ".out"
	}
	return fmt.Sprintf("%s-%s-%s%s", service, k.flag, at.Format("20060102-150405"), suffix)
}

// fetchProfile saves what the admin listener of i answers. A file that is there already stays until there is another one.
func fetchProfile(ctx context.Context, i discovery.Instance, k profileKind, long time.Duration, file string) (err error) {
	if i.Admin == "" {
		return errors.New("it has no admin listener that others are told of (--admin-addr)")
	}
	ctx, cancel := context.WithTimeout(ctx, long+askTimeout+7*time.Second) // it may be hard at work
	defer cancel()
	form := url.Values{}
	if k.lasts {
		form.Set("seconds", strconv.FormatFloat(long.Seconds(), 'f', -1, 64))
	}
	if k.flag == "heap" {
		form.Set("gc", "1") // else it shows what was in use at the last collection
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.Admin+"/debug/pprof/"+k.path+"?"+form.Encode(), nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // through no proxy
	resp, err := client.Do(req)
	if err != nil {
		var what *url.Error
		if errors.As(err, &what) {
			err = what.Err
		}
		return fmt.Errorf("its admin listener %s: %w", i.Admin, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return errors.New(cmp.Or(strings.TrimSpace(string(text)), resp.Status))
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".profile-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = io.Copy(f, resp.Body)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

func readProfile(file string, k profileKind, top int) (*hot.Summary, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := hot.Read(f, k.sample, top)
	if err != nil {
		return nil, ui.Errorf("%s: %w", file, err)
	}
	return s, nil
}

func printProfile(u *ui.UI, k profileKind, p *profiled) {
	u.Printf("%s of %s: %s\n", p.Profile, p.Service+" "+shortID(p.Instance), p.File)
	if p.Summary == nil {
		return
	}
	of := ""
	if p.Duration > 0 && p.Unit == "nanoseconds" {
		of = fmt.Sprintf(" in %v", p.Duration.Round(10*time.Millisecond))
	}
	u.Printf("%s: %s%s\n\n", p.Kind, hot.Format(p.Total, p.Unit), of)
	if len(p.Functions) == 0 {
		u.Printf("nothing is in it: %s\n(%s)\n", k.empty, k.then)
		return
	}
	table := ui.NewTable("FLAT", "", "CUM", "", "FUNCTION")
	for _, f := range p.Functions {
		table.Row(hot.Format(f.Flat, p.Unit), share(f.Flat, p.Total), hot.Format(f.Cum, p.Unit), share(f.Cum, p.Total), f.Name)
	}
	table.WriteTo(u.Out)
	u.Printf("\n")
}

func share(v, total int64) string {
	if total == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %%", 100*float64(v)/float64(total))
}

// viewer is the command that shows a profile in the browser.
func viewer(k profileKind, file string) []string {
	if k.flag == "trace" {
		return []string{"go", "tool", "trace", file}
	}
	return []string{"go", "tool", "pprof", "-http=localhost:0", file}
}

func openProfile(ctx context.Context, u *ui.UI, k profileKind, file string) error {
	args := viewer(k, file)
	if _, err := exec.LookPath(args[0]); err != nil {
		return ui.Errorf("go is not installed here, which shows profiles").Then("copy %s to where it is, and there: %s", file, strings.Join(args, " "))
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = u.Out, u.Err
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		return ui.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return nil
}
