package call

import (
	"strings"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
)

// Target is what to call, as the user names it: SERVICE/Method, SERVICE/pkg.Contract/Method, or, where the address is given, without
// SERVICE.
type Target struct {
	Service  string // "" when the address is given
	Contract string // full or short name; "" for the service's only one
	Method   string // "" lists the methods
}

// ParseTarget reads a Target. With direct, the address is known and the service may be left out: pkg.Contract/Method.
func ParseTarget(s string, direct bool) (Target, error) {
	parts := strings.Split(strings.TrimPrefix(s, "/"), "/")
	for i, p := range parts {
		if p == "" && !(i == len(parts)-1 && i > 0) { // catalog/ is catalog
			return Target{}, ui.Usagef("%q names no method", s).Then("write SERVICE/METHOD, such as greeter/Hello")
		}
	}
	if len(parts) > 1 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	first := parts[0]
	if direct && (len(parts) < 3 && (strings.Contains(first, ".") || first[0] >= 'A' && first[0] <= 'Z')) {
		parts = append([]string{""}, parts...)
	}
	t := Target{Service: parts[0]}
	switch len(parts) {
	case 1:
	case 2:
		t.Method = parts[1]
		if strings.Contains(t.Method, ".") { // a contract, and no method yet
			t.Contract, t.Method = t.Method, ""
		}
	case 3:
		t.Contract, t.Method = parts[1], parts[2]
	default:
		return Target{}, ui.Usagef("%q has too many slashes", s).Then("write SERVICE/METHOD or SERVICE/pkg.Contract/METHOD")
	}
	if direct && t.Service == "" && t.Contract == "" && len(parts) == 2 && strings.Contains(parts[1], ".") {
		t.Contract, t.Method = parts[1], ""
	}
	return t, nil
}
