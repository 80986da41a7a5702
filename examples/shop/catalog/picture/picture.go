// Package picture draws products as SVG.
//
// A [Spec] names a motif and its colours; [Draw] sets it on a table in soft light. The drawings use presentation attributes only, so
// they show under the strictest content security policy.
package picture

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Spec says what to draw.
type Spec struct {
	Motif  Motif
	Ground string // backdrop, as #rrggbb
	Main   string // body of the thing
	Accent string // its label, band or light
	Text   string // on the label, for motifs that have one
}

// Motif draws one kind of thing, about 240 units wide and high, around the middle of a 400 × 400 field with the table at y = 320.
type Motif func(c *canvas, s Spec)

// Draw returns the picture as an SVG document. It fails when a colour is not of the form #rrggbb or there is no motif.
func Draw(s Spec) ([]byte, error) {
	if s.Motif == nil {
		return nil, fmt.Errorf("no motif")
	}
	for _, c := range []string{s.Ground, s.Main, s.Accent} {
		if _, err := parse(c); err != nil {
			return nil, err
		}
	}
	c := &canvas{}
	c.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400" width="400" height="400">`)
	c.defs(s)
	c.printf(`<rect width="400" height="400" fill="url(#wall)"/>`)
	c.printf(`<rect y="296" width="400" height="104" fill="url(#table)"/>`)
	c.printf(`<rect y="296" width="400" height="1.5" fill="%s" fill-opacity=".5"/>`, lighten(s.Ground, .5))
	s.Motif(c, s)
	c.printf(`</svg>`)
	return []byte(c.String()), nil
}

// Version returns a short name of a picture's content, for caches.
func Version(svg []byte) string {
	sum := sha256.Sum256(svg)
	return hex.EncodeToString(sum[:5])
}

// canvas collects SVG elements.
type canvas struct {
	strings.Builder
}

func (c *canvas) printf(format string, args ...any) {
	fmt.Fprintf(&c.Builder, format, args...)
}

// defs writes the gradients that all motifs share: the room, light from the left on round things, on flat ones, and on glass.
func (c *canvas) defs(s Spec) {
	c.printf(`<defs>`)
	c.printf(`<linearGradient id="wall" x2=".6" y2="1"><stop stop-color="%s"/><stop offset="1" stop-color="%s"/></linearGradient>`,
		lighten(s.Ground, .38), s.Ground)
	c.printf(`<linearGradient id="table" x2="0" y2="1"><stop stop-color="%s"/><stop offset="1" stop-color="%s"/></linearGradient>`,
		darken(s.Ground, .07), darken(s.Ground, .14))
	c.printf(`<linearGradient id="round"><stop stop-color="#000" stop-opacity=".22"/><stop offset=".16" stop-color="#fff" stop-opacity=".10"/>` +
		`<stop offset=".34" stop-color="#fff" stop-opacity=".26"/><stop offset=".56" stop-color="#000" stop-opacity=".02"/>` +
		`<stop offset="1" stop-color="#000" stop-opacity=".34"/></linearGradient>`)
	c.printf(`<linearGradient id="flat" x2="1" y2="1"><stop stop-color="#fff" stop-opacity=".20"/><stop offset=".5" stop-color="#fff" stop-opacity="0"/>` +
		`<stop offset="1" stop-color="#000" stop-opacity=".18"/></linearGradient>`)
	c.printf(`<radialGradient id="ball" cx=".36" cy=".30" r=".75"><stop stop-color="#fff" stop-opacity=".55"/><stop offset=".35" stop-color="#fff" stop-opacity=".08"/>` +
		`<stop offset="1" stop-color="#000" stop-opacity=".34"/></radialGradient>`)
	c.printf(`<radialGradient id="glow"><stop stop-color="#ffd98a" stop-opacity=".85"/><stop offset=".4" stop-color="#ffc964" stop-opacity=".30"/>` +
		`<stop offset="1" stop-color="#ffc964" stop-opacity="0"/></radialGradient>`)
	c.printf(`<radialGradient id="shadow"><stop stop-color="%[1]s" stop-opacity=".55"/><stop offset=".6" stop-color="%[1]s" stop-opacity=".22"/>`+
		`<stop offset="1" stop-color="%[1]s" stop-opacity="0"/></radialGradient>`, darken(s.Ground, .72))
	c.printf(`</defs>`)
}

// shadow lies on the table under a thing that stands at (x, y).
func (c *canvas) shadow(x, y, rx, ry float64) {
	c.printf(`<ellipse cx="%g" cy="%g" rx="%g" ry="%g" fill="url(#shadow)"/>`, x+10, y, rx, ry)
}

// rounded draws a shape and the light that falls on a round thing over it. The shape is an element without its end, such as
// `<rect x="1" …`; light is "round", "flat" or "ball".
func (c *canvas) lit(light, colour, shape string) {
	c.printf(`%s fill="%s"/>%s fill="url(#%s)"/>`, shape, colour, shape, light)
}

func (c *canvas) path(colour, d string)           { c.printf(`<path d="%s" fill="%s"/>`, d, colour) }
func (c *canvas) litPath(light, colour, d string) { c.lit(light, colour, `<path d="`+d+`"`) }

func (c *canvas) stroke(colour string, width float64, d string) {
	c.printf(`<path d="%s" fill="none" stroke="%s" stroke-width="%g" stroke-linecap="round" stroke-linejoin="round"/>`, d, colour, width)
}

func (c *canvas) rect(colour string, x, y, w, h, r float64) {
	c.printf(`<rect x="%g" y="%g" width="%g" height="%g" rx="%g" fill="%s"/>`, x, y, w, h, r, colour)
}

func (c *canvas) litRect(light, colour string, x, y, w, h, r float64) {
	c.lit(light, colour, fmt.Sprintf(`<rect x="%g" y="%g" width="%g" height="%g" rx="%g"`, x, y, w, h, r))
}

func (c *canvas) circle(colour string, x, y, r float64) {
	c.printf(`<circle cx="%g" cy="%g" r="%g" fill="%s"/>`, x, y, r, colour)
}

func (c *canvas) ellipse(colour string, x, y, rx, ry float64) {
	c.printf(`<ellipse cx="%g" cy="%g" rx="%g" ry="%g" fill="%s"/>`, x, y, rx, ry, colour)
}

func (c *canvas) litEllipse(light, colour string, x, y, rx, ry float64) {
	c.lit(light, colour, fmt.Sprintf(`<ellipse cx="%g" cy="%g" rx="%g" ry="%g"`, x, y, rx, ry))
}

// text sets a line in the middle of a label, never wider than the label.
func (c *canvas) text(colour string, x, y, size, width float64, s string) {
	if s == "" {
		return
	}
	// Letter-spaced capitals are about 0.78 of their size wide each.
	size = min(size, width/(0.80*float64(len([]rune(s)))))
	c.printf(`<text x="%g" y="%g" font-family="Georgia, 'Times New Roman', serif" font-size="%.1f" letter-spacing="%.2f" text-anchor="middle" fill="%s">%s</text>`,
		x+size*.04, y+size*.34, size, size*.08, colour, escape.Replace(s))
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// cog draws the house's mark, a small ship under sail, around (x, y).
func (c *canvas) cog(colour string, x, y, scale float64) {
	c.printf(`<g transform="translate(%g %g) scale(%g)" fill="%s"><path d="M-15 5c3 8 7 10 15 10s12-2 15-10z"/><path d="M-1-17h2V4h-2z"/><path d="M-11-12Q0-8 11-12L9 2Q0 5-9 2z"/><path d="M1-17l8 2.5-8 2.5z"/></g>`,
		x, y, scale, colour)
}
