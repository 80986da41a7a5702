package picture

// Things in packages: tins, cartons, bags, jars, bottles.

// Tin is a round tea caddy with a label.
func Tin(c *canvas, s Spec) {
	c.shadow(200, 326, 118, 20)
	c.litPath("round", s.Main, "M118 140v172q0 20 82 20t82-20V140z")
	c.litPath("round", s.Accent, "M118 186v92q0 18 82 18t82-18v-92q0 16-82 16t-82-16z")
	c.stroke(darken(s.Accent, .35), 1.5, "M118 192q0 16 82 16t82-16M118 272q0 18 82 18t82-18")
	c.cog(darken(s.Main, .1), 200, 234, 1.15)
	c.text(darken(s.Main, .25), 200, 268, 19, 130, s.Text)
	// The lid, a little wider than the body.
	c.litPath("round", lighten(s.Main, .10), "M113 108v34q0 18 87 18t87-18v-34z")
	c.ellipse(lighten(s.Main, .24), 200, 108, 87, 18)
	c.ellipse(lighten(s.Main, .12), 200, 108, 76, 14)
	c.ellipse(s.Accent, 200, 103, 14, 5)
	c.litPath("round", s.Accent, "M188 96q0-9 12-9t12 9v6q0 5-12 5t-12-5z")
}

// Carton is a box with a slanted lid.
func Carton(c *canvas, s Spec) {
	c.shadow(204, 324, 120, 16)
	c.path(darken(s.Main, .30), "M252 128l40-22v200l-40 20z")
	c.litPath("flat", s.Main, "M112 128h140v198H112z")
	c.path(lighten(s.Main, .22), "M112 128l42-22h138l-40 22z")
	c.rect(s.Accent, 112, 172, 140, 98, 0)
	c.path(darken(s.Accent, .30), "M252 172l40-21v97l-40 22z")
	label := ink(s.Accent)
	c.printf(`<g fill="none" stroke="%s" stroke-opacity=".55"><path d="M122 180h120v82H122z"/><path d="M126 184h112v74H126z"/></g>`, label)
	c.cog(label, 182, 214, 1)
	c.text(label, 182, 244, 17, 104, s.Text)
	c.stroke(darken(s.Main, .2), 1, "M112 148h140")
}

// Bag is a paper bag with a folded top and a clip.
func Bag(c *canvas, s Spec) {
	c.shadow(200, 326, 112, 18)
	c.litPath("round", s.Main, "M124 122q-8 100-6 196 4 12 82 12t82-12q2-96-6-196z")
	c.path(darken(s.Main, .18), "M124 122h152l1 22q-77 8-154 0z")
	c.litPath("round", lighten(s.Main, .08), "M122 100q78-8 156 0v28q-78 8-156 0z")
	c.rect("#c9ccd0", 138, 118, 124, 6, 3)
	c.printf(`<g stroke="#000" stroke-opacity=".10" stroke-width="2" fill="none"><path d="M134 150q-4 70-2 168M266 150q4 70 2 168"/></g>`)
	c.litPath("flat", s.Accent, "M144 178h112v104H144z")
	label := ink(s.Accent)
	c.printf(`<path d="M150 184h100v92H150z" fill="none" stroke="%s" stroke-opacity=".5"/>`, label)
	c.cog(label, 200, 216, 1.2)
	c.text(label, 200, 256, 16, 92, s.Text)
}

// Sack is a tied linen pouch.
func Sack(c *canvas, s Spec) {
	c.shadow(200, 326, 122, 20)
	c.litPath("round", s.Main, "M168 152q-62 44-66 120-2 56 98 56t98-56q-4-76-66-120z")
	c.litPath("round", darken(s.Main, .06), "M168 152q-20-34-34-48 18 6 30-2 12 10 36-2 16 12 34 2 14 8 32 2-14 14-34 48-32 10-64 0z")
	c.stroke(darken(s.Main, .22), 1.5, "M180 160q-22 40-26 92M220 160q24 44 26 96M200 162q2 20 0 36")
	c.stroke(s.Accent, 6, "M166 152q34 10 68 0")
	c.stroke(s.Accent, 3, "M228 156q26 8 30 34M228 156q10 16 6 40")
	c.printf(`<g transform="rotate(-3 200 252)">`)
	c.rect(s.Accent, 152, 224, 96, 58, 3)
	c.printf(`<path d="M157 229h86v48h-86z" fill="none" stroke="%s" stroke-opacity=".6"/>`, ink(s.Accent))
	c.text(ink(s.Accent), 200, 253, 22, 80, s.Text)
	c.printf(`</g>`)
}

// Jar is a spice jar of glass with a cork.
func Jar(c *canvas, s Spec) {
	c.shadow(200, 326, 96, 16)
	c.litPath("round", "#c49a6c", "M158 92h84l-6 40h-72z")
	c.ellipse("#d7b287", 200, 92, 42, 9)
	c.litPath("round", s.Main, "M132 186q0-10 10-16h116q10 6 10 16v128q0 14-68 14t-68-14z")
	c.printf(`<g fill="%s" fill-opacity=".5">`, lighten(s.Main, .35))
	for i := range 46 { // what is inside, in no order but always the same
		c.printf(`<circle cx="%d" cy="%d" r="%d"/>`, 140+(i*53)%120, 178+(i*37)%144, 2+i%3)
	}
	c.printf(`</g>`)
	c.printf(`<path d="M128 170q0-18 32-26v-16h80v16q32 8 32 26v146q0 16-72 16t-72-16z" fill="#eef5f7" fill-opacity=".22" stroke="#fff" stroke-opacity=".6" stroke-width="2"/>`)
	c.printf(`<path d="M142 176q-2 70 0 130" stroke="#fff" stroke-opacity=".65" stroke-width="6" fill="none" stroke-linecap="round"/>`)
	c.litPath("round", s.Accent, "M128 214q72 14 144 0v64q-72 14-144 0z")
	c.text(ink(s.Accent), 200, 253, 20, 118, s.Text)
}

// HoneyJar is a wide jar with a cloth over its lid.
func HoneyJar(c *canvas, s Spec) {
	c.shadow(200, 326, 112, 18)
	c.litPath("round", s.Main, "M116 172q-4 60 2 136 6 20 82 20t82-20q6-76 2-136z")
	c.printf(`<path d="M116 172q-4 60 2 136 6 20 82 20t82-20q6-76 2-136z" fill="none" stroke="#fff" stroke-opacity=".6" stroke-width="3"/>`)
	c.printf(`<path d="M130 186q-2 60 2 110" stroke="#fff" stroke-opacity=".6" stroke-width="7" fill="none" stroke-linecap="round"/>`)
	c.litPath("round", s.Accent, "M110 176l-12 22 16-6 12 16 14-14 18 16 18-15 24 14 24-14 18 15 18-16 14 14 12-16 16 6-12-22-10-66q-80-20-160 0z")
	c.stroke(darken(s.Accent, .4), 3, "M114 160q86 18 172 0")
	c.ellipse(lighten(s.Accent, .3), 200, 112, 80, 15)
	c.litPath("flat", lighten(s.Accent, .4), "M200 214l52 26v48l-52 26-52-26v-48z")
	c.printf(`<path d="M200 221l46 23v40l-46 23-46-23v-40z" fill="none" stroke="%s"/>`, s.Main)
	c.text(darken(s.Main, .45), 200, 264, 20, 82, s.Text)
}

// Crock is a mustard pot with a cork lid.
func Crock(c *canvas, s Spec) {
	c.shadow(200, 326, 114, 18)
	c.litPath("round", s.Main, "M128 158q-18 40-14 100 4 70 86 70t86-70q4-60-14-100z")
	c.litPath("round", lighten(s.Main, .10), "M122 138q0-12 78-12t78 12v16q0 14-78 14t-78-14z")
	c.litPath("round", "#b98d5f", "M142 116q0-12 58-12t58 12v16q0 10-58 10t-58-10z")
	c.ellipse("#cda478", 200, 115, 58, 11)
	c.stroke(s.Accent, 5, "M121 180q79 16 158 0")
	c.stroke(s.Accent, 2.5, "M119 190q81 16 162 0M121 296q79 20 158 0")
	c.text(s.Accent, 200, 246, 34, 120, s.Text)
	c.stroke(s.Accent, 2, "M160 270q40 8 80 0")
}

// Bottle is a tall bottle with a sealed neck.
func Bottle(c *canvas, s Spec) {
	c.shadow(200, 326, 84, 15)
	body := "M178 84v48q0 16-20 30-18 14-18 40v112q0 14 60 14t60-14V202q0-26-18-40-20-14-20-30V84z"
	c.litPath("round", s.Main, body)
	c.printf(`<path d="%s" fill="none" stroke="#fff" stroke-opacity=".35" stroke-width="2"/>`, body)
	c.printf(`<path d="M152 206q-1 50 1 100" stroke="#fff" stroke-opacity=".5" stroke-width="6" fill="none" stroke-linecap="round"/>`)
	c.litPath("round", s.Accent, "M174 62q26-8 52 0v44q-26 8-52 0z")
	c.litPath("round", "#f4ecda", "M140 216q60 12 120 0v78q-60 12-120 0z")
	c.stroke(s.Accent, 1.5, "M140 224q60 12 120 0M140 286q60 12 120 0")
	c.cog("#3a3a3a", 200, 248, 1)
	c.text("#2a2622", 200, 278, 16, 100, s.Text)
}

// PolishTin is a flat round tin, standing on its edge behind one that lies.
func PolishTin(c *canvas, s Spec) {
	c.shadow(200, 326, 136, 18)
	c.litEllipse("flat", darken(s.Main, .25), 206, 226, 100, 100)
	c.litEllipse("flat", s.Main, 196, 224, 100, 100)
	c.circle(s.Accent, 196, 224, 84)
	c.printf(`<g fill="none" stroke="%s"><circle cx="196" cy="224" r="78" stroke-opacity=".8"/><circle cx="196" cy="224" r="54" stroke-opacity=".5"/></g>`, s.Main)
	c.cog(s.Main, 196, 206, 1.6)
	c.text(s.Main, 196, 252, 24, 104, s.Text)
}

// FishTin is an oval tin of fish, seen from above at a slant.
func FishTin(c *canvas, s Spec) {
	c.shadow(200, 312, 152, 22)
	c.litPath("round", "#aeb6bb", "M70 232v44q0 46 130 46t130-46v-44z")
	c.litEllipse("flat", "#d3d8da", 200, 232, 130, 60)
	c.litEllipse("flat", s.Main, 200, 230, 120, 53)
	c.printf(`<ellipse cx="200" cy="230" rx="111" ry="47" fill="none" stroke="%s" stroke-width="2"/>`, s.Accent)
	// One fish, and its name.
	c.path(s.Accent, "M116 218q40-34 104-14 22 6 36 12l30-18q-8 18 2 34l-32-14q-62 30-110 14-20-6-30-14z")
	c.stroke(s.Main, 2, "M150 204q8 16 0 32M176 202l8 8M192 204l8 8M208 208l8 8M184 220l8 6M202 220l8 6")
	c.circle(s.Main, 136, 216, 3.5)
	c.text(s.Accent, 200, 260, 17, 130, s.Text)
	c.litPath("round", "#c4cace", "M196 180q0-12 14-12t14 12-14 12-14-12zm8 0q0 5 6 5t6-5-6-5-6 5z")
}

// Ink is a square bottle of ink with a pen before it.
func Ink(c *canvas, s Spec) {
	c.shadow(196, 324, 108, 16)
	c.litPath("round", "#2b2320", "M166 132h56v36h-56z")
	c.ellipse("#4a3f3a", 194, 132, 28, 7)
	c.litPath("round", s.Main, "M160 176h68q34 8 34 38v98q0 14-14 14H140q-14 0-14-14v-98q0-30 34-38z")
	c.printf(`<path d="M138 222v84" stroke="#fff" stroke-opacity=".35" stroke-width="7" stroke-linecap="round"/>`)
	c.litRect("flat", s.Accent, 142, 222, 104, 74, 2)
	c.cog(s.Main, 194, 248, 1)
	c.text(s.Main, 194, 278, 19, 90, s.Text)
	c.printf(`<g transform="rotate(-24 230 318)">`)
	c.litRect("flat", "#8a5a33", 196, 312, 150, 8, 4)
	c.path("#c9a34c", "M196 312h-22l-22 4 22 4h22z")
	c.stroke("#6e5520", 1, "M156 316h22")
	c.printf(`</g>`)
}
