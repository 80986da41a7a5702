package dev

import (
	"cmp"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/process"
	"github.com/hanse-go/hanse/cmd/hanse/internal/member"
)

// foreignSpec fills in how a command in any language is run: by hanse run, which to everybody else is a program as those in Go are.
func (s *supervisor) foreignSpec(c *child, spec *process.Spec) error {
	entry := c.slot.unit.entry
	spec.Dir = filepath.Join(s.Dir, filepath.FromSlash(entry.Dir))
	command := append([]string{}, entry.Command...)
	if name := command[0]; strings.ContainsAny(name, `/\`) && !filepath.IsAbs(name) {
		command[0] = filepath.Join(spec.Dir, filepath.FromSlash(name))
	} else if _, err := exec.LookPath(name); err != nil {
		return fmt.Errorf("starting %s: %w", entry.Name, err)
	}
	spec.Command = append(append([]string{}, s.Run...), "--service", strings.Join(c.slot.unit.services, ","), "--port", strconv.Itoa(entry.Port),
		"--health", cmp.Or(entry.Health, member.Health{}.String()))
	if entry.HTTP {
		spec.Command = append(spec.Command, "--http")
	}
	if len(entry.Proto) > 0 {
		spec.Command = append(spec.Command, "--proto", strings.Join(entry.Proto, ","))
	}
	if len(entry.Uses) > 0 {
		spec.Command = append(spec.Command, "--uses", strings.Join(entry.Uses, ","))
	}
	spec.Command = append(append(spec.Command, "--"), command...)
	return nil
}
