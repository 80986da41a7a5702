package picture

// Things for the kitchen and the table.

// Mill is a box coffee mill with a crank.
func Mill(c *canvas, s Spec) {
	c.shadow(200, 326, 120, 18)
	c.litRect("flat", s.Main, 118, 200, 164, 116, 4)
	c.litRect("flat", darken(s.Main, .12), 108, 310, 184, 16, 3)
	c.litRect("flat", darken(s.Main, .12), 108, 192, 184, 14, 3)
	c.litRect("flat", lighten(s.Main, .10), 146, 240, 108, 56, 3)
	c.printf(`<path d="M146 240h108v56H146z" fill="none" stroke="%s" stroke-opacity=".5"/>`, darken(s.Main, .5))
	c.litEllipse("ball", s.Accent, 200, 268, 9, 9)
	c.stroke(darken(s.Main, .18), 1, "M124 220h152M124 232h16M262 262h14M124 284h16")
	c.litPath("round", s.Accent, "M140 192q4-56 60-58 56 2 60 58z")
	c.stroke(darken(s.Accent, .3), 1.5, "M140 188q60 12 120 0")
	c.litRect("round", darken(s.Accent, .2), 194, 108, 12, 30, 2)
	c.stroke(darken(s.Accent, .25), 7, "M200 110q40-18 84-6")
	c.litPath("round", s.Main, "M274 78q0-10 10-10t10 10v24q0 6-10 6t-10-6z")
}

// PepperMill is a turned mill.
func PepperMill(c *canvas, s Spec) {
	c.shadow(200, 326, 72, 14)
	c.litEllipse("ball", s.Accent, 200, 74, 9, 9)
	c.litPath("round", s.Main, "M170 118q-8-36 30-36t30 36q-4 12-30 12t-30-12z")
	c.litPath("round", s.Accent, "M172 126q28 8 56 0v10q-28 8-56 0z")
	c.litPath("round", s.Main, "M170 136q30 8 60 0 10 26-4 44-12 16-6 40 4 18 22 40 8 22 6 56 0 12-48 12t-48-12q-2-34 6-56 18-22 22-40 6-24-6-40-14-18-4-44z")
	c.stroke(lighten(s.Main, .25), 1.2, "M176 160q24 6 48 0M166 262q34 9 68 0M156 300q44 10 88 0")
}

// Mug is a stoneware mug with a band.
func Mug(c *canvas, s Spec) {
	c.shadow(196, 326, 116, 18)
	c.printf(`<path d="M270 196q56-8 54 42-2 46-58 46" fill="none" stroke="%s" stroke-width="19"/>`, darken(s.Main, .12))
	c.printf(`<path d="M270 192q54-6 52 44" fill="none" stroke="#fff" stroke-opacity=".18" stroke-width="5"/>`)
	c.litPath("round", s.Main, "M110 160q2 90 12 150 4 18 74 18t74-18q10-60 12-150z")
	c.litPath("round", s.Accent, "M113 208q82 18 166 0l-2 28q-82 16-162 0z")
	c.litPath("round", s.Accent, "M116 250q80 16 160 0v6q-80 16-160 0z")
	c.ellipse(darken(s.Main, .16), 196, 160, 86, 19)
	c.ellipse(lighten(s.Main, .16), 196, 158, 82, 17)
	c.ellipse("#5a3a22", 196, 163, 75, 12)
	c.printf(`<path d="M136 160q22-8 60-8" stroke="#fff" stroke-opacity=".35" stroke-width="2.5" fill="none" stroke-linecap="round"/>`)
	c.printf(`<g fill="none" stroke="#fff" stroke-opacity=".45" stroke-width="5" stroke-linecap="round"><path d="M172 132q-10-16 2-30t0-30"/><path d="M212 128q10-16-2-30t2-26"/></g>`)
}

// Bowl is a deep bowl with a rim.
func Bowl(c *canvas, s Spec) {
	c.shadow(200, 324, 118, 20)
	c.litPath("round", darken(s.Main, .2), "M156 306h88l-6 20q-38 8-76 0z")
	c.litPath("round", s.Main, "M80 196q8 118 120 122 112-4 120-122z")
	c.litPath("round", s.Accent, "M82 220q118 34 236 0l-3 18q-116 32-230 0z")
	c.ellipse(darken(s.Main, .1), 200, 196, 124, 34)
	c.ellipse(lighten(s.Main, .25), 200, 194, 120, 31)
	c.ellipse(darken(s.Main, .28), 200, 200, 104, 22)
	c.ellipse("#d8b981", 200, 206, 88, 15)
	c.printf(`<g fill="#7d2f3f"><circle cx="176" cy="203" r="6"/><circle cx="196" cy="208" r="6"/><circle cx="214" cy="201" r="6"/><circle cx="230" cy="209" r="5"/></g>`)
}

// Jug is a bellied jug with a bearded face on its neck.
func Jug(c *canvas, s Spec) {
	c.shadow(200, 326, 108, 18)
	c.printf(`<path d="M226 108q62 0 58 56-2 24-26 30" fill="none" stroke="%s" stroke-width="15" stroke-linecap="round"/>`, darken(s.Main, .2))
	c.litPath("round", s.Main, "M172 88h56q2 34 6 52 60 34 58 96-2 62-44 82-4 10-48 10t-48-10q-42-20-44-82-2-62 58-96 4-18 6-52z")
	c.litPath("round", lighten(s.Main, .12), "M166 80q34-10 68 0v16q-34 10-68 0z")
	c.ellipse(darken(s.Main, .5), 200, 80, 32, 6)
	// The face and its medallion.
	c.printf(`<g fill="%s"><circle cx="188" cy="120" r="4"/><circle cx="212" cy="120" r="4"/><path d="M198 118h4l4 18h-12z"/><path d="M178 144q22-10 44 0 6 34-22 56-28-22-22-56z"/></g>`, s.Accent)
	c.stroke(lighten(s.Main, .2), 1.6, "M190 152q2 22 8 38M200 150v44M210 152q-2 22-8 38M190 144q10 6 20 0")
	c.printf(`<circle cx="200" cy="256" r="38" fill="%s" fill-opacity=".55"/>`, s.Accent)
	c.printf(`<circle cx="200" cy="256" r="32" fill="none" stroke="%s" stroke-width="2"/>`, lighten(s.Main, .25))
	c.cog(lighten(s.Main, .3), 200, 258, 1.4)
}

// Roemer is a goblet of green glass.
func Roemer(c *canvas, s Spec) {
	c.shadow(200, 326, 84, 14)
	c.printf(`<g fill-opacity=".72">`)
	c.litPath("round", s.Main, "M180 286h40q30 22 44 34-64 16-128 0 14-12 44-34z")
	c.litPath("round", s.Main, "M164 214h72v74q-36 10-72 0z")
	c.litPath("round", s.Main, "M164 216q-46-34-42-86 2-28 14-46h128q12 18 14 46 4 52-42 86-36 10-72 0z")
	c.printf(`</g>`)
	c.printf(`<path d="M127 146q-2 46 40 72 34 8 66 0 42-26 40-72-74 14-146 0z" fill="#e3c05c" fill-opacity=".6"/>`)
	c.printf(`<ellipse cx="200" cy="84" rx="64" ry="11" fill="#fff" fill-opacity=".28" stroke="#fff" stroke-opacity=".7" stroke-width="2"/>`)
	for i := range 6 {
		c.litEllipse("ball", s.Accent, 173+float64(i%3)*27, 236+float64(i/3)*26, 9, 8)
	}
	c.stroke(s.Accent, 2, "M162 216q38 10 76 0M150 306q50 10 100 0M142 314q58 11 116 0")
	c.printf(`<path d="M136 104q-6 40 12 74" stroke="#fff" stroke-opacity=".7" stroke-width="6" fill="none" stroke-linecap="round"/>`)
}

// Decanter is a wide ship's decanter with a stopper.
func Decanter(c *canvas, s Spec) {
	c.shadow(200, 326, 140, 18)
	body := "M182 128q0 60-22 90-40 34-74 78-6 24 24 28 90 10 180 0 30-4 24-28-34-44-74-78-22-30-22-90z"
	c.printf(`<path d="%s" fill="%s" fill-opacity=".55"/>`, body, s.Main)
	c.printf(`<path d="M128 248q-24 22-38 46-6 22 22 26 88 10 176 0 28-4 22-26-14-24-38-46-72 16-144 0z" fill="%s" fill-opacity=".9"/>`, s.Accent)
	c.printf(`<path d="%s" fill="url(#round)" stroke="#fff" stroke-opacity=".65" stroke-width="2.5"/>`, body)
	for i := range 3 {
		c.printf(`<ellipse cx="200" cy="%d" rx="%d" ry="6" fill="%s" fill-opacity=".8" stroke="#fff" stroke-opacity=".6"/>`, 150+i*26, 24+i*4, s.Main)
	}
	c.printf(`<ellipse cx="200" cy="126" rx="28" ry="6" fill="#fff" fill-opacity=".5"/>`)
	c.litEllipse("ball", s.Main, 200, 94, 25, 28)
	c.printf(`<path d="M104 292q18-28 44-50" stroke="#fff" stroke-opacity=".75" stroke-width="6" fill="none" stroke-linecap="round"/>`)
}

// SaltBox is a small wooden box whose lid swings open.
func SaltBox(c *canvas, s Spec) {
	c.shadow(200, 326, 128, 18)
	c.litPath("round", s.Main, "M100 228v78q0 22 100 22t100-22v-78z")
	c.ellipse(lighten(s.Main, .12), 200, 228, 100, 28)
	c.ellipse(s.Accent, 200, 228, 84, 21)
	c.ellipse("#ffffff", 198, 230, 70, 14)
	c.printf(`<g fill="#dfe3e4"><circle cx="170" cy="228" r="3"/><circle cx="190" cy="234" r="3"/><circle cx="214" cy="227" r="3"/><circle cx="232" cy="233" r="2.5"/></g>`)
	c.printf(`<g transform="rotate(-16 268 190)">`)
	c.litPath("round", darken(s.Main, .10), "M140 172v12q0 24 92 24t92-24v-12z")
	c.litEllipse("flat", lighten(s.Main, .08), 232, 172, 92, 24)
	c.stroke(darken(s.Main, .12), 1.2, "M160 168q70-14 140 0M152 176q80 18 158 2M190 160q40-6 80 0")
	c.printf(`</g>`)
	c.litEllipse("ball", "#cfa045", 286, 164, 8, 7)
	c.stroke(darken(s.Main, .2), 1.2, "M108 256q92 26 184 0M106 284q94 26 188 0")
}

// Tile is a painted tile leaning on the wall.
func Tile(c *canvas, s Spec) {
	c.shadow(200, 322, 132, 14)
	c.rect(darken(s.Main, .25), 98, 104, 216, 218, 3)
	c.litRect("flat", s.Main, 92, 100, 216, 218, 3)
	c.printf(`<g fill="none" stroke="%s" stroke-width="3"><circle cx="200" cy="208" r="86"/><circle cx="200" cy="208" r="79" stroke-width="1.2"/></g>`, s.Accent)
	for _, corner := range []string{"", "rotate(90 200 209)", "rotate(180 200 209)", "rotate(270 200 209)"} {
		c.printf(`<path transform="%s" d="M100 108q22 2 30 14-6 2-10 0 2 6 0 12-16-6-20-26z" fill="%s"/>`, corner, s.Accent)
	}
	c.printf(`<g transform="translate(200 204) scale(3.1)" fill="%s"><path d="M-15 5c3 8 7 10 15 10s12-2 15-10z"/><path d="M-1-17h2V4h-2z"/><path d="M-11-12Q0-8 11-12L9 2Q0 5-9 2z" fill-opacity=".65"/><path d="M1-19l8 2.5-8 2.5z"/></g>`, s.Accent)
	c.stroke(s.Accent, 3, "M132 262q11-9 22 0t22 0 22 0 22 0 22 0 22 0M148 274q9-7 18 0t18 0 18 0 18 0 18 0")
}

// Sweets is an open box of marzipan.
func Sweets(c *canvas, s Spec) {
	c.shadow(200, 322, 156, 18)
	c.path(darken(s.Main, .3), "M66 210h268v96q0 8-8 8H74q-8 0-8-8z")
	c.litPath("flat", s.Main, "M66 236h268v72q0 8-8 8H74q-8 0-8-8z")
	c.path(lighten(s.Accent, .35), "M84 150h232l18 86H66z")
	for row := range 3 {
		for col := range 5 {
			y := 168 + float64(row)*25
			half := 100 + float64(row)*7
			x := 200 - half + (float64(col)+.5)*half*2/5
			c.ellipse("#00000022", x+2, y+7, 18, 8)
			colour := "#4a2a1e"
			if (row+col)%3 == 0 {
				colour = "#e9cf9b"
			}
			c.litEllipse("ball", colour, x, y, 17, 11)
			c.stroke(lighten(colour, .25), 1.5, sprintf("M%g %gq8-6 16 0", x-8, y-2))
		}
	}
	c.printf(`<path d="M82 252h236v50H82z" fill="none" stroke="%s" stroke-opacity=".6"/>`, s.Accent)
	c.cog(s.Accent, 112, 277, 1)
	c.text(s.Accent, 214, 277, 22, 170, "LÜBECK")
}

// Crispbread is a stack of round breads with a hole, one leaning on it.
func Crispbread(c *canvas, s Spec) {
	c.shadow(190, 326, 146, 18)
	for i := range 5 {
		y := 312 - float64(i)*13
		c.litPath("round", darken(s.Main, .12), sprintf("M78 %g q0 18 104 18t104-18v10q0 18-104 18t-104-18z", y-10))
		c.ellipse(lighten(s.Main, .06), 182, y-10, 104, 20)
	}
	c.ellipse(s.Accent, 182, 250, 18, 5)
	c.litEllipse("flat", darken(s.Main, .16), 262, 206, 92, 100)
	c.litEllipse("flat", s.Main, 256, 204, 92, 100)
	c.printf(`<g fill="%s" fill-opacity=".55">`, s.Accent)
	for i := range 60 { // docked by a notched roller
		x, y := 178+(i%9)*20, 118+(i/9)*27
		if dx, dy := float64(x-256)/84, float64(y-204)/92; dx*dx+dy*dy < .92 && dx*dx+dy*dy > .07 {
			c.printf(`<circle cx="%d" cy="%d" r="3.2"/>`, x, y)
		}
	}
	c.printf(`</g>`)
	c.ellipse(darken(s.Ground, .12), 256, 204, 17, 19)
}

// Stockfish is a dried fish that hangs from a line.
func Stockfish(c *canvas, s Spec) {
	c.stroke(darken(s.Ground, .5), 3, "M40 70q160 22 320 0")
	for _, at := range []string{"translate(-52 4) rotate(4 200 80)", "translate(52 4) rotate(-5 200 80)"} {
		c.printf(`<g transform="%s">`, at)
		c.stroke("#a98f5f", 4, "M192 72q8 14 16 0v22h-16z")
		c.litPath("round", s.Main, "M168 92q18 10 32 12 14-2 32-12-6 26-18 40 30 54 22 116-8 44-36 66-28-22-36-66-8-62 22-116-12-14-18-40z")
		c.stroke(s.Accent, 2, "M200 116q4 90 0 186M188 150q12 10 24 0M180 180q20 14 40 0M176 212q24 14 48 0M176 244q24 14 48 0M182 274q18 10 36 0")
		c.circle(darken(s.Accent, .5), 190, 292, 3.5)
		c.path(darken(s.Main, .14), "M178 210q-18 12-20 34 14-2 22-14zM222 210q18 12 20 34-14-2-22-14z")
		c.printf(`</g>`)
	}
}
