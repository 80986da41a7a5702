package gen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// GRPCVersion is the version of protoc-gen-go-grpc, which is built from its source.
const GRPCVersion = "v1.6.2"

const grpcPackage = "google.golang.org/grpc/cmd/protoc-gen-go-grpc"

// tool returns the program of a main package at a version. The first time it is built, for which the go command may fetch modules;
// later it is taken from the user's cache.
func (w *workshop) tool(ctx context.Context, pkg, version string) (string, error) {
	name := path.Base(pkg)
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("there is no place to keep %s: %w", name, err)
	}
	dir := filepath.Join(cache, "hanse", "tools", name+"@"+version)
	file := filepath.Join(dir, name)
	if runtime.GOOS == "windows" {
		file += ".exe"
	}
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	defer w.progress("building " + name + " " + version)()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// Built beside the place and moved there, so that two that build at once do not disturb each other.
	tmp, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "install", pkg+"@"+version)
	cmd.Dir = tmp
	cmd.Env = append(os.Environ(), "GOBIN="+tmp, "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH, "GOFLAGS="+goflags(os.Getenv("GOFLAGS")), "GOWORK=off")
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", fmt.Errorf("%s has to be built once, and there is no go command in PATH; install Go from https://go.dev/dl", name)
		}
		return "", fmt.Errorf("%s %s has to be built once, which failed (%w); this needs the network or a module cache that has it:\n%s",
			name, version, err, strings.TrimSpace(output.String()))
	}
	if err := os.Rename(filepath.Join(tmp, filepath.Base(file)), file); err != nil {
		if _, statErr := os.Stat(file); statErr == nil { // another was faster
			return file, nil
		}
		return "", err
	}
	return file, nil
}

// goflags returns the user's GOFLAGS without -mod, which does not go with pkg@version.
func goflags(flags string) string {
	var keep []string
	for _, f := range strings.Fields(flags) {
		if !strings.HasPrefix(f, "-mod=") && !strings.HasPrefix(f, "--mod=") && !strings.HasPrefix(f, "-modfile=") {
			keep = append(keep, f)
		}
	}
	return strings.Join(keep, " ")
}
