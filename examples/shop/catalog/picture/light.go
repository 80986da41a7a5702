package picture

// Things of wax and light.

func flame(c *canvas, x, y, scale float64) {
	c.printf(`<circle cx="%g" cy="%g" r="%g" fill="url(#glow)"/>`, x, y-18*scale, 88*scale)
	c.printf(`<g transform="translate(%g %g) scale(%g)"><path d="M0 0q-11-4-11-17 0-12 11-29 11 17 11 29Q11-4 0 0z" fill="#f6a531"/><path d="M0-2q-6-3-6-12 0-8 6-17 6 9 6 17 0 9-6 12z" fill="#ffe9a8"/><path d="M0 6v-12" stroke="#4a3626" stroke-width="2.4" stroke-linecap="round"/></g>`, x, y, scale)
}

// Tapers is a pair of dipped candles, hanging by their wick from a peg.
func Tapers(c *canvas, s Spec) {
	c.litRect("flat", "#6f5334", 70, 74, 260, 10, 5)
	c.stroke("#efe6d0", 2.5, "M166 132q4-60 34-60t34 60")
	for _, x := range []float64{166, 234} {
		c.shadow(x, 328, 26, 6)
		c.litPath("round", s.Main, sprintf("M%g 128q6-6 12 0l8 176q-2 12-14 14-12-2-14-14z", x-6))
		c.printf(`<path d="M%g 140l-5 150" stroke="#fff" stroke-opacity=".35" stroke-width="3" stroke-linecap="round"/>`, x-1)
		c.path(s.Accent, sprintf("M%g 312q8 10 12 4l-4 10q-4 4-5-2z", x-6))
	}
}

// Pillar is a thick candle, lit.
func Pillar(c *canvas, s Spec) {
	flame(c, 200, 120, 1.3)
	c.shadow(200, 326, 106, 18)
	c.litPath("round", s.Main, "M132 150v162q0 16 68 16t68-16V150z")
	c.ellipse(s.Accent, 200, 150, 68, 17)
	c.ellipse(lighten(s.Accent, .35), 200, 153, 52, 11)
	c.stroke("#4a3626", 3, "M200 152v-30")
	c.path(s.Accent, "M132 150q2 40 8 44t8-12q4-10 10-4 4 40 10 26 6-16-2-44z")
	flame(c, 200, 122, 1.1)
}

// Lantern is a storm lantern.
func Lantern(c *canvas, s Spec) {
	c.shadow(200, 328, 92, 15)
	c.printf(`<path d="M136 150q0-92 64-92t64 92" fill="none" stroke="%s" stroke-width="5"/>`, darken(s.Main, .2))
	c.litPath("round", s.Main, "M172 86h56l-4 22h-48z")
	c.litPath("round", s.Main, "M150 116q50-24 100 0l-8 20h-84z")
	c.printf(`<path d="M158 138q-24 60 0 122h84q24-62 0-122z" fill="#fff6dc" fill-opacity=".38" stroke="#fff" stroke-opacity=".7" stroke-width="2"/>`)
	flame(c, 200, 236, 1.05)
	c.printf(`<path d="M164 152q-12 46 0 94" stroke="#fff" stroke-opacity=".8" stroke-width="5" fill="none" stroke-linecap="round"/>`)
	c.printf(`<g fill="none" stroke="%s" stroke-width="6"><path d="M146 132q-34 66-4 136M254 132q34 66 4 136"/></g>`, darken(s.Main, .1))
	c.stroke(darken(s.Main, .1), 3, "M146 200h108")
	c.litPath("round", s.Main, "M152 258h96l6 16H146z")
	c.litPath("round", s.Main, "M140 274h120q12 20 14 44-4 10-74 10t-74-10q2-24 14-44z")
	c.litEllipse("ball", s.Accent, 268, 290, 8, 8)
}

// Chamberstick is a brass candle holder with a ring for the thumb.
func Chamberstick(c *canvas, s Spec) {
	flame(c, 196, 132, 1)
	c.shadow(200, 326, 132, 16)
	c.printf(`<circle cx="306" cy="288" r="21" fill="none" stroke="%s" stroke-width="8"/>`, darken(s.Main, .15))
	c.litPath("round", darken(s.Main, .08), "M84 296q0 32 112 32t112-32z")
	c.litEllipse("flat", s.Main, 196, 294, 112, 22)
	c.ellipse(darken(s.Main, .18), 196, 297, 96, 16)
	c.litPath("round", s.Accent, "M174 150q22-8 44 0v104h-44z")
	c.ellipse(lighten(s.Accent, .4), 196, 150, 22, 5)
	c.path(lighten(s.Accent, .2), "M174 150q1 30 6 32t6-14q2-10 8-14z")
	c.litPath("round", s.Main, "M164 240q32 10 64 0l6 16q-38 10-76 0z")
	c.litPath("round", s.Main, "M168 256q28 8 56 0l-6 40q-22 6-44 0z")
}

// Seal is a brass seal, sticks of wax and a sealed letter.
func Seal(c *canvas, s Spec) {
	c.shadow(200, 324, 158, 16)
	c.printf(`<g transform="rotate(-7 190 270)">`)
	c.litRect("flat", "#f3ead6", 76, 214, 204, 112, 3)
	c.stroke("#cdbf9f", 1.5, "M76 216l102 62 102-62")
	c.printf(`</g>`)
	c.path(darken(s.Main, .1), "M146 272q-6-24 20-28 20-8 36 4 22 2 22 24 6 20-16 28-16 12-36 4-26-4-26-32z")
	c.circle(s.Main, 184, 274, 28)
	c.printf(`<circle cx="184" cy="274" r="22" fill="none" stroke="%s" stroke-width="1.5"/>`, darken(s.Main, .4))
	c.cog(darken(s.Main, .42), 184, 276, 1.05)
	c.printf(`<g transform="rotate(14 276 220)">`)
	c.litPath("round", "#6c4226", "M254 104q-8-30 22-30t22 30q-4 30-8 66h-28q-4-36-8-66z")
	c.litPath("round", s.Accent, "M258 170h36v16h8v24h-52v-24h8z")
	c.printf(`</g>`)
	for i, dy := range []float64{0, 16, 32} {
		c.printf(`<g transform="translate(%d %g) rotate(-38 90 170)">`, i*9, dy)
		c.litRect("flat", darken(s.Main, float64(i)*.12), 40, 160, 116, 13, 3)
		c.printf(`</g>`)
	}
}

// Soap is a bar of soap with a stamp, on a board.
func Soap(c *canvas, s Spec) {
	c.shadow(200, 326, 150, 15)
	c.litRect("flat", "#b08a5c", 70, 302, 260, 22, 5)
	c.litPath("flat", darken(s.Main, .25), "M96 232v56q0 16 16 16h176q16 0 16-16v-56z")
	c.litPath("flat", s.Main, "M118 196h164q10 0 14 8l10 24q2 10-10 12H104q-12-2-10-12l10-24q4-8 14-8z")
	c.litPath("round", s.Accent, "M156 196h88l6 44v64H150v-64z")
	c.printf(`<path d="M150 240h100" stroke="%s" stroke-opacity=".4"/>`, s.Main)
	c.cog(s.Main, 200, 222, .9)
	c.text(s.Main, 200, 272, 26, 84, s.Text)
	c.printf(`<g fill="#fff" fill-opacity=".55" stroke="#fff" stroke-opacity=".8"><circle cx="92" cy="176" r="14"/><circle cx="116" cy="150" r="8"/><circle cx="296" cy="166" r="10"/><circle cx="314" cy="190" r="5"/></g>`)
}
