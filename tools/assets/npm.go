package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// maxPackage bounds what is taken from a registry for one package, and what comes out of it.
const maxPackage = 256 << 20

// registry is where packages are fetched from. A mirror may be named as for npm.
func registry() string {
	for _, name := range []string{"npm_config_registry", "NPM_CONFIG_REGISTRY"} {
		if url := os.Getenv(name); url != "" {
			return strings.TrimSuffix(url, "/")
		}
	}
	return "https://registry.npmjs.org"
}

// install unpacks packages into a folder of the user's cache that is named for them all, and returns its node_modules.
func install(list []pin) (modules string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, p := range list {
		fmt.Fprintln(sum, p.name, p.version, p.integrity)
	}
	dir := filepath.Join(cache, "hanse", "npm", hex.EncodeToString(sum.Sum(nil)[:8]))
	modules = filepath.Join(dir, "node_modules")
	if _, err := os.Stat(dir); err == nil {
		return modules, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	// It appears as a whole, so that what was broken off halfway is never used.
	half, err := os.MkdirTemp(filepath.Dir(dir), "half-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(half)
	for _, p := range list {
		archive, err := fetch(p)
		if err != nil {
			return "", err
		}
		if err := unpack(archive, filepath.Join(half, "node_modules", filepath.FromSlash(p.name))); err != nil {
			return "", fmt.Errorf("unpacking %s: %w", p.name, err)
		}
	}
	if err := os.Rename(half, dir); err != nil {
		if _, there := os.Stat(dir); there == nil { // another one was faster
			return modules, nil
		}
		return "", err
	}
	return modules, nil
}

// fetch downloads a package and holds it to its hash.
func fetch(p pin) ([]byte, error) {
	url := fmt.Sprintf("%s/%s/-/%s-%s.tgz", registry(), p.name, path.Base(p.name), p.version)
	client := http.Client{Timeout: 5 * time.Minute}
	res, err := client.Get(url)
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", p.name, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching %s: %s answers %s", p.name, url, res.Status)
	}
	archive, err := io.ReadAll(io.LimitReader(res.Body, maxPackage))
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", p.name, err)
	}
	sum := sha512.Sum512(archive)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != p.integrity {
		return nil, fmt.Errorf("%s is not what was pinned: its hash is %s, not %s", url, got, p.integrity)
	}
	return archive, nil
}

// unpack writes the files of an npm archive, all of which are below one folder, to dir.
func unpack(archive []byte, dir string) error {
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for r := tar.NewReader(io.LimitReader(z, maxPackage)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		_, name, _ := strings.Cut(h.Name, "/")
		if h.Typeflag != tar.TypeReg || name == "" {
			continue
		}
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		f, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644|fs.FileMode(h.Mode)&0o111)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
}

// link makes the packages visible where editors and the TypeScript compiler look for them.
func link(modules, at string) error {
	if to, err := os.Readlink(at); err == nil {
		if to == modules {
			return nil
		}
		if err := os.Remove(at); err != nil {
			return err
		}
	}
	return os.Symlink(modules, at)
}
