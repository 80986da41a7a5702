package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/call"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/internal/reflection"
	"github.com/hanse-go/hanse/rpc"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// defaultCallTimeout is how long finding and describing a service may take, and a unary call.
const defaultCallTimeout = 10 * time.Second

// callFlags are the flags of hanse call.
type callFlags struct {
	place   placeFlags
	target  []string
	targets targets // what target and the environment say
	tls     tlsFlags
	who     *named // --identity
	headers []string
	timeout time.Duration
	verbose bool
}

func newCall(u *ui.UI) *cobra.Command {
	f := &callFlags{}
	cmd := &cobra.Command{
		Use:   "call SERVICE/METHOD [FIELD=VALUE… | JSON… | -]",
		Short: "Call a method of a running service, without stubs",
		Long: `Call a method of a running service. The service is found as every caller finds it, and describes itself by gRPC reflection.
Without a method, its methods are listed.

The message is given by field=value arguments or as JSON:
  name=Ada address.city=Kiel tags=a tags=b      fields, also of messages within, and of lists
  stock.apples=3 items.0.sku=X-1                keys of maps, elements of lists
  colour=red at=2026-01-31T12:00:00Z for=1m30s  enums, times, durations as people write them
  '{"name": "Ada"}'                             several JSON values are several messages of a client stream
  -                                             JSON from standard input; a client stream without arguments reads it, too

SERVICE/pkg.Contract/METHOD says which contract, when the service has several with that method.

In a context that is marked production (see hanse context) only methods are called that are marked NO_SIDE_EFFECTS in their .proto file. Others
need --confirm with its name.`,
		Example: `  hanse call greeter                                  list its methods
  hanse call greeter/Hello name=World
  hanse call greeter/Hello '{"name": "World"}'
  hanse call --context prod greeter/Hello name=World
  hanse call --target localhost:8443                  list what a server has
  hanse call --target localhost:8443 greeter.v1.Greeter/Hello name=World
  hanse call --target api.example.com:443 --tls greeter.v1.Greeter/Hello name=World`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCall(cmd.Context(), u, f, args)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			return completeCall(cmd.Context(), f, args, toComplete)
		},
	}
	f.add(cmd)
	cmd.Flags().StringArrayVarP(&f.headers, "header", "H", nil, "send the header `name:value`; repeatable, a name that ends in -bin takes base64")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 0, "give the call this much `time` (default 10s, no limit for streams)")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "show headers and trailers, and which instance answered how fast")
	u.JSONFlag(cmd, "each reply on a line, and an error as the last one,")
	return cmd
}

// add adds the flags that say which service is called, and who calls it.
func (f *callFlags) add(cmd *cobra.Command) {
	f.place.add(cmd)
	f.place.addChanging(cmd)
	cmd.Flags().StringArrayVar(&f.target, "target", nil, "call this `host:port` (or unix:///PATH, dns:///HOST:PORT), whatever runs there; SERVICE may be left out. SERVICE=HOST:PORT is for that service (variable HANSE_TARGET)")
	f.tls.add(cmd)
	f.who = identityFlag(cmd)
}

func runCall(ctx context.Context, u *ui.UI, f *callFlags, args []string) error {
	if f.timeout < 0 {
		return ui.Usagef("call: the timeout %v is negative", f.timeout)
	}
	header, err := parseHeaders(f.headers)
	if err != nil {
		return err
	}
	if err = f.readTargets(); err != nil {
		return err
	}
	var target call.Target // of a server without a method: all that it has
	switch {
	case len(args) > 0:
		if target, err = call.ParseTarget(args[0], f.targets.direct != ""); err != nil {
			return err
		}
		args = args[1:]
	case f.targets.direct == "":
		return ui.Usagef("call needs a method, such as greeter/Hello").Then("usage: hanse call SERVICE/METHOD [FIELD=VALUE… | JSON… | -]")
	}
	err = f.call(ctx, u, target, args, header)
	var failed *call.StatusError
	if !errors.As(err, &failed) {
		return err
	}
	if err = f.hint(err, failed); u.JSON {
		line, err := json.Marshal(map[string]any{"error": failed})
		if err != nil {
			return err
		}
		u.Printf("%s\n", line)
		return ui.Silent{Exit: ui.ExitFailure}
	}
	return err
}

// call finds the service and its method, and calls it.
func (f *callFlags) call(ctx context.Context, u *ui.UI, target call.Target, args []string, header metadata.MD) error {
	describing, cancel := context.WithTimeout(ctx, max(f.timeout, defaultCallTimeout))
	defer cancel()
	at, err := f.connect(describing, target.Service)
	if err != nil {
		return err
	}
	defer at.end()
	described := reflection.New(at.conn)
	progress := u.Progress("asking %s for its contracts", cmp.Or(target.Service, f.targets.direct))
	var method *call.Method
	var methods []protoreflect.MethodDescriptor
	if target.Method == "" {
		methods, err = call.Methods(describing, described, target, at.contracts)
	} else {
		method, err = call.Find(describing, described, target, at.contracts)
	}
	described.Close()
	progress.Done()
	if err != nil {
		return err
	}
	if target.Method == "" {
		return listMethods(u, target, methods)
	}
	if err := at.mayCall(method); err != nil {
		return err
	}

	var info rpc.CallInfo
	c := call.Call{
		Conn:    at.conn,
		Method:  method,
		Args:    args,
		In:      u.In,
		Indent:  !u.JSON,
		Options: []grpc.CallOption{&info},
		Reply: func(js []byte) error {
			_, err := fmt.Fprintf(u.Out, "%s\n", js)
			return err
		},
	}
	if f.verbose {
		c.Header = func(md metadata.MD) { showMetadata(u, "header", md) }
	}
	if method.Desc.IsStreamingClient() && len(args) == 0 && u.InTerminal {
		u.Notef("%s", ui.Faint.Sprint("reading messages as JSON; Ctrl-D ends them"))
	}
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	start := time.Now()
	trailer, err := c.Run(metadata.NewOutgoingContext(ctx, header))
	if f.verbose {
		showMetadata(u, "trailer", trailer)
		if info.Endpoint != "" {
			u.Notef("%s", ui.Faint.Sprint(fmt.Sprintf("answered by %s at %s in %v", cmp.Or(info.Instance, "an instance"), info.Endpoint, time.Since(start).Round(10*time.Microsecond))))
		}
	}
	return err
}

// hint says more about statuses whose cause is here rather than in the service.
func (f *callFlags) hint(err error, failed *call.StatusError) error {
	message := failed.Status.Message()
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(message, part) })
	}
	hint := ""
	switch code := failed.Status.Code(); {
	case code == codes.DeadlineExceeded && f.timeout == 0:
		hint = fmt.Sprintf("the limit of %v is hanse call's; --timeout sets another", defaultCallTimeout)
	case code == codes.Unauthenticated && has("mutual TLS only"):
		hint = "call it by its name in the system that hanse dev runs, or show a certificate of its system by --identity FOLDER"
	case code != codes.Unavailable && code != codes.DeadlineExceeded:
	case strings.Contains(message, "the peer is spiffe://"):
		hint = "another service answers there: check the address, or name the service that it is"
	case f.tls == tlsFlags{}:
		if has("server preface", "frame too large", "settings came") {
			hint = "a server that wants TLS answers so: then add --tls"
		}
	case has("first record does not look like a TLS handshake"):
		hint = "the server speaks no TLS: leave --tls out"
	case has("this side's certificate"):
		hint = "the server wants to see a certificate that it trusts: give one by --cert and --key"
	case has("unknown authority", "certificate is not trusted", "self-signed"):
		hint = "name the file with its authority by --cacert, or take any certificate with --insecure-skip-verify"
	case has("certificate is valid for", "certificate is not valid for", "IP SANs", "not valid for any names"):
		hint = "if that is the server, say which name it has by --server-name"
	case has("certificate required", "bad certificate", "refused this side's certificate", "settings came"):
		hint = "the server may want to see a certificate that it trusts: give one by --cert and --key"
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w\n  (%s)", err, hint)
}

// readTargets reads which services are called at a fixed place. A context says where all are: --target wins over that of the environment only, and
// HANSE_TARGET over none.
func (f *callFlags) readTargets() (err error) {
	other := f.place.given()
	environment := os.Getenv("HANSE_TARGET")
	if f.place.context.name != "" && other == "" {
		environment = ""
	}
	if other == "" && len(f.target) > 0 {
		other = "--target"
	}
	if f.place.context.given() && other != "" {
		return besideContext(other)
	}
	f.targets, err = parseTargets(f.target, environment)
	return err
}

// connection is a connection to a service. Call end.
type connection struct {
	conn      *rpc.Conn
	where     *place   // at which the service was found; nil: its address was given
	contracts []string // that its instances announce there
	end       func()
}

// mayCall returns why a method is not called, and nil where it may be.
func (c *connection) mayCall(m *call.Method) error {
	if c.where == nil || m.Safe() {
		return nil
	}
	return c.where.refuses(c.where.context, string(m.Desc.FullName())+" is not marked NO_SIDE_EFFECTS")
}

// connect connects to the service.
func (f *callFlags) connect(ctx context.Context, service string) (*connection, error) {
	secure, err := f.tls.config()
	if err != nil {
		return nil, err
	}
	if secure != nil && f.who.given() && f.who.name != "off" {
		return nil, ui.Usagef("--identity and the flags of --tls exclude each other").Then("keep one of them")
	}
	if f.targets.direct != "" {
		if secure == nil {
			who, err := findIdentity(f.who, nil)
			if err != nil {
				return nil, err
			}
			if who != nil {
				if service == "" {
					return nil, ui.Usagef("--identity: which service answers at %s must be said", f.targets.direct).Then("write it before the method: cart/cart.v1.Cart/Get")
				}
				secure = identity.ClientConfig(who, "", service)
			}
		}
		conn, err := rpc.Dial(f.targets.direct, rpc.WithTLS(secure))
		if err != nil {
			return nil, ui.Usagef("%w", err)
		}
		slog.SetDefault(quiet) // the only way to what Dial logs; the error of the call says the same
		return &connection{conn: conn, end: func() { conn.Close() }}, nil
	}
	var registry discovery.Registry
	c := new(connection)
	if at := f.targets.service[service]; at != "" {
		if registry, err = discovery.ParseTarget(at); err != nil {
			return nil, ui.Usagef("%w", err)
		}
	} else if c.where, c.contracts, err = f.find(ctx, service); err != nil {
		return nil, err
	} else {
		registry = c.where.registry
	}
	if secure == nil {
		who, err := findIdentity(f.who, c.where)
		if err != nil {
			return nil, err
		}
		app := &hanse.App{Registry: registry, Logger: quiet, Identity: who, NoTelemetry: true} // the trace begins with the service, as it likes
		c.conn, c.end = app.Conn(service), func() { app.Close() }
		return c, nil
	}
	client := &rpc.Client{Registry: registry, TLS: secure, Logger: quiet}
	c.conn, c.end = rpc.NewConn(service), func() { client.Close() }
	return c, c.conn.Bind(client)
}

// find looks for the service and returns where it was found, with the contracts that its instances announce.
func (f *callFlags) find(ctx context.Context, service string) (_ *place, contracts []string, err error) {
	place, err := f.place.find()
	if err != nil {
		return nil, nil, err
	}
	instances, err := place.instances(ctx, service)
	if err != nil {
		return nil, nil, err
	}
	for _, i := range instances {
		for _, c := range i.Contracts {
			if !slices.Contains(contracts, c.Name) {
				contracts = append(contracts, c.Name)
			}
		}
	}
	slices.Sort(contracts)
	return place, contracts, nil
}

// parseHeaders reads name:value and name=value.
func parseHeaders(list []string) (metadata.MD, error) {
	md := metadata.MD{}
	for _, h := range list {
		i := strings.IndexAny(h, ":=")
		if i <= 0 {
			return nil, ui.Usagef("the header %q has no name", h).Then("write name:value")
		}
		name, value := strings.ToLower(strings.TrimSpace(h[:i])), strings.TrimSpace(h[i+1:])
		if strings.ContainsFunc(name, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
		}) {
			return nil, ui.Usagef("%q cannot be the name of a header", name).Then("use letters, digits, hyphens, underscores and dots")
		}
		if strings.HasPrefix(name, "grpc-") {
			return nil, ui.Usagef("the header %s is gRPC's own", name)
		}
		if strings.HasSuffix(name, "-bin") {
			b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
			if err != nil {
				return nil, ui.Usagef("the header %s is no base64: %w", name, err)
			}
			value = string(b)
		} else if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, ui.Usagef("the header %s has characters that are not printable ASCII", name).Then("send them in base64 as %s-bin", name)
		}
		md.Append(name, value)
	}
	return md, nil
}

// showMetadata prints headers or trailers, sorted.
func showMetadata(u *ui.UI, kind string, md metadata.MD) {
	var keys []string
	for k := range md {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		for _, v := range md[k] {
			if strings.HasSuffix(k, "-bin") {
				v = base64.StdEncoding.EncodeToString([]byte(v))
			}
			u.Notef("%s", ui.Faint.Sprint(kind+" "+k+": "+v))
		}
	}
}

// methodReport is an element of the answer of `hanse call SERVICE --json`.
type methodReport struct {
	Method       string `json:"method"` // as hanse call takes it
	Request      string `json:"request"`
	Response     string `json:"response"`
	ClientStream bool   `json:"clientStream"`
	ServerStream bool   `json:"serverStream"`
}

// listMethods shows what can be called, and with which fields.
func listMethods(u *ui.UI, target call.Target, methods []protoreflect.MethodDescriptor) error {
	named := map[protoreflect.Name]int{}
	for _, m := range methods {
		named[m.Name()]++
	}
	table := ui.NewTable("METHOD", "FIELDS", "ANSWERS")
	reports := []methodReport{}
	for _, m := range methods {
		path := string(m.Name())
		if named[m.Name()] > 1 || target.Service == "" {
			path = string(m.Parent().FullName()) + "/" + path
		}
		if target.Service != "" {
			path = target.Service + "/" + path
		}
		reports = append(reports, methodReport{path, string(m.Input().FullName()), string(m.Output().FullName()), m.IsStreamingClient(), m.IsStreamingServer()})
		var fields []string
		for i := range m.Input().Fields().Len() {
			fields = append(fields, string(m.Input().Fields().Get(i).Name())+"=")
		}
		request, answer := strings.Join(fields, " "), string(m.Output().Name())
		if m.IsStreamingClient() {
			request = "stream of " + request
		}
		if m.IsStreamingServer() {
			answer = "stream of " + answer
		}
		table.Row(ui.Accent.Sprint(path), request, ui.Faint.Sprint(answer))
	}
	if u.JSON {
		return u.PrintJSON(reports)
	}
	_, err := table.WriteTo(u.Out)
	return err
}

// completeCall completes services, then methods, then fields.
func completeCall(ctx context.Context, f *callFlags, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // somebody waits for a key to do something
	defer cancel()
	slices.Sort(f.target)
	f.target = slices.Compact(f.target) // cobra reads the flags twice before it completes
	if f.readTargets() != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	const done = cobra.ShellCompDirectiveNoFileComp
	const more = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	beginning := len(args) == 0 && !strings.Contains(toComplete, "/")
	if beginning && f.targets.direct == "" {
		place, err := f.place.find()
		if err != nil {
			return nil, done
		}
		var names []string
		for _, name := range place.services(ctx) {
			names = append(names, name+"/")
		}
		return names, more
	}
	first := toComplete
	if len(args) > 0 {
		first = args[0]
	} else if i := strings.LastIndexByte(first, '/'); i >= 0 {
		first = first[:i]
	}
	var target call.Target
	if !beginning {
		var err error
		if target, err = call.ParseTarget(first, f.targets.direct != ""); err != nil {
			return nil, done
		}
	}
	at, err := f.connect(ctx, target.Service)
	if err != nil {
		return nil, done
	}
	defer at.end()
	described := reflection.New(at.conn)
	defer described.Close()
	if len(args) == 0 {
		target.Method = ""
		methods, err := call.Methods(ctx, described, target, at.contracts)
		if err != nil {
			return nil, done
		}
		var names []string
		for _, m := range methods {
			path := first
			if beginning {
				path = string(m.Parent().FullName())
			}
			names = append(names, path+"/"+string(m.Name()))
		}
		return names, done
	}
	method, err := call.Find(ctx, described, target, at.contracts)
	if err != nil {
		return nil, done
	}
	var names []string
	for i := range method.Desc.Input().Fields().Len() {
		names = append(names, string(method.Desc.Input().Fields().Get(i).Name())+"=")
	}
	return names, more
}
