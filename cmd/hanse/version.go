package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/spf13/cobra"
)

// version is what `hanse version` tells.
type version struct {
	Version  string `json:"version"`          // of the module, "(devel)" when it was built in a checkout
	Commit   string `json:"commit,omitempty"` // "" when it was not built in a checkout
	Time     string `json:"time,omitempty"`   // of the commit, RFC 3339
	Modified bool   `json:"modified"`         // the checkout had changes
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func newVersion(u *ui.UI) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print which hanse this is",
		Args:  argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			v := buildVersion()
			if u.JSON {
				return u.PrintJSON(v)
			}
			u.Printf("hanse %s\n", v)
			return nil
		},
	}
	u.JSONFlag(cmd, "it")
	return cmd
}

// String returns it as people read it.
func (v version) String() string {
	text := v.Version
	if v.Commit != "" {
		text += fmt.Sprintf(" (commit %.12s", v.Commit)
		if v.Modified {
			text += ", modified"
		}
		text += ")"
	}
	return fmt.Sprintf("%s %s %s/%s", text, v.Go, v.OS, v.Arch)
}

func buildVersion() version {
	v := version{Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
