// Package nodetest gives tests a Node.js with the packages that its programs need.
package nodetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Packages puts the packages that package-lock.json fixes into the folder, unless they are there, and returns the path of node. Without them the
// test of what is tested is skipped; where all is tested, which HANSE_CI says, it fails.
func Packages(t testing.TB, dir, tested string) (node string) {
	t.Helper()
	without := t.Skipf
	if os.Getenv("HANSE_CI") != "" {
		without = t.Fatalf
	}
	node, err := exec.LookPath("node")
	if err != nil {
		without("there is no Node.js on this machine (Debian: nodejs, npm): %s was not tested", tested)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json")); err == nil { // which npm writes last
		return node
	}
	npm := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		without("npm ci does not get the packages, so %s was not tested: %v: %s", tested, err, out)
	}
	return node
}
