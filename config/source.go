package config

import "fmt"

// Kind is a layer that values come from. A later layer overrides an earlier one.
type Kind int

// The layers, from the weakest to the strongest.
const (
	Default Kind = iota // the struct itself: what it held before, or its default tag
	File                // the YAML file
	Env                 // an environment variable
	Flag                // a setting on the command line
)

// Source tells where a value came from. The zero Source is a default.
type Source struct {
	Kind   Kind   // which layer
	Name   string // path of the file, name of the variable, or of the flag; empty for a default
	Line   int    // in the file, counted from 1; 0 elsewhere
	Column int    // in the line, counted from 1; 0 elsewhere
}

// String returns "default", "shop.yaml:12:3", "env CART_MAX_ITEMS" or "flag cart.max-items".
func (s Source) String() string {
	switch s.Kind {
	case File:
		return fmt.Sprintf("%s:%d:%d", s.Name, s.Line, s.Column)
	case Env:
		return "env " + s.Name
	case Flag:
		return "flag " + s.Name
	}
	return "default"
}

// Value is one setting: what it is now and where that came from.
type Value struct {
	Path   string // such as cart.db.max-conns
	Text   string // as fmt prints it; "[secret]" for a [Secret]
	Source Source // where the value came from
	Desc   string // from the field's desc tag
	Env    string // name of the variable that sets it
}
