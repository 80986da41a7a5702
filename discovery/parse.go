package discovery

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/internal/nearest"
)

// Schemes are registries by the scheme of their URL, for [Parse]: each function gets the whole URL.
type Schemes map[string]func(url string) (Registry, error)

// Parse returns the registry that a URL names:
//
//	local:                            the processes of this user on this machine ([Local])
//	local:shop                        those of the system shop
//	local:/srv/registry               those that use that folder
//	memory:                           this process alone ([Memory], a new one)
//	static:cart=10.0.0.7:8443,…       addresses that never change ([Static]); a service may be repeated
//	dns:///{service}.example.com:80   DNS ([DNS]); {service} is the name of the service that is called
//
// More schemes, those of other engines, come from schemes, which may be nil and win over the built-in ones. An unknown scheme is an
// error that lists the known ones.
func Parse(url string, schemes Schemes) (Registry, error) {
	r, err := parse(url, schemes)
	if err != nil {
		return nil, fmt.Errorf("discovery: registry %q: %w", url, err)
	}
	return r, nil
}

func parse(url string, schemes Schemes) (Registry, error) {
	scheme, rest, _ := strings.Cut(url, ":")
	if open := schemes[scheme]; open != nil {
		return open(url)
	}
	switch scheme {
	case "local":
		return parseLocal(rest)
	case "memory":
		if rest != "" {
			return nil, fmt.Errorf("want memory: and nothing more")
		}
		return new(Memory), nil
	case "static":
		return parseStatic(rest)
	case "dns":
		d, err := parseDNS(url)
		if err == nil && !strings.Contains(d.Name, servicePlaceholder) {
			return nil, fmt.Errorf("without %s in it every service would be found there: write for instance dns:///%[1]s.example.com:8443", servicePlaceholder)
		}
		return d, err
	}
	known := slices.Collect(maps.Keys(schemes))
	known = append(known, "local", "memory", "static", "dns")
	slices.Sort(known)
	hint := ""
	if near := nearest.Name(scheme, known); near != "" {
		hint = fmt.Sprintf(", did you mean %s:?", near)
	}
	return nil, fmt.Errorf("unknown scheme %q%s (known are %s)", scheme, hint, strings.Join(slices.Compact(known), ", "))
}

func parseLocal(rest string) (Registry, error) {
	if path, ok := strings.CutPrefix(rest, "//"); ok {
		rest = path // local:///srv/registry
	}
	if strings.ContainsAny(rest, `/\`) {
		if !filepath.IsAbs(rest) {
			return nil, fmt.Errorf("%q: want the name of a system or an absolute path", rest)
		}
		return &Local{Dir: filepath.Clean(rest)}, nil
	}
	l := &Local{System: rest}
	return l, l.check()
}

func parseStatic(rest string) (Registry, error) {
	s := make(Static)
	for part := range strings.SplitSeq(rest, ",") {
		name, addr, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return nil, fmt.Errorf("%q: want SERVICE=ADDRESS, separated by commas", part)
		}
		s[name] = append(s[name], addr)
	}
	return s, s.check()
}
