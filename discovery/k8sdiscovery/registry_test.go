package k8sdiscovery_test

import (
	"fmt"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/k8sdiscovery"
)

func TestRegistry(t *testing.T) {
	discoverytest.RunReadOnly(t, func(t *testing.T, services map[string][]string) discovery.Registry {
		s := newAPIServer()
		s.loopback = true // the suite's addresses
		server := httptest.NewServer(s)
		t.Cleanup(func() {
			server.CloseClientConnections()
			server.Close()
		})
		for name, addrs := range services {
			for n, addr := range addrs { // several slices of one service
				host, text, err := net.SplitHostPort(addr)
				if err != nil {
					t.Fatal(err)
				}
				port, err := strconv.Atoi(text)
				if err != nil {
					t.Fatal(err)
				}
				s.put(name, fmt.Sprintf("%s-%d", name, n), "IPv4", []object{{"name": "grpc", "protocol": "TCP", "port": port}}, ready(fmt.Sprintf("%s-%d", name, n), host))
			}
		}
		return &k8sdiscovery.Registry{Server: server.URL, Namespace: "shop"}
	}, discoverytest.Limits{})
}

func TestIsNoRegistrar(t *testing.T) {
	if _, ok := any(new(k8sdiscovery.Registry)).(discovery.Registrar); ok {
		t.Error("a Registrar: but Kubernetes announces pods itself")
	}
}

func TestOpen(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "::1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "6443")
	for _, url := range []string{
		"k8s:?namespace=shop",
		"k8s:?namespace=shop&port=grpc",
		"k8s:http://127.0.0.1:8001?namespace=shop",
		"k8s:https://h:6443?ca=%2Fca.crt&namespace=shop&port=8443&token=%2Ftoken",
	} {
		reg, err := discovery.Parse(url, discovery.Schemes{"k8s": k8sdiscovery.Open})
		if err != nil || fmt.Sprint(reg) != url {
			t.Errorf("%s: %v, %v", url, reg, err)
		}
	}
	for url, want := range map[string]string{
		"k8s:":                            "write ?namespace=NAME",
		"k8s:http://h:1":                  "write ?namespace=NAME",
		"k8s:?namespace=Shop":             `namespace "Shop"`,
		"k8s:?namespace=a/b":              "namespace",
		"k8s:?name=shop":                  "known are namespace, port, token, ca",
		"k8s:h:1?namespace=shop":          "such as https://10.0.0.1:6443",
		"k8s://h:1?namespace=shop":        "such as https://10.0.0.1:6443",
		"k8s:http://u@h:1?namespace=shop": "nothing else",
		"k8s:http://[?namespace=shop":     "k8s",
	} {
		if _, err := discovery.Parse(url, discovery.Schemes{"k8s": k8sdiscovery.Open}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", url, err, want)
		}
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := k8sdiscovery.Open("k8s:?namespace=shop"); err == nil || !strings.Contains(err.Error(), "this is no pod") {
		t.Errorf("outside a pod: %v", err)
	}
	if err := new(k8sdiscovery.Registry).Watch(t.Context(), "cart", nil); err == nil || !strings.Contains(err.Error(), "this is no pod") {
		t.Errorf("outside a pod: %v", err)
	}
}
