package picture

// Things of amber and silver. They hang or lie on a cushion, for on a table they would be lost.

// bust is the stand that necklaces hang on.
func bust(c *canvas, s Spec) {
	stand := mix(s.Ground, "#3b3340", .72)
	c.shadow(200, 326, 128, 16)
	c.litPath("round", stand, "M178 66q22-8 44 0 2 44 16 60 58 16 72 56 6 60-34 138-38 10-76 10t-76-10q-40-78-34-138 14-40 72-56 14-16 16-60z")
}

// cushion is a cloth for small things.
func cushion(c *canvas, s Spec) {
	c.shadow(200, 322, 160, 18)
	c.litPath("flat", mix(s.Ground, "#3b3340", .70), "M66 292q10-50 34-60 100-16 200 0 24 10 34 60 4 24-20 28-114 14-228 0-24-4-20-28z")
	c.litPath("flat", mix(s.Ground, "#3b3340", .58), "M84 248q20-22 40-24 76-10 152 0 20 2 40 24-116 30-232 0z")
}

// drop draws a piece of amber with light in it.
func drop(c *canvas, colour, d string) {
	c.path(darken(colour, .30), d)
	c.printf(`<path d="%s" fill="%s" fill-opacity=".92"/>`, d, colour)
	c.printf(`<path d="%s" fill="url(#ball)"/>`, d)
}

// Pendant is a drop of amber on a chain.
func Pendant(c *canvas, s Spec) {
	bust(c, s)
	c.printf(`<path d="M166 116q-6 70 34 110 40-40 34-110" fill="none" stroke="%s" stroke-width="3" stroke-dasharray="3 1.6"/>`, s.Accent)
	c.litPath("round", s.Accent, "M190 216h20l5 16h-30z")
	drop(c, s.Main, "M184 230h32q18 32 8 54-8 18-24 18t-24-18q-10-22 8-54z")
	c.printf(`<path d="M186 244q-10 22-4 38" stroke="#fff" stroke-opacity=".75" stroke-width="4" fill="none" stroke-linecap="round"/>`)
	c.printf(`<g fill="#fff" fill-opacity=".35"><circle cx="206" cy="262" r="2.5"/><circle cx="212" cy="274" r="1.6"/><circle cx="200" cy="284" r="2"/></g>`)
}

// Beads is a bracelet whose beads go from light to dark.
func Beads(c *canvas, s Spec) {
	cushion(c, s)
	at := [][2]float64{
		{200, 150}, {229, 153}, {256, 163}, {279, 179}, {294, 201}, {297, 226}, {286, 249}, {265, 267}, {237, 278},
		{207, 283}, {176, 281}, {147, 273}, {122, 258}, {106, 237}, {102, 212}, {111, 188}, {128, 169}, {152, 157}, {176, 151},
	}
	for i, p := range at {
		d := float64(min(i, len(at)-i)) / 9.5
		c.ellipse("#00000033", p[0]+4, p[1]+9, 15, 10)
		c.litEllipse("ball", mix(s.Main, s.Accent, d), p[0], p[1], 16, 15.5)
		c.printf(`<ellipse cx="%g" cy="%g" rx="4" ry="2.6" fill="#fff" fill-opacity=".8"/>`, p[0]-5, p[1]-6)
	}
}

// Ring is a ring with a stone or a plate.
func Ring(c *canvas, s Spec) {
	cushion(c, s)
	c.ellipse("#00000038", 208, 262, 84, 18)
	c.printf(`<g fill="none"><circle cx="200" cy="196" r="66" stroke="%s" stroke-width="20"/><circle cx="200" cy="196" r="66" stroke="url(#flat)" stroke-width="20"/><circle cx="200" cy="196" r="58" stroke="#fff" stroke-opacity=".35" stroke-width="2"/></g>`, s.Main)
	c.litPath("flat", darken(s.Main, .12), "M156 128q44-20 88 0l-10 22q-34-12-68 0z")
	drop(c, s.Accent, "M156 124q0-40 44-40t44 40q-6 16-44 16t-44-16z")
	c.printf(`<path d="M170 112q6-16 26-18" stroke="#fff" stroke-opacity=".75" stroke-width="5" fill="none" stroke-linecap="round"/>`)
	if s.Accent == "#6f777e" { // a signet bears a house mark
		c.stroke("#f2f2ee", 3, "M200 98v32M190 106l20 12M210 106l-10 6M190 130h20")
	}
}

// Earrings is a pair of drops on hooks.
func Earrings(c *canvas, s Spec) {
	card := mix(s.Ground, "#3b3340", .70)
	c.shadow(200, 322, 120, 14)
	c.litRect("flat", card, 104, 84, 192, 236, 8)
	c.text(lighten(card, .55), 200, 300, 13, 120, "KONTOR")
	for _, x := range []float64{158, 242} {
		c.printf(`<path d="M%g 150q-16-28 2-34 16 2 10 24l-8 30" fill="none" stroke="%s" stroke-width="3.4" stroke-linecap="round"/>`, x, s.Accent)
		c.litEllipse("ball", s.Accent, x+4, 172, 7, 7)
		drop(c, s.Main, sprintf("M%g 180q22 34 12 58-6 16-16 16t-16-16q-10-24 12-58 4-4 8 0z", x+8))
		c.printf(`<path d="M%g 206q-6 16-2 30" stroke="#fff" stroke-opacity=".75" stroke-width="3.6" fill="none" stroke-linecap="round"/>`, x-4)
	}
}

// Brooch is an open ring with a long pin.
func Brooch(c *canvas, s Spec) {
	cushion(c, s)
	c.ellipse("#00000038", 208, 262, 90, 18)
	c.printf(`<g fill="none" stroke-linecap="round"><path d="M176 262a72 72 0 1 1 48 0" stroke="%s" stroke-width="19"/><path d="M176 262a72 72 0 1 1 48 0" stroke="url(#flat)" stroke-width="19"/><path d="M176 262a72 72 0 1 1 48 0" stroke="%s" stroke-width="15" stroke-dasharray="2 9"/></g>`, s.Main, s.Accent)
	for _, x := range []float64{172, 228} {
		c.litEllipse("ball", s.Main, x, 264, 17, 17)
		c.stroke(s.Accent, 2, sprintf("M%g 264h20M%g 254v20", x-10, x))
	}
	c.printf(`<g transform="rotate(-32 200 194)">`)
	c.litRect("round", lighten(s.Main, .12), 194, 64, 11, 252, 5)
	c.path(lighten(s.Main, .12), "M194 308h11l-5.500 26z")
	c.litEllipse("ball", s.Main, 200, 118, 15, 15)
	c.printf(`</g>`)
}

// Inclusion is a piece of amber with an insect in it.
func Inclusion(c *canvas, s Spec) {
	cushion(c, s)
	c.ellipse("#00000040", 212, 268, 112, 20)
	c.printf(`<ellipse cx="206" cy="190" rx="130" ry="112" fill="url(#glow)"/>`)
	drop(c, s.Main, "M96 206q-4-70 60-100 70-26 118 22 44 50 20 106-26 46-104 44-88-4-94-72z")
	c.printf(`<g fill="%[1]s" stroke="%[1]s" stroke-linecap="round" transform="rotate(-18 200 190)"><ellipse cx="200" cy="194" rx="7" ry="17"/><circle cx="200" cy="172" r="7"/><ellipse cx="200" cy="218" rx="5.500" ry="15"/><g fill="#fff" fill-opacity=".32" stroke-width="1.2"><path d="M204 186q42-18 52 4-20 14-52 2zM196 186q-42-18-52 4 20 14 52 2z"/></g><g fill="none" stroke-width="2"><path d="M194 188q-20 10-26 28M194 196q-14 14-14 34M206 188q20 10 26 28M206 196q14 14 14 34M197 166q-8-12-18-14M203 166q8-12 18-14"/></g></g>`, s.Accent)
	c.printf(`<path d="M118 186q6-42 44-62" stroke="#fff" stroke-opacity=".8" stroke-width="8" fill="none" stroke-linecap="round"/>`)
	c.printf(`<g fill="#fff" fill-opacity=".4"><circle cx="262" cy="170" r="4"/><circle cx="274" cy="188" r="2.4"/><circle cx="150" cy="236" r="3"/><circle cx="252" cy="226" r="2.2"/></g>`)
}
