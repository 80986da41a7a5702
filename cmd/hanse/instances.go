package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
)

// askTimeout is how long one instance may take to answer a question about itself.
const askTimeout = 3 * time.Second

// ask puts a question to the admin listener of an instance at the place, or gives it an order, and reads the answer into dst. Its error is for
// people.
func (p *place) ask(ctx context.Context, i discovery.Instance, method, path string, form url.Values, dst any) error {
	if method != http.MethodGet {
		if err := p.mayChange(); err != nil {
			return err
		}
	}
	if i.Admin == "" {
		return errors.New("it has no admin listener that others are told of (--admin-addr)")
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+i.Admin+path+"?"+form.Encode(), nil)
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
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("its admin listener %s: %w", i.Admin, err)
	}
	switch {
	case resp.StatusCode == http.StatusNotFound && strings.HasPrefix(string(body), "404 "):
		return errors.New("it was built with a version of Hanse that does not know this")
	case resp.StatusCode != http.StatusOK:
		return errors.New(strings.TrimSpace(string(body)))
	}
	return json.Unmarshal(body, dst)
}

// processes returns one instance of each process among list, for what concerns the process as a whole.
func processes(list []discovery.Instance) []discovery.Instance {
	seen := make(map[string]bool)
	return slices.DeleteFunc(slices.Clone(list), func(i discovery.Instance) bool {
		if i.Admin == "" || seen[i.Admin] {
			return true
		}
		seen[i.Admin] = true
		return false
	})
}

// instanceLabel names an instance for people.
func instanceLabel(i discovery.Instance) string { return i.Service + " " + shortID(i.ID) }

// noneOf is the error of a command that did nothing, for the reasons of each instance.
func noneOf(what string, errs []error) error {
	if len(errs) == 0 {
		return ui.Errorf("%s: no instance has an admin listener that others are told of (--admin-addr)", what)
	}
	if len(errs) == 1 {
		return ui.Errorf("%s: %w", what, errs[0])
	}
	return ui.Errorf("%s: %w", what, errors.Join(errs...))
}
