package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Split says which version of a service gets which of its calls, for as long as the rules are in the registry. Callers follow them as they
// change. The order is: the first of Match that fits a call, else Shares, else any instance.
//
// A version that has no instance that can be reached is passed over: its calls go to the other versions by their shares and, when those
// have none either, to any instance; unless Strict says that they fail.
type Split struct {
	Service string       `json:"service"`
	Match   []SplitMatch `json:"match,omitempty"`  // by what a call carries; the first that fits decides
	Shares  []SplitShare `json:"shares,omitempty"` // of the calls that nothing matches; they add up to 100. None: any instance takes those
	Sticky  string       `json:"sticky,omitempty"` // key of metadata: calls with the same value get the same version. Empty: each call is drawn anew
	Strict  bool         `json:"strict,omitempty"` // calls to a version without instances fail as Unavailable, instead of going to another one

	unknown map[string]json.RawMessage // fields of a newer version's record, kept for whoever reads it next
}

// SplitMatch sends calls with some metadata to a version.
type SplitMatch struct {
	Header  string `json:"header"`          // key of the metadata, in small letters
	Value   string `json:"value,omitempty"` // that the first value of the key must be; empty: any
	Version string `json:"version"`
}

// SplitShare is how many of the calls a version gets.
type SplitShare struct {
	Version string  `json:"version"`
	Percent float64 `json:"percent"` // 0 to 100
}

// Splitter is a [Registry] that holds split rules, too: at most one [Split] for each service. [Memory] and [Local] do; [Static] and [DNS]
// have nowhere to keep them. A registry of another engine keeps what [Split.Record] returns under the name of the service, apart from the
// instances and without a lease: rules stay when all instances are gone.
type Splitter interface {
	// WatchSplits calls notify with the split of the service, or with nothing when it has none: at once with what is known now,
	// then after each change, until ctx ends. Calls of notify are sequential; the slice is the callee's. The empty name watches all
	// services; a registry that cannot list them knows of none. It returns as [Registry.Watch] does.
	WatchSplits(ctx context.Context, service string, notify func([]Split)) error
	// SetSplit replaces the split of its service. One that has neither Match nor Shares takes the rules away. It returns what
	// [Split.Validate] returns, and [errors.ErrUnsupported] where no rules can be held.
	SetSplit(ctx context.Context, split Split) error
}

// Off reports whether the split has no rules.
func (s Split) Off() bool { return len(s.Match) == 0 && len(s.Shares) == 0 }

// Versions returns the versions that the rules name, in order and each once.
func (s Split) Versions() []string {
	var all []string
	for _, m := range s.Match {
		all = append(all, m.Version)
	}
	for _, share := range s.Shares {
		all = append(all, share.Version)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// String says what the rules are: "x-canary=1:v2 v1=90 v2=10".
func (s Split) String() string {
	var all []string
	for _, m := range s.Match {
		all = append(all, m.String())
	}
	for _, share := range s.Shares {
		all = append(all, fmt.Sprintf("%s=%g", share.Version, share.Percent))
	}
	if s.Sticky != "" {
		all = append(all, "sticky by "+s.Sticky)
	}
	if s.Strict {
		all = append(all, "strict")
	}
	return strings.Join(all, " ")
}

// String returns the match as [ParseSplitMatch] reads it.
func (m SplitMatch) String() string {
	if m.Value == "" {
		return m.Header + ":" + m.Version
	}
	return m.Header + "=" + m.Value + ":" + m.Version
}

// ParseSplitMatch reads KEY=VALUE:VERSION, or KEY:VERSION for any value.
func ParseSplitMatch(s string) (SplitMatch, error) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return SplitMatch{}, fmt.Errorf("%q: want KEY=VALUE:VERSION, such as x-canary=1:v2, or KEY:VERSION for any value", s)
	}
	m := SplitMatch{Version: s[colon+1:]}
	m.Header, m.Value, _ = strings.Cut(s[:colon], "=")
	m.Header = strings.ToLower(m.Header)
	return m, m.check()
}

// Clone returns a copy that shares no slice or map with s.
func (s Split) Clone() Split {
	s.Match = slices.Clone(s.Match)
	s.Shares = slices.Clone(s.Shares)
	s.unknown = maps.Clone(s.unknown)
	return s
}

// Validate reports the first mistake in the rules.
func (s Split) Validate() error {
	if err := CheckName(s.Service); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return fmt.Errorf("discovery: split of %s: %w", s.Service, err)
	}
	return nil
}

func (s Split) check() error {
	for _, m := range s.Match {
		if err := m.check(); err != nil {
			return err
		}
	}
	if s.Sticky != "" {
		if err := checkHeader(s.Sticky); err != nil {
			return err
		}
	}
	var sum float64
	seen := make(map[string]bool)
	for _, share := range s.Shares {
		switch {
		case share.Version == "":
			return errors.New("a share names no version")
		case seen[share.Version]:
			return fmt.Errorf("the version %s has two shares", share.Version)
		case !(share.Percent >= 0 && share.Percent <= 100):
			return fmt.Errorf("the share %g of %s is not within 0 and 100", share.Percent, share.Version)
		}
		seen[share.Version] = true
		sum += share.Percent
	}
	if len(s.Shares) > 0 && math.Abs(sum-100) > 1e-6 {
		return fmt.Errorf("the shares add up to %g, not to 100", sum)
	}
	return nil
}

func (m SplitMatch) check() error {
	if m.Version == "" {
		return fmt.Errorf("the match of %s names no version", m.Header)
	}
	return checkHeader(m.Header)
}

// checkHeader reports whether calls can carry the key.
func checkHeader(key string) error {
	if key == "" {
		return errors.New("a key of metadata is empty")
	}
	for _, c := range []byte(key) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return fmt.Errorf("key %q of metadata: want small letters, digits, '-', '_' and '.'", key)
		}
	}
	if strings.HasPrefix(key, "grpc-") || strings.HasSuffix(key, "-bin") {
		return fmt.Errorf("key %q of metadata: those that begin with grpc- or end in -bin cannot be matched", key)
	}
	return nil
}

// splitFields is Split without methods, to be encoded field by field.
type splitFields Split

// splitRecordFields are the names that this version knows.
var splitRecordFields = []string{"record", "service", "match", "shares", "sticky", "strict"}

// Record returns the split as registries store it: a JSON object with a version number and the fields, those that an earlier
// [ParseSplit] did not know included.
func (s Split) Record() ([]byte, error) {
	return encodeRecord(struct {
		Record int `json:"record"`
		splitFields
	}{recordVersion, splitFields(s)}, s.unknown)
}

// ParseSplit reads what [Split.Record] wrote, in this version or another. It returns [ErrRecordVersion] for a record of an incompatible
// version; whoever watches then keeps the rules that it had.
func ParseSplit(data []byte) (Split, error) {
	var known struct {
		Record int `json:"record"`
		splitFields
	}
	unknown, err := decodeRecord(data, &known, splitRecordFields)
	if err != nil {
		return Split{}, err
	}
	s := Split(known.splitFields)
	s.unknown = unknown
	if err := s.Validate(); err != nil {
		return Split{}, fmt.Errorf("discovery: malformed record: %w", err)
	}
	return s, nil
}
