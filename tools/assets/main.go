// Assets bundles the dashboard's page: dashboard/web, in TypeScript, becomes dashboard/assets, which is committed and embedded.
// It needs no Node: esbuild is a Go package, and the few npm packages that the page uses are fetched by their pinned hashes.
//
//	go -C tools/assets run .            write dashboard/assets
//	go -C tools/assets run . -check     fail if the committed assets are not what the sources give
//	go -C tools/assets run . -types     check the types, too
//	go -C tools/assets run . -axe FILE  only write axe-core to a file, for the tests that look at the page in a browser
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	check := flag.Bool("check", false, "write nothing; fail if the committed assets are not current")
	types := flag.Bool("types", false, "check the types with the TypeScript compiler first")
	axeFile := flag.String("axe", "", "write axe-core to this `file`, and do nothing else")
	root := flag.String("root", "../..", "`folder` of the repository")
	flag.Parse()
	do := func() error { return run(*root, *check, *types) }
	if *axeFile != "" {
		do = func() error { return writeAxe(*axeFile) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "assets:", err)
		os.Exit(1)
	}
}

func writeAxe(file string) error {
	modules, err := install([]pin{axe})
	if err != nil {
		return err
	}
	script, err := os.ReadFile(filepath.Join(modules, axe.name, "axe.min.js"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, script, 0o644)
}

func run(root string, check, types bool) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	web := filepath.Join(root, "dashboard", "web")
	modules, err := install(packages)
	if err != nil && check && os.Getenv("HANSE_CI") == "" {
		fmt.Println("assets: not checked, because the packages are not here:", err)
		return nil
	}
	if err != nil {
		return err
	}
	if err := link(modules, filepath.Join(web, "node_modules")); err != nil {
		fmt.Fprintln(os.Stderr, "assets: no node_modules for editors and the type check:", err)
	}
	if types {
		if err := checkTypes(web); err != nil {
			return err
		}
	}
	files, err := bundle(web, modules)
	if err != nil {
		return err
	}
	if files["THIRD_PARTY_LICENSES"], err = licenses(packages, modules); err != nil {
		return err
	}
	size, err := compressed(files)
	if err != nil {
		return err
	}
	if size > limit {
		return fmt.Errorf("the page is %.1f kB with gzip, and may be %d kB: what is new, and can it be smaller?", float64(size)/1000, limit/1000)
	}
	fmt.Printf("assets: %.1f of %d kB with gzip\n", float64(size)/1000, limit/1000)
	dir := filepath.Join(root, "dashboard", "assets")
	if check {
		return compare(dir, files)
	}
	return write(dir, files)
}
