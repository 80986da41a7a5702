package rpc

import (
	"reflect"
	"strings"
	"sync"
	"unsafe"

	"github.com/hanse-go/hanse/resilience"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// callOptions are the grpc.CallOptions of one call, read. They are shared and must not be changed: take a clone.
type callOptions struct {
	orig []grpc.CallOption // for grpc-go: all but those that a Conn serves itself (CallInfo, OnFinish and WaitForReady)

	infos        []*CallInfo
	onFinish     []func(error)
	headers      []*metadata.MD
	trailers     []*metadata.MD
	peers        []*peer.Peer
	waitForReady *bool // nil: not said
	maxRecv      *int  // bytes; nil: the client's
	maxSend      *int
	authority    string // "": the service's name
	creds        credentials.PerRPCCredentials
	policy       *resilience.CallOption // nil: nothing of its own
	forwarded    *forwarded             // nil: the call is made for itself

	format                // never without a codec
	contentSubtype string // "" is proto
	compressor     string // registered or "identity"; "": none
}

func (o *callOptions) clone() *callOptions {
	c := *o
	return &c
}

// finish tells the call's OnFinish options that the call has ended. It is called once for each call.
func (o *callOptions) finish(err error) {
	for _, f := range o.onFinish {
		f(err)
	}
}

// The options of most calls, read once. Not before the first call: codecs are registered until the program's last init has run.
var (
	noCallOptions     = sync.OnceValues(func() (*callOptions, error) { return readCallOptions(nil) })
	staticCallOptions = sync.OnceValues(func() (*callOptions, error) { return readCallOptions([]grpc.CallOption{grpc.StaticMethod()}) })
)

// parseCallOptions reads the options of one call. A type of package grpc that it does not know is an error, so that an option of a
// newer grpc release is never dropped in silence; options of other packages are what they embed.
func parseCallOptions(opts []grpc.CallOption) (*callOptions, error) {
	switch len(opts) {
	case 0:
		return noCallOptions()
	case 1:
		if _, ok := opts[0].(grpc.StaticMethodCallOption); ok {
			return staticCallOptions()
		}
	}
	return readCallOptions(opts)
}

func readCallOptions(opts []grpc.CallOption) (*callOptions, error) {
	o := &callOptions{}
	for _, opt := range opts {
		if err := o.add(opt); err != nil {
			return nil, err
		}
	}
	if err := o.setCodec(); err != nil {
		return nil, err
	}
	if o.compressor != "" && o.compressor != encoding.Identity && encoding.GetCompressor(o.compressor) == nil {
		return nil, status.Errorf(codes.Internal, "grpc: Compressor is not installed for requested grpc-encoding %q", o.compressor)
	}
	return o, nil
}

// add reads one option and keeps it for grpc-go, unless a Conn does all of its work.
func (o *callOptions) add(opt grpc.CallOption) error {
	keep, err := o.apply(opt)
	if err == nil && keep {
		o.orig = append(o.orig, opt)
	}
	return err
}

func (o *callOptions) apply(opt grpc.CallOption) (forGRPC bool, err error) {
	switch opt := opt.(type) {
	case *CallInfo:
		o.infos = append(o.infos, opt)
		return false, nil
	case resilience.CallOption:
		if o.policy != nil {
			opt = opt.Before(*o.policy)
		}
		o.policy = &opt
		return false, nil
	case *forwarded:
		o.forwarded = opt
		return false, nil
	case grpc.OnFinishCallOption:
		o.onFinish = append(o.onFinish, opt.OnFinish)
		return false, nil

	case grpc.EmptyCallOption, grpc.StaticMethodCallOption:
		// Nothing to do: they carry data for interceptors and stats handlers.
	case grpc.MaxRetryRPCBufferSizeCallOption:
		return false, nil // nothing to do: a retry sends the caller's message again, and grpc-go must make none of its own
	case grpc.HeaderCallOption:
		o.headers = append(o.headers, opt.HeaderAddr)
	case grpc.TrailerCallOption:
		o.trailers = append(o.trailers, opt.TrailerAddr)
	case grpc.PeerCallOption:
		o.peers = append(o.peers, opt.PeerAddr)
	case grpc.FailFastCallOption:
		wait := !opt.FailFast
		o.waitForReady = &wait
		return false, nil
	case grpc.MaxRecvMsgSizeCallOption:
		o.maxRecv = &opt.MaxRecvMsgSize
	case grpc.MaxSendMsgSizeCallOption:
		o.maxSend = &opt.MaxSendMsgSize
	case grpc.AuthorityOverrideCallOption:
		o.authority = opt.Authority
	case grpc.PerRPCCredsCallOption:
		o.creds = opt.Creds
	case grpc.CompressorCallOption:
		o.compressor = opt.CompressorType
	case grpc.ContentSubtypeCallOption:
		o.contentSubtype = opt.ContentSubtype
	case grpc.ForceCodecCallOption:
		o.codec = bytesCodecAdapter{opt.Codec}
	case grpc.ForceCodecV2CallOption:
		o.codec = opt.CodecV2
	case grpc.CustomCodecCallOption:
		o.codec = bytesCodecAdapter{opt.Codec}
	default:
		return o.applyOther(opt)
	}
	return true, nil
}

// applyOther reads options that no type switch can name: a type of another package counts as the option that it embeds, as it does
// for grpc-go, where it has that option's methods.
func (o *callOptions) applyOther(opt grpc.CallOption) (forGRPC bool, err error) {
	v := reflect.ValueOf(opt)
	if !v.IsValid() {
		return false, status.Error(codes.Internal, "rpc: a grpc.CallOption is nil")
	}
	t := v.Type()
	if t.PkgPath() == grpcPath {
		if t.Name() == "acceptCompressorsCallOption" { // made by experimental.AcceptCompressors
			return true, checkAcceptCompressors(v)
		}
		return false, status.Errorf(codes.Internal, "rpc: %v is an option of package grpc that this release of Hanse does not know: update Hanse, or leave the option away", t)
	}
	inner, err := embeddedOption(v)
	if err != nil {
		return false, err
	}
	return o.apply(inner)
}

// checkAcceptCompressors refuses what grpc-go refuses. There is nothing else to do: a reply is compressed only with what the request
// was, and in process not at all.
func checkAcceptCompressors(v reflect.Value) error {
	names := v.FieldByName("names")
	if names.Kind() != reflect.Slice || names.Type().Elem().Kind() != reflect.String {
		return status.Errorf(codes.Internal, "rpc: %v has changed in this release of grpc: update Hanse, or leave the option away", v.Type())
	}
	for i := range names.Len() {
		name := strings.TrimSpace(names.Index(i).String())
		if name != "" && name != encoding.Identity && encoding.GetCompressor(name) == nil {
			return status.Errorf(codes.InvalidArgument, "grpc: compressor %q is not registered", name)
		}
	}
	return nil
}

// embeddedOption finds the option whose methods v has. grpc.CallOption's methods are not exported, so a type of another package can
// only have them from an embedded one: the shallowest, as Go promotes.
func embeddedOption(v reflect.Value) (grpc.CallOption, error) {
	for level := []reflect.Value{v}; len(level) > 0; {
		var next []reflect.Value
		for _, v := range level {
			for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
				v = v.Elem()
			}
			if v.Kind() != reflect.Struct {
				continue
			}
			if !v.CanAddr() { // fields that are not exported can be read by their address only
				c := reflect.New(v.Type()).Elem()
				c.Set(v)
				v = c
			}
			for i := range v.NumField() {
				if !v.Type().Field(i).Anonymous {
					continue
				}
				f := v.Field(i)
				f = reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
				if f.Type() == callOptionType || f.Type().PkgPath() == grpcPath && f.Type().Implements(callOptionType) {
					opt, ok := f.Interface().(grpc.CallOption)
					if !ok {
						return nil, status.Errorf(codes.Internal, "rpc: the grpc.CallOption in a %v is nil", v.Type())
					}
					return opt, nil
				}
				next = append(next, f)
			}
		}
		level = next
	}
	// The compiler does not let this happen.
	return nil, status.Errorf(codes.Internal, "rpc: %v is a grpc.CallOption but embeds none", v.Type())
}

// setCodec chooses the codec as grpc does, when all options are known.
func (o *callOptions) setCodec() error {
	if o.codec == nil {
		if o.codec = registeredCodec(o.contentSubtype); o.codec == nil {
			return status.Errorf(codes.Internal, "no codec registered for content-subtype %s", o.contentSubtype)
		}
	} else if o.contentSubtype == "" {
		switch c := o.codec.(type) {
		case encoding.CodecV2:
			o.contentSubtype = strings.ToLower(c.Name())
		case bytesCodecAdapter:
			if c, ok := c.bytesCodec.(encoding.Codec); ok {
				o.contentSubtype = strings.ToLower(c.Name())
			}
		}
	}
	o.plain = isGRPCProto(o.codec)
	return nil
}

var (
	callOptionType = reflect.TypeFor[grpc.CallOption]()
	grpcPath       = reflect.TypeFor[grpc.EmptyCallOption]().PkgPath()
)
