package picture

import (
	"fmt"
	"strconv"
)

type rgb [3]float64

func parse(s string) (rgb, error) {
	if len(s) != 7 || s[0] != '#' {
		return rgb{}, fmt.Errorf("colour %q is not of the form #rrggbb", s)
	}
	n, err := strconv.ParseUint(s[1:], 16, 32)
	if err != nil {
		return rgb{}, fmt.Errorf("colour %q is not of the form #rrggbb", s)
	}
	return rgb{float64(n >> 16), float64(n >> 8 & 0xff), float64(n & 0xff)}, nil
}

// mix moves a colour towards another: 0 is a, 1 is b. Draw has checked both.
func mix(a, b string, t float64) string {
	x, _ := parse(a)
	y, _ := parse(b)
	var out [3]int
	for i := range out {
		out[i] = int(x[i] + (y[i]-x[i])*t + .5)
	}
	return fmt.Sprintf("#%02x%02x%02x", out[0], out[1], out[2])
}

func lighten(c string, t float64) string { return mix(c, "#ffffff", t) }
func darken(c string, t float64) string  { return mix(c, "#0c1016", t) }

// ink returns the darker or the lighter of two inks, whichever can be read on the colour.
func ink(on string) string {
	c, _ := parse(on)
	if .299*c[0]+.587*c[1]+.114*c[2] > 140 {
		return "#2a2622"
	}
	return "#f7efdd"
}
