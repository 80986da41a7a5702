package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// licenses is the text that goes with the bundle: the licence of each package in it.
func licenses(list []pin, modules string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("The dashboard's page contains code of these packages.\n")
	for _, p := range list {
		text, err := os.ReadFile(filepath.Join(modules, filepath.FromSlash(p.name), "LICENSE"))
		if err != nil {
			return nil, fmt.Errorf("the licence of %s: %w", p.name, err)
		}
		title := fmt.Sprintf("%s %s, https://www.npmjs.com/package/%s", p.name, p.version, p.name)
		clean := strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n"))
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", title, strings.Repeat("-", len(title)), clean)
	}
	return b.Bytes(), nil
}
