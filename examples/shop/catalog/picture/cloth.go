package picture

import "fmt"

// Things of wool and linen.

func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// Blanket is a folded blanket with stripes and a fringe.
func Blanket(c *canvas, s Spec) {
	c.shadow(200, 326, 158, 18)
	for i := range 3 {
		y := 268 - float64(i)*52
		shade := float64(2-i) * .05
		c.litPath("round", darken(s.Main, shade), sprintf("M66 %gq-10 26 0 52 134 10 268 0 12-26 0-52-134 10-268 0z", y))
		for _, x := range []float64{96, 112, 128} {
			c.path(darken(s.Accent, shade), sprintf("M%g %gq-6 26 0 51h9q-6-26 0-51z", x, y+2))
		}
		c.stroke(darken(s.Main, .22), 1.5, sprintf("M66 %gq134 10 268 0", y+52))
	}
	c.litPath("flat", lighten(s.Main, .08), "M66 164q40-26 70-28h190q14 10 8 28-134 10-268 0z")
	c.path(s.Accent, "M98 165l38-29h10l-38 30zM114 167l38-31h10l-38 32zM130 168l38-32h10l-38 32z")
	for x := 316.0; x < 338; x += 5 {
		c.stroke(darken(s.Main, .12), 2.5, sprintf("M%g 318q2 6-1 12", x-4))
	}
	for x := 72.0; x < 318; x += 7 {
		c.stroke(darken(s.Main, .1), 2, sprintf("M%g 320q2 5 0 11", x))
	}
}

// Jumper is a knitted jumper with a pattern on its yoke.
func Jumper(c *canvas, s Spec) {
	c.shadow(200, 328, 120, 12)
	c.litPath("flat", darken(s.Main, .10), "M128 100q-40 12-54 60-16 60-22 130 18 10 40 6 8-60 34-108zM272 100q40 12 54 60 16 60 22 130-18 10-40 6-8-60-34-108z")
	c.litPath("flat", s.Main, "M160 84q40 20 80 0l34 16q14 8 14 40l-4 176q-84 14-168 0l-4-176q0-32 14-40z")
	c.litPath("round", darken(s.Main, .2), "M116 304q84 14 168 0v18q-84 14-168 0z")
	c.path(darken(s.Main, .2), "M54 276q18 8 38 6l-2 16q-20 4-38-6zM346 276q-18 8-38 6l2 16q20 4 38-6z")
	c.litPath("flat", darken(s.Main, .16), "M160 84q2-14 8-20 32 12 64 0 6 6 8 20-40 22-80 0z")
	// The yoke: two rows of lozenges between bands.
	c.stroke(s.Accent, 3, "M118 140q82 18 164 0M116 196q84 16 168 0")
	for i := range 9 {
		x := 126 + float64(i)*18.5
		y := 168.0 + 5 - (float64(i)-4)*(float64(i)-4)*.3
		c.path(s.Accent, sprintf("M%g %gl7-14 7 14-7 14z", x-7, y))
		c.circle(s.Accent, x+9, y-9, 1.8)
		c.circle(s.Accent, x+9, y+9, 1.8)
	}
	c.printf(`<g stroke="#fff" stroke-opacity=".10" stroke-width="1.5" fill="none">`)
	for x := 130; x < 280; x += 12 {
		c.printf(`<path d="M%d 208v96"/>`, x)
	}
	c.printf(`</g>`)
}

// Cap is a ribbed cap with a rolled brim.
func Cap(c *canvas, s Spec) {
	c.shadow(200, 322, 122, 18)
	c.litPath("ball", s.Main, "M102 258q-10-156 98-158 108 2 98 158-98 24-196 0z")
	c.printf(`<g fill="none" stroke="%s" stroke-opacity=".55" stroke-width="3">`, s.Accent)
	for i := -5; i <= 5; i++ {
		c.printf(`<path d="M%d 264Q%d 160 %d 102"/>`, 200+i*18, 200+i*15, 200+i*2)
	}
	c.printf(`</g>`)
	c.litPath("round", darken(s.Main, .12), "M92 248q108 26 216 0 8 4 8 12v36q0 8-8 12-108 24-216 0-8-4-8-12v-36q0-8 8-12z")
	c.printf(`<g stroke="%s" stroke-width="3" stroke-opacity=".6">`, s.Accent)
	for x := 96; x <= 304; x += 13 {
		d := (x - 200) * (x - 200) / 1100
		c.printf(`<path d="M%d %dv40"/>`, x, 268-d)
	}
	c.printf(`</g>`)
}

// Scarf is a folded scarf whose end hangs down.
func Scarf(c *canvas, s Spec) {
	c.shadow(200, 326, 132, 16)
	fold := func(x, w, top, bottom float64, colour string) {
		c.litPath("flat", colour, sprintf("M%g %gh%gV%gh%gz", x, top, w, bottom, -w))
		c.printf(`<g stroke="%s" stroke-opacity=".75" stroke-width="2.4" fill="none">`, s.Accent)
		for y := top + 10; y < bottom-6; y += 11 {
			c.printf(`<path d="M%g %gl%g 9 %g-9 %g 9 %g-9"/>`, x+3, y-5, (w-6)/4, (w-6)/4, (w-6)/4, (w-6)/4)
		}
		c.printf(`</g>`)
		for fx := x + 3; fx < x+w; fx += 6 {
			c.stroke(colour, 2.6, sprintf("M%g %gq2 10-1 20", fx, bottom))
		}
	}
	c.litRect("flat", "#8a6a45", 60, 84, 280, 12, 6)
	fold(206, 84, 96, 282, darken(s.Main, .14))
	fold(122, 96, 96, 300, s.Main)
	c.litPath("round", lighten(s.Main, .06), "M122 100q-4-20 14-20h142q16 2 12 20z")
}

// Socks is a pair of socks, one on the other.
func Socks(c *canvas, s Spec) {
	c.shadow(206, 328, 126, 14)
	one := func(dx, dy float64, colour string) {
		c.printf(`<g transform="translate(%g %g)">`, dx, dy)
		c.litPath("flat", colour, "M148 84h74l-2 116q2 20 26 38l48 34q22 18 8 40-8 14-32 12-58-4-100-42-26-22-24-60z")
		c.path(s.Accent, "M148 84h74v30q-37 8-74 0z")
		c.path(s.Accent, "M146 212q-4 42 26 64 8 6 16 12 18-24 4-52-16-26-46-24z")
		c.path(s.Accent, "M300 312q12-20-2-36-6-6-14-10-22 18-14 58 22 0 30-12z")
		c.printf(`<g stroke="#000" stroke-opacity=".09" stroke-width="2"><path d="M158 118v88M172 118v90M186 118v104M200 118v90M212 118v90"/></g>`)
		c.stroke("#c8553d", 2, "M148 120q37 8 74 0")
		c.printf(`</g>`)
	}
	one(36, -12, darken(s.Main, .12))
	one(-28, 0, s.Main)
}

// Towel is a pair of tea towels that hang from a rail.
func Towel(c *canvas, s Spec) {
	c.litRect("flat", "#7d6143", 56, 82, 288, 10, 5)
	hang := func(x, w, bottom float64, colour string) {
		c.litPath("round", colour, sprintf("M%g 80h%gV%gq%g 8 %g 0z", x, w, bottom, -w/2, -w))
		for _, y := range []float64{bottom - 54, bottom - 40, bottom - 32} {
			h := 4.0
			if y == bottom-54 {
				h = 9
			}
			c.path(s.Accent, sprintf("M%g %gq%g 6 %g 0v%gq%g 6 %g 0z", x, y, w/2, w, h, -w/2, -w))
		}
		c.path(s.Accent, sprintf("M%g 80h6V%gh-6z", x+w*.14, bottom))
		c.stroke(darken(s.Main, .16), 1.2, sprintf("M%g 96V%gM%g 96V%g", x+w*.42, bottom-60, x+w*.7, bottom-64))
	}
	hang(204, 108, 262, darken(s.Main, .08))
	hang(92, 128, 312, s.Main)
}

// Tote is a bag of sailcloth with rope handles.
func Tote(c *canvas, s Spec) {
	c.shadow(200, 326, 132, 18)
	c.printf(`<g fill="none" stroke-linecap="round"><path d="M150 184q4-104 50-104t50 104" stroke="%[1]s" stroke-width="11"/><path d="M150 184q4-104 50-104t50 104" stroke="%[2]s" stroke-width="7" stroke-dasharray="5 5"/></g>`, darken("#c2a066", .25), "#d8bb84")
	c.litPath("flat", s.Main, "M92 166h216l-12 152q-2 10-12 10H116q-10 0-12-10z")
	c.litPath("flat", s.Accent, "M101 282h198l-3 36q-2 10-12 10H116q-10 0-12-10z")
	c.path(darken(s.Main, .2), "M92 166h216l-1 12H93z")
	c.printf(`<g stroke="%s" stroke-dasharray="5 4" stroke-width="1.4" fill="none"><path d="M94 184h212M102 278h196"/></g>`, lighten(s.Main, .45))
	for _, x := range []float64{150, 250} {
		c.circle(darken(s.Accent, .1), x, 188, 9)
		c.circle("#c9a34c", x, 188, 6)
		c.circle(s.Accent, x, 188, 2.5)
	}
	c.cog(s.Accent, 200, 232, 2)
}

// RopeMat is a mat plaited of rope.
func RopeMat(c *canvas, s Spec) {
	c.shadow(200, 318, 160, 16)
	rope := func(d string) {
		c.stroke(darken(s.Main, .45), 19, d)
		c.stroke(s.Main, 15, d)
		c.printf(`<path d="%s" fill="none" stroke="%s" stroke-width="15" stroke-dasharray="2.5 6" stroke-opacity=".75"/>`, d, s.Accent)
	}
	for _, dx := range []float64{0, 68, 136} {
		rope(sprintf("M%g 210c0-70 62-70 62-6s-62 70-62 6z", 100+dx))
	}
	rope("M76 172c40-56 66 92 124 92s84-148 124-92-10 92-30 104-150 12-188 0-60-60-30-104z")
	rope("M84 236c50 56 72-92 116-92s66 148 116 92")
}
