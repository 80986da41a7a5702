package k8sdiscovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
)

const (
	minWatch = 5 * time.Minute // the API server ends a watch between this and twice this, so that not all come again together
	maxIdle  = 3 * time.Minute // without an event; a bookmark comes about every minute, where any slice has changed
	minGap   = time.Second     // between the beginnings of watches that end by themselves
	listTime = 30 * time.Second
	pageSize = 500
	maxList  = 64 << 20
	maxRetry = 10 * time.Second
)

// Watch implements [discovery.Registry]. While the API server cannot be reached, or does not let the service account watch, the last
// known instances stay. The empty name watches all Services of the namespace. However many watch a service
// here, Kubernetes is asked once.
func (r *Registry) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	return r.shared.Watch(ctx, service, notify, r.follow)
}

// follow is one watch for all that watch a service here.
func (r *Registry) follow(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	a, err := r.resolve()
	if err != nil {
		return fmt.Errorf("k8sdiscovery: %w", err)
	}
	defer r.release()
	log := r.logger().With("watch", service, "namespace", a.namespace)
	w := &watch{
		registry: r, access: a, service: service, notify: notify, log: log, outage: driver.Outage{Engine: "Kubernetes", Log: log},
		slices: make(map[string]*slice), warned: make(map[string]bool),
	}
	w.run(ctx)
	return nil
}

// watch follows the slices of a service, or of all.
type watch struct {
	registry *Registry
	access   access
	service  string
	notify   func([]discovery.Instance)
	log      *slog.Logger
	outage   driver.Outage

	slices  map[string]*slice // by name
	version string            // of the resources, up to which slices are known; empty: list anew
	listed  bool
	warned  map[string]bool // services without a port to call
}

// run lists, and watches from there on, until ctx ends.
func (w *watch) run(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		err := w.once(ctx)
		var refused *refusal
		if errors.As(err, &refused) {
			w.version = "" // also when watching alone is refused: then listing must do
		}
		pause := minGap - time.Since(began)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil, refused != nil && refused.Code == http.StatusGone: // which both happen now and then
		default:
			pause = driver.Backoff(w.outage.Failed(err), maxRetry)
			if refused != nil { // a server that is overloaded says itself when to come again
				pause = max(pause, refused.after)
			}
			w.learn()
		}
		driver.Sleep(ctx, pause)
	}
}

func (w *watch) once(ctx context.Context) error {
	if w.version == "" {
		if err := w.list(ctx); err != nil {
			return err
		}
	}
	return w.follow(ctx)
}

func (w *watch) params() url.Values {
	selector := serviceLabel
	if w.service != "" {
		selector += "=" + w.service
	}
	return url.Values{"labelSelector": {selector}}
}

// list reads all slices, page by page, in place of what was known.
func (w *watch) list(ctx context.Context) error {
	params := w.params()
	if w.listed {
		params.Set("limit", strconv.Itoa(pageSize))
	} else {
		params.Set("resourceVersion", "0") // what the server has in its cache, which costs it little; later that may be older than what is known
	}
	found := make(map[string]*slice)
	version := ""
	for {
		page, err := w.page(ctx, params)
		if err != nil {
			return err // also when a page of the list is gone: then all begins anew
		}
		for i := range page.Items {
			found[page.Items[i].Metadata.Name] = &page.Items[i]
		}
		version = page.Metadata.ResourceVersion
		if page.Metadata.Continue == "" {
			break
		}
		params.Set("continue", page.Metadata.Continue)
	}
	w.slices, w.version, w.listed = found, version, true
	w.learn()
	return nil
}

// sliceList is a list of slices, or a page of it.
type sliceList struct {
	Metadata struct{ ResourceVersion, Continue string }
	Items    []slice
}

func (w *watch) page(ctx context.Context, params url.Values) (*sliceList, error) {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	resp, err := w.registry.get(ctx, w.access, params)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return readList(resp.Body)
}

func readList(from io.Reader) (*sliceList, error) {
	body, err := io.ReadAll(io.LimitReader(from, maxList+1))
	if err != nil {
		return nil, fmt.Errorf("list of endpoint slices: %w", err)
	}
	if len(body) > maxList {
		return nil, fmt.Errorf("list of endpoint slices: more than %d MiB", maxList>>20)
	}
	list := new(sliceList)
	if err := json.Unmarshal(body, list); err != nil {
		return nil, fmt.Errorf("list of endpoint slices: malformed answer: %w", err)
	}
	if list.Metadata.ResourceVersion == "" {
		return nil, errors.New("list of endpoint slices: malformed answer: it has no resource version")
	}
	return list, nil
}

// follow watches from the known version on. It returns nil when the server ended the watch, as it does from time to time, and when
// nothing was heard for so long that the connection may be dead.
func (w *watch) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := time.AfterFunc(maxIdle, cancel)
	defer idle.Stop()
	params := w.params()
	params.Set("watch", "1")
	params.Set("allowWatchBookmarks", "true") // so that the version stays new although nothing of ours changes
	params.Set("resourceVersion", w.version)
	params.Set("timeoutSeconds", strconv.Itoa(int((minWatch+rand.N(minWatch))/time.Second)))
	resp, err := w.registry.get(ctx, w.access, params)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	w.outage.Over()
	events := newEventReader(resp.Body)
	for {
		ev, err := events.next()
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("watch of endpoint slices: %w", err)
		}
		idle.Reset(maxIdle)
		name := ev.slice.Metadata.Name
		switch ev.kind {
		case "ADDED", "MODIFIED":
			w.slices[name] = &ev.slice
		case "DELETED":
			delete(w.slices, name)
		}
		if v := ev.slice.Metadata.ResourceVersion; v != "" {
			w.version = v
		}
		if ev.kind != "BOOKMARK" {
			w.learn()
		}
	}
}

// learn makes instances of the slices.
func (w *watch) learn() {
	byService := make(map[string][]*slice)
	for _, s := range w.slices {
		if name := s.service(); w.service == "" || name == w.service {
			byService[name] = append(byService[name], s)
		}
	}
	var all []discovery.Instance
	for _, name := range slices.Sorted(maps.Keys(byService)) {
		if discovery.CheckName(name) != nil {
			continue // nobody can ask for it
		}
		list, portless := instances(name, byService[name], w.registry.Port)
		if portless && !w.warned[name] && (w.service != "" || w.registry.Port != "") {
			w.log.Warn("Kubernetes: a Service has endpoints and no port that is known to be the one to call: set Registry.Port, or ?port=NAME, or name the port grpc", "service", name, "port", w.registry.Port)
		}
		w.warned[name] = portless
		all = append(all, list...)
	}
	w.notify(all)
}
