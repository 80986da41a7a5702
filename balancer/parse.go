package balancer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/internal/nearest"
)

// pickerNames are those that ParsePolicy knows.
var pickerNames = []string{"p2c", "random", "round-robin", "weighted", "hash"}

// ParsePolicy reads a policy as a flag has it: the name of a picker and settings, separated by commas, each of which may be left away.
//
//	p2c                        the default
//	round-robin                also random and weighted
//	hash:x-user                consistent hash of the metadata's value for x-user
//	hash:x-user,bound=2        and up to twice its share of the load for an instance; bound=off for no bound
//	version=v2,label.tier=gold instances of that version and with that label alone
//	weighted,warm-up=30s       new instances get less at first
//	locality=off               instances far away are as good as near ones
func ParsePolicy(text string) (Policy, error) {
	var p Policy
	var hash *ConsistentHash
	for n, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		key, value, ok := strings.Cut(part, "=")
		var err error
		if n == 0 && !ok {
			hash, err = p.parsePicker(part)
		} else {
			err = p.parseSetting(key, value, hash)
		}
		if err != nil {
			return Policy{}, fmt.Errorf("balancer: %q: %w", text, err)
		}
	}
	if hash != nil {
		p.Picker = func() Picker { return &ConsistentHash{Key: hash.Key, Bound: hash.Bound} }
	}
	return p, nil
}

func (p *Policy) parsePicker(text string) (*ConsistentHash, error) {
	name, key, hasKey := strings.Cut(text, ":")
	if hasKey && name != "hash" {
		return nil, fmt.Errorf("only hash has a key: write %s", name)
	}
	switch name {
	case "p2c":
	case "random":
		p.Picker = func() Picker { return new(Random) }
	case "round-robin":
		p.Picker = func() Picker { return new(RoundRobin) }
	case "weighted":
		p.Picker = func() Picker { return new(Weighted) }
	case "hash":
		if key == "" {
			return nil, fmt.Errorf("by which key of the metadata? Write hash:KEY, such as hash:x-user")
		}
		return &ConsistentHash{Key: strings.ToLower(key)}, nil
	default:
		return nil, unknown("picker", name, pickerNames)
	}
	return nil, nil
}

// settings are those of a policy's text.
var settings = []string{"version", "label.KEY", "warm-up", "locality", "bound"}

// IsSetting reports whether the text of a policy may begin with that name and an equals sign.
func IsSetting(name string) bool {
	return slices.Contains(settings, name) || strings.HasPrefix(name, "label.")
}

func (p *Policy) parseSetting(key, value string, hash *ConsistentHash) error {
	if label, ok := strings.CutPrefix(key, "label."); ok && label != "" {
		if p.Filter.Labels == nil {
			p.Filter.Labels = make(map[string]string)
		}
		p.Filter.Labels[label] = value
		return nil
	}
	switch key {
	case "version":
		if value == "" {
			return fmt.Errorf("version= names no version")
		}
		p.Filter.Version = value
	case "warm-up":
		d, err := time.ParseDuration(value)
		if err != nil || d < 0 {
			return fmt.Errorf("warm-up=%s: want a duration such as 30s", value)
		}
		p.WarmUp = d
	case "locality":
		if value != "on" && value != "off" {
			return fmt.Errorf("locality=%s: want on or off", value)
		}
		p.NoLocality = value == "off"
	case "bound":
		if hash == nil {
			return fmt.Errorf("bound is for hash:KEY alone")
		}
		if value == "off" {
			hash.Bound = -1
			return nil
		}
		if n, err := fmt.Sscan(value, &hash.Bound); n != 1 || err != nil || !(hash.Bound >= 1) {
			return fmt.Errorf("bound=%s: want a number of at least 1, or off", value)
		}
	default:
		return unknown("setting", key, settings)
	}
	return nil
}

func unknown(what, name string, known []string) error {
	hint := ""
	if near := nearest.Name(name, known); near != "" {
		hint = fmt.Sprintf(", did you mean %s?", near)
	}
	return fmt.Errorf("unknown %s %q%s (known are %s)", what, name, hint, strings.Join(known, ", "))
}
