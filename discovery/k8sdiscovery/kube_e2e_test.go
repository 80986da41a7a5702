//go:build unix

package k8sdiscovery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/k8sdiscovery"
)

// TestKubernetes runs against a real API server, where there is one: make k8s-e2e.
func TestKubernetes(t *testing.T) {
	k := startKube(t)
	var version struct{ GitVersion string }
	if err := json.Unmarshal(k.do(http.MethodGet, "/version", nil), &version); err != nil {
		t.Fatal(err)
	}
	t.Logf("the API server says that it is of Kubernetes %s", version.GitVersion)
	t.Run("Suite", k.suite)
	t.Run("Pod", k.pod)
	t.Run("Permissions", k.permissions)
	t.Run("Tokens", k.tokens)
	t.Run("Bookmarks", k.bookmarks)
	t.Run("Restart", k.restart)
	t.Run("Compaction", k.compaction)
}

// The API server refuses loopback addresses in slices, which the suite has: they stand for others there.
const loopbackNet, documentationNet = "127.0.0.", "192.0.2."

type translated struct{ discovery.Registry }

func (r translated) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	return r.Registry.Watch(ctx, service, func(list []discovery.Instance) {
		for i := range list {
			for j := range list[i].Endpoints {
				list[i].Endpoints[j] = strings.Replace(list[i].Endpoints[j], documentationNet, loopbackNet, 1)
			}
		}
		notify(list)
	})
}

func (k *kube) suite(t *testing.T) {
	count := 0
	discoverytest.RunReadOnly(t, func(t *testing.T, services map[string][]string) discovery.Registry {
		count++
		n := k.newNamespace(t, "suite-"+strconv.Itoa(count), "list", "watch")
		for name, addrs := range services {
			for i, addr := range addrs {
				host, _, err := net.SplitHostPort(addr)
				if err != nil {
					t.Fatal(err)
				}
				s := sliceOf(name, fmt.Sprintf("%s-%d", name, i), "IPv4", ready("pod-"+strconv.Itoa(i), host))
				if status, _, err := n.send(n.port, adminToken, http.MethodPost, n.slices(), s); err != nil || status != http.StatusUnprocessableEntity {
					t.Fatalf("a slice with %s: status %d, %v", host, status, err)
				}
				s.Endpoints[0].Addresses[0] = strings.Replace(host, loopbackNet, documentationNet, 1)
				n.put(s)
			}
		}
		return translated{n.registry()}
	}, discoverytest.Limits{})
}

// What a pod goes through, and all that is known of it.
func (k *kube) pod(t *testing.T) {
	n := k.newNamespace(t, "pods", "list", "watch")
	reg := n.registry()
	log := new(discoverytest.Log)
	reg.Logger = log.Logger()
	w, all := discoverytest.Watch(t, reg, "cart"), discoverytest.Watch(t, reg, "")
	if first := w.First(); len(first) != 0 {
		t.Errorf("first %v", first)
	}
	for _, c := range []struct {
		pod  endpointObject
		want string
	}{
		{pod("a", false, false, false, "192.0.2.1"), "starting 192.0.2.1:8443"},
		{pod("a", true, true, false, "192.0.2.1"), "ready 192.0.2.1:8443"},
		{pod("a", false, true, true, "192.0.2.1"), "draining 192.0.2.1:8443"},
		{pod("a", false, false, true, "192.0.2.1"), ""},
	} {
		n.put(sliceOf("cart", "cart-1", "IPv4", c.pod))
		w.Until("it is "+c.want, is(c.want))
	}
	known := pod("b", true, true, false, "192.0.2.2")
	known.NodeName, known.Zone, known.Hints = "node-1", "north", object{"forZones": []object{{"name": "north"}, {"name": "south"}}}
	n.put(sliceOf("cart", "cart-2", "IPv4", known))
	six := ready("b", "2001:db8::2")
	six.TargetRef = known.TargetRef
	n.put(sliceOf("cart", "cart-3", "IPv6", six))
	want := discovery.Instance{
		Service: "cart", State: discovery.Ready, Authority: "cart", Zone: "north", Endpoints: []string{"tcp://192.0.2.2:8443", "tcp://[2001:db8::2]:8443"},
		Metadata: map[string]string{"node": "node-1", "pod": "b", "hint-zones": "north,south"},
	}
	w.Until("both addresses of b are known", func(l []discovery.Instance) bool { return len(l) == 1 && reflect.DeepEqual(l[0], want) })
	n.put(sliceOf("catalog", "catalog-1", "IPv4", ready("c", "192.0.2.3")))
	all.Until("the other service is there, too", is("ready 192.0.2.2:8443,[2001:db8::2]:8443; ready 192.0.2.3:8443"))
	n.do(http.MethodDelete, n.slices()+"/cart-2", nil)
	n.do(http.MethodDelete, n.slices()+"/cart-3", nil)
	w.Until("its slices are gone", is(""))
	all.Until("catalog's is left", at("192.0.2.3"))
	if text := log.String(); text != "" {
		t.Errorf("logged:\n%s", text)
	}
}

// A service account without permissions, with half of them, and with those that the documentation names.
func (k *kube) permissions(t *testing.T) {
	n := k.newNamespace(t, "permissions")
	n.put(sliceOf("cart", "cart-1", "IPv4", ready("a", "192.0.2.1")))
	reg := n.registry()
	log := new(discoverytest.Log)
	reg.Logger = log.Logger()
	w := discoverytest.Watch(t, reg, "cart")
	if first := w.First(); len(first) != 0 {
		t.Errorf("first %v", first)
	}
	log.Await(t, "the service account needs a Role with the verbs list and watch for endpointslices of discovery.k8s.io in the namespace permissions")
	if text := log.String(); !strings.Contains(text, "403 Forbidden") || !strings.Contains(text, `User \"system:serviceaccount:permissions:app\" cannot list`) {
		t.Errorf("the log does not say who may not do what:\n%s", text)
	}
	n.allow("list")
	w.Until("what may be listed is known", at("192.0.2.1"))
	n.put(sliceOf("cart", "cart-1", "IPv4", ready("a", "192.0.2.2")))
	w.Until("also when it changes", at("192.0.2.2"))
	if log.Count("is watched again") != 0 || log.Count("WARN") != 1 {
		t.Errorf("listing is no watching, and its failure was told already:\n%s", log)
	}
	n.allow("list", "watch")
	log.Await(t, "Kubernetes is watched again")
	n.put(sliceOf("cart", "cart-1", "IPv4", ready("a", "192.0.2.3")))
	w.Until("it is watched", at("192.0.2.3"))

	// Another namespace, and no token at all.
	other := &k8sdiscovery.Registry{Server: "https://127.0.0.1:" + k.port, Namespace: "default", CAFile: k.file("ca.crt"), TokenFile: n.account + "/token"}
	none := &k8sdiscovery.Registry{Server: "https://127.0.0.1:" + k.port, Namespace: n.name, CAFile: k.file("ca.crt")}
	foreign := &k8sdiscovery.Registry{Server: "https://127.0.0.1:" + k.port, Namespace: n.name}
	for reg, text := range map[*k8sdiscovery.Registry]string{other: "in the namespace default", none: "set Registry.TokenFile", foreign: "Registry.CAFile must have the cluster's certificate authority"} {
		log := new(discoverytest.Log)
		reg.Logger = log.Logger()
		if first := discoverytest.Watch(t, reg, "cart").First(); len(first) != 0 {
			t.Errorf("first %v", first)
		}
		log.Await(t, text)
	}
}

// A token is replaced, as Kubernetes does it all the time, and then the old one is good for nothing.
func (k *kube) tokens(t *testing.T) {
	n := k.newNamespace(t, "tokens", "list", "watch")
	n.put(sliceOf("cart", "cart-1", "IPv4", ready("a", "192.0.2.1")))
	reg := n.registry()
	log := new(discoverytest.Log)
	reg.Logger = log.Logger()
	w := discoverytest.Watch(t, reg, "cart")
	w.Until("it is there", at("192.0.2.1"))

	old := string(must(os.ReadFile(n.account + "/token")))
	n.do(http.MethodDelete, "/api/v1/namespaces/"+n.name+"/secrets/first", nil)
	eventually(t, "a token without its secret is good for nothing", func() bool { // API servers remember tokens for ten seconds
		status, _, err := n.send(n.port, old, http.MethodGet, n.slices(), nil)
		return err == nil && status == http.StatusUnauthorized
	})
	n.put(sliceOf("catalog", "catalog-1", "IPv4", ready("b", "192.0.2.2")))
	late := discoverytest.Watch(t, reg, "catalog")
	log.Await(t, "401 Unauthorized: Unauthorized (the token in "+n.account+"/token is not valid, or no longer)")
	if first := late.First(); len(first) != 0 {
		t.Errorf("first %v", first)
	}
	n.setToken(n.newToken("second"))
	late.Until("the new token lets it in", at("192.0.2.2"))
	n.put(sliceOf("cart", "cart-1", "IPv4", ready("a", "192.0.2.3")))
	w.Until("the other watch goes on", at("192.0.2.3"))
}

// About once a minute the API server tells of a new version in which nothing of ours has changed, if something else has.
func (k *kube) bookmarks(t *testing.T) {
	n := k.newNamespace(t, "bookmarks", "list", "watch")
	n.put(sliceOf("cart", "cart-1", "IPv4", ready("a", "192.0.2.1")))
	reg := n.registry()
	log := new(discoverytest.Log)
	asked := &counter{next: k.client.Transport.(*http.Transport).Clone()}
	defer asked.next.CloseIdleConnections()
	reg.Logger, reg.Client = log.Logger(), &http.Client{Transport: asked}
	w := discoverytest.Watch(t, reg, "cart")
	w.Until("it is there", at("192.0.2.1"))
	k.newNamespace(t, "elsewhere").put(sliceOf("cart", "cart-1", "IPv4", ready("b", "192.0.2.9")))
	eventually(t, "a bookmark comes", func() bool { return asked.bookmarks.Load() > 0 })
	n.put(sliceOf("cart", "cart-1", "IPv4", ready("a", "192.0.2.2")))
	w.Until("the watch goes on", at("192.0.2.2"))
	if lists := asked.lists.Load(); lists != 1 || log.String() != "" {
		t.Errorf("%d lists, want 1; logged:\n%s", lists, log)
	}
}

// The API server ends as in a crash and comes back.
func (k *kube) restart(t *testing.T) {
	n := k.newNamespace(t, "restart", "list", "watch")
	n.put(sliceOf("cart", "cart-1", "IPv4", ready("a", "192.0.2.1")))
	reg := n.registry()
	log := new(discoverytest.Log)
	reg.Logger = log.Logger()
	w := discoverytest.Watch(t, reg, "cart")
	w.Until("it is there", at("192.0.2.1"))
	for round := range 2 {
		warned := log.Count("cannot be watched; the last known instances stay")
		k.process.Kill()
		eventually(t, "the loss is told", func() bool { return log.Count("cannot be watched; the last known instances stay") > warned })
		late := discoverytest.Watch(t, reg, "cart")
		if got := short(late.First()); !strings.HasPrefix(got, "ready 192.0.2.") {
			t.Errorf("without the API server the last known instances are %q", got)
		}
		late.Stop()
		k.start(k.port)
		n.put(sliceOf("cart", "cart-1", "IPv4", ready("a", fmt.Sprintf("192.0.2.%d", round+2))))
		w.Until("the change is seen", at(fmt.Sprintf("192.0.2.%d", round+2)))
		eventually(t, "it is watched again", func() bool { return log.Count("is watched again") == round+1 })
	}
	// A server that is not ready yet may refuse requests, which is told, too.
	if warned := log.Count("cannot be watched"); warned > 6 {
		t.Errorf("%d warnings of 2 restarts:\n%s", warned, log)
	}
}

// While the registry is cut off, slices change and etcd forgets what was: then all is listed again, page by page.
func (k *kube) compaction(t *testing.T) {
	n := k.newNamespace(t, "compaction", "list", "watch")
	const services = 600
	var made sync.WaitGroup
	for worker := range 4 {
		made.Go(func() {
			for i := worker; i < services; i += 4 {
				s := sliceOf(fmt.Sprintf("s%03d", i), fmt.Sprintf("s%03d", i), "IPv4", ready(strconv.Itoa(i), fmt.Sprintf("192.0.2.%d", i%250+1)))
				if status, answer, err := n.send(n.port, adminToken, http.MethodPost, n.slices(), s); err != nil || status != http.StatusCreated {
					t.Errorf("%d %s %v", status, answer, err)
					return
				}
			}
		})
	}
	made.Wait()
	reg := n.registry()
	log := new(discoverytest.Log)
	asked := &counter{next: k.client.Transport.(*http.Transport).Clone()}
	defer asked.next.CloseIdleConnections()
	reg.Logger, reg.Client = log.Logger(), &http.Client{Transport: asked}
	w := discoverytest.Watch(t, reg, "")
	w.Until("all are there", func(l []discovery.Instance) bool { return len(l) == services })
	before := asked.lists.Load()

	k.process.Kill()
	log.Await(t, "cannot be watched")
	elsewhere := freePort(t)
	k.start(elsewhere)
	for i := range 3 {
		n.doAt(elsewhere, http.MethodDelete, fmt.Sprintf("%s/s%03d", n.slices(), i), nil)
	}
	n.doAt(elsewhere, http.MethodPost, n.slices(), sliceOf("new", "new", "IPv4", ready("new", "192.0.2.251")))
	k.compact()
	k.process.Kill()
	k.start(k.port)
	w.Until("what happened meanwhile is known", func(l []discovery.Instance) bool {
		return len(l) == services-2 && l[0].Service == "new" && l[1].Service == "s003"
	})
	if lists := asked.lists.Load() - before; lists != 2 {
		t.Errorf("%d lists, want one of two pages", lists)
	}
	n.put(sliceOf("new", "new", "IPv4", ready("new", "192.0.2.252")))
	w.Until("and it goes on", func(l []discovery.Instance) bool {
		return strings.Contains(short(l), "192.0.2.252:8443")
	})
}

// counter counts lists, and the bookmarks that watches bring.
type counter struct {
	next             *http.Transport
	lists, bookmarks atomic.Int64
}

func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	switch {
	case err != nil:
	case req.URL.Query().Get("watch") == "":
		c.lists.Add(1)
	default:
		resp.Body = &watched{resp.Body, c}
	}
	return resp, err
}

// watched is the body of a watch. The API server sends each event by itself.
type watched struct {
	io.ReadCloser
	counter *counter
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if bytes.Contains(p[:n], []byte(`"type":"BOOKMARK"`)) {
		w.counter.bookmarks.Add(1)
	}
	return n, err
}
