package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// checkTypes runs the TypeScript compiler over the sources of the page.
func checkTypes(web string) error {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	p, ok := compilers[platform]
	if !ok {
		fmt.Println("assets: types were not checked: no TypeScript compiler is pinned for", platform)
		return nil
	}
	modules, err := install([]pin{p})
	if err != nil {
		return err
	}
	name := "tsc"
	if runtime.GOOS == "windows" {
		name = "tsc.exe"
	}
	cmd := exec.Command(filepath.Join(modules, filepath.FromSlash(p.name), "lib", name), "--noEmit", "--project", filepath.Join(web, "tsconfig.json"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = web, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the types are wrong: %w", err)
	}
	return nil
}
