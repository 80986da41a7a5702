package consuldiscovery_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// agentKeys is the key-value store.
type agentKeys struct {
	there      map[string]agentKey
	tombstones map[string]uint64 // keys that are gone, by the index at which they went; Consul forgets them after a while
	index      uint64            // of the last change of a key
	hidden     string            // keys that begin with it are hidden by ACLs, unless empty
}

type agentKey struct {
	Key                                        string
	Value                                      []byte
	CreateIndex, ModifyIndex, LockIndex, Flags uint64
}

func newAgentKeys() agentKeys {
	return agentKeys{there: make(map[string]agentKey), tombstones: make(map[string]uint64)}
}

// under returns the keys that begin with a prefix, or the one that is it, and their index.
func (k *agentKeys) under(prefix string, recurse bool) ([]agentKey, uint64) {
	var list []agentKey
	var index uint64
	fits := func(name string) bool { return name == prefix || recurse && strings.HasPrefix(name, prefix) }
	for _, name := range slices.Sorted(maps.Keys(k.there)) {
		if fits(name) {
			list = append(list, k.there[name])
			index = max(index, k.there[name].ModifyIndex)
		}
	}
	if recurse {
		for name, at := range k.tombstones {
			if fits(name) {
				index = max(index, at)
			}
		}
	}
	if index == 0 {
		index = max(k.index, 1)
	}
	return list, index
}

func (a *agent) key(w http.ResponseWriter, r *http.Request, name string) {
	params := r.URL.Query()
	if r.Method == "GET" {
		index := a.block(r, func() uint64 { _, index := a.keys.under(name, params.Has("recurse")); return index })
		list, _ := a.keys.under(name, params.Has("recurse"))
		all := len(list)
		if hidden := a.keys.hidden; hidden != "" {
			list = slices.DeleteFunc(list, func(k agentKey) bool { return strings.HasPrefix(k.Key, hidden) })
		}
		a.mu.Unlock()
		if len(list) < all {
			w.Header().Set("X-Consul-Results-Filtered-By-Acls", "true")
		}
		if len(list) == 0 {
			w.Header().Set("X-Consul-Index", strconv.FormatUint(index, 10))
			w.WriteHeader(http.StatusNotFound)
			return
		}
		a.answer(w, index, list)
		return
	}
	value, err := io.ReadAll(r.Body)
	cas, bad := strconv.ParseUint(params.Get("cas"), 10, 64)
	if err != nil || params.Has("cas") && bad != nil || name == "" {
		http.Error(w, "Bad request", http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	was, there := a.keys.there[name]
	done := true
	switch {
	case params.Has("cas") && (cas != was.ModifyIndex || r.Method == "DELETE" && cas == 0):
		done = false
	case r.Method == "PUT":
		a.bumpKey()
		if !there {
			was.CreateIndex = a.index
		}
		a.keys.there[name] = agentKey{Key: name, Value: value, CreateIndex: was.CreateIndex, ModifyIndex: a.index}
	case r.Method == "DELETE" && there:
		a.bumpKey()
		delete(a.keys.there, name)
		a.keys.tombstones[name] = a.index
	}
	_ = json.NewEncoder(w).Encode(done)
}

// bumpKey notes a change of a key; the caller holds mu.
func (a *agent) bumpKey() {
	a.index++
	a.keys.index = a.index
	close(a.changed)
	a.changed = make(chan struct{})
}

// forget lets the store forget which keys are gone.
func (a *agent) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.keys.tombstones)
}

// hide hides keys from the token.
func (a *agent) hide(prefix string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys.hidden = prefix
	a.bumpKey()
}

// setKey writes a key as somebody else would.
func (a *agent) setKey(name, value string) {
	r, err := http.NewRequest("PUT", "/v1/kv/"+name, strings.NewReader(value))
	if err != nil {
		panic(err)
	}
	a.key(new(discardWriter), r, name)
}
