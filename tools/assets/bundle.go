package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/evanw/esbuild/pkg/api"
)

// limit is how large the page may be, with gzip and all its files, in bytes.
const limit = 100_000

// bundle makes the files of the page. They have the same names in each build; the server adds a hash to them.
func bundle(web, modules string) (map[string][]byte, error) {
	out := filepath.Join(web, "out") // never written: it makes the paths of the results
	result := api.Build(api.BuildOptions{
		AbsWorkingDir:       web, // paths in the output do not tell where it was built
		EntryPointsAdvanced: []api.EntryPoint{{InputPath: "main.tsx", OutputPath: "app"}},
		Outdir:              out,
		NodePaths:           []string{modules},
		Bundle:              true,
		Format:              api.FormatESModule,
		Platform:            api.PlatformBrowser,
		Target:              api.ES2022,
		JSX:                 api.JSXAutomatic,
		JSXImportSource:     "preact",
		MinifyWhitespace:    true,
		MinifyIdentifiers:   true,
		MinifySyntax:        true,
		LegalComments:       api.LegalCommentsNone, // THIRD_PARTY_LICENSES has them
		Charset:             api.CharsetUTF8,
		LogLevel:            api.LogLevelWarning,
	})
	if len(result.Errors) > 0 {
		return nil, errors.New("the sources do not build")
	}
	files := make(map[string][]byte)
	for _, f := range result.OutputFiles {
		name, err := filepath.Rel(out, f.Path)
		if err != nil {
			return nil, err
		}
		files[filepath.ToSlash(name)] = f.Contents
	}
	for _, name := range []string{"index.html", "icon.svg"} {
		text, err := os.ReadFile(filepath.Join(web, name))
		if err != nil {
			return nil, err
		}
		files[name] = text
	}
	return files, nil
}

// compressed is how many bytes a browser fetches.
func compressed(files map[string][]byte) (int, error) {
	var all bytes.Buffer
	for name, text := range files {
		if name == "THIRD_PARTY_LICENSES" {
			continue
		}
		z, err := gzip.NewWriterLevel(&all, gzip.BestCompression)
		if err != nil {
			return 0, err
		}
		if _, err := z.Write(text); err != nil {
			return 0, err
		}
		if err := z.Close(); err != nil {
			return 0, err
		}
	}
	return all.Len(), nil
}

// write replaces what is in dir.
func write(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range there {
		if files[f.Name()] == nil {
			if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
				return err
			}
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compare reports which of the committed files differ from those that were just built.
func compare(dir string, files map[string][]byte) error {
	var stale []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(text, files[name]) {
			stale = append(stale, name)
		}
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range there {
		if files[f.Name()] == nil {
			stale = append(stale, f.Name())
		}
	}
	if len(stale) > 0 {
		return fmt.Errorf("%v in dashboard/assets are not what dashboard/web gives: run make assets and commit them", stale)
	}
	return nil
}
