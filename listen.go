package hanse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/internal/portowner"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// defaultAddr is a free port that only this machine reaches.
const defaultAddr = "127.0.0.1:0"

// port is a TCP listener and the services behind it: the shared one, or that of one service alone. Each of its instances has a
// unix socket, too.
type port struct {
	run     *run
	own     string // name of the service that has it alone; empty for the shared one
	want    string // address to listen on
	members []*member
	rpc     *rpc.Port

	addr    net.Addr // what it got; nil without TCP
	serving sync.WaitGroup
}

// label says what the port is, for messages.
func (p *port) label() string {
	if p.own == "" {
		return "addr"
	}
	return "addr." + p.own
}

// layPorts decides which services share a listener.
func (r *run) layPorts() {
	common := &port{run: r, want: r.app.Addr}
	for _, m := range r.members {
		if addr, ok := r.app.Addrs[m.Name]; ok {
			m.port = &port{run: r, own: m.Name, want: addr, members: []*member{m}}
			r.ports = append(r.ports, m.port)
			continue
		}
		m.port = common
		common.members = append(common.members, m)
	}
	if len(common.members) > 0 {
		r.ports = slices.Insert(r.ports, 0, common)
	}
	for _, p := range r.ports {
		if p.want == "" {
			p.want = defaultAddr
		}
	}
}

// route prepares what is served on the port, and returns the conflicts between its services.
func (p *port) route() []error {
	router, mistakes := newHTTPRouter(p.members)
	p.rpc = &rpc.Port{HTTP: router, HTTPContext: p.run.httpContext, Shared: p.run.sharedServer(p), Wire: p.run.wire, Limits: p.run.app.Limits, Logger: p.run.log,
		Identity: p.run.app.Identity, PlainHTTP: p.run.plainHTTP(p)}
	for _, m := range p.members {
		p.rpc.Servers = append(p.rpc.Servers, &m.server)
	}
	if !p.run.app.NoGateway {
		router.gateway = &gateway.Handler{Backend: p.rpc, Config: p.run.app.Gateway, Logger: p.run.log}
		router.calls = router.gateway
		if !p.public() {
			router.calls = router.addressedBy(p.run.app.Hosts)
		}
		router.requests = &p.run.requests
		if err := gateway.Check(p.contracts()); err != nil {
			mistakes = append(mistakes, fmt.Errorf("%w: change the annotation; services with the same routes can have listeners of their own (--addr SERVICE=HOST:PORT)", err))
		}
		if p.run.app.Docs {
			router.docs = p.docs()
		}
	}
	return mistakes
}

// contracts returns the descriptors of what the port's services have registered, as far as they are linked into the program.
func (p *port) contracts() (found []protoreflect.ServiceDescriptor) {
	for _, m := range p.members {
		for _, name := range slices.Sorted(maps.Keys(m.server.GetServiceInfo())) {
			if d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name)); err == nil {
				if sd, ok := d.(protoreflect.ServiceDescriptor); ok {
					found = append(found, sd)
				}
			}
		}
	}
	return found
}

// public reports whether others than this machine reach the port.
func (p *port) public() bool {
	if p.own == "" && p.run.app.Listener != nil {
		return !isLoopback(p.run.app.Listener.Addr())
	}
	return !isLoopbackAddr(p.want)
}

// listen opens all ports and begins to serve on them.
func (r *run) listen(ctx context.Context) error {
	var errs []error
	for _, p := range r.ports {
		errs = append(errs, p.listen(ctx))
	}
	errs = append(errs, r.listenAdmin(ctx))
	return errors.Join(errs...)
}

func (p *port) listen(ctx context.Context) error {
	lis := p.run.app.Listener
	if p.own != "" || lis == nil {
		t := p.run.app.transport("tcp")
		if t != nil {
			var err error
			if lis, err = t.Listen(ctx, &url.URL{Scheme: "tcp", Host: p.want}); err != nil {
				return p.cannotListen(err)
			}
		}
	}
	if lis != nil {
		p.addr = lis.Addr()
		p.serve(lis)
	}
	for _, m := range p.members {
		if lis, endpoint := m.listenUnix(ctx); lis != nil {
			m.instance.Endpoints = append(m.instance.Endpoints, endpoint)
			p.serve(lis)
		}
	}
	return nil
}

// serve accepts connections until the port closes.
func (p *port) serve(lis net.Listener) {
	p.serving.Go(func() {
		if err := p.rpc.Serve(lis); err != nil {
			p.run.fail(fmt.Errorf("cannot accept connections on %s any more: %w", lis.Addr(), err))
		}
	})
}

// close closes listeners and connections and waits for what served them.
func (p *port) close() error {
	if p.rpc == nil {
		return nil
	}
	p.rpc.Shared.Stop()
	err := p.rpc.Close()
	p.serving.Wait()
	return err
}

// cannotListen says why an address could not be listened on, and what to do.
func (p *port) cannotListen(err error) error {
	flag, field := "--addr HOST:PORT", "App.Addr"
	if p.own != "" {
		flag, field = "--addr "+p.own+"=HOST:PORT", "App.Addrs"
	}
	return listenError(p.want, err, flag, field)
}

// listenError describes a failed attempt to listen on addr, which a flag or a field of App sets.
func listenError(addr string, err error, flag, field string) error {
	set := fmt.Sprintf("choose another with %s (%s)", flag, field)
	switch {
	case errors.Is(err, syscall.EADDRINUSE) || isWindowsAddrInUse(err):
		_, portText, _ := net.SplitHostPort(addr)
		port, _ := strconv.Atoi(portText)
		return fmt.Errorf("address %s is in use by %s: stop that or %s", addr, portowner.Describe(port), set)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("not allowed to listen on %s (ports below 1024 need a privilege): %s", addr, set)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("cannot listen on %s, for this machine has no such address: %s", addr, set)
	}
	return fmt.Errorf("cannot listen on %s: %w: %s", addr, err, set)
}

// checkAddrs returns what is wrong with the addresses that the App was given.
func (a *App) checkAddrs() []error {
	var mistakes []error
	check := func(what, addr string) {
		if addr == "" {
			return
		}
		if err := checkAddr(addr); err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", what, err))
		}
	}
	check("App.Addr (--addr)", a.Addr)
	for _, host := range a.Hosts {
		if host == "" || strings.ContainsAny(host, ":/ ") {
			mistakes = append(mistakes, fmt.Errorf("App.Hosts (--hosts): %q is no name of a host: write it without scheme and port, such as shop.example.com", host))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Addrs)) {
		check("App.Addrs (--addr "+name+"=…)", a.Addrs[name])
	}
	if a.AdminAddr != adminOff {
		check("App.AdminAddr (--admin-addr)", a.AdminAddr)
	}
	return mistakes
}

// checkAddr refuses what is no HOST:PORT.
func checkAddr(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is no HOST:PORT: write 127.0.0.1:8443, [::1]:8443 or :8443", addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q: %q is no port: want a number from 0 to 65535", addr, port)
	}
	return nil
}

// isLoopbackAddr reports whether a HOST:PORT stays within this machine.
func isLoopbackAddr(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// isLoopback reports whether a listener is reached from this machine only.
func isLoopback(addr net.Addr) bool {
	if _, ok := addr.(*net.TCPAddr); ok {
		return isLoopbackAddr(addr.String())
	}
	return true // a unix socket, or memory
}
