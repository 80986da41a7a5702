package identity

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/internal/everywhere"
	"github.com/hanse-go/hanse/internal/nearest"
)

// Rule lets some callers call some methods of a service:
//
//	identity.Rule{Callers: []string{"checkout"}, Methods: []string{"/payment.v1.Payment/*"}}
//
// A call is let in when one rule of the service has both its caller and its method. Rules never refuse.
type Rule struct {
	// Callers names who may call:
	//
	//   - the name of a service of the same system: "checkout"
	//   - a SPIFFE ID: "spiffe://shop/checkout"
	//   - all IDs that begin alike, by a * at the end: "spiffe://shop/*" is the whole system shop, "spiffe://prod/ns/billing/*" a part
	//   - "*": everyone who can connect, known or not
	//
	// It must not be empty.
	Callers []string `json:"callers"`

	// Methods names what they may call, with or without the first slash:
	//
	//   - a method: "/payment.v1.Payment/Charge"
	//   - all methods that begin alike, by a * at the end: "/payment.v1.Payment/*", "/payment.v1.Payment/Get*", "/payment.v1.*"
	//   - "*": all
	//
	// Each must be a method that the service has, or the beginning of one. Empty: all.
	Methods []string `json:"methods,omitempty"`
}

// String returns the rule as log lines have it.
func (r Rule) String() string {
	methods := "*"
	if len(r.Methods) > 0 {
		methods = strings.Join(r.Methods, " ")
	}
	return strings.Join(r.Callers, " ") + " → " + methods
}

// callers are the callers of one rule or, put together, of all rules for a method.
type callers struct {
	everyone bool
	exact    map[ID]bool
	prefixes []ID // the service is the beginning of a path
}

func (c *callers) has(id ID) bool {
	if c.everyone || c.exact[id] {
		return true
	}
	for i := range c.prefixes {
		if p := &c.prefixes[i]; p.System == id.System && strings.HasPrefix(id.Service, p.Service) && id.Service != "" {
			return true
		}
	}
	return false
}

func (c *callers) add(other callers) {
	c.everyone = c.everyone || other.everyone
	for id := range other.exact {
		if c.exact == nil {
			c.exact = make(map[ID]bool)
		}
		c.exact[id] = true
	}
	for _, p := range other.prefixes {
		if !slices.Contains(c.prefixes, p) {
			c.prefixes = append(c.prefixes, p)
		}
	}
}

var serviceName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// parse reads who a rule's caller is. serviceID returns the ID of a service; nil when that is not known.
func (c *callers) parse(caller string, serviceID func(service string) ID) error {
	switch stem, open := strings.CutSuffix(caller, "*"); {
	case caller == "":
		return errors.New("it is empty: name a service, a SPIFFE ID, or * for everyone")
	case caller == "*":
		c.everyone = true
		return nil
	case strings.Contains(stem, "*"):
		return errors.New("a * can only be its end")
	case strings.HasPrefix(caller, scheme+"://") && open:
		id, err := ParseID(stem + "x") // any letter: what stands before it must be right
		if err != nil {
			return fmt.Errorf("what stands before the * must begin with spiffe://SYSTEM/: %w", errors.Unwrap(err))
		}
		id.Service = strings.TrimSuffix(id.Service, "x")
		c.prefixes = append(c.prefixes, id)
		return nil
	case strings.HasPrefix(caller, scheme+"://"):
		id, err := ParseID(caller)
		if err != nil {
			return errors.Unwrap(err)
		}
		c.exact[id] = true
		return nil
	case open:
		return errors.New("a * can only stand alone, or at the end of a SPIFFE ID: spiffe://SYSTEM/*")
	case !serviceName.MatchString(caller):
		return errors.New("it is no name of a service (1 to 63 of a-z, 0-9 and '-', beginning with a letter) and no SPIFFE ID (spiffe://SYSTEM/SERVICE)" + similarName(caller))
	case serviceID == nil:
		return fmt.Errorf("the system of the service %s is not known here: write spiffe://SYSTEM/%[1]s", caller)
	default:
		c.exact[serviceID(caller)] = true
		return nil
	}
}

// similarName suggests what would be a name.
func similarName(s string) string {
	name := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(s)), "_", "-")
	if name == s || !serviceName.MatchString(name) {
		return ""
	}
	return fmt.Sprintf(": did you mean %q?", name)
}

// methodPattern reads a rule's method: a full method with its first slash, or the beginning of some.
func methodPattern(s string) (pattern string, open bool, err error) {
	pattern, open = strings.CutSuffix(s, "*")
	switch {
	case s == "":
		return "", false, errors.New("it is empty: write /package.Service/Method, or * for all")
	case strings.Contains(pattern, "*"):
		return "", false, errors.New("a * can only be its end")
	case s == "*":
		return "", true, nil
	case !strings.HasPrefix(pattern, "/"):
		pattern = "/" + pattern
	}
	return pattern, open, nil
}

// matching returns the methods that a pattern means. It is a mistake when there are none.
func matching(s string, methods []string) ([]string, error) {
	pattern, open, err := methodPattern(s)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, m := range methods {
		if m == pattern || open && strings.HasPrefix(m, pattern) {
			found = append(found, m)
		}
	}
	if len(found) > 0 || s == "*" {
		return found, nil
	}
	for _, contract := range everywhere.Contracts {
		if strings.HasPrefix(pattern, "/"+contract+"/") {
			return nil, errors.New("rules do not apply to health checks and reflection, which are open to everyone who can connect")
		}
	}
	return nil, errors.New("the service has no such method: " + similarMethod(s, methods))
}

// similarMethod says what was probably meant by a method that there is not.
func similarMethod(s string, methods []string) string {
	var contracts []string
	for _, m := range methods {
		contracts = append(contracts, m[:strings.LastIndexByte(m, '/')+1]+"*")
	}
	slices.Sort(contracts)
	contracts = slices.Compact(contracts)
	as := "/" + strings.TrimPrefix(s, "/")
	if slices.Contains(contracts, as+"/*") { // the contract alone
		return fmt.Sprintf("did you mean %q?", as+"/*")
	}
	if near := nearest.Name(as, append(contracts, methods...)); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(methods) == 0 {
		return "it has none"
	}
	return "there are " + strings.Join(methods, ", ")
}
