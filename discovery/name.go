package discovery

import "fmt"

// CheckName reports whether a service can have the name: [a-z]([a-z0-9-]{0,61}[a-z0-9])?, for names become authorities, host names,
// subjects and certificate names.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("discovery: service without a name")
	case len(name) > 63:
		return fmt.Errorf("discovery: service name %q has %d bytes, at most 63 are allowed", name, len(name))
	}
	for n, c := range []byte(name) {
		letter := 'a' <= c && c <= 'z'
		other := '0' <= c && c <= '9' || c == '-' && n < len(name)-1
		if !letter && (n == 0 || !other) {
			return fmt.Errorf("discovery: service name %q: want lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen", name)
		}
	}
	return nil
}

// checkWatch is CheckName for a name that is watched: the empty one stands for all.
func checkWatch(name string) error {
	if name == "" {
		return nil
	}
	return CheckName(name)
}
